//! A cluster on GKE: which objects it consists of, and what it looks like when seen.

mod access;
mod body;
mod near;
pub(super) mod neighbours;
pub(super) mod preflight;
mod want;

use std::sync::Arc;

pub(super) use near::described;
pub use neighbours::Neighbour;
use paymesh_cloud::Token;
use paymesh_engine::{Graph, Observation, Observations};
use paymesh_google::{
    ClusterName, ClusterSeen, Google, Location, NodePoolName, cluster::Cluster, pool::NodePool,
};
use paymesh_plugin::{findings::Findings, path::Path};
use serde_json::Value;
pub(super) use want::WINDOW_HOURS;

use super::{
    Prior, choice, intent,
    lookup::{chosen, no_token, standing},
    naming, near as nearness,
    spec::{ClusterSpec, GoogleCluster},
    status::ClusterStatus,
};
use crate::{
    codes::{self, refuse},
    session::Session,
};

/// Where the configuration wants the cluster.
pub(super) fn cluster_name(session: &Session, spec: &ClusterSpec) -> Result<ClusterName, String> {
    let google = spec
        .google
        .as_ref()
        .ok_or("the cluster is not on Google Cloud")?;
    let place = Location {
        project: project_of(session, google)?,
        location: spec.region.clone(),
    };
    Ok(ClusterName {
        place,
        cluster: spec.name.clone(),
    })
}

/// The project of a cluster.
pub(super) fn project_of(session: &Session, google: &GoogleCluster) -> Result<String, String> {
    google
        .project
        .clone()
        .or_else(|| session.project())
        .ok_or_else(|| {
            "no project is known: set project in the provider's google block or in the cluster's"
                .to_owned()
        })
}

/// Where the cluster in state is, else where the configuration wants it.
fn name_now(
    session: &Session,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
) -> Result<ClusterName, String> {
    let known = prior.and_then(|prior| ClusterName::parse(prior.status.id.as_deref()?).ok());
    known.map_or_else(
        || cluster_name(session, spec),
        |known| {
            Ok(ClusterName {
                cluster: spec.name.clone(),
                ..known
            })
        },
    )
}

/// The objects of the cluster. The engine compares them with those of the prior Spec: what is
/// wanted no more goes.
pub(super) fn graph(
    session: &Session,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) -> Option<Graph> {
    let google = connect(session, found)?;
    let name = match name_now(session, spec, prior) {
        Ok(name) => name,
        Err(why) => {
            no_project(why, found);
            return None;
        }
    };
    let choices = choice::choose(spec, prior);
    let mut graph = Graph::new();
    let (account, needs) = access::add(session, spec, prior, &name, &google, &mut graph);
    let pools: Vec<_> = spec
        .node_pools
        .keys()
        .map(|key| {
            want::pool(
                spec,
                key,
                &choices[key],
                prior,
                name.pool(&choices[key].cloud_name),
                account.clone(),
            )
        })
        .collect();
    let mut want = want::cluster(spec, prior, name.clone(), pools.clone());
    want.needs = needs;
    graph.principal(Cluster::new(google.clone(), want));
    // GKE cordons and drains the nodes of a pool that it deletes, within disruption budgets, so
    // that no step of ours stands between a new pool and the end of the one before.
    for pool in pools {
        graph.present(NodePool::new(google.clone(), pool));
    }
    Some(graph)
}

fn no_project(why: String, found: &mut Findings) {
    let path = Path::root().attribute("google").attribute("project");
    refuse(found, path, &codes::NO_PROJECT_IS_KNOWN, why);
}

fn connect(session: &Session, found: &mut Findings) -> Option<Arc<Google>> {
    session
        .google()
        .map_err(|why| refuse(found, Path::root(), &codes::GOOGLE_CANNOT_BE_REACHED, why))
        .ok()
}

/// What GKE reports.
pub(super) fn status(
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    seen: &Observations,
    graph: &Graph,
) -> ClusterStatus {
    let cluster = graph
        .principal_id()
        .and_then(|id| Some((id, seen.seen(id)?)));
    let mut status = cluster
        .map(|(id, seen)| body::status(&id.name, ClusterSeen::new(&seen.body)))
        .unwrap_or_default();
    status.pools = intent::pools(&choice::choose(spec, prior));
    if let Some((id, body)) = cluster {
        let pools = ClusterSeen::new(&body.body).pools();
        let ours = pools.filter(|pool| pool.is_marked());
        let ours = ours.filter_map(|pool| Some((pool.name()?, pool.machine_type()?)));
        let name = ClusterName::parse(&id.name).ok();
        let is_gone = |pool: &str| {
            let pool = name.clone().map(|cluster| NodePoolName {
                cluster,
                pool: pool.to_owned(),
            });
            let pool = pool.map(|pool| NodePool::id_of(&pool));
            pool.and_then(|id| seen.observation(&id)) == Some(&Observation::Absent)
        };
        nearness::successors(naming::GKE, &ours.collect(), is_gone, &mut status.pools);
    }
    status
}

/// The configuration that describes the existing cluster `name`.
pub(super) async fn find(
    session: &Session,
    name: &ClusterName,
    found: &mut Findings,
) -> Option<ClusterSpec> {
    let body = body_of(session, name, found).await?;
    let own = access::own_account(session, None, name).email();
    let mut spec = body::described(name, ClusterSeen::new(&body), &own);
    let google = connect(session, found)?;
    spec.admins = access::administrators(&google, name).await;
    // What the provider block says needs no saying.
    if let Some(google) = &mut spec.google
        && google.project == session.project()
    {
        google.project = None;
    }
    Some(spec)
}

/// What the existing cluster `name` reports.
pub(super) async fn report(
    session: &Session,
    name: &ClusterName,
    found: &mut Findings,
) -> Option<ClusterStatus> {
    let body = body_of(session, name, found).await?;
    let own = access::own_account(session, None, name).email();
    let cluster = ClusterSeen::new(&body);
    let mut status = body::status(&name.to_string(), cluster);
    status.status = Some(standing(cluster.is_sound()));
    status.pools = chosen(&body::described(name, ClusterSeen::new(&body), &own));
    Some(status)
}

/// A token for the API server of any cluster.
pub(super) async fn token(session: &Session, found: &mut Findings) -> Option<Token> {
    let google = connect(session, found)?;
    google
        .access_token()
        .await
        .map_err(|error| no_token(&error.to_string(), found))
        .ok()
}

async fn body_of(session: &Session, name: &ClusterName, found: &mut Findings) -> Option<Value> {
    let google = connect(session, found)?;
    let detail = match google.cluster(name).await {
        Ok(Some(body)) => return Some(body),
        Ok(None) => format!("{name} does not exist, or this identity may not see it"),
        Err(error) => error.to_string(),
    };
    refuse(found, Path::root(), &codes::GKE_CLUSTER_NOT_FOUND, detail);
    None
}
