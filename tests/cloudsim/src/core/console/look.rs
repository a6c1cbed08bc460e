//! One look at the world, in the words that both clouds share.

use serde::Serialize;
use serde_json::Value;

use crate::core::{
    Api, Operation, Status, World,
    clock::{Millis, text_of},
    journal::Entry,
};

/// Everything that a page may draw from.
pub(super) struct Look<'a> {
    pub(super) now: Moment,
    pub(super) frozen: bool,
    pub(super) speed: String,
    pub(super) polls: Option<u32>,
    pub(super) version: String,
    pub(super) things: Vec<Thing>,
    pub(super) operations: Vec<Operation>,
    pub(super) entries: &'a [Entry],
    pub(super) faults: Vec<Value>,
    /// Names of locked Terraform states, each with who holds the lock.
    pub(super) locks: Vec<(String, String)>,
}

impl<'a> Look<'a> {
    /// Looks at the world as it is.
    pub(super) fn at(world: &'a World, apis: &[Box<dyn Api>]) -> Self {
        let clock = world.clock.show();
        let frozen = clock["frozen"] == true;
        let things = apis
            .iter()
            .flat_map(|api| {
                let found = api.inventory(world);
                found.into_iter().map(|raw| Thing::new(api.name(), &raw))
            })
            .collect();
        Self {
            now: Moment::new(world.clock.now()),
            frozen,
            speed: if frozen {
                "frozen".into()
            } else {
                format!("×{}", world.clock.rate())
            },
            polls: world.operation_polls,
            version: super::frame::version(world),
            things,
            operations: world.operations(),
            entries: world.journal.since(0),
            faults: world.faults.show().as_array().cloned().unwrap_or_default(),
            locks: crate::core::terraform::locks(world),
        }
    }

    /// A look at a world that holds only these.
    #[cfg(test)]
    pub(super) fn of_things(things: Vec<Thing>) -> Self {
        Self {
            now: Moment::new(0),
            frozen: true,
            speed: String::new(),
            polls: None,
            version: String::new(),
            things,
            operations: Vec::new(),
            entries: &[],
            faults: Vec::new(),
            locks: Vec::new(),
        }
    }

    /// The thing with this id; clouds spell ids in more than one case.
    pub(super) fn thing(&self, id: &str) -> Option<&Thing> {
        self.things
            .iter()
            .find(|thing| thing.id.eq_ignore_ascii_case(id))
    }
}

/// A point of simulated time.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Moment {
    /// Milliseconds since 1970.
    pub(super) millis: Millis,
    /// The day and time, to the second.
    pub(super) time: String,
}

impl Moment {
    pub(super) fn new(millis: Millis) -> Self {
        Self {
            millis,
            time: words_of(&text_of(millis)),
        }
    }

    /// The time of the day alone.
    pub(super) fn clock(&self) -> &str {
        self.time
            .split_once(' ')
            .map_or(&*self.time, |(_, clock)| clock)
    }
}

/// `2026-11-21T04:28:08.505Z` as a person reads it.
pub(super) fn words_of(stamp: &str) -> String {
    stamp.split('.').next().unwrap_or(stamp).replace('T', " ")
}

/// The milliseconds of a time stamp of the journal.
pub(super) fn millis_of(stamp: &str) -> Option<Millis> {
    stamp
        .parse::<jiff::Timestamp>()
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

/// A span of simulated time in words: `45 s`, `6 min 05 s`, `2 h 10 min`.
pub(super) fn span(millis: Millis) -> String {
    let seconds = millis.max(0) / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// How something is, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Health {
    Good,
    Off,
    Busy,
    Bad,
}

impl Health {
    /// The class of the page's style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Off => "off",
            Self::Busy => "busy",
            Self::Bad => "bad",
        }
    }

    fn of_state(state: &str) -> Self {
        match state.to_ascii_lowercase().as_str() {
            "" | "succeeded" | "running" | "ready" | "active" => Self::Good,
            "stopped" | "deallocated" => Self::Off,
            "failed" | "canceled" | "error" | "degraded" => Self::Bad,
            _ => Self::Busy,
        }
    }

    pub(super) fn of_operation(operation: &Operation) -> Self {
        match operation.status {
            Status::Running => Self::Busy,
            Status::Succeeded => Self::Good,
            Status::Failed | Status::Canceled => Self::Bad,
        }
    }
}

/// One object of a cloud.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Thing {
    pub(super) cloud: &'static str,
    /// What it is, in that cloud's word: `managedClusters`, `NodePool`.
    pub(super) kind: String,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) region: Option<String>,
    pub(super) state: String,
    pub(super) health: Health,
    /// Tags or labels, ordered.
    pub(super) labels: Vec<(String, String)>,
    /// What else is worth a glance.
    pub(super) facts: Vec<(String, String)>,
}

impl Thing {
    pub(super) fn new(cloud: &'static str, raw: &Value) -> Self {
        const KNOWN: [&str; 10] = [
            "cloud", "type", "id", "name", "location", "state", "status", "tags", "labels",
            "parent",
        ];
        let text = |name: &str| raw[name].as_str().map(str::to_owned);
        let pairs = |value: &Value| -> Vec<(String, String)> {
            let mut pairs: Vec<_> = value
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), plain(value)))
                .collect();
            pairs.sort();
            pairs
        };
        let state = text("state").or_else(|| text("status")).unwrap_or_default();
        let kind = text("type").unwrap_or_default();
        let id = text("id").unwrap_or_default();
        let labels = if raw["tags"].is_object() {
            &raw["tags"]
        } else {
            &raw["labels"]
        };
        let facts = pairs(raw)
            .into_iter()
            .filter(|(key, _)| !KNOWN.contains(&key.as_str()))
            .map(|(key, value)| (key.replace('_', " "), value))
            .collect();
        Self {
            cloud,
            kind: kind.rsplit('/').next().unwrap_or_default().into(),
            name: text("name").unwrap_or_else(|| id.rsplit('/').next().unwrap_or_default().into()),
            region: text("location"),
            health: Health::of_state(&state),
            labels: pairs(labels),
            state,
            facts,
            id,
        }
    }

    /// The page of this object.
    pub(super) fn href(&self) -> String {
        object_href(&self.id)
    }
}

/// The page of the object `id`.
pub(super) fn object_href(id: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("id", id)
        .finish();
    format!("/console/object?{query}")
}

/// The end of an id or path that a person knows it by: its last two words.
pub(super) fn short(path: &str) -> String {
    let words: Vec<&str> = path.rsplitn(3, '/').collect();
    match words.as_slice() {
        [last, before, ..] if !before.is_empty() => format!("{before}/{last}"),
        _ => path.into(),
    }
}

/// A value as a person reads it.
pub(super) fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
