//! What was seen of the payments of one span of time, and whether it proves anything.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// What takes longer is counted as this long; every client has given up by then.
const LONGEST_US: u64 = 300_000_000;
/// More failures of a thousand payments make a window void.
const FAILED_OF_1000_MAX: u64 = 1;
/// When one payment in a hundred is sent so late, the generator could not keep its times.
const LAG_US_MAX: u64 = 50_000;
/// Chance alone makes a backlog grow by less than this.
const BACKLOG_CHANCE: u64 = 16;

/// Latencies, in microseconds from the intended time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half are faster.
    pub p50_us: u64,
    /// One in a hundred is slower.
    pub p99_us: u64,
    /// One in a thousand is slower.
    pub p999_us: u64,
    /// The slowest.
    pub max_us: u64,
}

impl Latency {
    /// What a histogram of microseconds says; `None` if it is empty.
    pub fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
        })
    }
}

/// A histogram of microseconds, exact to one in a thousand.
pub(super) fn microseconds() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_US, 3).expect("the bounds are constants that fit")
}

/// Counts how long something took.
pub(super) fn count(histogram: &mut Histogram<u64>, took: Duration) {
    histogram.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
}

/// What was seen in a span of time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Seen {
    /// How long it was.
    pub milliseconds: u64,
    /// How many were sent of those that were due in it.
    pub sent: u64,
    /// How many ended in it, whenever they were due.
    pub ended: u64,
    /// How many of those due in it were taken in, and had no end while their client waited.
    pub late: u64,
    /// How many of those due in it were refused, with nothing done.
    pub refused: u64,
    /// How many of those due in it failed.
    pub failed: u64,
    /// How many of those due in it were not sent, because too many were under way.
    pub unsent: u64,
    /// Of those due in it that ended well.
    pub latency: Option<Latency>,
    /// Of those due in it that were refused.
    pub refusal: Option<Latency>,
    /// How late one in a hundred was sent, or later.
    pub lag_p99_us: u64,
    /// What was under way or waited in the queue when it began, and when it ended.
    pub backlog: [u64; 2],
    /// One of the failures.
    pub failure: Option<String>,
}

impl Seen {
    /// Why it proves nothing; empty when it does. So many a second were intended.
    pub fn faults(&self, per_second: u32) -> Vec<String> {
        let mut faults = self.faults_but_for(self.late + self.refused + self.failed);
        let [before, after] = self.backlog;
        if after > before + u64::from(per_second / 2) + BACKLOG_CHANCE {
            faults.push(format!("the backlog grew from {before} to {after}"));
        }
        faults
    }

    /// The same, where more is sent on purpose than can be paid: it may be refused or late, and the
    /// backlog may grow.
    pub fn faults_of_overload(&self) -> Vec<String> {
        self.faults_but_for(self.failed)
    }

    fn faults_but_for(&self, failed: u64) -> Vec<String> {
        let mut faults = Vec::new();
        let due = self.sent + self.unsent;
        if due == 0 || self.latency.is_none() {
            faults.push("nothing was paid".to_owned());
        }
        if failed * 1_000 > due * FAILED_OF_1000_MAX {
            let example = self.failure.as_deref().unwrap_or("nobody knows why");
            faults.push(format!("{failed} of {due} failed: {example}"));
        }
        if self.unsent > 0 {
            faults.push(format!("{} were due and not sent", self.unsent));
        }
        if self.lag_p99_us > LAG_US_MAX {
            let late = self.lag_p99_us / 1_000;
            faults.push(format!("one in a hundred was sent {late} ms late"));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Seen {
        let mut histogram = microseconds();
        for took_us in 1..=1_000 {
            count(&mut histogram, Duration::from_micros(took_us));
        }
        Seen {
            milliseconds: 10_000,
            sent: 1_000,
            ended: 1_000,
            latency: Latency::of(&histogram),
            ..Seen::default()
        }
    }

    fn check(seen: &Seen, fault: &str) {
        assert_eq!(seen.faults(100), [fault]);
    }

    #[test]
    fn a_latency_is_what_the_histogram_counted() {
        let latency = good().latency.unwrap();
        assert_eq!(
            [latency.p50_us, latency.p99_us, latency.max_us],
            [500, 990, 1_000]
        );
        assert_eq!(Latency::of(&microseconds()), None);
    }

    #[test]
    fn a_window_without_a_fault_has_none() {
        let at_the_limits = Seen {
            failed: 1,
            lag_p99_us: 50_000,
            backlog: [10, 76],
            ..good()
        };
        assert_eq!(at_the_limits.faults(100), [""; 0]);
    }

    #[test]
    fn under_too_much_load_to_be_refused_late_or_behind_is_no_fault_and_to_fail_is() {
        let seen = Seen {
            late: 300,
            refused: 400,
            backlog: [0, 5_000],
            failure: Some("status 503".to_owned()),
            ..good()
        };
        assert_eq!(seen.faults_of_overload(), [""; 0]);
        let faults = seen.faults(100);
        assert_eq!(faults[0], "700 of 1000 failed: status 503");
        assert_eq!(faults[1], "the backlog grew from 0 to 5000");
        let failing = Seen { failed: 2, ..seen };
        let failed = ["2 of 1000 failed: status 503"];
        assert_eq!(failing.faults_of_overload(), failed);
    }

    #[test]
    fn every_fault_makes_a_window_void_and_says_why() {
        check(
            &Seen {
                failed: 2,
                failure: Some("status 503".to_owned()),
                ..good()
            },
            "2 of 1000 failed: status 503",
        );
        check(
            &Seen {
                unsent: 3,
                ..good()
            },
            "3 were due and not sent",
        );
        check(
            &Seen {
                lag_p99_us: 51_000,
                ..good()
            },
            "one in a hundred was sent 51 ms late",
        );
        check(
            &Seen {
                backlog: [10, 77],
                ..good()
            },
            "the backlog grew from 10 to 77",
        );
        check(
            &Seen {
                latency: None,
                ..good()
            },
            "nothing was paid",
        );
    }
}
