//! What the engine reports, as findings at the user's attributes.

use paymesh_engine::{Fault, FaultKind, Note};
use paymesh_plugin::{
    findings::{Findings, Severity},
    path::Path,
};

use super::Act;
use crate::{
    codes::{self, Row, warn_about},
    session::Session,
};

/// Adds what ended `act`: a destroy goes on by another command than an apply.
pub(super) fn report_of(found: &mut Findings, fault: &Fault, act: Act, severity: Severity) {
    let mut fault = fault.clone();
    if act == Act::Delete {
        let next = fault.next.as_deref().unwrap_or(row(fault.kind).next());
        let again = [
            ("terraform apply again", "terraform destroy again"),
            ("Apply again", "Run `terraform destroy` again"),
            ("apply again", "run `terraform destroy` again"),
        ];
        let known = again.iter().find(|(apply, _)| next.contains(apply));
        fault.next = Some(known.map_or_else(
            || next.to_owned(),
            |(apply, destroy)| next.replace(apply, destroy),
        ));
    }
    report(found, &fault, severity);
}

/// Adds `fault` as an error, or as a warning where an error would taint what exists.
pub(super) fn report(found: &mut Findings, fault: &Fault, severity: Severity) {
    let path = fault.attribute.as_deref().map_or_else(Path::root, path);
    let mut detail = format!("{}: {}", fault.object, fault.message);
    if let Some(operation) = &fault.operation {
        detail.push_str("\nOperation: ");
        detail.push_str(operation);
    }
    if let Some(request) = &fault.request {
        detail.push_str("\nRequest: ");
        detail.push_str(request);
    }
    let row = row(fault.kind);
    let mut finding = if fault.kind == FaultKind::SignIn {
        // It says nothing about the object: once is enough for all of them.
        let finding = row.finding(severity, path, &fault.message);
        if found.iter().any(|known| known.title == finding.title) {
            return;
        }
        finding
    } else {
        row.finding_about(&fault.object.brief(), severity, path, detail)
    };
    if let Some(next) = &fault.next {
        finding.hint(next);
    }
    found.add(finding);
}

/// Adds `faults`, of those of signing in to `cloud` the first of the run only. Not for an apply:
/// one that did nothing has to say why.
pub(super) fn report_new(
    found: &mut Findings,
    faults: &[Fault],
    session: &Session,
    cloud: &'static str,
    severity: Severity,
) {
    let is_new =
        |it: &&Fault| it.kind != FaultKind::SignIn || session.is_first_refusal(cloud, severity);
    for fault in faults.iter().filter(is_new) {
        report(found, fault, severity);
    }
}

/// Adds the engine's notes as warnings.
pub(super) fn notes(found: &mut Findings, notes: &[Note]) {
    for note in notes {
        warn_about(
            found,
            Path::root(),
            &codes::REMARK,
            &note.object.brief(),
            &note.message,
        );
    }
}

/// What is said of a kind of fault; what to do holds unless the cloud's room knows better.
const fn row(kind: FaultKind) -> &'static Row {
    match kind {
        FaultKind::Busy => &codes::BUSY,
        FaultKind::LostRace | FaultKind::KeepsChanging => &codes::KEEPS_CHANGING,
        FaultKind::Uncertain => &codes::UNCERTAIN,
        FaultKind::Missing => &codes::VANISHED,
        FaultKind::Propagating => &codes::NOT_YET_KNOWN,
        FaultKind::Unavailable => &codes::NO_ANSWER,
        FaultKind::SignIn => &codes::NO_TOKEN,
        FaultKind::Throttled => &codes::THROTTLED,
        FaultKind::Denied => &codes::DENIED,
        FaultKind::Exhausted => &codes::USED_UP,
        FaultKind::Refused => &codes::REFUSED,
        FaultKind::OperationFailed => &codes::OPERATION_FAILED,
        FaultKind::NotShrinking => &codes::CHANGE_NOT_MADE,
        FaultKind::Foreign => &codes::FOREIGN,
        FaultKind::NameHeld => &codes::NAME_HELD,
        FaultKind::MustReplace => &codes::NEEDS_REPLACEMENT,
        FaultKind::Stale => &codes::OTHER_HOLDER,
        FaultKind::Claimed => &codes::CLAIMED_TWICE,
        FaultKind::NeedMissing => &codes::NEED_MISSING,
        FaultKind::TimedOut => &codes::TIMED_OUT,
        FaultKind::Defect => &codes::DEFECT,
    }
}

/// The path that the user wrote as `azure.pods_cidr` or `node_pools["a"].labels`.
pub(super) fn path(text: &str) -> Path {
    let mut path = Path::root();
    let mut rest = text;
    loop {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return path;
        }
        if let Some(inner) = rest.strip_prefix('[') {
            let Some((step, after)) = inner.split_once(']') else {
                return path;
            };
            path = match step.trim_matches('"').parse::<usize>() {
                Ok(index) if !step.starts_with('"') => path.index(index),
                _ => path.key(step.trim_matches('"')),
            };
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            path = path.attribute(&rest[..end]);
            rest = &rest[end..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn attributes_are_found_again_as_paths() {
        for text in [
            "azure.pods_cidr",
            r#"node_pools["a.b"].taints[1].key"#,
            "name",
        ] {
            assert_eq!(path(text).to_string(), text);
        }
    }
}
