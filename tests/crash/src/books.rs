//! The simulator's books: the only judge. What the provider believes is asked nowhere.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use paymesh_acceptance::{Cloud, is_write};
use reqwest::Method;
use serde_json::Value;

use crate::{Point, Procedure};

/// The most applies after a kill.
pub(crate) const APPLIES_MAX: u32 = 2;

/// What an entry is told that another has overtaken.
pub(crate) const STALE: &str = "terraform state rm";

/// The code of a refusal to destroy what is protected, which says how the protection ends.
pub(crate) const PROTECTED: &str = "PM122";

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
    /// What existed after it.
    pub inventory: Vec<String>,
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

    /// What is wrong after a run was cut and ended since entry `since`; nothing, if all is well.
    pub fn objections(&self, cloud: &Cloud, since: u64) -> Vec<String> {
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
        found
    }
}

/// Writes after entry `since` that the cloud refused. A run looks before it writes, and waits for
/// what others have begun.
pub fn refused(cloud: &Cloud, since: u64) -> Vec<String> {
    let entries = cloud.journal(since).into_iter().filter(is_write);
    entries
        .filter(|entry| entry["status"].as_u64() >= Some(400))
        .map(|entry| {
            let word = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            let (method, path, status) = (word("method"), word("path"), &entry["status"]);
            format!("refused with {status}: {method} {path}")
        })
        .collect()
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

/// Whether a run has unlocked its state after entry `since`.
pub fn has_unlocked(cloud: &Cloud, since: u64) -> bool {
    let entries = cloud.journal(since);
    entries.iter().any(|entry| entry["method"] == "UNLOCK")
}

/// What a destroy left, which should be nothing.
pub fn left(cloud: &Cloud) -> Vec<String> {
    let left = cloud.inventory().into_iter();
    left.map(|id| format!("left by destroy: {id}")).collect()
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
