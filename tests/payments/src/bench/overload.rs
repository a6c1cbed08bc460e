//! Twice the knee: what is paid while twice as much is asked for, how soon the rest is refused, and
//! how long it takes afterwards until payments are as fast as before.
//!
//! Here a client waits for the end of a payment no longer than [`HURRIED`] says and does not ask for
//! it: whoever asks again and again is a load of its own. What is paid later is no goodput, and is
//! in the books all the same.

use std::{
    io,
    num::NonZeroU32,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Length, Outcome, SHOPS, Window,
    knee::{self, Search},
    load::Manner,
    seen::Seen,
    site::Site,
};
use crate::stack::Bus;

/// Enough for every payment of the time that one may wait, at twice a knee of 1,600 a second.
const HURRIED: Manner = Manner {
    under_way_max: 16_384,
    wait_seconds: 5,
    asks_again: false,
    is_acquirer_slow: false,
};
/// How long everything that was taken in may take to come to its end.
const DRAINED_MAX: Duration = Duration::from_mins(10);
/// Half of the spans: services that have more to do than they can drop what a collector waits for.
const SPANS_PERCENT: u64 = 50;
/// More payments than one load has.
const NUMBERS: u64 = 10_000_000;
/// What is looked at after the load to tell when it is calm again.
const SLICE: Duration = Duration::from_secs(1);

/// Finds the knee unless it is known, and sends twice as much for a third of a window, as often as
/// there are windows, each time between two calm loads at half the knee.
pub(super) async fn measure(folder: &Path, search: Search, length: Length) -> io::Result<Outcome> {
    let mut site = Site::open(folder, SHOPS, Bus::Embedded, Manner::PATIENT).await?;
    site.keep_history();
    let mut outcome = Outcome::default();
    let knee = site.knee(search, length, &mut outcome).await?;
    let calm = NonZeroU32::new(knee / 2);
    let Some((calm, twice)) = calm.zip(NonZeroU32::new(knee.saturating_mul(2))) else {
        outcome.void.push("no step held".to_owned());
        return Ok(outcome);
    };
    outcome.per_second = Some(twice.get());
    site.bear(HURRIED, DRAINED_MAX, SPANS_PERCENT);
    for number in 1..=length.windows {
        let (window, said) = round(&mut site, calm, twice, length).await?;
        for word in said {
            outcome.void.push(format!("window {number}: {word}"));
        }
        outcome.windows.push(window);
        let drain = Instant::now();
        let left = site.drain().await?;
        let took = drain.elapsed().as_secs();
        outcome.notes.push(format!(
            "window {number}: {took} s after the calm load {left} messages waited"
        ));
        if left > 0 {
            break;
        }
    }
    site.finish(&mut outcome).await?;
    Ok(outcome)
}

/// Calm, twice the knee, and calm again, without a pause; with why it proves nothing, if it does not.
async fn round(
    site: &mut Site,
    calm: NonZeroU32,
    twice: NonZeroU32,
    length: Length,
) -> io::Result<(Window, Vec<String>)> {
    let span = length.window() / 3;
    let slices = usize::try_from(span.as_secs()).unwrap_or(usize::MAX).max(1);
    let start = Instant::now();
    let begin = start + length.warm_up();
    let end = begin + span;
    let before = site.load(start, &[length.warm_up()]);
    let during = site.load(begin, &[span]);
    let after = site.load(end, &vec![SLICE; slices]);
    let mut tasks = Vec::new();
    for (load, per_second) in [(&before, calm), (&during, twice), (&after, calm)] {
        let first = site.numbers(NUMBERS);
        let sending = load.clone().send(site.shops.clone(), per_second, first);
        tasks.push(tokio::spawn(sending));
    }
    tokio::time::sleep_until(begin.into()).await;
    let (spent, from_ms) = (site.meter.read().await?, site.meter.clock_ms().await?);
    let waited = site.meter.waiting().await? + before.under_way();
    tokio::time::sleep_until((begin + span / 2).into()).await;
    site.meter.checkpoint().await?;
    tokio::time::sleep_until(end.into()).await;
    let cost = site.meter.read().await?.since(&spent);
    let until_ms = site.meter.clock_ms().await?;
    let waits = site.meter.waiting().await? + during.under_way();
    for task in tasks {
        task.await.map_err(io::Error::other)?;
    }
    for load in [&before, &during, &after] {
        site.counted(load.counted());
    }
    let usual = before.seen().into_iter().next().unwrap_or_default();
    let seen = during.seen().into_iter().next().unwrap_or_default();
    let mut said: Vec<String> = usual.faults(calm.get());
    for fault in &mut said {
        fault.insert_str(0, "before it: ");
    }
    said.extend(seen.faults_of_overload());
    let recovery = recovery(&after.seen(), knee::limit_us(&usual));
    let window = Window {
        seen: Seen {
            backlog: [waited, waits],
            ..seen
        },
        cost,
        recovery_ms: u64::try_from(recovery.as_millis()).ok(),
        clock_ms: Some([from_ms, until_ms]),
        unsealed_ms_max: None,
    };
    Ok((window, said))
}

/// How long it took until every slice was calm: nothing in it was refused, late or failed, and of a
/// hundred at most one took longer than `limit_us`. At most all slices together.
fn recovery(slices: &[Seen], limit_us: u64) -> Duration {
    let is_calm = |seen: &Seen| {
        let troubled = seen.late + seen.refused + seen.failed + seen.unsent;
        troubled == 0
            && seen
                .latency
                .is_none_or(|latency| latency.p99_us <= limit_us)
    };
    let last = slices.iter().rposition(|seen| !is_calm(seen));
    let wild = last.map_or(0, |last| last + 1);
    SLICE * u32::try_from(wild).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::seen::Latency;

    fn slice(p99_us: u64, refused: u64) -> Seen {
        let latency = Latency {
            p50_us: 1,
            p99_us,
            p999_us: p99_us,
            max_us: p99_us,
        };
        Seen {
            latency: Some(latency),
            refused,
            ..Seen::default()
        }
    }

    #[test]
    fn it_is_calm_again_after_the_last_second_in_which_somebody_was_refused_or_slow() {
        let calm = slice(100, 0);
        let check = |slices: &[Seen], seconds| {
            assert_eq!(recovery(slices, 100), Duration::from_secs(seconds));
        };
        check(&[calm.clone(), calm.clone()], 0);
        check(&[slice(101, 0), calm.clone()], 1);
        check(&[calm.clone(), slice(100, 1), calm.clone()], 2);
        check(&[slice(101, 0), calm.clone(), slice(101, 0)], 3);
    }
}
