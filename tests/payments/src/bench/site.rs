//! A stack with merchants, and what is measured of it: loads, their cost, and whether its books hold
//! what clients counted.

use std::{
    io,
    num::NonZeroU32,
    path::Path,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Length, Outcome, Window,
    knee::{self, Search, Step},
    load::{History, Load, Manner},
    meter::{Cost, Meter},
    seen::Seen,
    shops::{self, Told},
    spans::Spans,
};
use crate::{
    books::delays,
    checker::check,
    client::Client,
    stack::{Bus, Pauses, Stack, Wishes},
    torture::{not_durable, records_not_durable},
};

/// What the first step sends a second.
const FIRST: u32 = 50;
/// How long after a load everything must have come to its end, webhooks included.
const DRAINED_MAX: Duration = Duration::from_mins(2);
/// How long after everything has come to its end the last rows may wait for their seal.
const SEALED_MAX: Duration = Duration::from_secs(30);
/// How long a row of a window may wait for its seal, in milliseconds: twice as long as pages a person
/// (`PaymeshAuditUnsealed`). Who seals later does it when nobody pays.
const UNSEALED_MS_MAX: u64 = 10_000;
/// How many of a hundred spans have to come: else traces were off for a while, which costs less.
const SPANS_PERCENT: u64 = 99;

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

/// How long a row that was written in a window waited for its seal at most, in milliseconds; only seals
/// since the window began can have it.
fn longest_unsealed([from_ms, to_ms]: [u64; 2]) -> String {
    let of = |table: &str| {
        format!(
            "select max(extract(epoch from s.sealed_at - r.created_at)) as seconds
            from audit_seal s cross join lateral (select min(t.created_at) as created_at from {table} t
                where t.seq > s.after_seq and t.seq <= s.last_seq
                    and t.created_at >= to_timestamp({from_ms} / 1000.0)
                    and t.created_at < to_timestamp({to_ms} / 1000.0)) r
            where s.shard = '{table}' and s.sealed_at >= to_timestamp({from_ms} / 1000.0)"
        )
    };
    let (postings, events) = (of("posting"), of("event"));
    format!(
        "select coalesce(max(greatest(seconds, 0)) * 1000, 0)::int8
        from ({postings} union all {events}) longest"
    )
}

/// A stack with shops and a meter.
pub(super) struct Site {
    pub(super) stack: Stack,
    pub(super) shops: Arc<[Client]>,
    told: Told,
    pub(super) meter: Arc<Meter>,
    spans: Spans,
    manner: Manner,
    /// What clients asked and heard, if the checker is to know.
    history: Option<Arc<History>>,
    /// Payments, charges and events that no client here has caused.
    before: [u64; 3],
    /// The first number that no payment has had.
    number: u64,
    succeeded: u64,
    /// Payments of which no client knows what became of them.
    doubtful: u64,
    /// How long everything may take to come to its end.
    drained_max: Duration,
    spans_percent: u64,
    /// Whether a load that is reported has its statements counted.
    counts_statements: bool,
}

/// What the meter said between two spans.
struct Border {
    spent: Cost,
    waiting: u64,
    clock_ms: u64,
}

impl Site {
    /// A new stack with so many shops.
    pub(super) async fn open(
        folder: &Path,
        shops: usize,
        bus: Bus,
        manner: Manner,
    ) -> io::Result<Self> {
        let wishes = Wishes {
            bus,
            ..Wishes::default()
        };
        Self::start(folder, wishes, manner, |stack| shops::take_in(stack, shops)).await
    }

    /// The same, whose primary can count what statements cost.
    pub(super) async fn open_counting(
        folder: &Path,
        shops: usize,
        manner: Manner,
    ) -> io::Result<Self> {
        let wishes = Wishes {
            module: Some("pg_stat_statements"),
            ..Wishes::default()
        };
        let mut site =
            Self::start(folder, wishes, manner, |stack| shops::take_in(stack, shops)).await?;
        site.counts_statements = true;
        Ok(site)
    }

    /// A stack on what the folder holds, with the shops of the merchants who have these keys.
    pub(super) async fn open_of(
        folder: &Path,
        keys: &[String],
        bus: Bus,
        manner: Manner,
    ) -> io::Result<Self> {
        let wishes = Wishes {
            bus,
            ..Wishes::default()
        };
        Self::start(folder, wishes, manner, |_| Ok(keys.to_vec())).await
    }

    async fn start(
        folder: &Path,
        wishes: Wishes,
        manner: Manner,
        keys: impl FnOnce(&Stack) -> io::Result<Vec<String>>,
    ) -> io::Result<Self> {
        let spans = tokio::task::block_in_place(|| Spans::start(folder))?;
        let wishes = Wishes {
            standbys: true,
            three_brokers: true,
            // As in a container that is given one processor: what a second thread costs in a process that
            // needs half of one goes from the others here.
            workers: Some(1),
            pauses: Pauses::Usual,
            collector_port: Some(spans.port),
            ..wishes
        };
        let stack = tokio::task::block_in_place(|| Stack::start(folder, wishes))?;
        let keys = tokio::task::block_in_place(|| keys(&stack))?;
        let (shops, told) = shops::open(&stack, &keys).await?;
        let meter = Arc::new(meter(&stack, &spans).await?);
        Ok(Self {
            stack,
            shops,
            told,
            meter,
            spans,
            manner,
            history: None,
            before: [0; 3],
            number: 0,
            succeeded: 0,
            doubtful: 0,
            drained_max: DRAINED_MAX,
            spans_percent: SPANS_PERCENT,
            counts_statements: false,
        })
    }

    /// Has the checker compare at the end what every client asked and heard, which is kept here.
    pub(super) fn keep_history(&mut self) -> Arc<History> {
        let history = Arc::<History>::default();
        self.history = Some(history.clone());
        history
    }

    /// Puts the meter at the server that is the primary now.
    pub(super) async fn place_meter(&mut self) -> io::Result<()> {
        self.meter = Arc::new(meter(&self.stack, &self.spans).await?);
        Ok(())
    }

    /// Counts from what is in the database now.
    pub(super) async fn begin_here(&mut self) -> io::Result<()> {
        let [paid, booked, ..] = self.ledger().await?;
        let [events] = self.meter.numbers(EVENTS).await?;
        self.before = [paid, booked, events];
        Ok(())
    }

    /// Prepares for more than can be paid: how clients go about it, how long everything may take to
    /// come to its end, and how many spans of a hundred have to come.
    pub(super) fn bear(&mut self, manner: Manner, drained_max: Duration, spans_percent: u64) {
        self.manner = manner;
        self.drained_max = drained_max;
        self.spans_percent = spans_percent;
    }

    /// The knee, found in steps unless it is known; 0 if no step held. When the time for steps is over,
    /// it is the most that held until then, and the outcome says so.
    pub(super) async fn knee(
        &mut self,
        search: Search,
        length: Length,
        outcome: &mut Outcome,
    ) -> io::Result<u32> {
        let (steps, start) = (&mut outcome.steps, Instant::now());
        if search.known.is_none() {
            while let Some(per_second) = knee::next(steps, FIRST, search.part) {
                if start.elapsed() + length.step() > length.search() {
                    let over = format!("no time was left to try {per_second} a second");
                    eprintln!("  {over}");
                    outcome.notes.push(over);
                    outcome.is_knee_cut = true;
                    break;
                }
                let seen = self.step(per_second, length.step()).await?;
                let step = Step::judge(per_second, seen, steps);
                eprintln!(
                    "  {per_second} a second: {}",
                    step.broke.as_deref().unwrap_or("holds")
                );
                steps.push(step);
            }
        }
        let knee = search.known.unwrap_or_else(|| knee::knee(steps));
        outcome.knee_per_second = Some(knee);
        Ok(knee)
    }

    /// Drives the load that is reported, and says of each of its windows why it is void, if it is.
    pub(super) async fn report(
        &mut self,
        per_second: NonZeroU32,
        length: Length,
        outcome: &mut Outcome,
    ) -> io::Result<()> {
        outcome.per_second = Some(per_second.get());
        let before = self.succeeded;
        if self.counts_statements {
            self.meter.count_statements().await?;
        }
        outcome.windows = self.drive(per_second, &length.spans(), true).await?;
        if self.counts_statements {
            outcome.statements = self.meter.statements().await?;
            outcome.statements_of = self.succeeded - before;
        }
        // The warm-up.
        outcome.windows.remove(0);
        for (index, window) in outcome.windows.iter().enumerate() {
            let faults = window.seen.faults(per_second.get()).into_iter();
            let named = faults.map(|fault| format!("window {}: {fault}", index + 1));
            outcome.void.extend(named);
        }
        Ok(())
    }

    /// A load of one span; everything has come to its end afterwards.
    async fn step(&mut self, per_second: u32, span: Duration) -> io::Result<Seen> {
        let intended = NonZeroU32::new(per_second).ok_or(io::ErrorKind::InvalidInput)?;
        let windows = self.drive(intended, &[span], false).await?;
        let left = self.drain().await?;
        if left > 0 {
            let limit = self.drained_max;
            return Err(io::Error::other(format!(
                "{left} messages wait {limit:?} after {per_second} payments a second"
            )));
        }
        let first = windows.into_iter().next();
        first
            .map(|window| window.seen)
            .ok_or(io::ErrorKind::NotFound.into())
    }

    /// A load of these spans that begins at `start`; not sent yet.
    pub(super) fn load(&self, start: Instant, spans: &[Duration]) -> Arc<Load> {
        let history = self.history.clone();
        Arc::new(Load::new(start, spans, self.manner, history))
    }

    /// So many numbers that no payment has had; gives the first.
    pub(super) fn numbers(&mut self, count: u64) -> u64 {
        let first = self.number;
        self.number += count;
        first
    }

    /// Adds what clients counted: how many payments succeeded, and of how many nobody knows.
    pub(super) fn counted(&mut self, (succeeded, doubtful): (u64, u64)) {
        self.succeeded += succeeded;
        self.doubtful += doubtful;
    }

    /// What the meter says where one span ends and another begins.
    async fn border(&self) -> io::Result<Border> {
        Ok(Border {
            waiting: self.meter.waiting().await?,
            spent: self.meter.read().await?,
            clock_ms: self.meter.clock_ms().await?,
        })
    }

    /// Sends so many a second for all spans; reads the meter at each of their borders, and has the
    /// database write a checkpoint in the middle of each, if that is wanted.
    async fn drive(
        &mut self,
        per_second: NonZeroU32,
        spans: &[Duration],
        checkpoints: bool,
    ) -> io::Result<Vec<Window>> {
        let mut before = self.border().await?;
        let load = self.load(Instant::now(), spans);
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
            let mut after = self.border().await?;
            after.waiting += load.under_way();
            windows.push(Window {
                seen: Seen {
                    backlog: [before.waiting, after.waiting],
                    ..Seen::default()
                },
                cost: after.spent.since(&before.spent),
                clock_ms: Some([before.clock_ms, after.clock_ms]),
                ..Window::default()
            });
            before = after;
        }
        self.number = sending.await.map_err(io::Error::other)?;
        if self.manner.is_acquirer_slow {
            let without = load.take_off(&delays(&self.stack.books())?);
            if without > 0 {
                let unknown = format!("{without} attempts have no delay in the acquirer's books");
                return Err(io::Error::other(unknown));
            }
        }
        for (window, seen) in windows.iter_mut().zip(load.seen()) {
            let backlog = window.seen.backlog;
            window.seen = Seen { backlog, ..seen };
        }
        self.counted(load.counted());
        Ok(windows)
    }

    /// Waits until no message waits; gives how many do when the time is over.
    pub(super) async fn drain(&self) -> io::Result<u64> {
        let start = Instant::now();
        loop {
            let waiting = self.meter.waiting().await?;
            if waiting == 0 || start.elapsed() > self.drained_max {
                return Ok(waiting);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Compares what clients counted with ledger, webhooks, audit chain and spans, and the
    /// database's settings with those of the torture run; what they heard with every book, if it was
    /// kept.
    pub(super) async fn finish(&self, outcome: &mut Outcome) -> io::Result<()> {
        let void = &mut outcome.void;
        let left = self.drain().await?;
        if left > 0 {
            void.push(format!("{left} messages wait {:?} later", self.drained_max));
        }
        let [paid, booked, sum, wrong] = self.ledger().await?;
        let (paid, booked) = (paid - self.before[0], booked - self.before[1]);
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
        let events = events - self.before[2];
        let told = self.told.count();
        if events < paid || told < events {
            void.push(format!("{paid} payments, {events} events, {told} webhooks"));
        }
        void.extend(self.audited(SEALED_MAX).await);
        void.extend(self.sealed_late(&mut outcome.windows).await?);
        let came = self.spans.of(paid, self.spans_percent).await?;
        if !came.is_enough() {
            let (spans, wanted) = (came.spans, came.wanted);
            void.push(format!("{spans} spans came, of at least {wanted}"));
        }
        self.durable(outcome)?;
        if let Some(history) = &self.history {
            self.check(history, outcome).await?;
        }
        Ok(())
    }

    /// Notes in each window how long a row waited for its seal, and says in which that was too long.
    async fn sealed_late(&self, windows: &mut [Window]) -> io::Result<Vec<String>> {
        let mut late = Vec::new();
        for (index, window) in windows.iter_mut().enumerate() {
            let Some(clock_ms) = window.clock_ms else {
                continue;
            };
            let [longest] = self.meter.numbers(&longest_unsealed(clock_ms)).await?;
            window.unsealed_ms_max = Some(longest);
            if longest > UNSEALED_MS_MAX {
                let number = index + 1;
                late.push(format!(
                    "window {number}: a row waited {longest} ms for its seal"
                ));
            }
        }
        Ok(late)
    }

    /// Has the checker join what clients asked and heard with the acquirer's books and the database.
    async fn check(&self, history: &History, outcome: &mut Outcome) -> io::Result<()> {
        let mut text = Vec::new();
        for line in &*history.lock().unwrap_or_else(PoisonError::into_inner) {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        let file = self.stack.history();
        std::fs::write(&file, text)?;
        let books = self.stack.books();
        let report = check(&self.stack.card.database_url, &books, &file).await?;
        let lines = report.to_string();
        let found: Vec<&str> = lines.lines().map(str::trim).collect();
        if report.is_clean() {
            outcome.notes.push(format!("checker: {}", found.join(", ")));
        } else {
            let found = found.join("; ");
            outcome.void.push(format!("the books differ: {found}"));
        }
        Ok(())
    }

    /// Payments that succeeded, charges booked, what all balances add up to, and how many are wrong.
    pub(super) async fn ledger(&self) -> io::Result<[u64; 4]> {
        self.meter.numbers(LEDGER).await
    }

    /// Notes the settings that decide whether a commit survives, and whether it does not.
    pub(super) fn durable(&self, outcome: &mut Outcome) -> io::Result<()> {
        let durability = tokio::task::block_in_place(|| self.stack.durability())?;
        outcome.void.extend(not_durable(&durability));
        outcome.durability = durability;
        for (topic, settings) in tokio::task::block_in_place(|| self.stack.record_durability())? {
            let lossy = records_not_durable(&settings);
            outcome
                .void
                .extend(lossy.map(|reason| format!("{reason} of {topic}")));
            outcome.notes.push(format!("Kafka, {topic}: {settings}"));
        }
        Ok(())
    }

    /// Why the audit chain does not hold everything, if it does not within `limit`.
    pub(super) async fn audited(&self, limit: Duration) -> Option<String> {
        if let Err(late) = self.stack.sealed(limit).await {
            return Some(late.to_string());
        }
        match tokio::task::block_in_place(|| self.stack.verify_audit(None)) {
            Ok(audit) => audit.short().into_iter().next(),
            Err(reason) => Some(format!("the audit chain: {reason}")),
        }
    }
}

/// A meter at the primary and at every process.
async fn meter(stack: &Stack, spans: &Spans) -> io::Result<Meter> {
    let url = stack.postgres.administrator_url("payments");
    let mut processes = stack.ids();
    processes.push(("collector of spans".to_owned(), spans.id()));
    Meter::at(&url, processes).await
}
