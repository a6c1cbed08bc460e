//! What is wrong right now, worst first: the first thing a person wants to know.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::look::{Health, Look, object_href, short, words_of};
use crate::core::{Operation, Status, journal::Entry};

/// Of how many of the newest requests the refused ones are told.
const RECENT: usize = 200;

/// One thing that is wrong.
#[derive(Debug, Serialize)]
pub(super) struct Trouble {
    /// `bad` if something failed, `busy` if something waits or is on order.
    pub(super) level: &'static str,
    /// What is wrong.
    pub(super) what: String,
    /// With what.
    pub(super) whom: String,
    /// Where to look.
    pub(super) href: String,
    /// Since when, if that is known.
    pub(super) since: String,
}

/// Everything that is wrong, worst first.
pub(super) fn all(look: &Look) -> Vec<Trouble> {
    let mut found = Vec::new();
    found.extend(failed(look));
    found.extend(sick(look));
    found.extend(refused(look));
    found.extend(late(look));
    found.extend(look.locks.iter().map(|(name, who)| Trouble {
        level: "busy",
        what: "Terraform state is locked".into(),
        whom: format!("{name}, by {who}"),
        href: "/console/requests?cloud=terraform".into(),
        since: String::new(),
    }));
    found.extend(look.faults.iter().filter(|fault| acts(fault)).map(|fault| {
        let held = fault["held"].as_array().map_or(0, Vec::len);
        Trouble {
            level: "busy",
            what: match held {
                0 => "Fault on order".into(),
                1 => "Fault holds 1 request".into(),
                _ => format!("Fault holds {held} requests"),
            },
            whom: format!(
                "{}: {}",
                fault["id"].as_str().unwrap_or_default(),
                fault["action"]["kind"]
                    .as_str()
                    .unwrap_or_default()
                    .replace('_', " "),
            ),
            href: "/console/settings#faults".into(),
            since: String::new(),
        }
    }));
    found
}

/// Operations that failed, unless a later one on the same object went well.
fn failed(look: &Look) -> Vec<Trouble> {
    let mut latest: BTreeMap<String, &Operation> = BTreeMap::new();
    for operation in &look.operations {
        let key = operation.target.to_ascii_lowercase();
        if latest
            .get(&key)
            .is_none_or(|other| other.started < operation.started)
        {
            latest.insert(key, operation);
        }
    }
    latest
        .into_values()
        .filter(|operation| matches!(operation.status, Status::Failed | Status::Canceled))
        .map(|operation| Trouble {
            level: "bad",
            what: match &operation.failure {
                Some(failure) => format!("{} failed: {}", operation.kind, failure.code),
                None => format!("{} was canceled", operation.kind),
            },
            whom: short(&operation.target),
            href: object_href(&operation.target),
            since: operation.ended.map_or_else(String::new, time),
        })
        .collect()
}

/// Objects that say themselves that they are broken.
fn sick(look: &Look) -> Vec<Trouble> {
    look.things
        .iter()
        .filter(|thing| thing.health == Health::Bad)
        .map(|thing| Trouble {
            level: "bad",
            what: format!("{} is {}", thing.kind, thing.state),
            whom: thing.name.clone(),
            href: thing.href(),
            since: String::new(),
        })
        .collect()
}

/// Operations that should have ended.
fn late(look: &Look) -> Vec<Trouble> {
    look.operations
        .iter()
        .filter(|operation| {
            operation.running() && operation.polls_left.is_none() && operation.due < look.now.millis
        })
        .map(|operation| Trouble {
            level: "bad",
            what: format!("{} does not end", operation.kind),
            whom: short(&operation.target),
            href: object_href(&operation.target),
            since: time(operation.due),
        })
        .collect()
}

/// Recent requests that the cloud could not answer: throttled, broken or cut.
fn refused(look: &Look) -> Vec<Trouble> {
    let recent = &look.entries[look.entries.len().saturating_sub(RECENT)..];
    let mut groups: BTreeMap<&'static str, (usize, &Entry)> = BTreeMap::new();
    for entry in recent {
        let kind = match entry.status {
            Some(429) => "throttled",
            Some(500..) => "answered with a server error",
            None if entry.duration_ms.is_some() => "cut",
            _ => continue,
        };
        let group = groups.entry(kind).or_insert((0, entry));
        *group = (group.0 + 1, entry);
    }
    groups
        .into_iter()
        .map(|(kind, (count, last))| Trouble {
            level: "busy",
            what: match count {
                1 => format!("1 request was {kind}"),
                _ => format!("{count} requests were {kind}"),
            },
            whom: format!("last: {} {}", last.method, short(&last.path)),
            href: format!(
                "/console/requests?status={}",
                match kind {
                    "throttled" => "429",
                    "cut" => "cut",
                    _ => "5xx",
                }
            ),
            since: words_of(&last.at),
        })
        .collect()
}

/// Whether a rule can still strike, or holds a request.
fn acts(fault: &Value) -> bool {
    fault["times"] == 0
        || fault["fired"].as_u64() < fault["times"].as_u64()
        || fault["held"]
            .as_array()
            .is_some_and(|held| !held.is_empty())
}

fn time(at: i64) -> String {
    super::look::Moment::new(at).time
}
