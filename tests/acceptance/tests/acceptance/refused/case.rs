//! A bad configuration, and how a table of them is checked.

use paymesh_acceptance::{
    Cloud, Finding, Workspace,
    hcl::{ClusterBlock, Provider},
};

/// What a live check names where something exists: a destroy plans first, and must not be stopped
/// by it.
const WAY_OUT: &str = "terraform destroy -refresh=false";

/// What a rule needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One attribute.
    One,
    /// Two attributes of a cluster.
    Pair,
    /// What the cloud says now.
    Live,
    /// Two clusters of one configuration.
    Clusters,
}

/// One bad configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) provider: Provider,
    pub(crate) kind: Kind,
    /// What is changed in a plain cluster; `@us-east1; ...` moves one of GKE to that region first,
    /// because two of them may not use the same ranges.
    pub(crate) change: &'static str,
    /// The same in a second cluster.
    pub(crate) neighbour: Option<&'static str>,
    pub(crate) code: &'static str,
    /// The attribute that must be named, or several with ` | ` between; empty for the cluster as a
    /// whole.
    pub(crate) path: &'static str,
    /// A word of what to do.
    pub(crate) mend: &'static str,
}

/// A case on AKS.
pub(crate) const fn aks(kind: Kind, change: &'static str, expected: [&'static str; 3]) -> Case {
    case(Provider::Aks, kind, change, expected)
}

/// A case on GKE.
pub(crate) const fn gke(kind: Kind, change: &'static str, expected: [&'static str; 3]) -> Case {
    case(Provider::Gke, kind, change, expected)
}

const fn case(
    provider: Provider,
    kind: Kind,
    change: &'static str,
    [code, path, mend]: [&'static str; 3],
) -> Case {
    Case {
        provider,
        kind,
        change,
        neighbour: None,
        code,
        path,
        mend,
    }
}

impl Case {
    /// The rule's attribute, whatever the keys in its path.
    pub(crate) fn attribute(&self) -> String {
        let mut plain = String::new();
        let mut depth = 0;
        for letter in self.path.chars() {
            match letter {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ if depth == 0 => plain.push(letter),
                _ => {}
            }
        }
        plain
    }

    /// The plain cluster of the case, where `change` wants it.
    fn placed(&self, cloud: &Cloud, number: usize, change: &str) -> ClusterBlock {
        let name = match self.provider {
            Provider::Aks => "aks",
            Provider::Gke => "gke",
        };
        let code = self.code.to_ascii_lowercase();
        let plain = ClusterBlock::plain(self.provider, &format!("{name}-{code}-{number}"));
        match split(change) {
            (None, _) => plain,
            (Some(region), _) => plain.with(&cloud.seeded(&format!(
                "region = \"{region}\"; network.subnet_id = \"$GOOGLE/{region}/subnetworks/default\""
            ))),
        }
    }

    /// The cluster as it is before the change.
    pub(crate) fn block(&self, cloud: &Cloud, number: usize) -> ClusterBlock {
        self.placed(cloud, number, self.change)
    }

    /// The clusters of the case, all with the changes `all`.
    fn blocks(&self, cloud: &Cloud, number: usize, all: &str) -> Vec<ClusterBlock> {
        let block = |number, change: &str| {
            let (_, rest) = split(change);
            self.placed(cloud, number, change)
                .with(all)
                .with(&cloud.seeded(rest))
        };
        let first = block(number, self.change);
        let second = self.neighbour.map(|change| block(number + 1000, change));
        [first].into_iter().chain(second).collect()
    }

    fn is_met_by(&self, finding: &Finding, exists: bool) -> bool {
        finding.code() == Some(self.code)
            && self
                .path
                .split(" | ")
                .any(|path| finding.path().unwrap_or_default() == path)
            && finding.text.to_lowercase().contains(self.mend)
            && finding.text.contains(WAY_OUT) == (self.kind == Kind::Live && exists)
    }
}

/// The region that a change begins with, and the rest of it.
fn split(change: &str) -> (Option<&str>, &str) {
    match change
        .strip_prefix('@')
        .and_then(|rest| rest.split_once("; "))
    {
        Some((region, rest)) => (Some(region), rest),
        None => (None, change),
    }
}

/// Plans all cases in one run, on clusters with the changes `all`. The run must report each case,
/// nothing else, and write nothing; and name the way to destroy what exists, and only that.
#[track_caller]
pub(crate) fn check_refused(cloud: &Cloud, workspace: &Workspace<'_>, all: &str, cases: &[Case]) {
    let exists = !workspace.state().is_empty();
    let blocks: Vec<Vec<ClusterBlock>> = cases
        .iter()
        .enumerate()
        .map(|(number, case)| case.blocks(cloud, number, all))
        .collect();
    workspace.configure("");
    for block in blocks.iter().flatten() {
        workspace.configure_beside(&block.address(), &block.to_string());
    }
    let before = cloud.last_request();
    let run = workspace.plan_json();
    assert_eq!(run.status.code(), Some(1), "{run}");
    assert_eq!(cloud.writes(before), Vec::<String>::new());

    let mut errors: Vec<Finding> = run.findings();
    errors.retain(|finding| finding.is_error);
    let mut wrong = Vec::new();
    for (case, blocks) in cases.iter().zip(&blocks) {
        let ours = |finding: &Finding| {
            blocks
                .iter()
                .any(|block| block.address() == finding.address)
        };
        let (mine, others): (Vec<Finding>, Vec<Finding>) = errors.into_iter().partition(ours);
        errors = others;
        let wanted = case.path.split(" | ").count();
        if mine.len() != wanted || !mine.iter().all(|finding| case.is_met_by(finding, exists)) {
            let said: String = mine.iter().map(ToString::to_string).collect();
            wrong.push(format!(
                "{:?} {}\n  expected {} at {:?} with {:?}, found {}:\n{said}",
                case.provider,
                case.change,
                case.code,
                case.path,
                case.mend,
                mine.len()
            ));
        }
    }
    let unexpected: String = errors.iter().map(ToString::to_string).collect();
    assert!(
        wrong.is_empty() && unexpected.is_empty(),
        "{}\nnobody expected:\n{unexpected}",
        wrong.concat()
    );
}
