//! What the engine reports, as findings at the user's attributes.

use paymesh_engine::{Fault, FaultKind, Note};
use paymesh_plugin::{
    findings::{Code, Finding, Findings, Severity},
    path::Path,
};

use crate::{codes, session::Session};

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
    let (code, what, next) = entry(fault.kind);
    let mut title = format!("{what} {}", fault.object.brief());
    if fault.kind == FaultKind::SignIn {
        // It says nothing about the object: once is enough for all of them.
        what.clone_into(&mut title);
        detail.clone_from(&fault.message);
        if found.iter().any(|known| known.title == title) {
            return;
        }
    }
    let mut finding = match severity {
        Severity::Error => Finding::error(path, title),
        Severity::Warning => Finding::warning(path, title),
    };
    finding.code(code).detail(detail);
    finding.hint(fault.next.as_deref().unwrap_or(next));
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
        found
            .warning(Path::root(), format!("About {}", note.object.brief()))
            .code(codes::REMARK)
            .detail(note.message.clone());
    }
}

/// What to do when nothing better is known.
const AGAIN: &str = "run terraform apply again: it goes on from what exists";

/// The code and the title of a kind of fault, and what to do unless the cloud's room knows better.
const fn entry(kind: FaultKind) -> (Code, &'static str, &'static str) {
    match kind {
        FaultKind::Busy => (
            codes::BUSY,
            "The cloud is still busy with",
            "wait until that has ended, then run terraform apply again",
        ),
        FaultKind::LostRace => (
            codes::KEEPS_CHANGING,
            "Somebody else keeps changing",
            "find what else changes it, then run terraform apply again",
        ),
        FaultKind::Uncertain => (codes::UNCERTAIN, "It is uncertain what happened to", AGAIN),
        FaultKind::Missing => (
            codes::VANISHED,
            "Somebody deleted",
            "run terraform apply again: it is made anew",
        ),
        FaultKind::Propagating => (
            codes::NOT_YET_KNOWN,
            "The cloud does not know yet what was just made for",
            AGAIN,
        ),
        FaultKind::Unavailable => (
            codes::NO_ANSWER,
            "The cloud did not answer about",
            "wait until the cloud answers, then run terraform apply again: it goes on from what exists",
        ),
        FaultKind::SignIn => (
            codes::NO_TOKEN,
            "No token could be had from the cloud",
            "check the credentials and the way to the token's issuer; the documentation says what is tried, in which order",
        ),
        FaultKind::Throttled => (
            codes::THROTTLED,
            "The cloud limits the rate of requests to",
            "wait a minute, then run the command again; other programs of the same identity or project share the limit",
        ),
        FaultKind::Denied => (
            codes::NOT_ALLOWED,
            "Not allowed to work on",
            "give the identity that runs Terraform the right that the message names",
        ),
        FaultKind::Exhausted => (
            codes::USED_UP,
            "No quota or capacity for",
            "ask the cloud for more quota, or for less in the configuration",
        ),
        FaultKind::Refused => (
            codes::REFUSED,
            "The cloud refused",
            "correct what the message names in the configuration, then run terraform apply",
        ),
        FaultKind::OperationFailed => (codes::OPERATION_FAILED, "An operation failed on", AGAIN),
        FaultKind::NotShrinking => (
            codes::CHANGE_NOT_MADE,
            "The cloud accepted a change and did not make it on",
            "set the attribute to what the cloud shows",
        ),
        FaultKind::Foreign => (
            codes::FOREIGN,
            "Somebody else owns",
            "choose another name, or import it",
        ),
        FaultKind::NameHeld => (
            codes::NAME_HELD,
            "A deleted object still holds the name of",
            "choose another name, or wait until the cloud frees it",
        ),
        FaultKind::MustReplace => (
            codes::NEEDS_REPLACEMENT,
            "Only a new object can be as wanted:",
            "undo the change, or replace it with: terraform apply -replace=ADDRESS",
        ),
        FaultKind::Stale => (
            codes::OTHER_HOLDER,
            "Another state owns",
            "forget it here with: terraform state rm ADDRESS",
        ),
        FaultKind::Claimed => (
            codes::CLAIMED_TWICE,
            "Two resources want",
            "give one of the two another name",
        ),
        FaultKind::NeedMissing => (
            codes::NEED_MISSING,
            "Does not exist:",
            "create it first, or correct its name",
        ),
        FaultKind::TimedOut => (codes::TIMED_OUT, "Out of time for", AGAIN),
        FaultKind::Defect => (
            codes::DEFECT,
            "A defect of the provider at",
            "report it, with the log that TF_LOG=debug writes",
        ),
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
