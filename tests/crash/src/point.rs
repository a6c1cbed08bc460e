//! Points of a run: its requests, numbered, so that a later run can be cut at each of them.

use std::{collections::BTreeMap, fmt};

use paymesh_acceptance::{Cloud, Fault, is_write};
use serde_json::{Value, json};

use crate::Api;

/// One request: the n-th with its verb and path since the run began. So the number of a point does
/// not depend on what went on beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// Which cloud it goes to: `azure`, `google`, or `terraform` for the state.
    api: String,
    method: String,
    path: String,
    nth: u32,
    writes: bool,
    begins_operation: bool,
}

impl Point {
    /// The points of these entries of the journal, in an order of their own.
    pub fn of(entries: &[Value]) -> Vec<Self> {
        let mut counts = BTreeMap::new();
        let mut points: Vec<Self> = entries
            .iter()
            .map(|entry| {
                let word = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
                let (api, method, path) = (word("api"), word("method"), pattern(&word("path")));
                let count = counts.entry((method.clone(), path.clone())).or_insert(0);
                *count += 1;
                let writes = is_write(entry);
                Self {
                    api,
                    method,
                    path,
                    nth: *count,
                    writes,
                    begins_operation: writes && entry["operation"].is_string(),
                }
            })
            .collect();
        points.sort();
        points
    }

    /// Holds the next run here.
    pub fn hold<'a>(&self, cloud: &'a Cloud, site: &str) -> Fault<'a> {
        cloud.hold(&self.method, &self.path, self.nth, site)
    }

    /// Lets the operation that it begins in the next run go on until somebody ends it.
    pub fn prolong(&self, cloud: &Cloud) {
        cloud.fault(&json!({
            "method": self.method, "path": self.path, "nth": self.nth, "site": "before_effect",
            "action": { "kind": "operation", "end": "hang" },
        }));
    }

    /// Whether it can change something in a cloud.
    pub fn is_write(&self) -> bool {
        self.writes
    }

    /// Whether it goes to this cloud.
    pub(crate) fn is_of(&self, api: Api) -> bool {
        self.api == api.to_string()
    }

    /// Whether the provider sends it; the client sends the others.
    pub(crate) fn is_of_a_cloud(&self) -> bool {
        self.api != "terraform"
    }

    /// Whether it saves the state.
    pub(crate) fn saves(&self) -> bool {
        self.api == "terraform" && self.method == "POST"
    }

    /// Whether it locks or unlocks the state.
    pub(crate) fn moves_lock(&self) -> bool {
        self.method.ends_with("LOCK")
    }

    /// Whether it begins something that goes on in the cloud after its answer.
    pub fn begins_operation(&self) -> bool {
        self.begins_operation
    }

    /// Which request it is, whatever number it has, without what every path has in common. The name
    /// of a state is another in each workspace.
    pub(crate) fn name(&self) -> String {
        let path = match self.path.rsplit_once("/providers/") {
            _ if self.api == "terraform" => "state",
            Some((_, typed)) => typed.split_once('/').map_or(typed, |(_, path)| path),
            None => self
                .path
                .find("/resourceGroups/")
                .map_or(self.path.trim_start_matches("/v1/projects/"), |from| {
                    &self.path[from + 1..]
                }),
        };
        format!("{} {} {path}", self.api, self.method)
    }

    /// What it is, for a table: `azure GET`, `google token`.
    pub fn kind(&self) -> String {
        let what = if self.path.contains("token") {
            "token"
        } else {
            &self.method
        };
        format!("{} {what}", self.api)
    }
}

/// The path with a star for the id of an operation, which is another in each run.
fn pattern(path: &str) -> String {
    let mut below = false;
    let segments = path.split('/').map(|segment| {
        let is_id = std::mem::replace(&mut below, segment.to_lowercase().starts_with("operation"));
        if is_id { "*" } else { segment }
    });
    segments.collect::<Vec<_>>().join("/")
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if self.nth > 1 {
            write!(f, " ({}.)", self.nth)?;
        }
        Ok(())
    }
}
