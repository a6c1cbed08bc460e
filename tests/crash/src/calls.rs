//! The golden tables of what clients call, read as instructions.
//!
//! `provider/plugin/tests/calls` holds what real clients were seen to call, process by process. The
//! core of this crate does just that, so it cannot drift from what clients do.

use std::collections::BTreeMap;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which of the run's provider processes is called, from 1.
    pub process: u32,
    /// What is called.
    pub kind: Kind,
    /// Whether a prior state is given.
    pub prior: bool,
    /// Which private data are given.
    pub private: Private,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `ReadResource`.
    Read,
    /// `PlanResourceChange` to the configuration.
    Plan,
    /// `PlanResourceChange` to nothing.
    PlanDestroy,
    /// `ApplyResourceChange` to the plan.
    Apply,
    /// `ApplyResourceChange` to nothing.
    ApplyDelete,
}

/// Where private data come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Private {
    /// There are none.
    Nothing,
    /// The last plan.
    Planned,
    /// The state.
    Applied,
    /// The last plan of a destruction.
    Doomed,
}

/// The runs that a client was seen to make, by title.
#[derive(Clone, Debug)]
pub struct Calls(BTreeMap<String, Vec<Call>>);

impl Calls {
    /// What Terraform 1.11 calls.
    pub fn golden() -> Self {
        Self::parse(include_str!(
            "../../../provider/plugin/tests/calls/terraform-1.11.txt"
        ))
    }

    fn parse(table: &str) -> Self {
        let mut runs = BTreeMap::new();
        for section in table.split("\n## ").skip(1) {
            let mut lines = section.lines();
            let title = lines.next().unwrap_or_default().to_owned();
            runs.insert(title, lines.filter_map(parse).collect());
        }
        Self(runs)
    }

    /// The calls of a run.
    pub fn of(&self, title: &str) -> &[Call] {
        self.0
            .get(title)
            .unwrap_or_else(|| panic!("no client was seen to {title}"))
    }
}

fn parse(line: &str) -> Option<Call> {
    let mut words = line.split_whitespace();
    let process = words.nth(1)?.parse().ok()?;
    let kind = match words.next()? {
        "read" => Kind::Read,
        "plan-destroy" => Kind::PlanDestroy,
        "apply-delete" => Kind::ApplyDelete,
        plan if plan.starts_with("plan-") => Kind::Plan,
        apply if apply.starts_with("apply-") => Kind::Apply,
        other => panic!("unknown call {other}"),
    };
    let mut value = |name: &str| {
        let word = words.find(|word| word.starts_with(name))?;
        Some(word.split_once('=')?.1.split(':').next()?.to_owned())
    };
    let prior = value("prior=")? == "some";
    let private = match value("private_in=")?.as_str() {
        "-" => Private::Nothing,
        "planned" => Private::Planned,
        "applied" => Private::Applied,
        "doomed" => Private::Doomed,
        other => panic!("unknown private data {other}"),
    };
    Some(Call {
        process,
        kind,
        prior,
        private,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_an_update_calls() {
        let golden = Calls::golden();
        let update = golden.of("update");
        let kinds: Vec<Kind> = update.iter().map(|call| call.kind).collect();
        assert_eq!(kinds, [Kind::Read, Kind::Plan, Kind::Plan, Kind::Apply]);
        assert_eq!(update[2].process, 2);
        assert_eq!(update[2].private, Private::Applied);
        assert_eq!(update[3].private, Private::Planned);
    }
}
