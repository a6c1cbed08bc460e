//! The process: it waits until it leads, looks after its objects, and ends when it leads no more.

use std::{
    error::Error,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt as _;
use kube::{
    Api, Client, Config,
    client::ClientBuilder,
    runtime::{
        Controller, controller,
        events::{Recorder, Reporter},
        watcher,
    },
};
use paymesh_operations::Health;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower::util::MapRequestLayer;

use crate::{
    context::Context,
    crd::Database,
    failure::chain,
    leader::Candidate,
    reconcile::{after_failure, reconcile},
    runs::Runs,
    settings::Operator,
    writes,
};

/// So many objects are worked on at once.
const AT_ONCE: u16 = 4;

/// Runs until it is asked to end, or leads no more.
pub async fn run(
    settings: Operator,
    health: Health,
    stop: CancellationToken,
) -> Result<(), Box<dyn Error>> {
    let client = client().await?;
    let who = format!("{}-{:08x}", host(), rand::random::<u32>());
    let candidate = Candidate::new(
        client.clone(),
        &settings.namespace,
        settings.lease_name.clone(),
        who.clone(),
        settings.lease_time,
    );
    // One that waits for its turn is as ready as the one that leads.
    health.set_ready(true);
    let deadline = tokio::select! {
        deadline = candidate.lead() => deadline,
        () = stop.cancelled() => return Ok(()),
    };
    tracing::info!(who, "leads");
    let databases: Api<Database> = Api::namespaced(client.clone(), &settings.namespace);
    let reporter = Reporter {
        controller: "paymesh-db-operator".to_owned(),
        instance: Some(who),
    };
    let runs = Runs::default();
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        namespace: settings.namespace,
        extensions: settings.extensions,
        resync: settings.resync,
        retry: settings.retry,
        statement_max: settings.statement_max,
        run_max: settings.run_max,
        rotation_min: settings.rotation_min,
        runs: runs.clone(),
        tries: Mutex::default(),
    });
    let looks_after = Controller::new(databases, watcher::Config::default())
        .with_config(controller::Config::default().concurrency(AT_ONCE))
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(reconcile, after_failure, context)
        .for_each(|result| async move {
            match result {
                // A run's own failure was told of where it was met.
                Ok(_) | Err(controller::Error::ReconcilerFailed(..)) => {}
                Err(failure) => tracing::warn!(reason = chain(&failure), "the watch failed"),
            }
        });
    tokio::select! {
        () = looks_after => {}
        () = watch(&runs, settings.run_max, &health) => {}
        () = candidate.keep(deadline) => return Err("it leads no more".into()),
    }
    let released = timeout(settings.lease_time, candidate.release()).await?;
    released.map_err(|failure| chain(&failure))?;
    Ok(())
}

/// Says that the process does not live as soon as a run goes on for much longer than it may.
async fn watch(runs: &Runs, run_max: Duration, health: &Health) {
    loop {
        tokio::time::sleep(run_max / 10).await;
        health.set_alive(!runs.has_one_longer_than(run_max * 11 / 10));
    }
}

/// The API server, as the machine's kubeconfig or the pod's account says; every write is counted.
async fn client() -> Result<Client, Box<dyn Error>> {
    let config = Config::infer().await?;
    let builder = ClientBuilder::try_from(config)?;
    let counted = MapRequestLayer::new(writes::note_request);
    Ok(builder.with_layer(&counted).build())
}

fn host() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| "paymesh-db-operator".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_that_does_not_end_makes_the_process_say_that_it_does_not_live() {
        let (runs, health) = (Runs::default(), Health::default());
        let _run = runs.begin();
        assert!(health.is_alive());
        let seen = async {
            while health.is_alive() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let told = async {
            tokio::select! {
                () = watch(&runs, Duration::from_millis(50), &health) => {}
                () = seen => {}
            }
        };
        let told = timeout(Duration::from_mins(1), told).await;
        assert!(told.is_ok(), "nobody was told");
    }
}
