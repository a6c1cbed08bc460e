//! Reads shared between all resources of one run.
//!
//! Equal reads ask the cloud once. A write drops every read whose path lies above or below its
//! own: a parent shows its children, and a deleted parent takes them along.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use http::Method;
use tokio::sync::OnceCell;

use crate::{Error, Reply, Request};

type Answer = Arc<OnceCell<Result<Reply, Error>>>;

#[derive(Default)]
pub(crate) struct Reads {
    held: Mutex<HashMap<String, Entry>>,
}

struct Entry {
    path: String,
    answer: Answer,
}

impl Reads {
    /// The place for the answer to `request`: whoever finds it empty asks the cloud.
    pub(crate) fn place(&self, request: &Request) -> Answer {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = held.entry(key(request)).or_insert_with(|| Entry {
            path: normal(request.path()),
            answer: Answer::default(),
        });
        entry.answer.clone()
    }

    /// Forgets the answer to `request`, for a fresh read or after a failure.
    pub(crate) fn forget(&self, request: &Request) {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&key(request));
    }

    /// Forgets what a write to `request`'s path may have changed.
    pub(crate) fn written(&self, request: &Request) {
        let mut path = normal(request.path());
        if request.method == Method::POST {
            // `…/clusters/a/start`, `…/clusters/a:setMaster`, `…/clusters`: the last part is an
            // action or a collection.
            path.truncate(path.trim_end_matches('/').rfind([':', '/']).unwrap_or(0));
        }
        self.written_below(&path);
    }

    /// Forgets what lies above or below `path`.
    pub(crate) fn written_below(&self, path: &str) {
        let path = normal(path);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, entry| !within(&entry.path, &path) && !within(&path, &entry.path));
    }

    /// Forgets everything: a new run begins.
    pub(crate) fn clear(&self) {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

fn key(request: &Request) -> String {
    format!("{} {:?}", normal(&request.address), request.query)
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
    use serde_json::Value;

    use super::*;

    fn check_dropped(write: &Request, read: &str, expected: bool) {
        let reads = Reads::default();
        let read = Request::get(read).shared();
        let before = reads.place(&read);
        reads.written(write);
        assert_eq!(
            !Arc::ptr_eq(&before, &reads.place(&read)),
            expected,
            "{write:?} {read:?}"
        );
    }

    #[test]
    fn a_write_drops_reads_above_and_below_it_and_no_others() {
        let put = Request::put("/g/RG/clusters/a/agentPools/p", Value::Null);
        check_dropped(&put, "/g/rg/clusters/a", true);
        check_dropped(&put, "/g/rg/clusters/a/agentPools", true);
        check_dropped(&put, "/g/rg/clusters/ab", false);
        check_dropped(&put, "/g/rg/clusters/a/agentPools/q", false);
        check_dropped(&Request::delete("/g/rg"), "/g/rg/clusters/a", true);
        let start = Request::post("/g/rg/clusters/a/start", Value::Null);
        check_dropped(&start, "/g/rg/clusters/a/agentPools", true);
        check_dropped(&start, "/g/rg/clusters/b", false);
        let size = Request::post("/v1/clusters/a/nodePools/p:setSize", Value::Null);
        check_dropped(&size, "/v1/clusters/a", true);
        let create = Request::post("/v1/clusters", Value::Null);
        check_dropped(&create, "/v1/clusters/a", true);
    }
}
