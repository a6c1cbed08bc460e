//! What one run of the engine is asked to do.

use std::time::Duration;

use paymesh_clock::Clock;

use crate::{Graph, Mark, Memory, StopToken};

/// One resource to observe, converge or destroy.
#[derive(Clone)]
pub struct Job {
    /// The objects.
    pub graph: Graph,
    /// The objects that the configuration wanted before. What of them is wanted no more goes, if
    /// memory lists it or it bears our mark.
    pub before: Option<Graph>,
    /// The mark of what this resource owns.
    pub mark: Mark,
    /// What is remembered from earlier runs; `None` when the resource is not in state.
    pub memory: Option<Memory>,
    /// Bounds on waiting.
    pub limits: Limits,
    /// Stops the run.
    pub stop: StopToken,
    /// What a fault about a foreign object tells the user to do: the ready `import` block.
    pub import_advice: Option<String>,
}

/// Bounds on every wait and retry of a run: the only home of how long anything may take. Times
/// are the clock's. Each outlasts what happens inside it, so that the innermost cause is what is
/// reported:
///
/// | what | limit | inside it |
/// |---|---|---|
/// | one request while no connection can be made | `outage` | |
/// | one request, with all its retries | `patience` | that |
/// | a read of one resource | [`Limits::reading`]`.total` | several requests |
/// | somebody else's operation on one object | `busy` | many reads |
/// | an apply or a destroy of one resource | [`Limits::writing`]`.total` | all of these |
#[derive(Clone, Debug)]
pub struct Limits {
    /// One request with all its retries, where the client that sends it asks for its patience.
    pub patience: Duration,
    /// The same while not even a connection can be made.
    pub outage: Duration,
    /// The whole run.
    pub total: Duration,
    /// Waiting for somebody else's operation on an object to end.
    pub busy: Duration,
    /// Waiting for the cloud to show what it has confirmed. Until then a read may be of the past, and
    /// a write that follows from it loses its race: one that the object itself runs again, it runs
    /// again for as long.
    pub settle: Duration,
    /// Pause between reads while waiting for rest or for a confirmed change to show.
    pub pause: Duration,
    /// Good reads in a row before a new object counts as there.
    pub consecutive_reads: u32,
    /// Reads in a row that do not show it before an object in memory counts as gone.
    pub absent_reads: u32,
    /// Times a lost race or an uncertain answer is read again and decided again, per object.
    pub retries: u32,
    /// Objects written side by side.
    pub width: usize,
    /// Whole rounds of observing until nothing differs.
    pub rounds: u32,
}

impl Limits {
    /// For observing, on `clock`.
    pub fn reading(clock: &Clock) -> Self {
        let limits = Self::writing(clock);
        Self {
            total: outlasting(clock, Duration::from_mins(20), 120),
            ..limits
        }
    }

    /// For converging and destroying, on `clock`.
    pub fn writing(clock: &Clock) -> Self {
        let usual = Self::default();
        Self {
            patience: outlasting(clock, usual.patience, 5),
            settle: outlasting(clock, usual.settle, 5),
            busy: outlasting(clock, usual.busy, 180),
            total: outlasting(clock, usual.total, 240),
            ..usual
        }
    }
}

/// `limit`, or what goes by on `clock` while the machine itself works for `seconds`: on the
/// simulated cloud's fast clock that may be more.
fn outlasting(clock: &Clock, limit: Duration, seconds: u64) -> Duration {
    limit.max(clock.of_the_machine(Duration::from_secs(seconds)))
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            patience: Duration::from_mins(5),
            outage: Duration::from_mins(2),
            total: Duration::from_hours(2),
            busy: Duration::from_hours(1),
            settle: Duration::from_mins(5),
            pause: Duration::from_secs(5),
            consecutive_reads: 2,
            absent_reads: 3,
            retries: 8,
            width: 8,
            rounds: 6,
        }
    }
}

impl Job {
    /// A job for a resource that is not in state.
    pub fn new(graph: Graph, mark: Mark) -> Self {
        Self {
            graph,
            before: None,
            mark,
            memory: None,
            limits: Limits::default(),
            stop: StopToken::new(),
            import_advice: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::paused;

    fn check_order(clock: &Clock) {
        let (reading, writing) = (Limits::reading(clock), Limits::writing(clock));
        assert!(writing.pause < writing.outage);
        assert!(writing.outage < writing.patience);
        // The levels of a graph are read one after the other.
        assert!(writing.patience * 3 < reading.total);
        assert!(reading.total < writing.busy);
        assert!(writing.busy < writing.total);
    }

    #[test]
    fn every_limit_outlasts_what_happens_inside_it_on_every_clock() {
        paused(async {
            check_order(&Clock::real());
            check_order(&Clock::scaled(600.0).unwrap());
        });
    }

    #[test]
    fn no_limit_is_reached_while_the_machine_itself_works() {
        paused(async {
            let clock = Clock::scaled(600.0).unwrap();
            let (reading, writing) = (Limits::reading(&clock), Limits::writing(&clock));
            let machine = |seconds| clock.of_the_machine(Duration::from_secs(seconds));
            assert_eq!(writing.patience, machine(5));
            assert_eq!(writing.settle, machine(5));
            assert_eq!(writing.busy, machine(180));
            assert_eq!(writing.total, machine(240));
            assert_eq!(reading.total, machine(120));
        });
    }
}
