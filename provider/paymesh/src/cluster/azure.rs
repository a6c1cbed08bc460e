//! A cluster on AKS: which objects it consists of, and what it looks like when seen.

mod body;
#[cfg(test)]
mod controls;
mod grants;
mod near;
pub(super) mod preflight;
mod want;

pub(super) use near::described;
use paymesh_azure::{
    ArmId, Azure, Cluster, ClusterSeen, Diagnostics, Group, GroupWant, Identity, Maintenance, Pool,
    group_object_id, identity_object_id, pool_object_id, well_known_roles,
};
use paymesh_cloud::Token;
use paymesh_engine::{Graph, Observation, Observations};
use paymesh_plugin::{findings::Findings, path::Path};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Prior, choice, intent,
    lookup::{chosen, no_token, standing},
    naming, near as nearness,
    spec::{AzureCluster, ClusterSpec},
    status::ClusterStatus,
};
use crate::{
    codes::{self, refuse, warn_about},
    session::Session,
};

/// Where the configuration wants the cluster.
pub(super) fn cluster_id(session: &Session, spec: &ClusterSpec) -> Result<ArmId, String> {
    Ok(group_id(session, spec)?.cluster(&spec.name))
}

/// The group of the cluster in state, else the one that the configuration means: an address is
/// state, so a new subscription or owner in the provider block never loses sight of a cluster.
fn group_now(
    session: &Session,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
) -> Result<ArmId, String> {
    let known = prior.and_then(|prior| ArmId::parse(prior.status.id.as_deref()?).ok()?.group_id());
    known.map_or_else(|| group_id(session, spec), Ok)
}

fn group_id(session: &Session, spec: &ClusterSpec) -> Result<ArmId, String> {
    let azure = spec.azure.as_ref().ok_or("the cluster is not on Azure")?;
    group_at(session, azure, &spec.region)
}

fn group_at(session: &Session, azure: &AzureCluster, region: &str) -> Result<ArmId, String> {
    let subscription = azure
        .subscription_id
        .clone()
        .or_else(|| session.subscription())
        .ok_or(
            "no subscription is known: set subscription_id in the provider's azure block or in the \
         cluster's",
        )?;
    let name = azure
        .resource_group
        .clone()
        .unwrap_or_else(|| own_group(session.owner(), region));
    Ok(ArmId::group(&subscription, &name))
}

/// The id of the cluster `name` in `region`.
pub(super) fn id_at(
    session: &Session,
    azure: &AzureCluster,
    region: &str,
    name: &str,
) -> Result<ArmId, String> {
    Ok(group_at(session, azure, region)?.cluster(name))
}

/// The name of the group that the provider makes for `owner` in `region`.
fn own_group(owner: &str, region: &str) -> String {
    let plain: String = owner
        .chars()
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    let digest = Sha256::digest(owner.as_bytes());
    format!(
        "paymesh-{plain}-{:02x}{:02x}-{region}",
        digest[0], digest[1]
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
    let azure = connect(session, found)?;
    let group = match group_now(session, spec, prior) {
        Ok(group) => group,
        Err(why) => {
            no_subscription(why, found);
            return None;
        }
    };
    let named = spec
        .azure
        .as_ref()
        .is_some_and(|azure| azure.resource_group.is_some());
    let mut graph = Graph::new();
    let group_want = GroupWant {
        id: group.clone(),
        location: spec.region.clone(),
        tags: spec.labels.clone(),
    };
    if named {
        graph.given(Group::new(&azure, group_want));
    } else {
        graph.present(Group::new(&azure, group_want));
    }
    let choices = choice::choose(spec, prior);
    let mut cluster = want::cluster(spec, &group, &choices);
    let id = cluster.id.clone();
    cluster.needs = vec![group_object_id(&group)];
    if want::existing_identity(spec).is_none() {
        let own = want::own_identity(spec, &group);
        cluster.needs.push(identity_object_id(&own.id));
        graph.present(Identity::new(&azure, own));
    }
    for grant in grants::of(spec, &group, &id) {
        let role = graph.present(grant.role(&azure, session.owner()));
        if grant.before_cluster {
            cluster.needs.push(role);
        }
    }
    graph.principal(Cluster::new(&azure, cluster));
    let system = want::system_pools(spec, &choices, &id);
    for key in spec.node_pools.keys() {
        let want = want::pool(spec, key, &choices[key], system.clone());
        graph.present(Pool::new(&azure, &id, want));
    }
    // The windows in which AKS upgrades by itself, one for versions and one for node images.
    for name in want::SCHEDULES {
        if let Some(want) = want::maintenance(spec, &id, name) {
            graph.present(Maintenance::new(&azure, want));
        }
    }
    let logs = spec.logs.as_ref();
    if let Some(workspace) = logs.and_then(|logs| logs.workspace_id.as_ref()) {
        graph.present(Diagnostics::new(&azure, &id, workspace));
    }
    Some(graph)
}

fn no_subscription(why: String, found: &mut Findings) {
    let path = Path::root().attribute("azure").attribute("subscription_id");
    refuse(found, path, &codes::NO_SUBSCRIPTION_KNOWN, why);
}

fn connect(session: &Session, found: &mut Findings) -> Option<Azure> {
    session
        .azure()
        .map_err(|why| refuse(found, Path::root(), &codes::AZURE_CANNOT_BE_REACHED, why))
        .ok()
}

/// What AKS reports.
pub(super) fn status(
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    seen: &Observations,
    graph: &Graph,
) -> ClusterStatus {
    let body = graph
        .principal_id()
        .and_then(|id| seen.seen(id))
        .map(|seen| ClusterSeen::new(&seen.body));
    let mut status = body.map(body::status).unwrap_or_default();
    status.pools = intent::pools(&choice::choose(spec, prior));
    if let Some(body) = body {
        let ours = body.pools().filter(|pool| pool.is_marked());
        let ours = ours.filter_map(|pool| Some((pool.name()?, pool.vm_size()?)));
        let is_gone = |pool: &str| {
            let cluster = body.id().and_then(|id| ArmId::parse(id).ok());
            let pool = cluster.map(|cluster| pool_object_id(&cluster, pool));
            pool.and_then(|id| seen.observation(&id)) == Some(&Observation::Absent)
        };
        nearness::successors(naming::AKS, &ours.collect(), is_gone, &mut status.pools);
    }
    // The cloud answers with other letters than those the id was made of.
    if let Some(id) = prior.and_then(|prior| prior.status.id.clone())
        && status
            .id
            .as_ref()
            .is_some_and(|seen| seen.eq_ignore_ascii_case(&id))
    {
        status.id = Some(id);
    }
    status
}

/// Warns when the last way into the cluster would end: AKS clusters of Paymesh have no local
/// accounts.
pub(super) fn beware(spec: &ClusterSpec, seen: &Observations, graph: &Graph, found: &mut Findings) {
    let body = graph.principal_id().and_then(|id| seen.seen(id));
    let has_local_accounts =
        body.is_some_and(|seen| ClusterSeen::new(&seen.body).has_local_accounts());
    let is_administered = !spec.admins.is_empty()
        || (spec.deployer_admin != Some(false) && want::existing_identity(spec).is_none());
    if !has_local_accounts || is_administered {
        return;
    }
    warn_about(
        found,
        Path::root().attribute("admins"),
        &codes::NOBODY_COULD_SIGN_IN,
        &spec.name,
        "apply ends the cluster's local accounts, and with them every kubeconfig that holds a \
         certificate; admins names nobody, and the deployer is no administrator",
    );
}

/// The configuration that describes the existing cluster `id`.
pub(super) async fn find(
    session: &Session,
    id: &ArmId,
    found: &mut Findings,
) -> Option<ClusterSpec> {
    let body = body_of(session, id, found).await?;
    let mut spec = body::described(id, ClusterSeen::new(&body));
    describe_beside(&connect(session, found)?, session, id, &mut spec).await;
    // What the provider block says needs no saying.
    if let Some(azure) = &mut spec.azure
        && azure.subscription_id == session.subscription()
    {
        azure.subscription_id = None;
    }
    Some(spec)
}

/// What the existing cluster `id` reports.
pub(super) async fn report(
    session: &Session,
    id: &ArmId,
    found: &mut Findings,
) -> Option<ClusterStatus> {
    let body = body_of(session, id, found).await?;
    let cluster = ClusterSeen::new(&body);
    let mut status = body::status(cluster);
    status.status = Some(standing(cluster.is_sound()));
    status.pools = chosen(&body::described(id, ClusterSeen::new(&body)));
    complete(session, None, &mut status).await;
    Some(status)
}

/// A token for the API server of any cluster that trusts Entra.
pub(super) async fn token(session: &Session, found: &mut Findings) -> Option<Token> {
    let azure = connect(session, found)?;
    azure
        .kubernetes_token()
        .await
        .map_err(|error| no_token(&error.to_string(), found))
        .ok()
}

async fn body_of(session: &Session, id: &ArmId, found: &mut Findings) -> Option<Value> {
    let azure = connect(session, found)?;
    let detail = match azure.cluster(id).await {
        Ok(Some(body)) => return Some(body),
        Ok(None) => format!("{id} does not exist, or this identity may not see it"),
        Err(error) => error.to_string(),
    };
    refuse(found, Path::root(), &codes::AKS_CLUSTER_NOT_FOUND, detail);
    None
}

/// Adds to `spec` what is kept beside the cluster `id`: who administers it, and when it may be
/// upgraded. What cannot be read is left as it is not set.
async fn describe_beside(azure: &Azure, session: &Session, id: &ArmId, spec: &mut ClusterSpec) {
    let assigned = azure
        .assignments(id.as_str(), well_known_roles::CLUSTER_ADMIN)
        .await
        .unwrap_or_default();
    let deployer = grants::deployer(id).role(azure, session.owner()).name();
    if assigned
        .iter()
        .any(|assignment| assignment.name == deployer)
    {
        spec.deployer_admin = None;
    }
    for assignment in assigned.iter().filter(|it| it.name != deployer) {
        let admin = body::admin(assignment);
        let mut known = spec.admins.iter();
        if !known.any(|it| it.entra_object_id == admin.entra_object_id) {
            spec.admins.push(admin);
        }
    }
    if want::existing_identity(spec).is_some() {
        spec.deployer_admin = None;
    }
    let window = azure.maintenance_window(id, want::SCHEDULES[0]).await;
    if let Ok(Some(window)) = window {
        spec.maintenance = body::maintenance(&window);
    }
}

/// Reads what a cluster's body does not hold: the certificate authority of its API server.
pub(super) async fn complete(
    session: &Session,
    prior: Option<&ClusterStatus>,
    status: &mut ClusterStatus,
) {
    let same = prior.filter(|prior| prior.uid.is_some() && prior.uid == status.uid);
    if let Some(known) = same.and_then(|prior| prior.ca_certificate.clone()) {
        status.ca_certificate = Some(known);
        return;
    }
    let runs = status.running_power.as_deref() == Some("Running");
    let id = status
        .id
        .as_deref()
        .filter(|_| runs)
        .and_then(|id| ArmId::parse(id).ok());
    if let (Some(id), Ok(azure)) = (id, session.azure()) {
        match azure.endpoint(&id).await {
            Ok(endpoint) => status.ca_certificate = Some(endpoint.certificate_authority),
            Err(error) => tracing::warn!(%error, "the certificate authority cannot be read yet"),
        }
    }
}
