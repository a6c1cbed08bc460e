//! Sealing: what was committed, within seconds, by one db-controller at a time.

use std::time::Duration;

use futures::future::try_join_all;
use paymesh_contracts::digest;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Shard,
    encoding::{FORMAT, NOTHING, Seal},
};
use crate::store::{Failure, Reader, chain};

/// How long after a look for new rows comes the next.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a lease lasts when its holder falls silent. Every look renews it.
const LEASE_MS: i64 = 2_000;
/// How long transactions may take that were writing at the time of a look; else the next one waits
/// for them.
const WRITERS_MAX: Duration = Duration::from_secs(1);
/// How often they are looked for meanwhile.
const WRITERS_POLL: Duration = Duration::from_millis(20);
/// How many rows a seal has at most.
const ROWS_MAX: i64 = 1_000;
/// How often the head of a chain is told to the log, which is kept elsewhere.
const TELL: Duration = Duration::from_mins(1);

/// Seals until `stop` is cancelled.
pub async fn seal(reader: Reader, stop: CancellationToken) {
    let mut sealer = Sealer {
        reader,
        holder: Uuid::new_v4(),
        told: Shard::ALL.map(|shard| (shard, None)),
    };
    stop.run_until_cancelled(sealer.run()).await;
    if let Err(failure) = sealer.reader.leave_shards(sealer.holder).await {
        tracing::warn!(reason = %chain(&failure), "leases of the audit chain are left to expire");
    }
}

/// A seal that was added.
struct Added {
    shard: Shard,
    seal: Seal,
    /// More rows wait.
    is_full: bool,
}

struct Sealer {
    reader: Reader,
    holder: Uuid,
    /// When the head of each chain was told last.
    told: [(Shard, Option<Instant>); Shard::ALL.len()],
}

impl Sealer {
    async fn run(&mut self) {
        let mut is_well = true;
        loop {
            match self.look().await {
                Ok(true) => continue,
                Ok(false) => is_well = true,
                Err(failure) => {
                    if std::mem::take(&mut is_well) {
                        tracing::warn!(reason = %chain(&failure), "nothing can be sealed now");
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Adds a seal to each chain whose lease is ours, if it has new rows; says whether there are
    /// more.
    async fn look(&mut self) -> Result<bool, Failure> {
        let shards = self.reader.take_shards(self.holder, LEASE_MS).await?;
        let each = shards.into_iter();
        let each = each.map(|(shard, epoch)| self.add(shard, epoch));
        let added = try_join_all(each).await?;
        let added: Vec<Added> = added.into_iter().flatten().collect();
        for one in &added {
            self.tell(one);
        }
        Ok(added.iter().any(|one| one.is_full))
    }

    /// Adds a seal to a chain, if there are new rows.
    async fn add(&self, shard: Shard, epoch: i64) -> Result<Option<Added>, Failure> {
        let before = self.reader.last_seal(shard).await?;
        let after_seq = before.as_ref().map_or(i64::MIN, |seal| seal.last_seq);
        let Some(until_seq) = self.complete_until(shard, after_seq).await? else {
            return Ok(None);
        };
        let numbers = (after_seq, until_seq);
        let mut rows = self.reader.audited(shard, numbers, ROWS_MAX).await?;
        let (mut entries, mut count, mut last_seq) = (Vec::new(), 0, until_seq);
        while let Some(row) = rows.next().await? {
            row.write(&mut entries);
            count += 1;
            if count == ROWS_MAX {
                last_seq = row.seq;
            }
        }
        if count == 0 {
            return Ok(None);
        }
        let mut seal = Seal {
            number: before
                .as_ref()
                .map_or(1, |seal| seal.number.saturating_add(1)),
            format: FORMAT,
            epoch,
            after_seq,
            last_seq,
            entries,
            total: before
                .as_ref()
                .map_or(0, |seal| seal.total)
                .saturating_add(count),
            sealed_at_us: self.reader.time_us().await?,
            previous: before.map_or(NOTHING, |seal| seal.hash),
            hash: NOTHING,
        };
        seal.hash = seal.hash_of(shard);
        let is_ours = self.reader.add_seal(shard, self.holder, &seal).await?;
        let is_full = count == ROWS_MAX;
        Ok(is_ours.then_some(Added {
            shard,
            seal,
            is_full,
        }))
    }

    /// A number up to which every row can be seen that will ever be there; none if no higher one
    /// than `after_seq` was given out, or its writers are still at work.
    ///
    /// Rows commit in another order than they were numbered. Whoever has a number up to this one has
    /// begun to write before we look who writes, so it is complete when all of those have ended;
    /// whoever begins later gets a higher number. Nobody who writes waits for it.
    async fn complete_until(&self, shard: Shard, after_seq: i64) -> Result<Option<i64>, Failure> {
        let given_out = self.reader.given_out(shard).await?;
        if given_out <= after_seq {
            return Ok(None);
        }
        let mut writers = self.reader.writers(shard).await?;
        let began = Instant::now();
        while !writers.is_empty() {
            if began.elapsed() > WRITERS_MAX {
                return Ok(None);
            }
            tokio::time::sleep(WRITERS_POLL).await;
            let still = self.reader.writers(shard).await?;
            writers.retain(|writer| still.contains(writer));
        }
        Ok(Some(given_out))
    }

    /// Tells where a chain ends, now and then.
    fn tell(&mut self, added: &Added) {
        let told = self
            .told
            .iter_mut()
            .find(|(shard, _)| *shard == added.shard);
        let is_due = |at: &Option<Instant>| at.is_none_or(|at| at.elapsed() >= TELL);
        let Some((_, at)) = told.filter(|(_, at)| is_due(at)) else {
            return;
        };
        *at = Some(Instant::now());
        let seal = &added.seal;
        tracing::info!(
            shard = added.shard.word(),
            seal = seal.number,
            epoch = seal.epoch,
            last_seq = seal.last_seq,
            rows = seal.total,
            hash = digest::hex(&seal.hash),
            "the audit chain is sealed up to here"
        );
    }
}
