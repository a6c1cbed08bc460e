//! What waits in the queue, for those who watch.

use super::{Failure, Reader};
use crate::command::Consumer;

/// Only what is not done is looked at, by the index that the relays use.
const BACKLOG: &str = "select
        count(*) filter (where o.parked_at is null and o.available_at <= clock_timestamp()),
        coalesce(extract(epoch from clock_timestamp() - min(o.available_at) filter
            (where o.parked_at is null and o.available_at <= clock_timestamp())), 0)::float8,
        count(*) filter (where o.parked_at is not null),
        count(distinct a.id) filter (where a.status = 'unknown')
    from outbox o left join attempt a on a.id = o.attempt_id
    where o.consumer = $1 and o.done_at is null";

/// The first of these alone.
const WAITING: &str = "select count(*) from outbox where consumer = $1 and done_at is null
    and parked_at is null and available_at <= clock_timestamp()";

/// The queue of one consumer.
#[derive(Clone, Copy, Debug)]
pub struct Backlog {
    /// Messages that may be worked on now and are not done.
    pub waiting: i64,
    /// How long the oldest of them could have been worked on, in seconds.
    pub age_seconds: f64,
    /// Messages that were put aside.
    pub parked: i64,
    /// Attempts of which nobody knows what became of them.
    pub unknown_attempts: i64,
}

impl Reader {
    /// What waits for a consumer.
    pub(crate) async fn backlog(&self, consumer: Consumer) -> Result<Backlog, Failure> {
        let rows = self.query(BACKLOG, &[&consumer.word()]).await?;
        let row = rows.first().ok_or(Failure::Disconnected(None))?;
        Ok(Backlog {
            waiting: row.get(0),
            age_seconds: row.get(1),
            parked: row.get(2),
            unknown_attempts: row.get(3),
        })
    }

    /// How many messages of a consumer may be worked on now and are not done.
    pub(crate) async fn waiting_count(&self, consumer: Consumer) -> Result<i64, Failure> {
        let rows = self.query(WAITING, &[&consumer.word()]).await?;
        let row = rows.first().ok_or(Failure::Disconnected(None))?;
        Ok(row.get(0))
    }
}
