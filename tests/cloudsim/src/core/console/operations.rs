//! Long-running operations as a timeline of simulated time, with the polls, waits and refusals of
//! whoever waits for them.
//!
//! Bars are drawn in thousandths of the window's width.

use askama::Template;
use serde::Serialize;

use super::{
    frame::{Frame, query_with},
    look::{Health, Look, Moment, millis_of, object_href, short, span},
};
use crate::core::{Call, Operation, Status, clock::Millis, journal::Entry};

/// How many rows one page draws.
const ROWS: usize = 100;
/// A pause this long parts two pieces of work; the page shows the last piece unless told.
const PAUSE: Millis = 30 * 60_000;
/// The window's width.
const WIDTH: i64 = 1000;
/// Parts of the axis.
const MARKS: i64 = 5;

#[derive(Template, Serialize)]
#[template(path = "console/operations.html")]
pub(super) struct Operations {
    #[serde(skip)]
    frame: Frame,
    #[serde(skip)]
    filter: Filter,
    #[serde(skip)]
    zoom: Zoom,
    from: Moment,
    to: Moment,
    marks: Vec<Moment>,
    rows: Vec<Row>,
    /// How many operations are left out: by the filter, by the window, by the page's length.
    filtered: usize,
    outside: usize,
    hidden: usize,
}

#[derive(Default)]
struct Filter {
    cloud: String,
    status: String,
    text: String,
}

/// Addresses of the same page with another window.
#[derive(Default)]
struct Zoom {
    closer: String,
    wider: String,
    earlier: String,
    later: String,
    all: String,
    last: String,
}

/// One operation.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) cloud: String,
    pub(super) kind: String,
    /// The object's last words, and its page.
    pub(super) whom: String,
    pub(super) href: String,
    pub(super) status: &'static str,
    pub(super) health: Health,
    /// Why it failed.
    pub(super) failure: Option<String>,
    pub(super) started: Moment,
    /// How long it took, or has taken, in words.
    pub(super) lasted: String,
    /// How far it is, in hundredths; 100 when it ended.
    pub(super) percent: i64,
    pub(super) polls: usize,
    #[serde(skip)]
    pub(super) bar: Bar,
}

/// A bar and the marks on it.
#[derive(Debug, Default)]
pub(super) struct Bar {
    pub(super) left: i64,
    pub(super) width: i64,
    pub(super) ticks: Vec<Tick>,
}

/// One request about an operation.
#[derive(Debug)]
pub(super) struct Tick {
    pub(super) left: i64,
    /// How long the client then waited, if it was told to.
    pub(super) width: i64,
    pub(super) class: &'static str,
    pub(super) words: String,
}

pub(super) fn page(look: &Look, call: &Call) -> Operations {
    let filter = Filter {
        cloud: call.query("cloud").unwrap_or_default().into(),
        status: call.query("status").unwrap_or_default().into(),
        text: call.query("text").unwrap_or_default().into(),
    };
    let mut found: Vec<&Operation> = look
        .operations
        .iter()
        .filter(|operation| filter.admits(operation))
        .collect();
    let filtered = look.operations.len() - found.len();
    found.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
    let window = Window::of(look, call, &found);
    let all = (
        found
            .first()
            .map_or(window.from, |operation| operation.started),
        found
            .iter()
            .map(|operation| end(look, operation))
            .max()
            .unwrap_or(window.to),
    );
    let passing = found.len();
    found.retain(|operation| operation.started <= window.to && end(look, operation) >= window.from);
    let outside = passing - found.len();
    let hidden = found.len().saturating_sub(ROWS);
    let rows = found[hidden..]
        .iter()
        .map(|operation| Row::new(look, operation, &window))
        .collect();
    Operations {
        frame: Frame::new(look, call, "Operations"),
        zoom: window.zoom(call, all),
        from: Moment::new(window.from),
        to: Moment::new(window.to),
        marks: (0..=MARKS)
            .map(|mark| Moment::new(window.from + (window.to - window.from) * mark / MARKS))
            .collect(),
        rows,
        filter,
        filtered,
        outside,
        hidden,
    }
}

impl Filter {
    fn admits(&self, operation: &Operation) -> bool {
        let text = self.text.to_ascii_lowercase();
        (self.cloud.is_empty() || self.cloud == operation.api)
            && (self.status.is_empty() || self.status == word(operation.status))
            && (operation.target.to_ascii_lowercase().contains(&text)
                || operation.kind.to_ascii_lowercase().contains(&text)
                || operation.id == self.text)
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Succeeded => "succeeded",
        Status::Failed => "failed",
        Status::Canceled => "canceled",
    }
}

/// The part of simulated time that is drawn.
struct Window {
    from: Millis,
    to: Millis,
}

impl Window {
    /// What the address asks for, else the last piece of work.
    fn of(look: &Look, call: &Call, passing: &[&Operation]) -> Self {
        let asked = |name| {
            call.query(name)
                .and_then(|value| value.parse::<Millis>().ok())
        };
        let latest = passing.iter().map(|operation| end(look, operation)).max();
        let last = latest.unwrap_or(look.now.millis);
        let mut first = last;
        for operation in passing.iter().rev() {
            if end(look, operation) >= first.saturating_sub(PAUSE) {
                first = first.min(operation.started);
            }
        }
        let from = asked("from").unwrap_or(first);
        let to = asked("to").unwrap_or(last);
        Self {
            from,
            to: to.max(from.saturating_add(1000)),
        }
    }

    fn zoom(&self, call: &Call, all: (Millis, Millis)) -> Zoom {
        let address = |from: Millis, to: Millis| {
            let (from, to) = (from.to_string(), to.to_string());
            let query = query_with(call, &[("from", &from), ("to", &to)]);
            format!("/console/operations{query}")
        };
        let quarter = self.to.saturating_sub(self.from) / 4;
        let last = query_with(call, &[("from", ""), ("to", "")]);
        Zoom {
            closer: address(self.from + quarter, self.to - quarter),
            wider: address(
                self.from.saturating_sub(2 * quarter),
                self.to.saturating_add(2 * quarter),
            ),
            earlier: address(self.from - quarter, self.to - quarter),
            later: address(self.from + quarter, self.to + quarter),
            all: address(all.0, all.1),
            last: format!("/console/operations{last}"),
        }
    }

    /// The place of a moment in the window, kept inside it.
    fn place(&self, at: Millis) -> i64 {
        let length = i128::from(self.to) - i128::from(self.from);
        let way = (i128::from(at) - i128::from(self.from)) * i128::from(WIDTH) / length.max(1);
        i64::try_from(way).unwrap_or(WIDTH).clamp(0, WIDTH)
    }
}

fn end(look: &Look, operation: &Operation) -> Millis {
    operation
        .ended
        .unwrap_or(look.now.millis)
        .max(operation.started)
}

impl Row {
    /// A row in a window of its own.
    pub(super) fn alone(look: &Look, operation: &Operation) -> Self {
        let to = end(look, operation).max(operation.due);
        Self::new(
            look,
            operation,
            &Window {
                from: operation.started,
                to,
            },
        )
    }

    fn new(look: &Look, operation: &Operation, window: &Window) -> Self {
        let requests = about(look.entries, operation);
        let end = end(look, operation);
        let left = window.place(operation.started);
        let way = (operation.due - operation.started).max(1);
        Self {
            id: operation.id.clone(),
            cloud: operation.api.clone(),
            kind: operation.kind.clone(),
            whom: short(&operation.target),
            href: object_href(&operation.target),
            status: word(operation.status),
            health: Health::of_operation(operation),
            failure: operation
                .failure
                .as_ref()
                .map(|failure| format!("{}: {}", failure.code, failure.message)),
            started: Moment::new(operation.started),
            lasted: span(end - operation.started),
            percent: if operation.running() {
                ((look.now.millis - operation.started) * 100 / way).clamp(0, 99)
            } else {
                100
            },
            polls: requests.len().saturating_sub(1),
            bar: Bar {
                left,
                width: (window.place(end) - left).max(3),
                ticks: ticks(&requests, window),
            },
        }
    }
}

/// The request that began an operation, and those that asked for it.
fn about<'a>(entries: &'a [Entry], operation: &Operation) -> Vec<&'a Entry> {
    entries
        .iter()
        .filter(|entry| {
            entry.api == operation.api
                && (entry.operation.as_ref() == Some(&operation.id)
                    || entry.path.contains(&operation.id))
        })
        .collect()
}

fn ticks(requests: &[&Entry], window: &Window) -> Vec<Tick> {
    let mut ticks = Vec::new();
    for (at, entry) in requests.iter().enumerate() {
        let Some(moment) = millis_of(&entry.at) else {
            continue;
        };
        if moment < window.from || moment > window.to {
            continue;
        }
        let left = window.place(moment);
        let next = requests.get(at + 1).and_then(|next| millis_of(&next.at));
        let (class, words, width) = match entry.status {
            Some(429) => {
                let width = next.map_or(4, |next| window.place(next) - left);
                ("wait", "throttled, then waited", width)
            }
            Some(500..) => ("refused", "server error", 3),
            None => ("refused", "cut", 3),
            Some(_) if entry.method == "GET" => ("poll", "poll", 2),
            Some(_) => continue,
        };
        ticks.push(Tick {
            left,
            width: width.max(2),
            class,
            words: format!("request {}: {words}", entry.number),
        });
    }
    ticks
}
