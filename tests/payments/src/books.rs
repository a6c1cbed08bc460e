//! The acquirer's books, read from its file.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs, io,
    path::Path,
    time::Duration,
};

use serde::Deserialize;
use uuid::Uuid;

/// One line of the books: a charge, or something that was done with one.
#[derive(Clone, Debug, Deserialize)]
pub struct Charge {
    /// The attempt it was made under.
    pub id: String,
    /// What was done: empty for a charge.
    #[serde(default)]
    pub kind: String,
    /// With which charge.
    #[serde(default)]
    pub charge: String,
    /// In minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// `approved` or `declined`.
    pub status: String,
    /// Whether it was voided.
    #[serde(skip)]
    pub is_void: bool,
}

/// A dispute as the acquirer has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Dispute {
    /// What it is called.
    pub dispute: String,
    /// The attempt that took the money, or reserved it.
    pub charge: String,
    /// In minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Where it stands.
    pub status: String,
    /// Grows with every change.
    pub version: i64,
    /// Told, and not so.
    #[serde(default)]
    astray: bool,
}

/// Everything that the acquirer ever did.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Charges, and what was done with them.
    pub charges: Vec<Charge>,
    /// Disputes by their names.
    pub disputes: BTreeMap<String, Dispute>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Charge(Charge),
    Dispute(Dispute),
    Payout {
        #[serde(rename = "payout")]
        _payout: String,
    },
    Void {
        void: String,
    },
    Decided {
        decided: String,
        status: String,
    },
}

/// Reads all of it.
pub fn read(path: &Path) -> io::Result<Books> {
    let text = match fs::read_to_string(path) {
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    let whole = text.rfind('\n').map_or(0, |last| last + 1);
    let mut charges: Vec<Charge> = Vec::new();
    let mut disputes = BTreeMap::new();
    let mut voids = HashSet::new();
    for line in text[..whole].lines() {
        match serde_json::from_str(line).map_err(io::Error::other)? {
            Line::Charge(charge) => {
                if charge.kind == "void" && charge.status == "approved" {
                    voids.insert(charge.charge.clone());
                }
                charges.push(charge);
            }
            Line::Dispute(told) => {
                if !told.astray {
                    disputes.insert(told.dispute.clone(), told);
                }
            }
            // What is settled is in its report.
            Line::Payout { .. } => {}
            Line::Decided { decided, status } => {
                let meant = charges.iter_mut().filter(|charge| charge.id == decided);
                meant.for_each(|charge| charge.status.clone_from(&status));
            }
            Line::Void { void } => {
                voids.insert(void);
            }
        }
    }
    for charge in &mut charges {
        charge.is_void = voids.contains(&charge.id);
    }
    Ok(Books { charges, disputes })
}

/// An id as the API writes it: a prefix, and a letter from a to p for each half of a byte.
pub fn id_of(uuid: Uuid, prefix: &str) -> String {
    let bytes = uuid.into_bytes().into_iter();
    let halves = bytes.flat_map(|byte| [byte >> 4, byte & 15]);
    let letters: String = halves.map(|half| char::from(b'a' + half)).collect();
    format!("{prefix}_{letters}")
}

/// How long the acquirer had attempts wait on purpose, by their ids; those that it did.
pub fn delays(path: &Path) -> io::Result<HashMap<String, Duration>> {
    #[derive(Deserialize)]
    struct Delayed {
        id: String,
        delay_us: u64,
    }
    let text = fs::read_to_string(path)?;
    // Every other line has no delay.
    let delayed = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let delays = delayed.map(|row: Delayed| (row.id, Duration::from_micros(row.delay_us)));
    Ok(delays.collect())
}

/// The UUID that an id of the API means: a prefix and 32 letters from a to p.
pub fn uuid_of(id: &str, prefix: &str) -> Option<Uuid> {
    let letters = id.strip_prefix(prefix)?.strip_prefix('_')?;
    let digits = letters
        .chars()
        .map(|letter| {
            let nibble = (letter as u32)
                .checked_sub(u32::from(b'a'))
                .filter(|nibble| *nibble < 16)?;
            char::from_digit(nibble, 16)
        })
        .collect::<Option<String>>()?;
    (digits.len() == 32).then(|| Uuid::try_parse(&digits).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_read_of_those_that_had_to_wait_and_of_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("books.jsonl");
        let lines = r#"{"id":"att_one","amount":5,"currency":"EUR","status":"approved","delay_us":120500}
{"id":"att_two","amount":5,"currency":"EUR","status":"approved"}
{"void":"att_one","at_ms":1}
"#;
        fs::write(&path, lines).unwrap();
        let waited = ("att_one".to_owned(), Duration::from_micros(120_500));
        assert_eq!(delays(&path).unwrap(), HashMap::from([waited]));
        assert_eq!(read(&path).unwrap().charges.len(), 2);
    }
}
