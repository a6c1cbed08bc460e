//! Throttle budgets, shared by all resources of the process.
//!
//! One budget per (API, verb class): a bucket of tokens where the cloud's rate is known, and a
//! gate that a 429 closes for everybody until the time it names. The cloud refuses early retries
//! with a new, longer wait, so nobody knocks while the gate is closed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use paymesh_clock::{Clock, Moment};

use crate::VerbClass;

/// How fast a cloud lets requests pass: `burst` at once, then one every `refill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Size of the full bucket.
    pub burst: u32,
    /// Time until one more request may pass.
    pub refill: Duration,
}

#[derive(Default)]
pub(crate) struct Budgets {
    rates: BTreeMap<(&'static str, VerbClass), Rate>,
    state: Mutex<BTreeMap<(&'static str, VerbClass), Bucket>>,
}

#[derive(Clone, Copy, Default)]
struct Bucket {
    /// When the bucket would be full again, if nothing more were taken.
    full_at: Moment,
    closed_until: Moment,
}

impl Budgets {
    pub(crate) fn set(&mut self, api: &'static str, class: VerbClass, rate: Rate) {
        self.rates.insert((api, class), rate);
    }

    /// Waits until a request may pass, and counts it.
    pub(crate) async fn pass(&self, clock: &Clock, api: &'static str, class: VerbClass) {
        let until = self.reserve(clock.now(), api, class);
        clock.sleep_until(until).await;
        // The gate may have closed while we waited for the bucket.
        loop {
            let closed = self.with(api, class, |bucket| bucket.closed_until);
            if closed <= clock.now() {
                return;
            }
            clock.sleep_until(closed).await;
        }
    }

    /// Closes the gate: the cloud has asked for `wait`.
    pub(crate) fn close(&self, clock: &Clock, api: &'static str, class: VerbClass, wait: Duration) {
        let until = clock.now() + wait;
        self.with(api, class, |bucket| {
            bucket.closed_until = bucket.closed_until.max(until);
        });
    }

    fn reserve(&self, now: Moment, api: &'static str, class: VerbClass) -> Moment {
        let rate = self.rates.get(&(api, class)).copied();
        self.with(api, class, |bucket| {
            let Some(rate) = rate else { return now };
            bucket.full_at = bucket.full_at.max(now) + rate.refill;
            let debt = bucket.full_at.since(now);
            now + debt.saturating_sub(rate.refill * rate.burst)
        })
    }

    fn with<T>(
        &self,
        api: &'static str,
        class: VerbClass,
        act: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        act(state.entry((api, class)).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_the_rest_waits_its_turn() {
        let clock = Clock::real();
        let mut budgets = Budgets::default();
        let rate = Rate {
            burst: 2,
            refill: Duration::from_mins(1),
        };
        budgets.set("clusters", VerbClass::Write, rate);
        let mut waits = Vec::new();
        for _ in 0..4 {
            let before = clock.now();
            budgets.pass(&clock, "clusters", VerbClass::Write).await;
            waits.push(clock.now().since(before).as_secs());
        }
        assert_eq!(waits, [0, 0, 60, 60]);
        let before = clock.now();
        budgets.pass(&clock, "clusters", VerbClass::Read).await;
        assert_eq!(clock.now(), before);
    }

    #[tokio::test(start_paused = true)]
    async fn one_refusal_holds_everybody_back() {
        let clock = Clock::real();
        let budgets = Budgets::default();
        budgets.close(&clock, "clusters", VerbClass::Read, Duration::from_secs(30));
        let before = clock.now();
        budgets.pass(&clock, "clusters", VerbClass::Read).await;
        assert_eq!(clock.now().since(before).as_secs(), 30);
    }
}
