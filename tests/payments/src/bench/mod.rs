//! What the payment services do in a second and what that costs, beside PostgreSQL alone.
//!
//! A payment counts once, when its client has read that it succeeded. It is sent at its intended
//! time, whatever happens to those before it, and what it took is counted from that time. What a
//! row measured is void, with the reason, if it proves nothing: see [`Seen::faults`], and the
//! comparison of what clients counted with ledger, webhooks, audit chain, spans and settings after
//! the load.

mod bare;
mod delay;
mod growth;
mod knee;
mod load;
mod loss;
mod meter;
mod overload;
mod payments;
mod pgbench;
mod seen;
mod shops;
mod site;
mod spans;

use std::{io, num::NonZeroU32, path::Path, time::Duration};

use serde::Serialize;

pub use knee::Step;
pub use meter::{Cost, Statement};
pub use seen::{Latency, Seen};
pub use spans::count_spans;

use crate::stack::Bus;
use knee::Search;
use load::Manner;
use payments::Wanted;
use site::Site;

/// How many merchants share a load that has no hot account.
const SHOPS: usize = 64;
/// The part of the knee that a reported load sends, in hundredths: a step is shorter than a window,
/// has no checkpoint in it, and nothing to make up for when something stood still.
const REPORTED_PERCENT: u32 = 70;
/// How many rows a ledger has that has hardly grown.
const FEW_ROWS: u64 = 10_000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Row {
    /// How fast the disk confirms writes.
    Fsync,
    /// pgbench: one statement for the postings of one payment.
    PgbenchOne,
    /// pgbench: one statement for the postings of fifty payments.
    PgbenchFifty,
    /// pgbench: one statement for one payment, always the same accounts.
    PgbenchHot,
    /// Full payments on the embedded queue.
    Full,
    /// Full payments of one merchant: every one is booked on the same accounts.
    Hot,
    /// Full payments at half the knee.
    Half,
    /// pgbench: one statement for one payment, at a rate of commits.
    PgbenchRate,
    /// Full payments over Apache Kafka.
    Kafka,
    /// Bare postings through db-controller's store.
    Bare,
    /// Full payments at half the knee, at an acquirer that takes its time.
    Slow,
    /// Full payments on a ledger of ten thousand rows.
    FewRows,
    /// Full payments on a ledger that has grown.
    ManyRows,
    /// The loss of a primary.
    Loss,
    /// Twice as many payments as the knee for a third of a window, between calm loads.
    Twice,
    /// Full payments, and what each kind of statement cost the primary, which counts that.
    Profile,
}

/// How long things take, in seconds, and how much there is of them.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Length {
    /// A step on the way to the knee.
    pub step: u64,
    /// All steps to the knee, with what is waited for between them.
    pub search: u64,
    /// Before what is reported.
    pub warm_up: u64,
    /// What is reported.
    pub window: u64,
    /// How many windows follow each other.
    pub windows: usize,
    /// How many primaries are lost.
    pub losses: usize,
    /// How many rows a ledger has that has grown.
    pub ledger: u64,
}

impl Length {
    fn step(self) -> Duration {
        Duration::from_secs(self.step)
    }

    fn search(self) -> Duration {
        Duration::from_secs(self.search)
    }

    fn warm_up(self) -> Duration {
        Duration::from_secs(self.warm_up)
    }

    fn window(self) -> Duration {
        Duration::from_secs(self.window)
    }

    /// The warm-up and every window.
    fn spans(self) -> Vec<Duration> {
        let mut spans = vec![self.warm_up()];
        spans.resize(self.windows + 1, self.window());
        spans
    }
}

/// What other rows found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// The knee of full payments.
    pub knee: Option<u32>,
    /// What `pgbench-rate` commits a second.
    pub rate: Option<NonZeroU32>,
    /// No more than this is sent a second in windows.
    pub most: Option<u32>,
}

/// A window of a reported load.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Window {
    /// What was seen.
    pub seen: Seen,
    /// What it cost.
    pub cost: Cost,
    /// How long after it payments were not yet as before, where more was sent than can be paid.
    pub recovery_ms: Option<u64>,
    /// When it began and ended, by the clock of the database, in milliseconds since 1970.
    pub clock_ms: Option<[u64; 2]>,
    /// The longest that a row written in it waited for its seal.
    pub unsealed_ms_max: Option<u64>,
}

/// What came of a row.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// Why it proves nothing; empty when it does.
    pub void: Vec<String>,
    /// The most that held.
    pub knee_per_second: Option<u32>,
    /// Whether the time for steps was over before that was known: the knee may be higher.
    pub is_knee_cut: bool,
    /// What was intended in the windows.
    pub per_second: Option<u32>,
    /// How many connections pgbench had.
    pub clients: Option<u32>,
    /// The windows, without the warm-up.
    pub windows: Vec<Window>,
    /// How many rows of earlier payments the ledger had, if any.
    pub ledger_rows: Option<u64>,
    /// How long after each loss of a primary the first payment was acknowledged.
    pub firsts_ms: Vec<u64>,
    /// The steps to the knee.
    pub steps: Vec<Step>,
    /// What statements cost, if that was counted, warm-up included.
    pub statements: Vec<Statement>,
    /// How many payments they made.
    pub statements_of: u64,
    /// What else was seen.
    pub notes: Vec<String>,
    /// The settings that decide whether a commit survives.
    pub durability: String,
}

/// Measures a row in a folder of its own; a knee that no other row found is looked for.
pub async fn measure(row: Row, folder: &Path, length: Length, known: Known) -> io::Result<Outcome> {
    let rate = known.rate;
    let search = Search {
        known: known.knee,
        ..Search::USUAL
    };
    let wanted = Wanted {
        shops: SHOPS,
        bus: Bus::Embedded,
        percent: REPORTED_PERCENT,
        most: known.most,
        search,
        manner: Manner::PATIENT,
    };
    // Of two ledgers each has a knee of its own: with one load for both they would be as fast.
    let grown = Wanted {
        search: Search::CLOSE,
        ..wanted
    };
    match row {
        Row::Fsync => tokio::task::block_in_place(|| pgbench::fsync(folder)),
        Row::PgbenchOne => pgbench::measure(folder, pgbench::ONE, None, length).await,
        Row::PgbenchFifty => pgbench::measure(folder, pgbench::FIFTY, None, length).await,
        Row::PgbenchHot => pgbench::measure(folder, pgbench::HOT, None, length).await,
        Row::PgbenchRate if rate.is_none() => Err(io::Error::other("at which rate?")),
        Row::PgbenchRate => pgbench::measure(folder, pgbench::ONE, rate, length).await,
        Row::Full => payments::measure(folder, wanted, length).await,
        Row::Hot => {
            let hot = Wanted { shops: 1, ..wanted };
            payments::measure(folder, hot, length).await
        }
        Row::Half => {
            let half = Wanted {
                percent: 50,
                ..wanted
            };
            payments::measure(folder, half, length).await
        }
        Row::Kafka => {
            let over_kafka = Wanted {
                bus: Bus::Kafka,
                ..wanted
            };
            payments::measure(folder, over_kafka, length).await
        }
        Row::Bare => bare::measure(folder, length).await,
        Row::Slow => {
            let slow = Wanted {
                percent: 50,
                manner: Manner {
                    is_acquirer_slow: true,
                    ..Manner::PATIENT
                },
                ..wanted
            };
            payments::measure(folder, slow, length).await
        }
        Row::FewRows => growth::measure(folder, FEW_ROWS, grown, length).await,
        Row::ManyRows => growth::measure(folder, length.ledger, grown, length).await,
        Row::Loss => loss::measure(folder, length.losses).await,
        Row::Twice => overload::measure(folder, search, length).await,
        // Counting has a price of its own: it says where time goes, not how much can be paid.
        Row::Profile => {
            let site = Site::open_counting(folder, wanted.shops, wanted.manner).await?;
            Box::pin(payments::report(site, wanted, length)).await
        }
    }
}
