//! The runs that go on, so that one which does not end is seen.
//!
//! Each run has a limit, which a thread that blocks or a limit that is wrong would pass. Then the
//! process says that it does not live, and its cluster starts it again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// When each run that goes on began.
#[derive(Clone, Default)]
pub struct Runs(Arc<Mutex<Begun>>);

#[derive(Default)]
struct Begun {
    count: u64,
    at: HashMap<u64, Instant>,
}

/// A run; it ends when this is dropped.
pub(crate) struct Run {
    runs: Runs,
    number: u64,
}

impl Runs {
    pub(crate) fn begin(&self) -> Run {
        let number = self.with(|begun| {
            begun.count += 1;
            begun.at.insert(begun.count, Instant::now());
            begun.count
        });
        let runs = self.clone();
        Run { runs, number }
    }

    /// Whether a run goes on for longer than that.
    pub(crate) fn has_one_longer_than(&self, limit: Duration) -> bool {
        self.with(|begun| begun.at.values().any(|at| at.elapsed() > limit))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Begun) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.runs.with(|begun| begun.at.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_does_not_end_is_seen_and_one_that_ended_is_forgotten() {
        let runs = Runs::default();
        let is_stuck = || runs.has_one_longer_than(Duration::ZERO);
        assert!(!is_stuck());
        let (one, other) = (runs.begin(), runs.begin());
        std::thread::sleep(Duration::from_millis(1));
        assert!(is_stuck());
        assert!(!runs.has_one_longer_than(Duration::from_hours(1)));
        drop(one);
        assert!(is_stuck());
        drop(other);
        assert!(!is_stuck());
    }
}
