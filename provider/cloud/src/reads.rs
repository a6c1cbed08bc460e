//! Reads shared between all resources of one run.
//!
//! Equal reads ask the cloud once, as long as this process only reads: a plan of many resources
//! looks at each object once. The first write ends the sharing until the next run begins, since
//! from then on a reader wants to see what has become of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OnceCell;

use crate::{Error, Reply, Request};

type Answer = Arc<OnceCell<Result<Reply, Error>>>;

#[derive(Default)]
pub(crate) struct Reads {
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    ended: bool,
    answers: HashMap<String, Entry>,
}

struct Entry {
    path: String,
    answer: Answer,
}

impl Reads {
    /// The place for the answer to `request`: whoever finds it empty asks the cloud. `None` when
    /// sharing has ended.
    pub(crate) fn place(&self, request: &Request) -> Option<Answer> {
        let mut held = self.held();
        if held.ended {
            return None;
        }
        let entry = held.answers.entry(key(request)).or_insert_with(|| Entry {
            path: normal(request.path()),
            answer: Answer::default(),
        });
        Some(entry.answer.clone())
    }

    /// Forgets the answer to `request`, for a fresh read or after a failure.
    pub(crate) fn forget(&self, request: &Request) {
        self.held().answers.remove(&key(request));
    }

    /// Forgets what lies above or below `path`.
    pub(crate) fn forget_around(&self, path: &str) {
        let path = normal(path);
        let answers = &mut self.held().answers;
        answers.retain(|_, entry| !within(&entry.path, &path) && !within(&path, &entry.path));
    }

    /// Ends the sharing: something is written.
    pub(crate) fn end(&self) {
        *self.held() = Held {
            ended: true,
            ..Held::default()
        };
    }

    /// Forgets everything and shares again: a new run begins.
    pub(crate) fn begin(&self) {
        *self.held() = Held::default();
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(request: &Request) -> String {
    let (query, body) = (&request.query, &request.body);
    let address = normal(&request.address);
    format!("{} {address} {query:?} {body:?}", request.api)
}

/// Azure ids are case-insensitive; on Google no two names differ in case only.
fn normal(path: &str) -> String {
    path.trim_end_matches('/').to_ascii_lowercase()
}

fn within(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_forgotten(path: &str, read: &str, expected: bool) {
        let reads = Reads::default();
        let read = Request::get(read).shared();
        let before = reads.place(&read).unwrap();
        reads.forget_around(path);
        let after = reads.place(&read).unwrap();
        assert_eq!(!Arc::ptr_eq(&before, &after), expected, "{path} {read:?}");
    }

    #[test]
    fn reads_above_and_below_a_path_are_forgotten_and_no_others() {
        let path = "/g/RG/clusters/a/agentPools/p";
        check_forgotten(path, "/g/rg/clusters/a", true);
        check_forgotten(path, "/g/rg/clusters/a/agentPools", true);
        check_forgotten(path, "/g/rg/clusters/ab", false);
        check_forgotten(path, "/g/rg/clusters/a/agentPools/q", false);
        check_forgotten("/g/rg", "/g/rg/clusters/a", true);
    }

    #[test]
    fn reads_of_one_address_that_ask_for_other_things_are_not_one() {
        let reads = Reads::default();
        let read = |version: u8| Request::post("/v1/p:read", serde_json::json!(version)).shared();
        let first = reads.place(&read(1)).unwrap();
        assert!(Arc::ptr_eq(&first, &reads.place(&read(1)).unwrap()));
        assert!(!Arc::ptr_eq(&first, &reads.place(&read(3)).unwrap()));
        let elsewhere = read(1).api("other");
        assert!(!Arc::ptr_eq(&first, &reads.place(&elsewhere).unwrap()));
    }

    #[test]
    fn a_write_ends_the_sharing_until_the_next_run() {
        let (reads, read) = (Reads::default(), Request::get("/a").shared());
        reads.end();
        assert!(reads.place(&read).is_none());
        reads.begin();
        assert!(reads.place(&read).is_some());
    }
}
