//! The loss of a primary: how long after the kill the first payment is acknowledged again.
//!
//! The host of the primary is lost with all it held, as in the torture run, and the bed does what a
//! supervisor would: it fences, promotes the standby that has more, has the other follow it, and
//! afterwards puts a new standby in the place of the lost server. Merchants pay all the while.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use super::{
    Outcome,
    load::{History, Manner, heard},
    site::Site,
};
use crate::{
    client::{Ask, Client},
    stack::Bus,
};

/// How many merchants pay.
const SHOPS: usize = 8;
/// How long it takes until the next payment is sent.
const PAUSE: Duration = Duration::from_millis(20);
/// How long an answer may wait for the end of its payment.
const WAIT_SECONDS: u32 = 5;
/// How long payments have to be acknowledged before the next kill.
const CALM: Duration = Duration::from_secs(2);
/// How long it may take until one is.
const ACKNOWLEDGED_MAX: Duration = Duration::from_mins(2);
/// How long everything may take to come to its end after the last kill.
const DRAINED_MAX: Duration = Duration::from_mins(2);
/// How many spans of a hundred have to come: those of what was under way at a kill may be fewer.
const SPANS_PERCENT: u64 = 90;

/// Loses so many primaries, one after the other.
pub(super) async fn measure(folder: &Path, losses: usize) -> io::Result<Outcome> {
    let mut site = Site::open(folder, SHOPS, Bus::Embedded, Manner::PATIENT).await?;
    site.bear(Manner::PATIENT, DRAINED_MAX, SPANS_PERCENT);
    let payers = Arc::new(Payers {
        shops: site.shops.clone(),
        history: site.keep_history(),
        acknowledged: Mutex::default(),
        is_over: AtomicBool::new(false),
        succeeded: AtomicU64::new(0),
        doubtful: AtomicU64::new(0),
    });
    let paying = tokio::spawn(payers.clone().pay());
    let mut outcome = Outcome::default();
    for number in 1..=losses {
        payers.calm().await?;
        let killed = Instant::now();
        let gone = tokio::task::block_in_place(|| site.stack.lose_primary())?;
        let first = payers.first_after(gone).await?;
        let took_ms = first.duration_since(killed).as_millis();
        eprintln!("  loss {number} of {losses}: {took_ms} ms");
        let took_ms = u64::try_from(took_ms).unwrap_or(u64::MAX);
        outcome.firsts_ms.push(took_ms);
        tokio::task::block_in_place(|| site.stack.replace_lost())?;
    }
    payers.calm().await?;
    payers.is_over.store(true, Ordering::Relaxed);
    paying.await.map_err(io::Error::other)?;
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    site.counted((read(&payers.succeeded), read(&payers.doubtful)));
    // The one before was lost with its server.
    site.place_meter().await?;
    site.finish(&mut outcome).await?;
    Ok(outcome)
}

/// Merchants who pay at a steady rate, each payment once.
struct Payers {
    shops: Arc<[Client]>,
    history: Arc<History>,
    /// When payments were sent, and acknowledged: their clients read that they are there.
    acknowledged: Mutex<Vec<(Instant, Instant)>>,
    is_over: AtomicBool,
    succeeded: AtomicU64,
    /// Payments of which no client knows that they succeeded.
    doubtful: AtomicU64,
}

impl Payers {
    async fn pay(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        let mut due = interval(PAUSE);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            due.tick().await;
            while tasks.try_join_next().is_some() {}
            let payers = self.clone();
            tasks.spawn(async move { payers.pay_once(number).await });
            number += 1;
        }
        tasks.join_all().await;
    }

    async fn pay_once(&self, number: usize) {
        let shop = &self.shops[number % self.shops.len()];
        let key = format!("loss-{number}");
        let amount = 100 + number % 90_000;
        let body = format!(
            r#"{{"amount":{{"amount":{amount},"currency":"EUR"}},"payment_method":"tok_approve"}}"#
        );
        let sent = Instant::now();
        let answer = shop
            .send(Ask::payment(&key, &body, WAIT_SECONDS))
            .await
            .ok();
        let now = Instant::now();
        let line = heard(&key, answer.as_ref());
        lock(&self.history).push(line);
        let Some(answer) = answer else {
            self.doubtful.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if matches!(answer.status, 201 | 202) {
            lock(&self.acknowledged).push((sent, now));
        }
        let has_succeeded = answer.status == 201 && answer.json()["status"] == "succeeded";
        let counter = if has_succeeded {
            &self.succeeded
        } else {
            &self.doubtful
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until payments were acknowledged for a while.
    async fn calm(&self) -> io::Result<()> {
        let first = self.first_after(Instant::now()).await?;
        tokio::time::sleep_until((first + CALM).into()).await;
        self.first_after(first + CALM).await.map(drop)
    }

    /// When the first payment that was sent after a moment was acknowledged. One that was sent before
    /// may be answered meanwhile by what is known of it.
    async fn first_after(&self, moment: Instant) -> io::Result<Instant> {
        let start = Instant::now();
        loop {
            let first = lock(&self.acknowledged)
                .iter()
                .filter_map(|(sent, at)| (*sent > moment).then_some(*at))
                .min();
            if let Some(first) = first {
                return Ok(first);
            }
            if start.elapsed() > ACKNOWLEDGED_MAX {
                let late = format!("no payment was acknowledged in {ACKNOWLEDGED_MAX:?}");
                return Err(io::Error::other(late));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
