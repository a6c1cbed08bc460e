//! The process: it waits until it leads, looks after its objects, and ends when it leads no more.

use std::{error::Error, sync::Arc};

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
use tokio_util::sync::CancellationToken;
use tower::util::MapRequestLayer;

use crate::{
    crd::Database,
    failure::chain,
    leader::Candidate,
    reconcile::{Context, after_failure, reconcile},
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
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        namespace: settings.namespace,
        extensions: settings.extensions,
        resync: settings.resync,
        retry: settings.retry,
        failures: std::sync::Mutex::default(),
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
        () = candidate.keep(deadline) => return Err("it leads no more".into()),
    }
    candidate
        .release()
        .await
        .map_err(|failure| chain(&failure))?;
    Ok(())
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
