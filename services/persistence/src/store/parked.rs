//! Messages that were put aside: listed for a person, and given back to the queue.

use paymesh_contracts::{MessageId, PaymentId};

use super::{Failure, Reader, ms};

const PARKED: &str = concat!(
    "select id, kind, payment_id, parked_reason, ",
    ms!("parked_at"),
    " from outbox where parked_at is not null order by parked_at, id"
);

const REPLAY: &str = "update outbox set parked_at = null, parked_reason = null, failures = 0,
        available_at = clock_timestamp()
    where id = $1 and parked_at is not null returning 1";

/// A message that was put aside.
#[derive(Clone, Debug)]
pub struct Parked {
    /// Which one.
    pub message_id: MessageId,
    /// What it asks for.
    pub kind: String,
    /// About which payment.
    pub payment_id: PaymentId,
    /// Why.
    pub reason: String,
    /// Since when.
    pub parked_at_ms: i64,
}

impl Reader {
    /// Everything that was put aside, the longest first.
    pub async fn parked(&self) -> Result<Vec<Parked>, Failure> {
        let rows = self.query(PARKED, &[]).await?;
        let parked = rows.iter().map(|row| Parked {
            message_id: MessageId(row.get(0)),
            kind: row.get(1),
            payment_id: PaymentId(row.get(2)),
            reason: row.get(3),
            parked_at_ms: row.get(4),
        });
        Ok(parked.collect())
    }

    /// Gives a message back to the queue; says whether it was put aside.
    pub async fn replay_parked(&self, message_id: MessageId) -> Result<bool, Failure> {
        let rows = self.query(REPLAY, &[&message_id.0]).await?;
        Ok(!rows.is_empty())
    }
}
