//! What a read tells of an object that is not as it was left.

use paymesh_engine::{FaultKind, Reading};
use paymesh_plugin::{
    findings::{Findings, Severity},
    path::Path,
};

use super::{Converged, INCOMPLETE, Whole, named, planning};
use crate::codes::{self, warn_about};

pub(super) fn foreign<C: Converged>(
    prior: &Whole<C>,
    owner: &str,
    rests: bool,
    found: &mut Findings,
) {
    let row = &codes::IMPORT_OF_ANOTHERS_OBJECT;
    let what = if rests {
        "It is stopped, and stays that configuration's until it is started and applied here"
    } else {
        "Apply takes it over: from then on the other state can neither change nor destroy it, and \
         `paymesh orphans` of that owner does not list it"
    };
    let detail = format!("the object bears the mark of another configuration ({owner}). {what}");
    let title = C::title(&prior.0);
    let mut finding = row.finding_about(&title, Severity::Warning, Path::root(), detail);
    if rests {
        finding.hint("leave it in the other state until it runs here; or do not apply the import");
    }
    found.add(finding);
}

pub(super) fn drifted<C: Converged>(
    prior: &Whole<C>,
    reading: &Reading,
    rests: bool,
    found: &mut Findings,
) {
    let steps = reading.steps.iter();
    let undone = steps.map(|step| format!("  - {} ({})", step.title, step.object.kind));
    let refused = reading.refusals.iter().map(|fault| {
        // What is shown as an attribute that differs, the plan gives a new object.
        let is_rotated = fault.kind == FaultKind::MustReplace
            && fault
                .attribute
                .as_ref()
                .is_some_and(|attribute| reading.differing.contains(attribute));
        let successor = if is_rotated {
            " Another takes its place, and it goes."
        } else {
            ""
        };
        let brief = fault.object.brief();
        format!("  - {brief}: {}{successor}", fault.message)
    });
    let lines: Vec<String> = undone.chain(refused).collect();
    let when = if rests {
        "it is stopped, and nothing of it can be changed. The first apply that starts it would \
         undo this"
    } else {
        "apply would undo it"
    };
    let row = &codes::CHANGED_OUTSIDE;
    let detail = format!("{when}:\n\n{}", lines.join("\n"));
    let name = named::<C>(&prior.0);
    let mut finding = row.finding_about(&name, Severity::Warning, Path::root(), detail);
    if rests {
        finding.hint("start it in the configuration and apply: what was changed is undone then");
    }
    found.add(finding);
}

/// Nobody changed it: it was imported, and is not yet as the configuration says.
pub(super) fn imported_differs<C: Converged>(
    prior: &Whole<C>,
    reading: &Reading,
    found: &mut Findings,
) {
    let refused = reading.refusals.iter();
    let refused = refused.map(|fault| format!("\n  - {}: {}", fault.object.brief(), fault.message));
    warn_about(
        found,
        Path::root(),
        &codes::IMPORTED_DIFFERS,
        &named::<C>(&prior.0),
        format!(
            "it was imported. Apply changes, where (disturbs) marks what those who use it may \
             feel:\n\n{}{}",
            planning::marked(&reading.steps),
            refused.collect::<String>()
        ),
    );
}

pub(super) fn leaving<C: Converged>(prior: &Whole<C>, found: &mut Findings) {
    warn_about(
        found,
        Path::root(),
        &codes::BEING_DELETED,
        &named::<C>(&prior.0),
        "an earlier destroy, or somebody else, has asked the cloud to delete it",
    );
}

/// The entry is kept, so that a destroy takes away what is left.
pub(super) fn remains<C: Converged>(prior: &Whole<C>, found: &mut Findings) {
    if C::standing(&prior.1) == Some(INCOMPLETE) {
        return;
    }
    warn_about(
        found,
        Path::root(),
        &codes::PARTS_REMAIN,
        &named::<C>(&prior.0),
        "it was deleted, and what was made beside it is still there",
    );
}

pub(super) fn stale<C: Converged>(prior: &Whole<C>, found: &mut Findings) {
    warn_about(
        found,
        Path::root(),
        &codes::STALE,
        &named::<C>(&prior.0),
        "a later run or another state has made or adopted the object; its values are kept as they were, updates are refused, and destroying it only forgets it",
    );
}
