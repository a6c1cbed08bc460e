//! Sealing: what was committed, within seconds, by one db-controller at a time.

use std::{fmt, time::Duration};

use futures::future::join_all;
use paymesh_contracts::digest;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Shard,
    encoding::{FORMAT, NOTHING, Seal},
};
use crate::store::{Failure, Reader, chain};

/// How long after a look for new rows comes the next, unless somebody is waited for. Each look renews
/// the leases.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a lease lasts when its holder falls silent.
const LEASE_MS: i64 = 2_000;
/// How soon those who write are looked for again at first, and how soon at the latest.
const POLL_MIN: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_millis(200);
/// How many rows a seal has at most.
const ROWS_MAX: i64 = 1_000;
/// How often the head of a chain is told to the log, which is kept elsewhere.
const TELL: Duration = Duration::from_mins(1);

/// Seals until `stop` is cancelled.
pub async fn seal(reader: Reader, stop: CancellationToken) {
    let mut sealer = Sealer {
        reader,
        holder: Uuid::new_v4(),
        chains: Shard::ALL.map(Chain::new),
        poll: POLL_MIN,
    };
    stop.run_until_cancelled(sealer.run()).await;
    if let Err(failure) = sealer.reader.leave_shards(sealer.holder).await {
        tracing::warn!(reason = %chain(&failure), "leases of the audit chain are left to expire");
    }
}

struct Sealer {
    reader: Reader,
    holder: Uuid,
    chains: [Chain; Shard::ALL.len()],
    /// How soon those who write are looked for again.
    poll: Duration,
}

impl Sealer {
    async fn run(&mut self) {
        loop {
            match self.look().await {
                Ok(true) => {}
                Ok(false) => sleep(PAUSE).await,
                Err(failure) => {
                    let reason = chain(&failure).to_string();
                    for chain in &mut self.chains {
                        chain.failed(&Trouble::Database(reason.clone()));
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// Goes on with each chain whose lease is ours until nobody is waited for, or the leases have to
    /// be renewed; says whether there is more to do at once.
    async fn look(&mut self) -> Result<bool, Failure> {
        let ours = self.reader.take_shards(self.holder, LEASE_MS).await?;
        let renewed = Instant::now();
        for chain in &mut self.chains {
            let lease = ours.iter().find(|(shard, _)| *shard == chain.shard);
            chain.hold(lease.map(|(_, epoch)| *epoch));
        }
        loop {
            if self.go_on().await? {
                return Ok(true);
            }
            if self.chains.iter().all(|chain| chain.open.is_none()) {
                return Ok(false);
            }
            if renewed.elapsed() >= PAUSE {
                return Ok(true);
            }
            sleep(self.poll).await;
            self.poll = (self.poll * 2).min(POLL_MAX);
        }
    }

    /// Adds a seal to each chain that has one open whose writers have ended; says whether any has more
    /// rows. One that fails is no reason to stop the others.
    async fn go_on(&mut self) -> Result<bool, Failure> {
        let (reader, holder) = (&self.reader, self.holder);
        join_all(self.chains.iter_mut().map(|chain| chain.open(reader))).await;
        if self.chains.iter().all(|chain| chain.open.is_none()) {
            return Ok(false);
        }
        // After the numbers: whoever has one of them writes already.
        let writing = self.reader.writers().await?;
        for chain in &mut self.chains {
            chain.hear(&writing);
        }
        let added = self.chains.iter_mut();
        let added = join_all(added.map(|chain| chain.close(reader, holder))).await;
        if added.iter().any(|added| *added != Added::Nothing) {
            self.poll = POLL_MIN;
        }
        Ok(added.contains(&Added::Full))
    }
}

/// A chain, as the one knows it who seals.
struct Chain {
    shard: Shard,
    /// Of its lease, while that is ours.
    epoch: Option<i64>,
    open: Option<Open>,
    /// What was told of it last.
    told_state: State,
    /// When its head was told last.
    told: Option<Instant>,
}

/// A seal that is not there yet.
struct Open {
    before: Option<Seal>,
    /// Every row will be seen up to this number
    until_seq: i64,
    /// when these have ended; not known at first.
    writers: Option<Vec<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Added {
    Nothing,
    /// A seal.
    Seal,
    /// A seal of as many rows as one may have: more may wait.
    Full,
}

/// How it is with a chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Well,
    /// The database does not do it.
    Waits,
    Broken,
}

/// Why nothing is added to a chain.
enum Trouble {
    /// The database does not do it.
    Database(String),
    /// What is to be built on is not what a sealer made.
    Broken(String),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Database(chain(&failure).to_string())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(reason) | Self::Broken(reason) => out.write_str(reason),
        }
    }
}

impl Chain {
    fn new(shard: Shard) -> Self {
        Self {
            shard,
            epoch: None,
            open: None,
            told_state: State::Well,
            told: None,
        }
    }

    /// What was open under another lease is nothing under this one: a promotion may have lost numbers.
    fn hold(&mut self, epoch: Option<i64>) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.open = None;
        }
    }

    /// Whether it was otherwise before.
    fn is_news(&mut self, state: State) -> bool {
        std::mem::replace(&mut self.told_state, state) != state
    }

    fn failed(&mut self, trouble: &Trouble) {
        self.open = None;
        let state = match trouble {
            Trouble::Database(_) => State::Waits,
            Trouble::Broken(_) => State::Broken,
        };
        if !self.is_news(state) {
            return;
        }
        let shard = self.shard.word();
        match trouble {
            Trouble::Database(reason) => {
                tracing::warn!(shard, reason, "nothing can be sealed now");
            }
            Trouble::Broken(reason) => {
                tracing::error!(
                    shard,
                    reason,
                    "the audit chain is broken: nothing is sealed"
                );
            }
        }
    }

    /// Opens a seal, if none is open and there are new numbers.
    async fn open(&mut self, reader: &Reader) {
        if self.epoch.is_none() || self.open.is_some() {
            return;
        }
        match next(reader, self.shard).await {
            Ok(None) => self.told_state = State::Well,
            Ok(open) => self.open = open,
            Err(trouble) => self.failed(&trouble),
        }
    }

    /// Hears who may still commit rows, and of which table.
    fn hear(&mut self, writing: &[(String, String)]) {
        let Some(open) = &mut self.open else {
            return;
        };
        let table = self.shard.word();
        let still = |writer: &String| {
            let mut all = writing.iter();
            all.any(|(written, by)| written == table && by == writer)
        };
        if let Some(writers) = &mut open.writers {
            writers.retain(still);
        } else {
            let ours = writing.iter().filter(|(written, _)| written == table);
            open.writers = Some(ours.map(|(_, writer)| writer.clone()).collect());
        }
    }

    /// Adds the open seal, if nobody is waited for.
    async fn close(&mut self, reader: &Reader, holder: Uuid) -> Added {
        let is_complete = |open: &mut Open| open.writers.as_ref().is_some_and(Vec::is_empty);
        let (Some(open), Some(epoch)) = (self.open.take_if(is_complete), self.epoch) else {
            return Added::Nothing;
        };
        let until_seq = open.until_seq;
        match add(reader, self.shard, (holder, epoch), open).await {
            Ok(None) => {
                self.told_state = State::Well;
                Added::Nothing
            }
            Ok(Some((seal, count))) => {
                self.told_state = State::Well;
                self.tell(&seal);
                if count < ROWS_MAX {
                    return Added::Seal;
                }
                // All up to that number can be seen, so nobody is waited for once more.
                self.open = Some(Open {
                    before: Some(seal),
                    until_seq,
                    writers: Some(Vec::new()),
                });
                Added::Full
            }
            Err(trouble) => {
                self.failed(&trouble);
                Added::Nothing
            }
        }
    }

    /// Tells where the chain ends, now and then.
    fn tell(&mut self, seal: &Seal) {
        if self.told.is_some_and(|at| at.elapsed() < TELL) {
            return;
        }
        self.told = Some(Instant::now());
        tracing::info!(
            shard = self.shard.word(),
            seal = seal.number,
            epoch = seal.epoch,
            last_seq = seal.last_seq,
            rows = seal.total,
            hash = digest::hex(&seal.hash),
            "the audit chain is sealed up to here"
        );
    }
}

/// The next seal of a chain, if higher numbers were given out than its last one has.
///
/// Rows commit in another order than they were numbered. Whoever has a number up to this one has
/// begun to write before we look who writes, so it is complete when all of those have ended, however
/// long that takes; whoever begins later gets a higher number. Nobody who writes waits for it.
async fn next(reader: &Reader, shard: Shard) -> Result<Option<Open>, Trouble> {
    let before = reader.last_seal(shard).await?;
    let given_out = reader.given_out(shard).await?;
    let after_seq = match &before {
        None => i64::MIN,
        Some(seal) => sound(shard, seal, given_out)?,
    };
    Ok((given_out > after_seq).then_some(Open {
        before,
        until_seq: given_out,
        writers: None,
    }))
}

/// Up to where the last seal goes, if it is one to build on.
fn sound(shard: Shard, seal: &Seal, given_out: i64) -> Result<i64, Trouble> {
    let Seal {
        number, last_seq, ..
    } = seal;
    // What a newer version hashes this one need not know.
    if seal.format <= FORMAT && seal.hash_of(shard) != seal.hash {
        let reason = format!("the hash of seal {number}, the last one, is not that of its content");
        return Err(Trouble::Broken(reason));
    }
    if *last_seq > given_out {
        let reason = format!(
            "seal {number}, the last one, has numbers up to {last_seq}, and {given_out} is the highest \
             that was given out"
        );
        return Err(Trouble::Broken(reason));
    }
    Ok(*last_seq)
}

/// Adds a seal of what can be seen now, and says how many rows it has; none if there are no rows, or
/// the lease is not ours any more.
async fn add(
    reader: &Reader,
    shard: Shard,
    (holder, epoch): (Uuid, i64),
    Open {
        before, until_seq, ..
    }: Open,
) -> Result<Option<(Seal, i64)>, Trouble> {
    let after_seq = before.as_ref().map_or(i64::MIN, |seal| seal.last_seq);
    let numbers = (after_seq, until_seq);
    let mut rows = reader.audited(shard, numbers, ROWS_MAX).await?;
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
        sealed_at_us: reader.time_us().await?,
        previous: before.map_or(NOTHING, |seal| seal.hash),
        hash: NOTHING,
    };
    seal.hash = seal.hash_of(shard);
    let is_ours = reader.add_seal(shard, holder, &seal).await?;
    Ok(is_ours.then_some((seal, count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writing(writers: &[&str]) -> Vec<(String, String)> {
        let at = |it: &&str| {
            let (table, writer) = it.split_once(' ').unwrap();
            (table.to_owned(), writer.to_owned())
        };
        writers.iter().map(at).collect()
    }

    /// Whether a seal is still open for somebody after each of these looks.
    #[track_caller]
    fn check(looks: &[&[&str]], expected: &[&str]) {
        let mut chain = Chain::new(Shard::Event);
        chain.hold(Some(1));
        chain.open = Some(Open {
            before: None,
            until_seq: 9,
            writers: None,
        });
        for (look, expected) in looks.iter().zip(expected) {
            chain.hear(&writing(look));
            let open = chain.open.as_ref().unwrap();
            assert_eq!(
                open.writers.as_ref().unwrap().concat(),
                *expected,
                "{look:?}"
            );
        }
    }

    #[test]
    fn only_those_are_waited_for_who_wrote_when_the_numbers_were_looked_at() {
        check(&[&[]], &[""]);
        check(
            &[
                &["event a", "event b", "posting c"],
                &["event b", "event c"],
                &["event d", "posting b"],
            ],
            &["ab", "b", ""],
        );
    }

    #[test]
    fn what_was_open_under_another_lease_is_given_up() {
        let mut chain = Chain::new(Shard::Event);
        for (epoch, is_kept) in [(Some(1), true), (Some(2), false), (None, false)] {
            chain.hold(Some(1));
            chain.open = Some(Open {
                before: None,
                until_seq: 9,
                writers: None,
            });
            chain.hold(epoch);
            assert_eq!(chain.open.is_some(), is_kept, "{epoch:?}");
        }
    }

    #[test]
    fn what_is_broken_is_told_once_also_after_an_outage() {
        let mut chain = Chain::new(Shard::Event);
        let states = [
            (State::Waits, true),
            (State::Waits, false),
            (State::Broken, true),
            (State::Broken, false),
            (State::Well, true),
            (State::Broken, true),
        ];
        for (state, is_news) in states {
            assert_eq!(chain.is_news(state), is_news);
        }
    }

    #[test]
    fn nothing_is_built_on_a_seal_that_is_changed_or_beyond_all_numbers() {
        let mut seal = Seal {
            number: 1,
            format: FORMAT,
            epoch: 1,
            after_seq: i64::MIN,
            last_seq: 9,
            entries: Vec::new(),
            total: 0,
            sealed_at_us: 1,
            previous: NOTHING,
            hash: NOTHING,
        };
        assert!(sound(Shard::Event, &seal, 9).is_err());
        seal.hash = seal.hash_of(Shard::Event);
        assert!(sound(Shard::Event, &seal, 9).is_ok_and(|last_seq| last_seq == 9));
        assert!(sound(Shard::Event, &seal, 8).is_err());
        assert!(sound(Shard::Posting, &seal, 9).is_err());
    }
}
