//! Payments sent at intended times, whatever happens to those before them.
//!
//! The times are those of a Poisson process, as those of `pgbench -R` are. What a payment took is
//! counted from its intended time, so a generator or a service that falls behind shows in it.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use super::{
    delay,
    seen::{Latency, Seen, count, microseconds},
};
use crate::client::{Answer, Ask, Client, Line, What};

/// How long the end of a payment is asked for when its answer did not have it.
const END_MAX: Duration = Duration::from_secs(30);

/// How clients go about their payments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// How many may be under way at once; what is due beyond that is not sent, and counted.
    pub(super) under_way_max: u64,
    /// How long an answer may wait for the end of its payment.
    pub(super) wait_seconds: u32,
    /// Whether the end is asked for when the answer did not have it.
    pub(super) asks_again: bool,
    /// Whether the acquirer takes its time, which then counts for nothing.
    pub(super) is_acquirer_slow: bool,
}

impl Manner {
    /// A merchant who waits until it is certain. As many as db-controller lets wait: a disk that
    /// stands still for a second shows in what payments took, not as payments that were never sent.
    pub(super) const PATIENT: Self = Self {
        under_way_max: 4_096,
        wait_seconds: 10,
        asks_again: true,
        is_acquirer_slow: false,
    };
}

/// What clients asked and heard, for the checker.
pub(super) type History = Mutex<Vec<Line>>;

/// What is counted of the payments due in one span.
struct Tally {
    latency: Histogram<u64>,
    lag: Histogram<u64>,
    refusals: Histogram<u64>,
    ended: u64,
    late: u64,
    refused: u64,
    failed: u64,
    unsent: u64,
    failure: Option<String>,
    refusal: Option<String>,
}

impl Tally {
    fn new() -> Self {
        Self {
            latency: microseconds(),
            lag: microseconds(),
            refusals: microseconds(),
            ended: 0,
            late: 0,
            refused: 0,
            failed: 0,
            unsent: 0,
            failure: None,
            refusal: None,
        }
    }
}

/// A payment whose acquirer took its time.
struct Paid {
    due: Instant,
    took: Duration,
    attempt: String,
}

/// What became of a payment, as its client knows it.
enum End {
    /// It succeeded; by which attempt, if its acquirer takes its time.
    Paid(Option<String>),
    /// It was taken in, and its end is not known yet.
    Late,
    /// Nothing was done.
    Refused(String),
    /// Nobody knows, or it went wrong.
    Failed(String),
}

/// A load in spans of time, one after the other.
pub(super) struct Load {
    borders: Vec<Instant>,
    tallies: Mutex<Vec<Tally>>,
    manner: Manner,
    history: Option<Arc<History>>,
    /// What was paid and has no latency until the acquirer's books are read.
    paid: Mutex<Vec<Paid>>,
    under_way: AtomicU64,
    succeeded: AtomicU64,
    doubtful: AtomicU64,
}

impl Load {
    /// A load that begins at `start` and has these spans; what is asked and heard is added to
    /// `history`, if there is one.
    pub(super) fn new(
        start: Instant,
        spans: &[Duration],
        manner: Manner,
        history: Option<Arc<History>>,
    ) -> Self {
        let mut borders = vec![start];
        for span in spans {
            borders.push(borders[borders.len() - 1] + *span);
        }
        Self {
            borders,
            tallies: Mutex::new(spans.iter().map(|_| Tally::new()).collect()),
            manner,
            history,
            paid: Mutex::default(),
            under_way: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
            doubtful: AtomicU64::new(0),
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
        (read(&self.succeeded), read(&self.doubtful))
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
            late: tally.late,
            refused: tally.refused,
            failed: tally.failed,
            unsent: tally.unsent,
            latency: Latency::of(&tally.latency),
            refusal: Latency::of(&tally.refusals),
            lag_p99_us: tally.lag.value_at_quantile(0.99),
            backlog: [0; 2],
            failure: tally.failure.clone().or_else(|| tally.refusal.clone()),
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
            if self.under_way() < self.manner.under_way_max {
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
        let became = self.pay(shop, number).await;
        let end = Instant::now();
        self.under_way.fetch_sub(1, Ordering::Relaxed);
        match became {
            End::Paid(attempt) => {
                let took = end - due;
                self.succeeded.fetch_add(1, Ordering::Relaxed);
                self.note(end, |tally| tally.ended += 1);
                match attempt {
                    None => self.note(due, |tally| count(&mut tally.latency, took)),
                    Some(attempt) => {
                        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
                        paid.push(Paid { due, took, attempt });
                    }
                }
            }
            End::Late => {
                self.doubtful.fetch_add(1, Ordering::Relaxed);
                self.note(due, |tally| tally.late += 1);
            }
            // Whoever is told that nothing was done is not among those whom nobody knows of.
            End::Refused(reason) => self.note(due, |tally| {
                tally.refused += 1;
                count(&mut tally.refusals, end - due);
                tally.refusal.get_or_insert(reason);
            }),
            End::Failed(reason) => {
                self.doubtful.fetch_add(1, Ordering::Relaxed);
                self.note(due, |tally| {
                    tally.failed += 1;
                    tally.failure.get_or_insert(reason);
                });
            }
        }
    }

    /// One payment, until its client knows what became of it or waits no longer.
    async fn pay(&self, shop: &Client, number: u64) -> End {
        let key = format!("bench-{number}");
        let amount = 100 + number * 7_919 % 90_000;
        let token = if self.manner.is_acquirer_slow {
            format!("tok_slow_{}", delay::draw().as_millis())
        } else {
            "tok_approve".to_owned()
        };
        let body = format!(
            r#"{{"amount":{{"amount":{amount},"currency":"EUR"}},"payment_method":"{token}"}}"#
        );
        let ask = Ask::payment(&key, &body, self.manner.wait_seconds);
        let asked = shop.send(ask).await;
        self.remember(&key, asked.as_ref().ok());
        let answer = match asked {
            Ok(answer) => answer,
            Err(reason) => return End::Failed(format!("no answer: {reason}")),
        };
        let mut payment = answer.json();
        if !matches!(answer.status, 201 | 202) {
            let said = format!("status {}: {}", answer.status, answer.body);
            let code = payment["error"]["code"].as_str();
            return match code {
                Some("overloaded" | "rate_limited") => End::Refused(said),
                _ => End::Failed(said),
            };
        }
        if payment["status"] == "processing" {
            if !self.manner.asks_again {
                return End::Late;
            }
            let id = payment["id"].as_str().unwrap_or_default();
            payment = match shop.end_of(id, END_MAX).await {
                Ok(ended) => ended,
                Err(reason) => return End::Failed(reason.to_string()),
            };
        }
        match payment["status"].as_str() {
            Some("succeeded") if self.manner.is_acquirer_slow => {
                let attempt = payment["attempts"][0]["id"].as_str();
                End::Paid(Some(attempt.unwrap_or_default().to_owned()))
            }
            Some("succeeded") => End::Paid(None),
            other => End::Failed(format!("it is {}", other.unwrap_or("without a status"))),
        }
    }

    /// Counts what was paid, each payment without what its own attempt was made to wait; gives how
    /// many attempts have nothing of it.
    pub(super) fn take_off(&self, delays: &HashMap<String, Duration>) -> usize {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        let mut without = 0;
        for one in paid.drain(..) {
            let Some(delay) = delays.get(&one.attempt) else {
                without += 1;
                continue;
            };
            let took = one.took.saturating_sub(*delay);
            self.note(one.due, |tally| count(&mut tally.latency, took));
        }
        without
    }

    /// Adds what was heard of a key to the history; no answer is nothing heard.
    fn remember(&self, key: &str, answer: Option<&Answer>) {
        let Some(history) = &self.history else {
            return;
        };
        let mut lines = history.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(heard(key, answer));
    }
}

/// What was heard of a key, as the checker reads it.
pub(super) fn heard(key: &str, answer: Option<&Answer>) -> Line {
    let what = match answer.map(|answer| answer.status) {
        Some(200..=299) => What::Ok,
        None | Some(409 | 500..=599) => What::Unknown,
        Some(_) => What::Fail,
    };
    Line {
        what,
        key: key.to_owned(),
        status: answer.map(|answer| answer.status),
        body: answer.map_or_else(String::new, |answer| answer.body.clone()),
    }
}

/// The time until the next payment is due.
fn gap(per_second: NonZeroU32) -> Duration {
    // From above 0 to 1, so that its logarithm is a number.
    let chance = 1.0 - rand::random::<f64>();
    Duration::from_secs_f64(-chance.ln() / f64::from(per_second.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_is_noted_in_its_span_and_outside_of_all_in_none() {
        let second = Duration::from_secs(1);
        let start = Instant::now();
        let spans = [second, 2 * second];
        let load = Load::new(start + second, &spans, Manner::PATIENT, None);
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
    fn what_an_attempt_was_made_to_wait_is_taken_off_its_own_payment() {
        let second = Duration::from_secs(1);
        let due = Instant::now();
        let load = Load::new(due, &[second], Manner::PATIENT, None);
        for (attempt, took_ms) in [("one", 130), ("two", 390), ("three", 9)] {
            load.paid.lock().unwrap().push(Paid {
                due,
                took: Duration::from_millis(took_ms),
                attempt: attempt.to_owned(),
            });
        }
        let delay = |attempt: &str, ms| (attempt.to_owned(), Duration::from_millis(ms));
        let delays = HashMap::from([delay("one", 120), delay("two", 380)]);
        assert_eq!(load.take_off(&delays), 1);
        let latency = load.seen()[0].latency.unwrap();
        assert!((10_000..10_010).contains(&latency.p50_us), "{latency:?}");
        assert!((10_000..10_010).contains(&latency.max_us), "{latency:?}");
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
