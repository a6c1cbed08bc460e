//! One clock for all waiting: polls, retries, throttle budgets, timeouts.
//!
//! Against a real cloud the clock runs at rate 1. Against the simulated cloud it runs at the
//! simulator's rate, so that a cluster which takes ten minutes is ready in a second, and a
//! `Retry-After: 10` is honoured in the same proportion. It never goes back: it is built on
//! tokio's monotonic time, hence a paused tokio runtime drives it in tests.
//!
//! Nothing in the provider may call `tokio::time` itself.

use std::{fmt, time::Duration};

use tokio::time::Instant;

/// A monotonic clock that runs `rate` times as fast as the machine's.
#[derive(Clone, Debug)]
pub struct Clock {
    rate: f64,
    start: Instant,
}

/// A point on a [`Clock`]: the clock's own time since the clock was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

/// The limit given to [`Clock::timeout`] has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// A rate that is not a finite number between 0.001 and 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BadRate(pub f64);

impl Clock {
    /// A clock that runs as fast as the machine's.
    pub fn real() -> Self {
        Self {
            rate: 1.0,
            start: Instant::now(),
        }
    }

    /// A clock that runs `rate` times as fast as the machine's.
    pub fn scaled(rate: f64) -> Result<Self, BadRate> {
        if (0.001..=1_000_000.0).contains(&rate) {
            Ok(Self {
                rate,
                start: Instant::now(),
            })
        } else {
            Err(BadRate(rate))
        }
    }

    /// As much of this clock's time as `duration` takes on the machine's: the least limit of work
    /// that the machine does, however fast the clock runs.
    pub fn of_the_machine(&self, duration: Duration) -> Duration {
        duration.mul_f64(self.rate)
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        Moment(self.start.elapsed().mul_f64(self.rate))
    }

    /// Waits until `duration` has passed on this clock.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.div_f64(self.rate)).await;
    }

    /// Waits until the clock shows `moment`; returns at once if it has passed.
    pub async fn sleep_until(&self, moment: Moment) {
        self.sleep(moment.since(self.now())).await;
    }

    /// Runs `work` for at most `limit` of this clock's time.
    pub async fn timeout<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, Elapsed> {
        tokio::time::timeout(limit.div_f64(self.rate), work)
            .await
            .map_err(|_| Elapsed)
    }
}

impl Moment {
    /// The time from `earlier` to this moment, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time limit has passed")
    }
}

impl std::error::Error for Elapsed {}

impl fmt::Display for BadRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "clock rate {} is not between 0.001 and 1000000", self.0)
    }
}

impl std::error::Error for BadRate {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_scaled_clock_waits_in_proportion() {
        let clock = Clock::scaled(600.0).unwrap();
        let (real, shown) = (Instant::now(), clock.now());
        clock.sleep(Duration::from_mins(10)).await;
        assert_eq!(real.elapsed(), Duration::from_secs(1));
        assert_eq!(clock.now().since(shown), Duration::from_mins(10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_counts_the_clocks_own_time() {
        let clock = Clock::scaled(60.0).unwrap();
        let never = std::future::pending::<()>();
        let real = Instant::now();
        assert_eq!(
            clock.timeout(Duration::from_mins(2), never).await,
            Err(Elapsed)
        );
        assert_eq!(real.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_in_the_past_is_reached_at_once() {
        let clock = Clock::real();
        let past = clock.now();
        clock.sleep(Duration::from_secs(5)).await;
        let before = Instant::now();
        clock.sleep_until(past).await;
        assert!(before.elapsed() < Duration::from_millis(2));
    }

    #[test]
    fn rates_without_meaning_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(Clock::scaled(rate).is_err(), "{rate}");
        }
    }
}
