//! What one run of the engine is asked to do.

use std::time::Duration;

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

/// Bounds on every wait and retry of a run. Times are the clock's.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The whole run.
    pub total: Duration,
    /// Waiting for somebody else's operation on an object to end.
    pub busy: Duration,
    /// Waiting for the cloud to show what it has confirmed.
    pub settle: Duration,
    /// Pause between reads while waiting for rest or for a confirmed change to show.
    pub pause: Duration,
    /// Good reads in a row before a new object counts as there, and reads in a row without it
    /// before an object in memory counts as gone.
    pub consecutive_reads: u32,
    /// Times a lost race or an uncertain answer is read again and decided again, per object.
    pub retries: u32,
    /// Objects written side by side.
    pub width: usize,
    /// Whole rounds of observing until nothing differs.
    pub rounds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_hours(2),
            busy: Duration::from_hours(1),
            settle: Duration::from_mins(5),
            pause: Duration::from_secs(5),
            consecutive_reads: 2,
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
