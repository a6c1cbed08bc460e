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
pub(crate) struct Held(Vec<(LockKey, OwnedMutexGuard<()>)>);

impl Held {
    /// The cloud has answered: frees the keys that were held for that alone.
    pub(crate) fn answered(&mut self) {
        self.0.retain(|(key, _)| !key.is_for_request);
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
                .entry(key.clone())
                .or_default()
                .clone();
            guards.push((key, lock.lock_owned().await));
        }
        Held(guards)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_key_for_the_request_keeps_others_out_until_the_answer_and_another_until_it_is_dropped()
     {
        let locks = Locks::default();
        for (key, is_free) in [
            (LockKey::for_request("policy"), true),
            (LockKey::new("cluster"), false),
        ] {
            let take = || locks.hold(vec![key.clone()]).now_or_never();
            let mut held = locks.hold(vec![key.clone()]).await;
            assert!(take().is_none(), "{key:?}");
            held.answered();
            assert_eq!(take().is_some(), is_free, "{key:?}");
            drop(held);
            assert!(take().is_some(), "{key:?}");
        }
    }
}
