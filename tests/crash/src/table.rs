//! What was tried, in one table.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    panic::{AssertUnwindSafe, catch_unwind},
};

use crate::{Point, Scenario};

/// The most requests of one cut and its recovery, by those of a run without faults; each further
/// cut may cost as many as that beyond the first run.
const FACTOR_MAX: f64 = 2.5;

/// How many points each scenario has, by cloud and verb: the golden of a tier.
pub(crate) fn points<'a>(scenarios: impl IntoIterator<Item = (Scenario, &'a [Point])>) -> String {
    let mut text = String::new();
    for (scenario, points) in scenarios {
        let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
        for point in points {
            *kinds.entry(point.kind()).or_default() += 1;
        }
        let kinds: Vec<String> = kinds
            .into_iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let _ = writeln!(text, "{scenario}: {} = {}", points.len(), kinds.join(" + "));
    }
    text
}

/// The figures of a tier.
#[derive(Debug, Default)]
pub(crate) struct Score {
    tried: u32,
    applies: u32,
    /// Cases that took more than one apply.
    again: u32,
    factor: (f64, String),
    by_row: BTreeMap<String, u32>,
    /// What went wrong, case by case.
    pub(crate) failures: Vec<String>,
}

/// How one case ended well.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recovered {
    /// Applies (or destroys) until it was done.
    pub(crate) applies: u32,
    /// Runs that were cut.
    pub(crate) cuts: u32,
    /// Requests from the first to the last of them, by those of the fault-free run.
    pub(crate) factor: f64,
}

impl Recovered {
    /// So many applies and requests after so many cuts, beside those of a run without faults.
    #[expect(clippy::cast_precision_loss, reason = "a run has few requests")]
    pub(crate) fn of(applies: u32, cuts: u32, requests: usize, fault_free: usize) -> Self {
        Self {
            applies,
            cuts,
            factor: requests as f64 / fault_free as f64,
        }
    }

    /// Given up: nothing is left that could be compared.
    pub(crate) fn given_up() -> Self {
        Self {
            applies: 1,
            cuts: 1,
            factor: 0.0,
        }
    }

    /// Itself, unless it took too many requests.
    pub(crate) fn within_limits(self) -> Result<Self, String> {
        let limit = 1.0 + f64::from(self.cuts) * (FACTOR_MAX - 1.0);
        if self.factor <= limit {
            return Ok(self);
        }
        Err(format!(
            "{:.2} times the requests of a run without faults; {limit:.2} is the limit",
            self.factor
        ))
    }
}

impl Score {
    /// Tries a case and counts it; whether it ended well. A panic is a failure of its case only.
    pub(crate) fn count(
        &mut self,
        row: &str,
        case: &str,
        work: impl FnOnce() -> Result<Recovered, String>,
    ) -> bool {
        self.tried += 1;
        *self.by_row.entry(row.to_owned()).or_default() += 1;
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            let words = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            Err(words.unwrap_or("a panic without words").to_owned())
        });
        match outcome.and_then(Recovered::within_limits) {
            Ok(recovered) => {
                self.applies = self.applies.max(recovered.applies);
                self.again += u32::from(recovered.applies > 1);
                if recovered.factor > self.factor.0 {
                    self.factor = (recovered.factor, case.to_owned());
                }
                true
            }
            Err(why) => {
                println!("FAILED  {case}\n{why}\n");
                self.failures.push(format!("{case}\n{why}"));
                false
            }
        }
    }

    /// Notes a row that an earlier run has tried.
    pub(crate) fn remember(&mut self, row: &str) {
        self.by_row.entry(row.to_owned()).or_default();
    }

    /// The other's cases too.
    pub(crate) fn add(&mut self, other: Self) {
        self.tried += other.tried;
        self.applies = self.applies.max(other.applies);
        self.again += other.again;
        if other.factor.0 > self.factor.0 {
            self.factor = other.factor;
        }
        for (row, count) in other.by_row {
            *self.by_row.entry(row).or_default() += count;
        }
        self.failures.extend(other.failures);
    }

    /// The rows that have a case.
    pub(crate) fn has(&self, row: &str) -> bool {
        self.by_row.contains_key(row)
    }

    /// The closing lines.
    pub(crate) fn summary(&self, tier: &str) -> String {
        let mut text = String::new();
        for (row, count) in &self.by_row {
            let _ = writeln!(text, "  {row:<40} {count:>5}");
        }
        let _ = writeln!(
            text,
            "{tier}: {} cases tried, {} failed; at most {} applies, {} took more than one; worst request factor {:.2} ({})",
            self.tried,
            self.failures.len(),
            self.applies,
            self.again,
            self.factor.0,
            if self.factor.1.is_empty() {
                "-"
            } else {
                &self.factor.1
            },
        );
        text
    }
}
