//! A ledger that has grown: full payments beside so many rows that were booked before.
//!
//! The rows are written by SQL while nothing else runs and before there is a standby, and the
//! standbys begin as copies of them. They are what services leave of payments in the ledger
//! (payments, attempts, keys, postings, balances, and their seals, which db-controller makes); what
//! was told, queued and delivered is not among them, and neither has the acquirer heard of them, so
//! the ledger is compared with itself here and not with the acquirer's books.

use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Length, Outcome, SHOPS,
    load::Manner,
    payments::{self, Wanted},
    shops,
    site::Site,
};
use crate::stack::{Bus, Member, Pauses, Stack, Wishes};

/// What a posting and its part of everything else needs on each of three servers, with what
/// indexes are sorted in and the log that is kept of it.
const BYTES_OF_A_ROW: u64 = 3_000;
/// What a stack and the load itself need beside that: each server keeps up to 4 GB of log.
const BYTES: u64 = 15_000_000_000;
/// A payment has a charge and a fee.
const ROWS_EACH: u64 = 2;
/// How long db-controller may take to seal everything.
const SEALED_MAX: Duration = Duration::from_hours(2);

const APART: &str = include_str!("../../bench/apart.sql");
const GROW: &str = include_str!("../../bench/grow.sql");
const TOGETHER: &str = include_str!("../../bench/together.sql");
const VACUUM: &str = "vacuum (analyze) payment, attempt, posting, idempotency, balance";

/// Measures the load of `wanted` on a ledger with so many rows.
pub(super) async fn measure(
    folder: &Path,
    rows: u64,
    wanted: Wanted,
    length: Length,
) -> io::Result<Outcome> {
    fs::create_dir_all(folder)?;
    has_room(folder, rows)?;
    let keys = tokio::task::block_in_place(|| grow(folder, rows))?;
    let mut site = Site::open_of(folder, &keys, Bus::Embedded, Manner::PATIENT).await?;
    let start = Instant::now();
    site.stack.sealed(SEALED_MAX).await?;
    eprintln!("  sealed in {} s", start.elapsed().as_secs());
    site.begin_here().await?;
    let mut outcome = Box::pin(payments::report(site, wanted, length)).await?;
    outcome.ledger_rows = Some(rows);
    Ok(outcome)
}

/// Refuses a disk without room.
fn has_room(folder: &Path, rows: u64) -> io::Result<()> {
    let disk = rustix::fs::statvfs(folder)?;
    let (free, needed) = (disk.f_bavail * disk.f_frsize, rows * BYTES_OF_A_ROW + BYTES);
    if free >= needed {
        return Ok(());
    }
    let gigabytes = |bytes: u64| bytes / 1_000_000_000;
    Err(io::Error::other(format!(
        "{rows} rows need {} GB in {}, where {} GB are free",
        gigabytes(needed),
        folder.display(),
        gigabytes(free)
    )))
}

/// Writes the rows, of merchants whose keys it gives; nothing runs afterwards.
fn grow(folder: &Path, rows: u64) -> io::Result<Vec<String>> {
    let wishes = Wishes {
        pauses: Pauses::Usual,
        ..Wishes::default()
    };
    let mut stack = Stack::start(folder, wishes)?;
    let keys = shops::take_in(&stack, SHOPS)?;
    for member in Member::ALL {
        if member != Member::Postgres {
            stack.kill(member);
        }
    }
    let payments = (rows / ROWS_EACH).max(1);
    let grow = GROW
        .replace("{payments}", &payments.to_string())
        .replace("{shops}", &SHOPS.to_string());
    for (name, text) in [
        ("keys and indexes are away", APART),
        ("rows are there", grow.as_str()),
        ("keys and indexes are back", TOGETHER),
        ("vacuumed", VACUUM),
        ("written", "checkpoint"),
    ] {
        let start = Instant::now();
        let done = stack.postgres.sql("payments", text);
        done.map_err(io::Error::other)?;
        eprintln!("  {name}: {} s", start.elapsed().as_secs());
    }
    stack.postgres.stop();
    Ok(keys)
}
