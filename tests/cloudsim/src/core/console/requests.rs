//! The journal: every request, filtered by the address, newest first; and one request alone.

use askama::Template;
use serde::Serialize;

use super::{
    frame::{Frame, query_with},
    look::{Look, words_of},
};
use crate::core::{Call, journal::Entry};

/// How many requests one page shows.
const LENGTH: usize = 100;

#[derive(Template, Serialize)]
#[template(path = "console/requests.html")]
pub(super) struct Requests {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    filter: Filter,
    lines: Vec<Line>,
    found: usize,
    all: usize,
    /// The address of the next page, if there is one.
    older: Option<String>,
}

#[derive(Template, Serialize)]
#[template(path = "console/request.html")]
pub(super) struct Request {
    #[serde(skip)]
    frame: Frame,
    entry: Entry,
    line: Line,
    before: Option<u64>,
    after: Option<u64>,
}

#[derive(Default)]
struct Filter {
    cloud: String,
    method: String,
    status: String,
    text: String,
    operation: String,
    faults: bool,
}

/// One request in a list.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) at: String,
    pub(super) cloud: String,
    pub(super) method: String,
    pub(super) path: String,
    /// The path's last words.
    pub(super) short: String,
    pub(super) status: String,
    /// `good`, `busy` (a client error), `bad`.
    pub(super) class: &'static str,
    pub(super) milliseconds: String,
    pub(super) operation: Option<String>,
    pub(super) faults: Vec<String>,
}

impl Line {
    pub(super) fn new(entry: &Entry) -> Self {
        let words: Vec<&str> = entry.path.rsplitn(4, '/').collect();
        let short = match words.as_slice() {
            [a, b, c, _] => format!("…/{c}/{b}/{a}"),
            _ => entry.path.clone(),
        };
        Self {
            number: entry.number,
            at: words_of(&entry.at),
            cloud: entry.api.clone(),
            method: entry.method.clone(),
            path: entry.path.clone(),
            short,
            status: match (entry.status, entry.duration_ms) {
                (Some(status), _) => status.to_string(),
                (None, Some(_)) => "cut".into(),
                (None, None) => "open".into(),
            },
            class: match entry.status {
                Some(..400) => "good",
                Some(429) => "busy",
                Some(400..500) => "off",
                None if entry.duration_ms.is_none() => "busy",
                _ => "bad",
            },
            milliseconds: entry
                .duration_ms
                .map_or_else(String::new, |ms| format!("{ms} ms")),
            operation: entry.operation.clone(),
            faults: entry.faults.clone(),
        }
    }
}

impl Filter {
    fn of(call: &Call) -> Self {
        let text = |name| call.query(name).unwrap_or_default().to_owned();
        Self {
            cloud: text("cloud"),
            method: text("method"),
            status: text("status"),
            text: text("text"),
            operation: text("operation"),
            faults: call.query("faults") == Some("yes"),
        }
    }

    fn admits(&self, entry: &Entry) -> bool {
        let status = match (self.status.as_str(), entry.status) {
            ("", _) => true,
            ("cut", status) => status.is_none() && entry.duration_ms.is_some(),
            ("open", status) => status.is_none() && entry.duration_ms.is_none(),
            (wanted, Some(status)) => match wanted.strip_suffix("xx") {
                Some(class) => class == (status / 100).to_string(),
                None => wanted == status.to_string(),
            },
            (_, None) => false,
        };
        status
            && (self.cloud.is_empty() || self.cloud == entry.api)
            && (self.method.is_empty() || self.method == entry.method)
            && (self.operation.is_empty() || entry.operation.as_ref() == Some(&self.operation))
            && (!self.faults || !entry.faults.is_empty())
            && entry
                .path
                .to_ascii_lowercase()
                .contains(&self.text.to_ascii_lowercase())
    }
}

pub(super) fn page(look: &Look, call: &Call) -> Requests {
    let filter = Filter::of(call);
    let before = call
        .query("before")
        .and_then(|before| before.parse().ok())
        .unwrap_or(u64::MAX);
    let matching: Vec<&Entry> = look
        .entries
        .iter()
        .filter(|entry| filter.admits(entry))
        .collect();
    let upto = matching.partition_point(|entry| entry.number < before);
    let shown = &matching[upto.saturating_sub(LENGTH)..upto];
    Requests {
        frame: Frame::new(look, call, "Requests"),
        lines: shown.iter().rev().map(|entry| Line::new(entry)).collect(),
        found: matching.len(),
        all: look.entries.len(),
        older: shown
            .first()
            .filter(|_| upto > LENGTH)
            .map(|oldest| query_with(call, &[("before", &oldest.number.to_string())])),
        filter,
    }
}

pub(super) fn one(look: &Look, call: &Call, number: &str) -> Option<Request> {
    let number: u64 = number.parse().ok()?;
    let at = look
        .entries
        .binary_search_by_key(&number, |entry| entry.number)
        .ok()?;
    let entry = look.entries[at].clone();
    Some(Request {
        frame: Frame::new(look, call, "Request"),
        line: Line::new(&entry),
        before: at.checked_sub(1).map(|at| look.entries[at].number),
        after: look.entries.get(at + 1).map(|entry| entry.number),
        entry,
    })
}
