//! The simulator's books: the only judge. What the provider believes is asked nowhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use paymesh_acceptance::{Cloud, is_write};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Api, Point, Procedure};

/// The most applies after a kill.
pub(crate) const APPLIES_MAX: u32 = 2;

/// What an entry is told that another has overtaken.
pub(crate) const STALE: &str = "terraform state rm";

/// The code of a refusal to destroy what is protected, which says how the protection ends.
pub(crate) const PROTECTED: &str = "PM122";

/// What a cloud says of a write while something runs.
const BUSY: [&str; 4] = [
    "is in progress, please wait",
    "incompatible operation",
    "is currently upgrading",
    "is currently deleting",
];

/// The policy in which Google's clusters are granted roles.
const POLICY: &str = "/v1/projects/paymesh-hub:getIamPolicy";

/// The longest that a request may take once it is no longer held.
const EFFECT_SECONDS_MAX: u64 = 20;

/// The longest that a long operation may go on.
const LONG: Duration = Duration::from_mins(1);

/// One fault-free run of a procedure.
#[derive(Clone, Debug)]
pub struct Recording {
    /// What the cloud and the state held when it began.
    pub start: Value,
    /// Its requests.
    pub points: Vec<Point>,
    /// What it deleted.
    pub deleted: Vec<String>,
    /// How often it made each cluster and pool.
    made: BTreeMap<String, u32>,
    /// How often it deleted what goes at once.
    gone: BTreeMap<String, u32>,
    /// What existed after it.
    pub inventory: Vec<String>,
}

/// A write that a cloud refused.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    /// Which, and what the cloud said.
    pub(crate) text: String,
    /// Whether something ran that it had to wait for.
    pub(crate) for_busy: bool,
}

impl Recording {
    /// Records what `run` does from the present state of `cloud`.
    pub fn of(cloud: &Cloud, run: impl FnOnce()) -> Self {
        let start = cloud.export();
        // The same start as every later run has: full budgets, no faults.
        cloud.import(&start);
        let since = cloud.last_request();
        run();
        Self {
            start,
            points: Point::of(&cloud.journal(since)),
            deleted: cloud.deleted(since),
            made: made(cloud, since),
            gone: gone(cloud, since),
            inventory: cloud.inventory(),
        }
    }

    /// The points that can change something in a cloud.
    pub fn writes(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|point| point.is_write())
    }

    /// What is wrong with the fault-free run itself, if it should have deleted nothing.
    pub fn harm(&self, procedure: Procedure) -> Vec<String> {
        use Procedure::{
            Create, CreateFirst, CreateOff, Delete, Import, Off, Replace, Rotation, Rotations,
            Scale, Taint, Upgrade,
        };
        match procedure {
            Create | CreateOff | Scale | Off | Upgrade | CreateFirst | Import => self
                .deleted
                .iter()
                .map(|path| format!("deleted without need and without a fault: {path}"))
                .collect(),
            Delete | Replace | Rotation | Rotations | Taint => Vec::new(),
        }
    }

    /// What is wrong after a run was cut and ended since entry `since`, which may have begun a
    /// replacement so many times more; nothing, if all is well.
    pub fn objections(&self, cloud: &Cloud, since: u64, again: u32) -> Vec<String> {
        let there = cloud.inventory();
        let missing = |a: &[String], b: &[String], what: &str| {
            a.iter()
                .filter(|id| !b.contains(id))
                .map(|id| format!("{what}: {id}"))
                .collect::<Vec<_>>()
        };
        let mut found = missing(&there, &self.inventory, "an orphan or a duplicate");
        found.extend(missing(&self.inventory, &there, "missing"));
        found.extend(missing(
            &cloud.deleted(since),
            &self.deleted,
            "deleted without need",
        ));
        // What is replaced is there again, and what is deleted twice is not to be seen by its name.
        found.extend(more_often(&made(cloud, since), &self.made, 0, "made"));
        found.extend(more_often(
            &gone(cloud, since),
            &self.gone,
            again,
            "deleted",
        ));
        found
    }
}

/// What happened `now` more often than it is `usual`, and `again` times more of what is usual.
fn more_often(
    now: &BTreeMap<String, u32>,
    usual: &BTreeMap<String, u32>,
    again: u32,
    what: &str,
) -> Vec<String> {
    let usual = |id: &String| usual.get(id).map_or(0, |count| count + again);
    now.iter()
        .filter(|(id, count)| **count > usual(id))
        .map(|(id, count)| format!("{what} {count} times instead of {}: {id}", usual(id)))
        .collect()
}

/// The clusters and pools that the cloud began to make after entry `since` and did not fail to: how
/// often each.
fn made(cloud: &Cloud, since: u64) -> BTreeMap<String, u32> {
    let entries = cloud.journal(since);
    let begun: BTreeSet<&str> = entries
        .iter()
        .filter(|entry| is_write(entry))
        .filter_map(|entry| entry["operation"].as_str())
        .collect();
    let shown = cloud.ask(Method::GET, "operations", None);
    let mut made = BTreeMap::new();
    for operation in shown["operations"].as_array().into_iter().flatten() {
        let word = |key: &str| operation[key].as_str().unwrap_or_default();
        let makes = word("kind") == "Creating" || word("kind").starts_with("CREATE_");
        let has_failed = ["failed", "canceled"].contains(&word("status"));
        if makes && !has_failed && begun.contains(word("id")) {
            *made.entry(word("target").to_owned()).or_default() += 1;
        }
    }
    made
}

/// What went at once, without an operation, after entry `since`: how often each. A cloud answers
/// otherwise where there is nothing to delete.
fn gone(cloud: &Cloud, since: u64) -> BTreeMap<String, u32> {
    gone_of(&cloud.journal(since))
}

fn gone_of(entries: &[Value]) -> BTreeMap<String, u32> {
    let mut gone = BTreeMap::new();
    for entry in entries.iter().filter(|entry| is_write(entry)) {
        let is_deletion = entry["method"] == "DELETE" && entry["status"] == 200;
        if is_deletion && entry["operation"].is_null() {
            let path = entry["path"].as_str().unwrap_or_default().to_lowercase();
            *gone.entry(path).or_default() += 1;
        }
    }
    gone
}

/// Writes after entry `since` that the cloud refused. A run looks before it writes, and waits for
/// what others have begun. What is throttled is no mistake of it, and depends on how fast the
/// clocks run.
pub(crate) fn refused(cloud: &Cloud, since: u64) -> Vec<Refused> {
    refused_of(&cloud.journal(since))
}

fn refused_of(entries: &[Value]) -> Vec<Refused> {
    entries
        .iter()
        .filter(|entry| is_write(entry))
        .filter(|entry| entry["status"].as_u64() >= Some(400) && entry["status"] != 429)
        .map(|entry| {
            let word = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let (method, path, status) = (word("method"), word("path"), &entry["status"]);
            let why = word("refusal");
            Refused {
                for_busy: BUSY.iter().any(|words| why.contains(words)),
                text: format!("refused with {status}: {method} {path}: {why}"),
            }
        })
        .collect()
}

/// Who has which role on Google's project, if that is one of `clouds`: no inventory lists it.
pub(crate) fn granted(cloud: &Cloud, clouds: &[Api]) -> Vec<String> {
    if !clouds.contains(&Api::Google) {
        return Vec::new();
    }
    let options = json!({ "options": { "requestedPolicyVersion": 3 } });
    let policy = cloud.google().ask(POLICY, &options);
    let bindings = policy["bindings"].as_array().into_iter().flatten();
    let mut granted: Vec<String> = bindings.map(ToString::to_string).collect();
    granted.sort();
    granted
}

/// Does `work` while the operation goes on that [`Point::prolong`] prolonged; it ends when the cloud
/// was sent so many requests, or with `work`.
pub fn while_it_runs<T>(cloud: &Cloud, requests: usize, work: impl FnOnce() -> T) -> T {
    let shown = cloud.ask(Method::GET, "operations", None);
    let all = shown["operations"].as_array().into_iter().flatten();
    let running: Vec<&str> = all
        .filter(|operation| operation["status"] == "running")
        .filter_map(|operation| operation["id"].as_str())
        .collect();
    let since = cloud.last_request();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let limit = Instant::now() + LONG;
            while !is_over.load(Ordering::SeqCst)
                && cloud.journal(since).len() < requests
                && Instant::now() < limit
            {
                thread::sleep(Duration::from_millis(20));
            }
            for id in running {
                // One that ended by itself is not found.
                let _ = cloud.try_ask(Method::POST, &format!("operations/{id}/release"), None);
            }
        });
        let outcome = work();
        is_over.store(true, Ordering::SeqCst);
        outcome
    })
}

/// Whether a run has locked its state after entry `since`, and not unlocked it. Terraform 1.15 reads
/// the state once before it locks it.
pub fn holds_lock(cloud: &Cloud, since: u64) -> bool {
    let entries = cloud.journal(since);
    let has = |method: &str| entries.iter().any(|entry| entry["method"] == method);
    has("LOCK") && !has("UNLOCK")
}

/// What a destroy left on `clouds`, which should be nothing, and what it took of the roles that
/// others had `before`.
pub(crate) fn left(cloud: &Cloud, clouds: &[Api], before: &[String]) -> Vec<String> {
    let left = cloud.inventory().into_iter();
    let mut left: Vec<String> = left.map(|id| format!("left by destroy: {id}")).collect();
    let now = granted(cloud, clouds);
    let others = |all: &[String], known: &[String], what: &str| {
        all.iter()
            .filter(|binding| !known.contains(binding))
            .map(|binding| format!("{what} by destroy in the policy: {binding}"))
            .collect::<Vec<_>>()
    };
    left.extend(others(&now, before, "left"));
    left.extend(others(before, &now, "taken"));
    left
}

/// Waits until request `number` went through to its end.
pub fn wait_until_over(cloud: &Cloud, number: u64) {
    let limit = Instant::now() + Duration::from_secs(EFFECT_SECONDS_MAX);
    let is_over = || {
        cloud
            .journal(number - 1)
            .first()
            .is_some_and(|entry| entry["duration_ms"] != Value::Null)
    };
    while !is_over() {
        assert!(Instant::now() < limit, "request {number} does not end");
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(method: &str, path: &str, status: u16) -> Value {
        json!({ "api": "azure", "method": method, "path": path, "status": status })
    }

    #[test]
    fn what_is_deleted_more_often_than_usual_is_told() {
        let once = gone_of(&[entry("DELETE", "/a", 200)]);
        let twice = gone_of(&[entry("DELETE", "/A", 200), entry("DELETE", "/a", 200)]);
        assert_eq!(more_often(&once, &once, 0, "deleted"), Vec::<String>::new());
        let told = more_often(&twice, &once, 0, "deleted");
        assert_eq!(told, ["deleted 2 times instead of 1: /a"]);
        assert_eq!(
            more_often(&twice, &once, 1, "deleted"),
            Vec::<String>::new()
        );
        // A replacement that is begun anew excuses nothing that is not part of it.
        let told = more_often(&once, &BTreeMap::new(), 1, "deleted");
        assert_eq!(told, ["deleted 1 times instead of 0: /a"]);
    }

    #[test]
    fn what_an_operation_deletes_and_what_was_not_there_is_not_counted_by_requests() {
        let mut begun = entry("DELETE", "/a", 200);
        begun["operation"] = "1".into();
        let gone = gone_of(&[begun, entry("DELETE", "/b", 204), entry("GET", "/c", 200)]);
        assert_eq!(gone, BTreeMap::new());
    }

    #[test]
    fn a_refused_write_is_told_unless_it_was_throttled() {
        let mut busy = entry("PUT", "/a", 409);
        busy["refusal"] = "Another operation is in progress, please wait for it".into();
        let mut stale = entry("PUT", "/a", 412);
        stale["refusal"] = "The etag does not match".into();
        let all = [
            busy,
            stale,
            entry("PUT", "/a", 429),
            entry("GET", "/a", 404),
        ];
        let refused = refused_of(&all);
        let busy: Vec<bool> = refused.iter().map(|it| it.for_busy).collect();
        assert_eq!(busy, [true, false], "{refused:?}");
    }
}
