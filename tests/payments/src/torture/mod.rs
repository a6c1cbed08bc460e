//! The bank test: payments at a steady rate while everything they need is killed, stopped, cut
//! off, slowed and lost; at the end every book must tell one story. Over Kafka there are three
//! brokers, which are killed, stopped and cut off too.
//!
//! A fault counts only if payments were under way when it began and a client felt it. The run is
//! void if commits or records are not durable, or if little was paid between the faults.

mod durability;
mod load;
mod nemesis;

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

pub use durability::{not_durable, records_not_durable};
pub use nemesis::Kind;

use crate::{
    checker::Report,
    client::Client,
    stack::{Bus, Stack, Wires, Wishes},
};
use load::Sights;

/// How many merchants share the load.
const MERCHANTS: usize = 8;
/// How long the load runs before the first fault; the rate of its second half is the fault-free one.
const BEFORE: Duration = Duration::from_secs(8);
/// How long nothing happens between two faults.
const BETWEEN: Duration = Duration::from_secs(3);
/// How long after a fault its effect may be seen.
const FELT_MAX: Duration = Duration::from_secs(20);
/// How often a fault that nobody felt is tried again.
const TRIES_MAX: usize = 3;
/// How long after the last fault everything must have come to its end.
const SETTLED: Duration = Duration::from_mins(1);
/// The same over Kafka: half a minute after it answers again a message has half a minute until it is
/// put once more.
const SETTLED_OVER_KAFKA: Duration = Duration::from_mins(2);
/// How long a row may wait for its seal while nothing fails.
const SEALED_MAX: Duration = Duration::from_secs(5);
/// The least part of the fault-free rate that must be paid between faults.
const RATE_MIN: f64 = 0.6;

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How many payments at least.
    pub payments: usize,
    /// How many faults that count.
    pub faults: usize,
    /// Payments per second.
    pub rate: f64,
    /// Where chance begins.
    pub seed: u64,
    /// What carries messages.
    pub bus: Bus,
    /// A defect to put in.
    pub defect: Option<&'static str>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What the checker found.
    pub report: Report,
    /// Faults that counted, by kind.
    pub faults: BTreeMap<Kind, usize>,
    /// Why the run proves nothing, or shows a defect; empty when all is well.
    pub failures: Vec<String>,
}

/// Does it, in a folder of its own, and says how it goes on standard output.
pub async fn run(folder: &Path, plan: Plan) -> io::Result<Verdict> {
    let wishes = Wishes {
        standbys: true,
        wires: Wires::Cuttable,
        bus: plan.bus,
        three_brokers: true,
        defect: plan.defect,
        ..Wishes::default()
    };
    let mut stack = tokio::task::block_in_place(|| Stack::start(folder, wishes))?;
    let settings = stack.durability()?;
    println!("PostgreSQL: {settings}");
    if let Some(reason) = not_durable(&settings) {
        return Err(io::Error::other(format!("refused to start: {reason}")));
    }
    for (topic, settings) in tokio::task::block_in_place(|| stack.record_durability())? {
        println!("Kafka, {topic}: {settings}");
        if let Some(reason) = records_not_durable(&settings) {
            let refused = format!("refused to start: {reason} of {topic}");
            return Err(io::Error::other(refused));
        }
    }
    let mut clients = Vec::with_capacity(MERCHANTS);
    for number in 0..MERCHANTS {
        let key = stack.add_merchant(&format!("Shop {number}"), 290)?;
        let client = Client::new(&stack.card.api_url, &key, &stack.history())?;
        clients.push(Arc::new(client));
    }
    let mut verdict = Verdict::default();
    let (sights, is_over) = (Arc::<Sights>::default(), Arc::<AtomicBool>::default());
    let sending = tokio::spawn(load::send(plan, clients, sights.clone(), is_over.clone()));
    let began = Instant::now();
    tokio::time::sleep(BEFORE).await;
    let usual = sights.rate(began + BEFORE / 2, Instant::now());
    let limit = sights.slow(began) + Duration::from_millis(250);
    println!(
        "{usual:.1} payments/s without faults; felt is what breaks off or takes over {limit:?}"
    );

    let faulty = faults(&mut stack, &plan, &sights, limit, &mut verdict).await;
    is_over.store(true, Ordering::Relaxed);
    let between = faulty?;
    sending.await.map_err(io::Error::other)??;
    if between < usual * RATE_MIN {
        verdict.failures.push(format!(
            "{between:.1} payments/s between faults, {usual:.1}/s without"
        ));
    }
    let settled_max = match plan.bus {
        Bus::Embedded => SETTLED,
        Bus::Kafka => SETTLED_OVER_KAFKA,
    };
    verdict.report = stack.settled(settled_max).await?;
    let longest = stack.postgres.sql(
        "payments",
        "select coalesce(extract(epoch from max(updated_at - created_at)), 0)::int from payment",
    );
    let longest = longest.map_err(io::Error::other)?;
    println!(
        "{between:.1} payments/s between faults; {} payments, {} of them not answered at once, the longest took {longest} s",
        sights.count(),
        sights.unknowns()
    );
    print!("{}", verdict.report);
    if !verdict.report.is_clean() {
        verdict.failures.push("the books differ".to_owned());
    }
    audited(&stack, &mut verdict).await?;
    let settled = stack.settlement_report().await?;
    println!("settled: {}", settled.lines().next().unwrap_or_default());
    if let Err(reason) = stack.reconcile(&settled) {
        let first = stack.breaks()?.into_iter().next().unwrap_or_default();
        verdict.failures.push(format!("{reason}; first is {first}"));
    }
    if verdict.report.payments != sights.count() {
        verdict
            .failures
            .push("other payments than were asked".to_owned());
    }
    Ok(verdict)
}

/// Everything is sealed within seconds, and nothing differs from what was.
async fn audited(stack: &Stack, verdict: &mut Verdict) -> io::Result<()> {
    let audit = match stack.sealed_well(SEALED_MAX).await {
        Ok(audit) => audit,
        Err(reason) => {
            verdict.failures.push(format!("the audit chain: {reason}"));
            return Ok(());
        }
    };
    println!(
        "sealed, with every fault at most {:?} after it was booked or told: {}",
        stack.longest_unsealed()?,
        audit.text.replace('\n', " ")
    );
    Ok(())
}

/// Lets faults happen; gives the rate of payments between them.
async fn faults(
    stack: &mut Stack,
    plan: &Plan,
    sights: &Sights,
    limit: Duration,
    verdict: &mut Verdict,
) -> io::Result<f64> {
    let (mut paid, mut quiet) = (0.0, Duration::ZERO);
    for fault in nemesis::order(plan.faults, plan.seed, plan.bus) {
        let mut felt = 0;
        for _ in 0..TRIES_MAX {
            let began = Instant::now();
            nemesis::happen(stack, fault).await?;
            let healed = Instant::now();
            while felt == 0 && healed.elapsed() < FELT_MAX {
                tokio::time::sleep(Duration::from_millis(100)).await;
                felt = sights.felt(began, healed, limit);
            }
            tokio::time::sleep(BETWEEN).await;
            let pause = healed.elapsed();
            paid += sights.rate(healed, Instant::now()) * pause.as_secs_f64();
            quiet += pause;
            println!(
                "{fault}: {:.1} s, felt by {felt} payments",
                healed.duration_since(began).as_secs_f64()
            );
            if felt > 0 {
                break;
            }
        }
        if felt > 0 {
            *verdict.faults.entry(fault.kind()).or_default() += 1;
        } else {
            verdict.failures.push(format!("nobody felt: {fault}"));
        }
    }
    Ok(paid / quiet.as_secs_f64().max(1.0))
}
