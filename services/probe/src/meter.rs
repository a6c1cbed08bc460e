//! What came of runs and of their steps, and how long those took.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use tokio::time::Instant;

use crate::{
    step::{Failure, Step},
    trouble::Trouble,
};

const RUNS: &str = "paymesh_probe_runs_total";
const LAST_OK: &str = "paymesh_probe_last_ok_seconds";
const STEP_SECONDS: &str = "paymesh_probe_step_duration_seconds";
const STEP_FAILURES: &str = "paymesh_probe_step_failures_total";

/// Tells what is counted here. What can be counted begins at nothing, so that the first failure is an
/// increase.
pub(crate) fn describe() {
    describe_counter!(
        RUNS,
        "Runs that came to their end: a charge through the whole flow, and its refund"
    );
    describe_gauge!(
        LAST_OK,
        "When the last run was ok, in seconds since 1970; not there before the first of this process"
    );
    describe_histogram!(
        STEP_SECONDS,
        Unit::Seconds,
        "Until a step of a run came to its end or was given up"
    );
    describe_counter!(
        STEP_FAILURES,
        "Steps that did not end as they should; `sweep` refunds what earlier runs left"
    );
    for outcome in ["ok", "failed"] {
        counter!(RUNS, "outcome" => outcome).increment(0);
    }
    for step in Step::ALL {
        counter!(STEP_FAILURES, "step" => step.word()).increment(0);
    }
}

/// Counts a run that is over.
pub(crate) fn count(is_ok: bool) {
    let outcome = if is_ok { "ok" } else { "failed" };
    if is_ok {
        // A clock before 1970 tells nothing.
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        gauge!(LAST_OK).set(now.unwrap_or_default());
    }
    counter!(RUNS, "outcome" => outcome).increment(1);
}

/// Counts a step that failed.
pub(crate) fn failed(step: Step, trouble: Trouble) -> Failure {
    counter!(STEP_FAILURES, "step" => step.word()).increment(1);
    Failure { step, trouble }
}

/// A step that is timed and has a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    step: Step,
    began: Instant,
    /// When it is given up.
    pub(crate) until: Instant,
}

impl Timed {
    /// Begins now.
    pub(crate) fn begin(step: Step, limit: Duration) -> Self {
        let began = Instant::now();
        Self {
            step,
            began,
            until: began + limit,
        }
    }

    /// It is over.
    pub(crate) fn end<T>(self, result: Result<T, Trouble>) -> Result<T, Failure> {
        let step = self.step;
        histogram!(STEP_SECONDS, "step" => step.word()).record(self.began.elapsed());
        result.map_err(|trouble| failed(step, trouble))
    }
}
