//! What the engine reports, as findings at the user's attributes.

use paymesh_engine::{Fault, FaultKind, Note};
use paymesh_plugin::{
    findings::{Code, Finding, Findings, Severity},
    path::Path,
};

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
    let mut finding = match severity {
        Severity::Error => Finding::error(path, title(fault)),
        Severity::Warning => Finding::warning(path, title(fault)),
    };
    finding.code(code(fault.kind)).detail(detail);
    match &fault.next {
        Some(next) => finding.hint(next.clone()),
        None => finding.hint("run terraform apply again: it goes on from what exists"),
    };
    found.add(finding);
}

/// Adds the engine's notes as warnings.
pub(super) fn notes(found: &mut Findings, notes: &[Note]) {
    for note in notes {
        found
            .warning(Path::root(), format!("About {}", note.object))
            .code(Code(140))
            .detail(note.message.clone());
    }
}

fn title(fault: &Fault) -> String {
    let what = match fault.kind {
        FaultKind::Busy => "The cloud is still busy with",
        FaultKind::LostRace => "Somebody else keeps changing",
        FaultKind::Uncertain => "It is uncertain what happened to",
        FaultKind::Missing => "Somebody deleted",
        FaultKind::Propagating => "The cloud does not know yet what was just made for",
        FaultKind::Unavailable => "The cloud did not answer about",
        FaultKind::Denied => "Not allowed to work on",
        FaultKind::Exhausted => "No quota or capacity for",
        FaultKind::Refused => "The cloud refused",
        FaultKind::OperationFailed => "An operation failed on",
        FaultKind::NotShrinking => "The cloud accepted a change and did not make it on",
        FaultKind::Foreign => "Somebody else owns",
        FaultKind::NameHeld => "A deleted object still holds the name of",
        FaultKind::MustReplace => "Only a new object can be as wanted:",
        FaultKind::Stale => "Another state owns",
        FaultKind::Claimed => "Two resources want",
        FaultKind::NeedMissing => "Does not exist:",
        FaultKind::TimedOut => "Out of time for",
        FaultKind::Defect => "A defect of the provider at",
    };
    format!("{what} {}", fault.object)
}

fn code(kind: FaultKind) -> Code {
    Code(match kind {
        FaultKind::Busy => 141,
        FaultKind::LostRace => 142,
        FaultKind::Uncertain => 143,
        FaultKind::Missing => 144,
        FaultKind::Propagating => 145,
        FaultKind::Unavailable => 146,
        FaultKind::Denied => 147,
        FaultKind::Exhausted => 148,
        FaultKind::Refused => 149,
        FaultKind::OperationFailed => 150,
        FaultKind::NotShrinking => 151,
        FaultKind::Foreign => 152,
        FaultKind::NameHeld => 153,
        FaultKind::MustReplace => 154,
        FaultKind::Stale => 155,
        FaultKind::Claimed => 156,
        FaultKind::NeedMissing => 157,
        FaultKind::TimedOut => 158,
        FaultKind::Defect => 159,
    })
}

/// The path that the user wrote as `azure.pods_cidr` or `node_pools["a"].labels`.
fn path(text: &str) -> Path {
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
