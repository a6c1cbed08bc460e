//! Full payments, from a merchant's request to the read end, on a stack of their own.

use std::{
    io,
    num::NonZeroU32,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Length, Outcome, Window,
    knee::{self, Step},
    load::Load,
    meter::Meter,
    seen::Seen,
    shops::{self, Told},
    spans::Spans,
};
use crate::{
    client::Client,
    stack::{Bus, Pauses, Stack, Wishes},
    torture::not_durable,
};

/// What the first step sends a second.
const FIRST: u32 = 50;
/// How long after a load everything must have come to its end, webhooks included.
const DRAINED_MAX: Duration = Duration::from_mins(2);

/// Payments, charges booked for them, what all balances add up to, and balances that are not the
/// sum of their postings.
const LEDGER: &str = "with sums as (
        select account_id, sum(amount) as amount from (
            select credit_account as account_id, amount from posting
            union all select debit_account, -amount from posting) side
        group by account_id)
    select (select count(*) from payment where status = 'succeeded'),
        (select count(*) from posting where kind = 'charge'),
        (select abs(coalesce(sum(posted), 0))::int8 from balance),
        (select count(*) from balance b full join sums s using (account_id)
            where coalesce(b.posted, 0) <> coalesce(s.amount, 0))";

const EVENTS: &str = "select count(*) from event";

/// How long after everything has come to its end the last rows may wait for their seal.
const SEALED_MAX: Duration = Duration::from_secs(30);
/// How many of a hundred spans have to come: else traces were off for a while, which costs less.
const SPANS_PERCENT: u64 = 99;

/// Which load is reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// How many merchants share it.
    pub(super) shops: usize,
    /// What carries messages.
    pub(super) bus: Bus,
    /// The part of the knee that is sent, in hundredths.
    pub(super) percent: u32,
    /// The knee, if it is known.
    pub(super) knee: Option<u32>,
}

/// Finds the knee unless it is known, and measures the load that is wanted.
pub(super) async fn measure(folder: &Path, wanted: Wanted, length: Length) -> io::Result<Outcome> {
    let mut site = Site::open(folder, wanted).await?;
    let mut steps = Vec::new();
    if wanted.knee.is_none() {
        while let Some(per_second) = knee::next(&steps, FIRST) {
            let seen = site.step(per_second, length.step()).await?;
            let step = Step::judge(per_second, seen, &steps);
            eprintln!(
                "  {per_second} a second: {}",
                step.broke.as_deref().unwrap_or("holds")
            );
            steps.push(step);
        }
    }
    let knee = wanted.knee.unwrap_or_else(|| knee::knee(&steps));
    let mut outcome = Outcome {
        knee_per_second: Some(knee),
        steps,
        ..Outcome::default()
    };
    let Some(per_second) = NonZeroU32::new(knee * wanted.percent / 100) else {
        outcome.void.push("no step held".to_owned());
        return Ok(outcome);
    };
    outcome.per_second = Some(per_second.get());
    outcome.windows = site.drive(per_second, &length.spans(), true).await?;
    outcome.windows.remove(0);
    for (index, window) in outcome.windows.iter().enumerate() {
        let faults = window.seen.faults(per_second.get()).into_iter();
        let named = faults.map(|fault| format!("window {}: {fault}", index + 1));
        outcome.void.extend(named);
    }
    site.finish(&mut outcome).await?;
    Ok(outcome)
}

/// A stack with shops and a meter.
struct Site {
    stack: Stack,
    shops: Arc<[Client]>,
    told: Told,
    meter: Meter,
    spans: Spans,
    /// The first number that no payment has had.
    number: u64,
    succeeded: u64,
    /// Payments of which no client knows what became of them.
    doubtful: u64,
}

impl Site {
    async fn open(folder: &Path, wanted: Wanted) -> io::Result<Self> {
        let spans = tokio::task::block_in_place(|| Spans::start(folder))?;
        let wishes = Wishes {
            standbys: true,
            bus: wanted.bus,
            pauses: Pauses::Usual,
            collector_port: Some(spans.port),
            ..Wishes::default()
        };
        let stack = tokio::task::block_in_place(|| Stack::start(folder, wishes))?;
        let (shops, told) = shops::open(&stack, wanted.shops).await?;
        let url = stack.postgres.administrator_url("payments");
        let mut processes = stack.ids();
        processes.push(("collector of spans".to_owned(), spans.id()));
        let meter = Meter::at(&url, processes).await?;
        Ok(Self {
            stack,
            shops,
            told,
            meter,
            spans,
            number: 0,
            succeeded: 0,
            doubtful: 0,
        })
    }

    /// A load of one span; everything has come to its end afterwards.
    async fn step(&mut self, per_second: u32, span: Duration) -> io::Result<Seen> {
        let intended = NonZeroU32::new(per_second).ok_or(io::ErrorKind::InvalidInput)?;
        let windows = self.drive(intended, &[span], false).await?;
        let left = self.drain().await?;
        if left > 0 {
            return Err(io::Error::other(format!(
                "{left} messages wait {DRAINED_MAX:?} after {per_second} payments a second"
            )));
        }
        let first = windows.into_iter().next();
        first
            .map(|window| window.seen)
            .ok_or(io::ErrorKind::NotFound.into())
    }

    /// Sends so many a second for all spans; reads the meter at each of their borders, and has the
    /// database write a checkpoint in the middle of each, if that is wanted.
    async fn drive(
        &mut self,
        per_second: NonZeroU32,
        spans: &[Duration],
        checkpoints: bool,
    ) -> io::Result<Vec<Window>> {
        let mut before = (self.meter.read().await?, self.meter.waiting().await?);
        let load = Arc::new(Load::new(Instant::now(), spans));
        let sending = load
            .clone()
            .send(self.shops.clone(), per_second, self.number);
        let sending = tokio::spawn(sending);
        let mut windows = Vec::with_capacity(spans.len());
        for (border, span) in load.borders().iter().zip(spans) {
            if checkpoints {
                tokio::time::sleep_until((*border + *span / 2).into()).await;
                self.meter.checkpoint().await?;
            }
            tokio::time::sleep_until((*border + *span).into()).await;
            let waiting = self.meter.waiting().await? + load.under_way();
            let after = (self.meter.read().await?, waiting);
            windows.push(Window {
                seen: Seen {
                    backlog: [before.1, after.1],
                    ..Seen::default()
                },
                cost: after.0.since(&before.0),
            });
            before = after;
        }
        self.number = sending.await.map_err(io::Error::other)?;
        for (window, seen) in windows.iter_mut().zip(load.seen()) {
            let backlog = window.seen.backlog;
            window.seen = Seen { backlog, ..seen };
        }
        let (succeeded, doubtful) = load.counted();
        self.succeeded += succeeded;
        self.doubtful += doubtful;
        Ok(windows)
    }

    /// Waits until no message waits; gives how many do when the time is over.
    async fn drain(&self) -> io::Result<u64> {
        let start = Instant::now();
        loop {
            let waiting = self.meter.waiting().await?;
            if waiting == 0 || start.elapsed() > DRAINED_MAX {
                return Ok(waiting);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Compares what clients counted with ledger, webhooks, audit chain and spans, and the
    /// database's settings with those of the torture run.
    async fn finish(&self, outcome: &mut Outcome) -> io::Result<()> {
        let void = &mut outcome.void;
        let left = self.drain().await?;
        if left > 0 {
            void.push(format!("{left} messages wait {DRAINED_MAX:?} later"));
        }
        let [paid, booked, sum, wrong] = self.meter.numbers(LEDGER).await?;
        let counted = self.succeeded..=self.succeeded + self.doubtful;
        if !counted.contains(&paid) || booked != paid {
            void.push(format!(
                "clients counted {counted:?} payments, there are {paid} with {booked} charges"
            ));
        }
        if sum != 0 || wrong != 0 {
            void.push(format!("balances add up to {sum}, {wrong} are wrong"));
        }
        let [events] = self.meter.numbers(EVENTS).await?;
        let told = self.told.count();
        if events < paid || told < events {
            void.push(format!("{paid} payments, {events} events, {told} webhooks"));
        }
        void.extend(self.audited().await);
        let came = self.spans.of(paid, SPANS_PERCENT).await?;
        if !came.is_enough() {
            let (spans, wanted) = (came.spans, came.wanted);
            void.push(format!("{spans} spans came, of at least {wanted}"));
        }
        let durability = tokio::task::block_in_place(|| self.stack.durability())?;
        void.extend(not_durable(&durability));
        outcome.durability = durability;
        Ok(())
    }

    /// Why the audit chain was not on all the time, if it was not.
    async fn audited(&self) -> Option<String> {
        if let Err(late) = self.stack.sealed(SEALED_MAX).await {
            return Some(late.to_string());
        }
        match tokio::task::block_in_place(|| self.stack.verify_audit(None)) {
            Ok(audit) => audit.short().into_iter().next(),
            Err(reason) => Some(format!("the audit chain: {reason}")),
        }
    }
}
