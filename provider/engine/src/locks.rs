//! Process-wide lock keys.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::LockKey;

/// One lock per key, shared by all resources of the process.
#[derive(Debug, Default)]
pub(crate) struct Locks(Mutex<HashMap<LockKey, Arc<AsyncMutex<()>>>>);

/// Keys that are held. Dropping it frees them.
#[derive(Debug)]
pub(crate) struct Held(Vec<OwnedMutexGuard<()>>);

impl Held {
    /// Frees the keys before their holder is done.
    pub(crate) fn free(&mut self) {
        self.0.clear();
    }
}

impl Locks {
    /// Waits until all `keys` are free and takes them, always in the same order, so that two
    /// takers cannot wait for each other.
    pub(crate) async fn hold(&self, keys: Vec<LockKey>) -> Held {
        let mut guards = Vec::new();
        for key in keys.into_iter().collect::<BTreeSet<_>>() {
            let lock = self
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .entry(key)
                .or_default()
                .clone();
            guards.push(lock.lock_owned().await);
        }
        Held(guards)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_key_keeps_all_others_out_until_it_is_freed_or_dropped() {
        let locks = Locks::default();
        let key = || LockKey::new("cluster");
        let take = || locks.hold(vec![key()]).now_or_never();
        // Named twice it is taken once.
        let mut held = locks.hold(vec![key(), key()]).await;
        assert!(take().is_none());
        held.free();
        let again = take();
        assert!(again.is_some());
        assert!(take().is_none());
        drop(again);
        assert!(take().is_some());
    }
}
