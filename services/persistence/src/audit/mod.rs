//! The audit chain: rows that are only ever added are sealed after they were committed, so that one
//! that is changed, taken away or put in afterwards is found.
//!
//! - A [`Shard`] is a table of such rows. Its chain is a row of seals, each with the hash of the one
//!   before ([`encoding`]); one db-controller at a time adds to it ([`seal`]).
//! - Nothing is written for it in the transaction that moves money. A seal takes every row up to a
//!   number that nobody can come below any more, so a row that commits late is never passed over.
//! - [`verify`] reads all of it again. Whoever may write everything can also write a whole new chain,
//!   or cut its end off: that shows beside a [`Head`] that was kept elsewhere.

pub mod encoding;
mod judge;
mod seal;
mod verify;

use paymesh_contracts::{EventId, PostingId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use judge::{Finding, What};
pub use seal::seal;
pub use verify::{VerifyError, verify, verify_balances};

/// A table whose rows are only ever added.
///
/// What has a state is none: payments, attempts, disputes and answers change. What became of them
/// is told by events, and moved by postings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shard {
    /// What was booked.
    Posting,
    /// What merchants were told of their payments.
    Event,
}

impl Shard {
    /// All of them, in the order of their leases.
    pub const ALL: [Self; 2] = [Self::Posting, Self::Event];

    /// Its table.
    pub fn word(self) -> &'static str {
        match self {
            Self::Posting => "posting",
            Self::Event => "event",
        }
    }

    /// The id of one of its rows, as people know it.
    fn id_text(self, id: Uuid) -> String {
        match self {
            Self::Posting => PostingId(id).to_string(),
            Self::Event => EventId(id).to_string(),
        }
    }
}

/// Where a chain ended when somebody looked: kept elsewhere it shows whether that is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Of which chain.
    pub shard: Shard,
    /// The last seal.
    pub seal: i64,
    /// The epoch of the lease it was sealed under; a promotion raises it beyond 2^32.
    pub epoch: i64,
    /// Every row up to this number was sealed.
    pub last_seq: i64,
    /// How many rows these were.
    pub rows: i64,
    /// The hash of the last seal, in hexadecimal.
    pub hash: String,
}

impl Head {
    /// Every head in what an earlier run of the verifier printed, or in the log of db-controller,
    /// whatever a collector of logs wrote before and behind; other lines are passed over.
    pub fn read(text: &str) -> Vec<Self> {
        text.lines().filter_map(Self::of_line).collect()
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut starts = line.match_indices('{');
        starts.find_map(|(at, _)| {
            let mut values = serde_json::Deserializer::from_str(&line[at..]).into_iter::<Value>();
            let value = values.next()?.ok()?;
            if let Ok(head) = Self::deserialize(&value) {
                return Some(head);
            }
            // A collector may keep the line as a text in an object of its own.
            let mut texts = value.as_object()?.values().filter_map(Value::as_str);
            texts.find_map(Self::of_line)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_found_among_other_lines() {
        let printed = r#"{"shard":"event","seal":3,"epoch":1,"last_seq":9,"rows":7,"hash":"ab","unsealed":2}"#;
        let logged = r#"{"timestamp":"2026-11-22T11:00:00Z","level":"INFO","message":"sealed","shard":"posting","seal":4,"epoch":1,"last_seq":9,"rows":7,"hash":"cd","target":"x"}"#;
        let text = format!(
            "nonsense\n{printed}\n{{\"shard\":\"event\"}}\n\
             2026-11-22T11:00:00.1Z stderr F {{x}} {logged} (cut)\n\
             {}\n",
            serde_json::json!({ "log": format!("{logged}\n"), "stream": "stderr" })
        );
        let heads = Head::read(&text);
        let short: Vec<_> = heads.iter().map(|head| (head.shard, head.seal)).collect();
        let expected = [(Shard::Event, 3), (Shard::Posting, 4), (Shard::Posting, 4)];
        assert_eq!(short, expected);
    }
}
