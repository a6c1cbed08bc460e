//! Findings as diagnostics.

use super::tfplugin6::{
    AttributePath, Diagnostic,
    attribute_path::{Step as WireStep, step::Selector},
    diagnostic,
};
use crate::{
    findings::{Finding, Findings, Severity},
    path::{Path, Step},
};

/// All findings, as Terraform shows them.
pub(crate) fn all(found: &Findings) -> Vec<Diagnostic> {
    found.iter().map(one).collect()
}

fn one(finding: &Finding) -> Diagnostic {
    let severity = match finding.severity {
        Severity::Warning => diagnostic::Severity::Warning,
        Severity::Error => diagnostic::Severity::Error,
    };
    Diagnostic {
        severity: severity.into(),
        summary: plain(&finding.title),
        detail: plain(&finding.text()),
        attribute: (!finding.path.is_root()).then(|| path(&pointed(&finding.path))),
    }
}

/// `text` with its control characters spelled out: what a cloud wrote cannot steer the terminal.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\n' {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// As much of the path as Terraform can point at: it shows the line of a map's element, and for
/// whatever lies deeper the line of the root attribute. The text holds the whole path.
fn pointed(path: &Path) -> Path {
    let is_key = |step: &Step| matches!(step, Step::Key(_));
    let end = path.steps().iter().position(is_key);
    let steps = path
        .steps()
        .iter()
        .take(end.map_or(usize::MAX, |at| at + 1));
    steps.fold(Path::root(), |path, step| path.step(step.clone()))
}

/// The path as the protocol writes it.
pub(crate) fn path(path: &Path) -> AttributePath {
    let steps = path.steps().iter().map(|step| WireStep {
        selector: Some(match step {
            Step::Attribute(name) => Selector::AttributeName(name.clone()),
            Step::Key(key) => Selector::ElementKeyString(key.clone()),
            Step::Index(index) => {
                Selector::ElementKeyInt(i64::try_from(*index).unwrap_or(i64::MAX))
            }
        }),
    });
    AttributePath {
        steps: steps.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cloud_wrote_cannot_steer_the_terminal() {
        let mut found = Findings::new();
        found
            .error(Path::root(), "no\u{1b}[2J")
            .detail("one\r\ntwo\u{9b}1A");
        let told = all(&found).remove(0);
        assert_eq!(told.summary, r"no\u{1b}[2J");
        assert_eq!(told.detail, "One\\u{d}\ntwo\\u{9b}1A");
    }

    #[test]
    fn terraform_is_pointed_no_deeper_than_the_element_of_a_map() {
        let pool = Path::root().attribute("pools").key("a");
        let start = Path::root()
            .attribute("windows")
            .index(0)
            .attribute("start");
        assert_eq!(pointed(&pool.attribute("zones").index(1)), pool);
        assert_eq!(pointed(&start), start);
    }
    #[test]
    fn a_finding_points_at_its_attribute_and_one_of_the_whole_object_at_nothing() {
        let mut found = Findings::new();
        let root = Path::root();
        found.warning(root.clone(), "It is old");
        found.error(root.attribute("pools").key("a"), "It is full");
        found.error(root.attribute("windows").index(2), "It is short");
        let told: Vec<_> = all(&found)
            .into_iter()
            .map(|it| (it.severity(), it.attribute))
            .collect();
        let step = |selector| WireStep {
            selector: Some(selector),
        };
        let inside = |name: &str, selector| AttributePath {
            steps: vec![
                step(Selector::AttributeName(name.to_owned())),
                step(selector),
            ],
        };
        let key = Selector::ElementKeyString("a".to_owned());
        let pool = inside("pools", key);
        let window = inside("windows", Selector::ElementKeyInt(2));
        assert_eq!(
            told,
            [
                (diagnostic::Severity::Warning, None),
                (diagnostic::Severity::Error, Some(pool)),
                (diagnostic::Severity::Error, Some(window)),
            ]
        );
    }
}
