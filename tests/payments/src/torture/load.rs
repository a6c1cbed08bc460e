//! The load: payments sent at their intended times, whatever happens to those before them.
#![allow(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below what a float holds exactly"
)]

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{sync::Semaphore, task::JoinSet};

use super::Plan;
use crate::client::{Answer, Ask, Client};

/// How many requests may be under way at once.
const IN_FLIGHT_MAX: usize = 256;
/// How long a client tries to get an answer.
const ANSWER_MAX: Duration = Duration::from_mins(2);

/// One payment as its client saw it.
#[derive(Clone, Copy, Debug)]
struct Sight {
    start: Instant,
    end: Option<Instant>,
    /// Whether the acquirer takes the money at once.
    is_usual: bool,
    /// Whether a request of it broke off or was answered with 5xx.
    had_unknown: bool,
}

impl Sight {
    fn took(&self) -> Duration {
        self.end
            .unwrap_or_else(Instant::now)
            .duration_since(self.start)
    }

    fn was_under_way(&self, at: Instant) -> bool {
        self.start < at && self.end.is_none_or(|end| end > at)
    }
}

/// What all clients saw.
#[derive(Debug, Default)]
pub(super) struct Sights(Mutex<Vec<Sight>>);

impl Sights {
    fn lock(&self) -> MutexGuard<'_, Vec<Sight>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, is_usual: bool) -> usize {
        let mut all = self.lock();
        all.push(Sight {
            start: Instant::now(),
            end: None,
            is_usual,
            had_unknown: false,
        });
        all.len() - 1
    }

    fn end(&self, number: usize, had_unknown: bool) {
        let mut all = self.lock();
        all[number].end = Some(Instant::now());
        all[number].had_unknown = had_unknown;
    }

    /// How many payments were answered between two moments, per second.
    pub(super) fn rate(&self, from: Instant, to: Instant) -> f64 {
        let all = self.lock();
        let ended = all.iter().filter_map(|sight| sight.end);
        let count = ended.filter(|end| (from..to).contains(end)).count();
        count as f64 / to.duration_since(from).as_secs_f64()
    }

    /// What one in ten of the usual payments that ended since `from` exceeded.
    pub(super) fn slow(&self, from: Instant) -> Duration {
        let all = self.lock();
        let usual = all
            .iter()
            .filter(|sight| sight.is_usual && sight.start > from && sight.end.is_some());
        let mut took: Vec<Duration> = usual.map(Sight::took).collect();
        took.sort_unstable();
        took.get(took.len() * 9 / 10).copied().unwrap_or_default()
    }

    /// How many payments that were under way when a fault began, or were sent while it lasted,
    /// broke off or took longer than `limit`; 0 if none was under way when it began.
    pub(super) fn felt(&self, began: Instant, healed: Instant, limit: Duration) -> usize {
        let all = self.lock();
        if !all.iter().any(|sight| sight.was_under_way(began)) {
            return 0;
        }
        all.iter()
            .filter(|sight| {
                let meets = sight.start < healed && sight.end.is_none_or(|end| end > began);
                meets && (sight.had_unknown || sight.is_usual && sight.took() > limit)
            })
            .count()
    }

    /// How many payments were begun.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// How many payments were not answered at once.
    pub(super) fn unknowns(&self) -> usize {
        self.lock().iter().filter(|sight| sight.had_unknown).count()
    }
}

/// A number that follows from others and looks like chance, by `SplitMix64`.
pub(super) fn mixed(seed: u64, number: u64) -> u64 {
    let mut mix = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mix = (mix ^ (mix >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mix = (mix ^ (mix >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mix ^ (mix >> 31)
}

/// Which merchant a payment is for: by Zipf's law, and in the middle third always the first.
fn merchant(plan: &Plan, number: usize, count: usize) -> usize {
    if number * 3 / plan.payments.max(1) == 1 {
        return 0;
    }
    let weights: Vec<f64> = (1..=count).map(|rank| 1.0 / rank as f64).collect();
    let chance = (mixed(plan.seed, number as u64) % 10_000) as f64 / 10_000.0;
    let mut left = chance * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return index;
        }
    }
    0
}

fn token(mix: u64) -> &'static str {
    match mix % 20 {
        0 => "tok_decline",
        1 if (mix >> 32).is_multiple_of(2) => "tok_dispute",
        1 => "tok_lost",
        2 => "tok_lost_before",
        3 | 4 => "tok_slow_80",
        _ => "tok_approve",
    }
}

/// Sends payments until there are enough and `is_over`; waits for every answer.
pub(super) async fn send(
    plan: Plan,
    clients: Vec<Arc<Client>>,
    sights: Arc<Sights>,
    is_over: Arc<AtomicBool>,
) -> io::Result<()> {
    let (room, start) = (Arc::new(Semaphore::new(IN_FLIGHT_MAX)), Instant::now());
    let mut tasks = JoinSet::new();
    let mut number = 0;
    while number < plan.payments || !is_over.load(Ordering::Relaxed) {
        let due = start + Duration::from_secs_f64(number as f64 / plan.rate);
        tokio::time::sleep_until(due.into()).await;
        let permit = room
            .clone()
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let client = clients[merchant(&plan, number, clients.len())].clone();
        let (sights, mix) = (sights.clone(), mixed(!plan.seed, number as u64));
        tasks.spawn(async move {
            let result = pay(&client, &sights, number, mix).await;
            drop(permit);
            result
        });
        while let Some(done) = tasks.try_join_next() {
            done.map_err(io::Error::other)??;
        }
        number += 1;
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(io::Error::other)??;
    }
    Ok(())
}

/// One payment; one in five is asked for twice, at once or later. One in six is captured later, and
/// of what was taken one in four is given back.
async fn pay(client: &Client, sights: &Sights, number: usize, mix: u64) -> io::Result<()> {
    let token = token(mix);
    let key = format!("order-{number}");
    let amount = 100 + mix % 90_000;
    let is_manual = (mix >> 8).is_multiple_of(6);
    let body = json!({
        "amount": { "amount": amount, "currency": "EUR" },
        "payment_method": token,
        "capture": if is_manual { "manual" } else { "automatic" },
    })
    .to_string();
    let sight = sights.begin(token == "tok_approve");
    let is_doubled = mix.is_multiple_of(5);
    let is_at_once = mix.is_multiple_of(2);
    let ask = Ask::payment(&key, &body, 5);
    let (answer, had_unknown) = if is_doubled && is_at_once {
        let (one, other) = tokio::join!(settle(client, ask), settle(client, ask));
        let (one, other) = (one?, other?);
        (one.0, one.1 || other.1)
    } else {
        settle(client, ask).await?
    };
    sights.end(sight, had_unknown);
    if !matches!(answer.status, 201 | 202) {
        return Err(io::Error::other(format!("{key} was refused: {answer:?}")));
    }
    if is_doubled && !is_at_once {
        tokio::time::sleep(Duration::from_millis(mix % 3_000)).await;
        settle(client, ask).await?;
    }
    let payment = answer.json();
    let id = payment["id"].as_str().unwrap_or_default();
    match payment["status"].as_str() {
        Some("requires_capture") if (mix >> 16).is_multiple_of(3) => {
            act(client, &key, id, "cancel", "{}").await
        }
        Some("requires_capture") => {
            let part = share(1 + (mix >> 16) % amount);
            act(client, &key, id, "capture", &part).await
        }
        // Two at once that are more than all of it together: one of them has to be refused.
        Some("succeeded") if (mix >> 24).is_multiple_of(4) => {
            let part = share(amount / 2 + 1);
            let (first, second) = (format!("{key}-one"), format!("{key}-two"));
            let (first, second) = tokio::join!(
                act(client, &first, id, "refunds", &part),
                act(client, &second, id, "refunds", &part)
            );
            first.and(second)
        }
        _ => Ok(()),
    }
}

fn share(amount: u64) -> String {
    json!({ "amount": { "amount": amount, "currency": "EUR" } }).to_string()
}

/// Does something with a payment. It may be refused: a merchant may have spent what was taken.
async fn act(client: &Client, key: &str, id: &str, what: &str, body: &str) -> io::Result<()> {
    let key = format!("{key}-{what}");
    let (path, address) = (
        format!("/v1/payments/{{id}}/{what}"),
        format!("/v1/payments/{id}/{what}"),
    );
    let ask = Ask {
        key: &key,
        path: &path,
        address: &address,
        body,
        wait_seconds: 5,
    };
    let (answer, _) = settle(client, ask).await?;
    match answer.status {
        200 | 202 | 422 => Ok(()),
        _ => Err(io::Error::other(format!("{key} was refused: {answer:?}"))),
    }
}

/// Asks until there is an answer for good; says whether a request broke off on the way.
async fn settle(client: &Client, ask: Ask<'_>) -> io::Result<(Answer, bool)> {
    let (start, mut had_unknown) = (Instant::now(), false);
    loop {
        let answer = client.ask(ask).await?;
        match answer {
            Some(answer) if answer.status < 500 && answer.status != 409 => {
                return Ok((answer, had_unknown));
            }
            last if start.elapsed() > ANSWER_MAX => {
                let waited = format!("no answer to {} in {ANSWER_MAX:?}, last {last:?}", ask.key);
                return Err(io::Error::other(waited));
            }
            last => had_unknown |= last.is_none_or(|answer| answer.status != 409),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
