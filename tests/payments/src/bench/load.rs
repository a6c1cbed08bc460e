//! Payments sent at intended times, whatever happens to those before them.
//!
//! The times are those of a Poisson process, as those of `pgbench -R` are. What a payment took is
//! counted from its intended time, so a generator or a service that falls behind shows in it.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::seen::{Latency, Seen, count, microseconds};
use crate::client::{Ask, Client};

/// How many payments may be under way at once; what is due beyond that is not sent, and counted.
const UNDER_WAY_MAX: u64 = 1_024;
/// How long an answer may wait for the end of its payment.
const WAIT_SECONDS: u32 = 10;
/// How long the end of a payment is asked for after that.
const END_MAX: Duration = Duration::from_secs(30);

/// What is counted of the payments due in one span.
struct Tally {
    latency: Histogram<u64>,
    lag: Histogram<u64>,
    ended: u64,
    failed: u64,
    unsent: u64,
    failure: Option<String>,
}

impl Tally {
    fn new() -> Self {
        Self {
            latency: microseconds(),
            lag: microseconds(),
            ended: 0,
            failed: 0,
            unsent: 0,
            failure: None,
        }
    }
}

/// A load in spans of time, one after the other.
pub(super) struct Load {
    borders: Vec<Instant>,
    tallies: Mutex<Vec<Tally>>,
    under_way: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl Load {
    /// A load that begins at `start` and has these spans.
    pub(super) fn new(start: Instant, spans: &[Duration]) -> Self {
        let mut borders = vec![start];
        for span in spans {
            borders.push(borders[borders.len() - 1] + *span);
        }
        Self {
            borders,
            tallies: Mutex::new(spans.iter().map(|_| Tally::new()).collect()),
            under_way: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Where spans begin and end.
    pub(super) fn borders(&self) -> &[Instant] {
        &self.borders
    }

    /// How many payments were sent and have not ended.
    pub(super) fn under_way(&self) -> u64 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// How many succeeded, and of how many nobody knows.
    pub(super) fn counted(&self) -> (u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.succeeded), read(&self.failed))
    }

    /// Notes something in the span of a moment; what is outside of all spans is not counted.
    fn note(&self, moment: Instant, what: impl FnOnce(&mut Tally)) {
        let begun = self.borders.partition_point(|border| *border <= moment);
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = begun.checked_sub(1).and_then(|span| tallies.get_mut(span)) {
            what(tally);
        }
    }

    /// What was seen in each span, without its backlog.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let spans = self.borders.windows(2).zip(tallies.iter());
        let seen = spans.map(|(border, tally)| Seen {
            milliseconds: u64::try_from((border[1] - border[0]).as_millis()).unwrap_or(u64::MAX),
            sent: tally.lag.len(),
            ended: tally.ended,
            failed: tally.failed,
            unsent: tally.unsent,
            latency: Latency::of(&tally.latency),
            lag_p99_us: tally.lag.value_at_quantile(0.99),
            backlog: [0; 2],
            failure: tally.failure.clone(),
        });
        seen.collect()
    }

    /// Pays at the shops, each as likely as the others, until the last span is over; waits for
    /// every answer. `number` is the first that no payment has had.
    pub(super) async fn send(
        self: Arc<Self>,
        shops: Arc<[Client]>,
        per_second: NonZeroU32,
        mut number: u64,
    ) -> u64 {
        let mut tasks = JoinSet::new();
        let (mut due, end) = (self.borders[0], self.borders[self.borders.len() - 1]);
        while due < end {
            tokio::time::sleep_until(due.into()).await;
            while tasks.try_join_next().is_some() {}
            if self.under_way() < UNDER_WAY_MAX {
                self.under_way.fetch_add(1, Ordering::Relaxed);
                let shop = rand::random_range(0..shops.len());
                let (load, shops) = (self.clone(), shops.clone());
                tasks.spawn(async move { load.pay_when_due(&shops[shop], number, due).await });
                number += 1;
            } else {
                self.note(due, |tally| tally.unsent += 1);
            }
            due += gap(per_second);
        }
        tasks.join_all().await;
        number
    }

    async fn pay_when_due(&self, shop: &Client, number: u64, due: Instant) {
        let lag = due.elapsed();
        self.note(due, |tally| count(&mut tally.lag, lag));
        let result = pay(shop, number).await;
        let end = Instant::now();
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        match result {
            Ok(()) => {
                self.succeeded.fetch_add(1, Ordering::Relaxed);
                self.note(due, |tally| count(&mut tally.latency, end - due));
                self.note(end, |tally| tally.ended += 1);
            }
            Err(reason) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                self.note(due, |tally| {
                    tally.failed += 1;
                    tally.failure.get_or_insert(reason);
                });
            }
        }
    }
}

/// The time until the next payment is due.
fn gap(per_second: NonZeroU32) -> Duration {
    // From above 0 to 1, so that its logarithm is a number.
    let chance = 1.0 - rand::random::<f64>();
    Duration::from_secs_f64(-chance.ln() / f64::from(per_second.get()))
}

/// One payment, until its client has read that it succeeded.
async fn pay(shop: &Client, number: u64) -> Result<(), String> {
    let key = format!("bench-{number}");
    let amount = 100 + number * 7_919 % 90_000;
    let body = format!(
        r#"{{"amount":{{"amount":{amount},"currency":"EUR"}},"payment_method":"tok_approve"}}"#
    );
    let asked = shop.send(Ask::payment(&key, &body, WAIT_SECONDS)).await;
    let answer = asked.map_err(|reason| format!("no answer: {reason}"))?;
    if !matches!(answer.status, 201 | 202) {
        return Err(format!("status {}: {}", answer.status, answer.body));
    }
    let mut payment = answer.json();
    if payment["status"] == "processing" {
        let id = payment["id"].as_str().unwrap_or_default();
        let asked = shop.end_of(id, END_MAX).await;
        payment = asked.map_err(|reason| reason.to_string())?;
    }
    match payment["status"].as_str() {
        Some("succeeded") => Ok(()),
        other => Err(format!("it is {}", other.unwrap_or("without a status"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_noted_in_its_span_and_outside_of_all_in_none() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let load = Load::new(start + second, &[second, 2 * second]);
        for seconds in [0, 1, 2, 3, 4, 5] {
            load.note(start + seconds * second, |tally| tally.ended += 1);
        }
        let ended: Vec<(u64, u64)> = load
            .seen()
            .iter()
            .map(|seen| (seen.milliseconds, seen.ended))
            .collect();
        assert_eq!(ended, [(1_000, 1), (2_000, 2)]);
    }

    #[test]
    fn payments_are_due_as_often_as_intended() {
        let per_second = NonZeroU32::new(1_000).unwrap();
        let all: Duration = (0..100_000).map(|_| gap(per_second)).sum();
        // Twelve standard deviations to either side.
        let expected = Duration::from_secs(96)..Duration::from_secs(104);
        assert!(expected.contains(&all), "{all:?}");
    }
}
