//! The lane: commands that arrive while a group is being committed form the next group.
//!
//! A lone command is committed at once. Under load a group waits for more, and grows until the
//! commit's cost is spread over hundreds of payments. The lane answers a command only after its group
//! is committed, and settles a lost answer to COMMIT by doing the group again on a new connection:
//! whatever had been committed is recognised by its idempotency or inbox row.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use paymesh_operations::{Health, Span, SpanKind};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    command::{Command, Outcome},
    defect::Defects,
    queue::Hub,
    store::{Database, Done, Failure, Placed, Session},
    traces,
};

/// How many commands one transaction takes at most.
pub const GROUP_MAX: usize = 256;
/// How many commands may wait; beyond that they are refused at once.
const WAITING_MAX: usize = 4_096;
/// How many commands a group has at least that says there is load.
const LOAD_MIN: usize = 3;
/// How long after its commit it says so.
const LOAD_FOR: Duration = Duration::from_millis(20);
/// How often a group that met another transaction is tried again before each goes alone.
const CONFLICTS_MAX: u32 = 8;
/// How long a command is tried again after the connection was lost.
const RECONNECT_MAX: Duration = Duration::from_secs(20);

const IN_PROGRESS: &str = "paymesh_commands_in_progress";
const REFUSED: &str = "paymesh_commands_refused_total";
const GROUP: &str = "paymesh_commit_commands";
const COMMIT: &str = "paymesh_commit_duration_seconds";

/// When the first command of a group waits for others, and for how long. Each group has its price in
/// every process that it passes, a forced write to three disks first.
#[derive(Clone, Copy, Debug)]
pub enum Gather {
    /// Behind a group of several.
    UnderLoad(Duration),
    /// Always: nobody waits for what is done.
    Always(Duration),
}

impl Gather {
    /// How long a group waits behind one of so many that was committed so long ago.
    fn behind(self, last: usize, ago: Duration) -> Duration {
        match self {
            Self::UnderLoad(time) if last >= LOAD_MIN && ago < LOAD_FOR => time,
            Self::UnderLoad(_) => Duration::ZERO,
            Self::Always(time) => time,
        }
    }
}

/// Why a command got no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaneError {
    /// Too many are waiting; nothing was done.
    #[error("too many commands are waiting; nothing was done")]
    Overloaded,
    /// The database did not come back in time; the command may have been done.
    #[error("the database does not answer; the command may have been carried out")]
    Unknown,
    /// The database refuses this command; nothing was done.
    #[error("the database refuses this command; nothing was done")]
    Refused,
}

struct Job {
    command: Command,
    since: Instant,
    span: Span,
    answer: oneshot::Sender<Result<Outcome, LaneError>>,
    _counted: Counted,
}

/// A command in progress, as the metrics count it.
struct Counted;

impl Counted {
    fn begin() -> Self {
        gauge!(IN_PROGRESS).increment(1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        gauge!(IN_PROGRESS).decrement(1);
    }
}

/// Where commands are put in.
#[derive(Clone)]
pub struct Lane {
    jobs: mpsc::Sender<Job>,
}

impl Lane {
    /// Starts a lane. It says to `health`, if there is one, whether it can work. It ends when every
    /// handle is gone or `stop` is cancelled, after the commands that wait.
    pub fn start(
        database: Database,
        hub: Hub,
        health: Option<Health>,
        defects: Defects,
        gather: Gather,
        stop: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        describe();
        let (jobs, waiting) = mpsc::channel(WAITING_MAX);
        let worker = Worker {
            database,
            hub,
            health,
            defects,
            gather,
            session: None,
        };
        (Self { jobs }, tokio::spawn(worker.work(waiting, stop)))
    }

    /// Does a command and says what came of it, once that is committed.
    pub async fn run(&self, command: Command) -> Result<Outcome, LaneError> {
        let (answer, answered) = oneshot::channel();
        let job = Job {
            span: traces::begin(&command),
            command,
            since: Instant::now(),
            answer,
            _counted: Counted::begin(),
        };
        self.jobs.try_send(job).map_err(|_| overloaded())?;
        answered.await.unwrap_or(Err(LaneError::Unknown))
    }
}

/// Refuses a command, because too many are under way.
pub(crate) fn overloaded() -> LaneError {
    counter!(REFUSED).increment(1);
    LaneError::Overloaded
}

struct Worker {
    database: Database,
    hub: Hub,
    health: Option<Health>,
    defects: Defects,
    gather: Gather,
    session: Option<Session>,
}

impl Worker {
    async fn work(mut self, mut waiting: mpsc::Receiver<Job>, stop: CancellationToken) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        let (mut last, mut ended) = (0, Instant::now());
        let mut look = tokio::time::interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                biased;
                taken = waiting.recv_many(&mut group, GROUP_MAX) => if taken == 0 { break },
                () = stop.cancelled() => { waiting.close(); if waiting.is_empty() { break } }
                _ = look.tick() => { let _ = self.connect().await; }
            }
            if !group.is_empty() {
                let gather = self.gather.behind(last, ended.elapsed());
                if !gather.is_zero() && group.len() < GROUP_MAX {
                    stop.run_until_cancelled(tokio::time::sleep(gather)).await;
                    while group.len() < GROUP_MAX
                        && let Ok(job) = waiting.try_recv()
                    {
                        group.push(job);
                    }
                }
                last = group.len();
                histogram!(GROUP).record(number(last));
                self.group(std::mem::take(&mut group)).await;
                ended = Instant::now();
            }
        }
        self.show_ready(false);
    }

    fn show_ready(&self, is_ready: bool) {
        if let Some(health) = &self.health {
            health.set_ready(is_ready);
        }
    }

    async fn connect(&mut self) -> Result<&Session, Failure> {
        if self.session.as_ref().is_none_or(Session::is_closed) {
            self.session = None;
            self.show_ready(false);
            self.session = Some(Session::open(&self.database, self.defects).await?);
            self.show_ready(true);
        }
        Ok(self.session.as_ref().expect("set above"))
    }

    async fn group(&mut self, mut jobs: Vec<Job>) {
        let transactions: Vec<Span> = jobs.iter().map(transaction).collect();
        let committed = self.commit(&mut jobs).await;
        for span in transactions {
            span.word("outcome", word(&committed));
        }
        match committed {
            Ok(done) => self.answer(jobs, done),
            Err(Failure::Refused(reason)) if jobs.len() == 1 => {
                tracing::error!(reason = %crate::store::chain(&reason), "the database refuses a command");
                Self::fail(jobs, LaneError::Refused);
            }
            // One of them is at fault: each alone, so that the others get through.
            Err(Failure::Refused(_) | Failure::Conflict(_)) if jobs.len() > 1 => {
                for job in jobs {
                    Box::pin(self.group(vec![job])).await;
                }
            }
            Err(_) => Self::fail(jobs, LaneError::Unknown),
        }
    }

    /// Commits a group, again after a conflict or a lost connection. Jobs whose time is over are
    /// answered and left out.
    async fn commit(&mut self, jobs: &mut Vec<Job>) -> Result<Done, Failure> {
        let (mut conflicts, mut pause) = (0, Duration::from_millis(20));
        loop {
            let commands: Vec<Placed<'_>> = jobs
                .iter()
                .map(|job| (&job.command, job.span.place().text()))
                .collect();
            let began = Instant::now();
            let result = match self.connect().await {
                Ok(session) => session.run(&commands).await,
                Err(failure) => Err(failure),
            };
            histogram!(COMMIT, "outcome" => word(&result)).record(began.elapsed());
            match result {
                Err(Failure::Conflict(_)) if conflicts < CONFLICTS_MAX => conflicts += 1,
                Err(Failure::Disconnected(_)) => {
                    self.session = None;
                    self.show_ready(false);
                    let late = jobs.extract_if(.., |job| job.since.elapsed() > RECONNECT_MAX);
                    Self::fail(late.collect(), LaneError::Unknown);
                    if jobs.is_empty() {
                        return Err(Failure::Disconnected(None));
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                other => return other,
            }
        }
    }

    fn answer(&self, jobs: Vec<Job>, done: Done) {
        self.hub.committed(&done);
        for (job, outcome) in jobs.into_iter().zip(done.outcomes) {
            // Nobody listens any more when the caller's connection broke; it will ask again.
            let _ = job.answer.send(Ok(outcome));
        }
    }

    fn fail(jobs: Vec<Job>, error: LaneError) {
        for job in jobs {
            job.span.failed();
            let _ = job.answer.send(Err(error));
        }
    }
}

fn describe() {
    describe_gauge!(IN_PROGRESS, "Commands that wait or are being committed");
    describe_counter!(REFUSED, "Commands refused because too much waited");
    // Both are there before there is anything to count.
    gauge!(IN_PROGRESS).set(0);
    counter!(REFUSED).absolute(0);
    describe_histogram!(GROUP, "Commands of one commit");
    describe_histogram!(COMMIT, Unit::Seconds, "One try to commit a group");
}

/// A command's part in the transaction that it shares with others.
fn transaction(job: &Job) -> Span {
    Span::of(&job.span.place(), SpanKind::Client, "transaction")
}

/// The outcome of a try to commit, as a label.
fn word(result: &Result<Done, Failure>) -> &'static str {
    match result {
        Ok(_) => "committed",
        Err(Failure::Conflict(_)) => "conflict",
        Err(Failure::Disconnected(_)) => "disconnected",
        Err(Failure::Refused(_)) => "refused",
    }
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_comes_alone_waits_for_nobody_and_those_who_come_together_do() {
        let (none, time) = (Duration::ZERO, Duration::from_millis(5));
        let waits = |gather: Gather, ago| {
            let behind = |last| gather.behind(last, ago);
            [0, 1, LOAD_MIN - 1, LOAD_MIN, GROUP_MAX].map(behind)
        };
        let under_load = Gather::UnderLoad(time);
        assert_eq!(waits(under_load, none), [none, none, none, time, time]);
        assert_eq!(waits(under_load, LOAD_FOR), [none; 5]);
        assert_eq!(waits(Gather::Always(time), LOAD_FOR), [time; 5]);
    }
}
