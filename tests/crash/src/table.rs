//! What was tried, in one table.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use crate::{Api, Point, Scenario};

/// The most requests of one cut and its recovery, by those of a run without faults; each further
/// cut may cost as many as that beyond the first run.
const FACTOR_MAX: f64 = 2.5;

/// The most writes of a recovery that are refused because something runs: who is refused waits for
/// it, and does not try again and again.
const WAITED_MAX: usize = 3;

/// What a line begins with that is part of the line above it.
const INDENT: &str = "  ";

/// The points of each scenario, the golden of a tier: how many by cloud and verb, and below that
/// each request with how often it is sent.
pub(crate) fn points<'a>(scenarios: impl IntoIterator<Item = (Scenario, &'a [Point])>) -> String {
    let mut text = String::new();
    for (scenario, points) in scenarios {
        let kinds = counted(points.iter().map(Point::kind));
        let kinds: Vec<String> = kinds
            .into_iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let _ = writeln!(text, "{scenario}: {} = {}", points.len(), kinds.join(" + "));
        for (name, count) in counted(points.iter().map(Point::name)) {
            let _ = writeln!(text, "{INDENT}{count} {name}");
        }
    }
    text
}

fn counted(names: impl Iterator<Item = String>) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// The lines of [`points`] that say how many there are.
pub(crate) fn headings(points: &str) -> String {
    let mut text = String::new();
    for line in points.lines().filter(|line| !line.starts_with(INDENT)) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The points that a tier is expected to have.
pub(crate) struct Golden {
    /// Its file in this package.
    pub(crate) file: &'static str,
    /// What the file said when this program was built.
    pub(crate) text: &'static str,
}

impl Golden {
    /// What is wrong with `points`; `UPDATE_EXPECT=1` rewrites the file.
    pub(crate) fn check(&self, points: &str) -> Option<String> {
        if points == self.text {
            return None;
        }
        if env::var_os("UPDATE_EXPECT").is_some() {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(self.file);
            fs::write(path, points).expect("the golden can be written");
            return None;
        }
        let (was, is) = (lines_of(self.text), lines_of(points));
        let gone = was.difference(&is).map(|line| format!("- {line}"));
        let new = is.difference(&was).map(|line| format!("+ {line}"));
        let lines: Vec<String> = gone.chain(new).collect();
        Some(format!(
            "the points left their golden {} (UPDATE_EXPECT=1 rewrites it):\n{}",
            self.file,
            lines.join("\n")
        ))
    }
}

/// The lines, those below a heading with the name of its scenario.
fn lines_of(points: &str) -> BTreeSet<String> {
    let mut scenario = "";
    let lines = points.lines().map(|line| {
        let Some(point) = line.strip_prefix(INDENT) else {
            scenario = line.split(':').next().unwrap_or_default();
            return line.to_owned();
        };
        format!("{scenario}: {point}")
    });
    lines.collect()
}

/// The figures of a tier.
#[derive(Debug, Default)]
pub(crate) struct Score {
    tried: u32,
    applies: u32,
    /// Cases that took more than one apply.
    again: u32,
    factor: (f64, String),
    /// The most writes of one recovery that were refused because something ran, and whose.
    waited: (usize, String),
    /// Stacks that preflight refused, and that the line of its refusal destroyed.
    refused: u32,
    by_row: BTreeMap<String, u32>,
    /// The points at which a run was cut, and that a recovery ended well.
    reached: BTreeSet<String>,
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
    /// Writes that were refused because something ran.
    waited: usize,
    /// Preflight refused the stack.
    was_refused: bool,
}

impl Recovered {
    /// So many applies and requests after so many cuts, beside those of a run without faults.
    #[expect(clippy::cast_precision_loss, reason = "a run has few requests")]
    pub(crate) fn of(applies: u32, cuts: u32, requests: usize, fault_free: usize) -> Self {
        Self {
            applies,
            cuts,
            factor: requests as f64 / fault_free as f64,
            waited: 0,
            was_refused: false,
        }
    }

    /// The same, after so many writes that were refused because something ran.
    pub(crate) fn having_waited(self, waited: usize) -> Self {
        Self { waited, ..self }
    }

    /// Given up, perhaps while preflight refused it: nothing is left that could be compared.
    pub(crate) fn given_up(was_refused: bool) -> Self {
        Self {
            applies: 1,
            cuts: 1,
            factor: 0.0,
            waited: 0,
            was_refused,
        }
    }

    /// Itself, unless it took too many requests or was refused too often.
    pub(crate) fn within_limits(self) -> Result<Self, String> {
        let limit = 1.0 + f64::from(self.cuts) * (FACTOR_MAX - 1.0);
        if self.factor > limit {
            return Err(format!(
                "{:.2} times the requests of a run without faults; {limit:.2} is the limit",
                self.factor
            ));
        }
        if self.waited > WAITED_MAX {
            return Err(format!(
                "{} writes were refused while something ran; {WAITED_MAX} is the limit",
                self.waited
            ));
        }
        Ok(self)
    }
}

impl Score {
    /// Tries a case that cuts at `places` and counts it; whether it ended well. A panic is a failure
    /// of its case only.
    pub(crate) fn count(
        &mut self,
        row: &str,
        case: &str,
        places: &[String],
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
                if recovered.waited > self.waited.0 {
                    self.waited = (recovered.waited, case.to_owned());
                }
                self.refused += u32::from(recovered.was_refused);
                self.reached.extend(places.iter().cloned());
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

    /// Notes a row and places that an earlier run has tried.
    pub(crate) fn remember(&mut self, row: &str, places: &[String]) {
        self.by_row.entry(row.to_owned()).or_default();
        self.reached.extend(places.iter().cloned());
    }

    /// Each of these places must have been reached.
    pub(crate) fn check_reached(&mut self, places: impl Iterator<Item = String>) {
        let missing = places.filter(|place| !self.reached.contains(place));
        let missing: Vec<String> = missing
            .map(|place| format!("{place}: no run was cut here and recovered"))
            .collect();
        self.failures.extend(missing);
    }

    /// How many stacks preflight refused.
    pub(crate) fn refused(&self) -> u32 {
        self.refused
    }

    /// Notes how many it refused in an earlier run.
    pub(crate) fn remember_refused(&mut self, refused: u32) {
        self.refused += refused;
    }

    /// Preflight must have refused a stack on `api` that was given up.
    pub(crate) fn check_refusals(&mut self, api: Api) {
        if self.refused == 0 {
            let why = format!("no stack on {api} was given up while preflight refused it");
            self.failures.push(why);
        }
    }

    /// The other's cases too.
    pub(crate) fn add(&mut self, other: Self) {
        self.tried += other.tried;
        self.applies = self.applies.max(other.applies);
        self.again += other.again;
        if other.waited.0 > self.waited.0 {
            self.waited = other.waited;
        }
        self.refused += other.refused;
        self.reached.extend(other.reached);
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
        let named = |case: &str| if case.is_empty() { "-" } else { case }.to_owned();
        let _ = writeln!(
            text,
            "{tier}: {} cases tried at {} points, {} failed; at most {} applies, {} took more than one; {} stacks that preflight refused were destroyed by its line",
            self.tried,
            self.reached.len(),
            self.failures.len(),
            self.applies,
            self.again,
            self.refused,
        );
        let _ = writeln!(
            text,
            "  at most {} writes refused while something ran ({})",
            self.waited.0,
            named(&self.waited.1),
        );
        let _ = writeln!(
            text,
            "  worst request factor {:.2} ({})",
            self.factor.0,
            named(&self.factor.1),
        );
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recovery_has_limits() {
        let fine = Recovered::of(1, 1, 25, 10).having_waited(WAITED_MAX);
        assert!(fine.within_limits().is_ok());
        assert!(Recovered::of(1, 1, 26, 10).within_limits().is_err());
        assert!(Recovered::of(1, 2, 40, 10).within_limits().is_ok());
        assert!(fine.having_waited(WAITED_MAX + 1).within_limits().is_err());
    }

    #[test]
    fn a_place_that_no_case_ended_well_at_is_told_and_so_is_a_cloud_without_a_refusal() {
        let mut score = Score::default();
        let [reached, failed, never] = ["a", "b", "c"].map(str::to_owned);
        let well = || Ok(Recovered::given_up(false));
        assert!(score.count("row", "case", std::slice::from_ref(&reached), well));
        let ill = || Err("why".to_owned());
        assert!(!score.count("row", "case", std::slice::from_ref(&failed), ill));
        score.failures.clear();
        score.check_reached([reached, failed, never].into_iter());
        assert_eq!(score.failures.len(), 2, "{:?}", score.failures);
        score.failures.clear();
        score.check_refusals(Api::Azure);
        assert_eq!(score.failures.len(), 1);
        score.count("row", "case", &[], || Ok(Recovered::given_up(true)));
        score.failures.clear();
        score.check_refusals(Api::Azure);
        assert!(score.failures.is_empty());
    }

    #[test]
    fn points_that_left_their_golden_are_told_with_their_scenario() {
        let golden = Golden {
            file: "none",
            text: "create: 2\n  1 GET\n  1 PUT\n",
        };
        assert_eq!(golden.check(golden.text), None);
        let told = golden.check("create: 2\n  2 GET\n").unwrap_or_default();
        for line in ["- create: 1 GET", "- create: 1 PUT", "+ create: 2 GET"] {
            assert!(told.contains(line), "{told}");
        }
    }
}
