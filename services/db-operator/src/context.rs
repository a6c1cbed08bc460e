//! What every run needs, and what is remembered between two runs for an object.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder},
};
use serde_json::json;

use crate::{
    crd::Database,
    failure::{Failure, chain},
    runs::Runs,
};

/// What every run needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Where the objects are.
    pub namespace: String,
    /// Extensions that may be asked for.
    pub extensions: Vec<String>,
    /// How long until what is as it should be is looked at again.
    pub resync: Duration,
    /// How long until the first new try after a failure; each next one waits twice as long.
    pub retry: Duration,
    /// How long a server may work on a statement.
    pub statement_max: Duration,
    /// How long a run may take.
    pub run_max: Duration,
    /// The shortest time between two rotations.
    pub rotation_min: Duration,
    /// Who tells of what was done.
    pub recorder: Recorder,
    /// The runs that go on.
    pub runs: Runs,
    /// What happened in a row to an object.
    pub tries: Mutex<HashMap<String, Tries>>,
}

/// What happened in a row to an object.
#[derive(Default)]
pub struct Tries {
    failures: u32,
    /// How often another operator worked on it.
    busy: u32,
}

impl Context {
    pub(crate) fn databases(&self) -> Api<Database> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn secrets(&self) -> Api<KubeSecret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn with_tries<T>(&self, name: &str, act: impl FnOnce(&mut Tries) -> T) -> T {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        act(tries.entry(name.to_owned()).or_default())
    }

    pub(crate) fn wait_after_failure(&self, name: &str) -> Duration {
        self.with_tries(name, |tries| {
            let wait = self.retry.saturating_mul(1 << tries.failures.min(16));
            tries.failures += 1;
            wait.min(self.resync)
        })
    }

    /// How often in a row the lock of an object was not given, this time too.
    pub(crate) fn count_busy(&self, name: &str) -> u32 {
        self.with_tries(name, |tries| {
            tries.busy += 1;
            tries.busy
        })
    }

    pub(crate) fn forget_busy(&self, name: &str) {
        self.with_tries(name, |tries| tries.busy = 0);
    }

    pub(crate) fn forget_failures(&self, name: &str) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        tries.remove(name);
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Option<Database>, Failure> {
        let found = self.databases().get_opt(name).await;
        found.map_err(Failure::kubernetes("the Database could not be read"))
    }

    /// Changes the finalizers of an object as it was read.
    pub(crate) async fn set_finalizers(
        &self,
        database: &Database,
        finalizers: &[String],
    ) -> Result<Database, Failure> {
        let patch = json!({ "metadata": {
            "finalizers": finalizers,
            "resourceVersion": database.metadata.resource_version,
        }});
        let (name, parameters) = (database.name_any(), PatchParams::default());
        self.databases()
            .patch(&name, &parameters, &Patch::Merge(patch))
            .await
            .map_err(Failure::kubernetes("the finalizer could not be written"))
    }

    pub(crate) async fn tell(
        &self,
        database: &Database,
        type_: EventType,
        reason: &str,
        note: &str,
    ) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            // The API takes a kilobyte.
            note: Some(note.chars().take(1_000).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let object = database.object_ref(&());
        if let Err(reason) = self.recorder.publish(&event, &object).await {
            // The status says the same.
            tracing::warn!(reason = chain(&reason), "an event was not taken");
        }
    }
}
