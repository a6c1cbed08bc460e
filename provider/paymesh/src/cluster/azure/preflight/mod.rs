//! What Azure itself says against a plan: regions, machines, zones, quota, versions, networks and
//! names. Asked while planning, once for all clusters of a run, and only about what changes.

mod machines;
mod network;
mod quota;
mod references;
mod version;

use paymesh_azure::{ArmId, Azure, ClusterSeen, cluster_object_id};
use paymesh_engine::{Mark, Memory};
use paymesh_plugin::findings::Findings;

use super::{cluster_id, connect, group_id, no_subscription};
use crate::{
    cluster::{
        Prior,
        checks::at,
        preflight::{begins_pools, is_held, refuse_unanswered, takes_over},
        spec::ClusterSpec,
    },
    codes::{self, refuse},
    converge::import_advice,
    session::Session,
};

/// Whether Azure can be asked about the plan, and a new cluster be where it is planned.
pub(in crate::cluster) async fn locate(
    session: &Session,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) -> bool {
    let Some(azure) = connect(session, found) else {
        return false;
    };
    let group = match group_id(session, spec) {
        Ok(group) => group,
        Err(why) => {
            no_subscription(why, found);
            return false;
        }
    };
    let Some(subscription) = group.subscription() else {
        return false;
    };
    prior.is_some() || region(session, &azure, subscription, spec, found).await
}

/// Everything that Azure says against the plan of a cluster that can be where it is planned.
pub(in crate::cluster) async fn check(
    session: &Session,
    spec: &ClusterSpec,
    (prior, memory): (Option<&Prior>, &Memory),
    found: &mut Findings,
) {
    let (Ok(azure), Ok(group)) = (session.azure(), group_id(session, spec)) else {
        return;
    };
    let Some(subscription) = group.subscription() else {
        return;
    };
    let id = cluster_id(session, spec).ok();
    let body = match id.as_ref().filter(|_| begins_pools(spec, prior)) {
        Some(id) => azure.cluster(id).await.ok().flatten(),
        None => None,
    };
    let standing = body.as_ref().map(ClusterSeen::new);
    let owner = session.owner();
    let is_held = |it: &ClusterSeen<'_>| {
        let principal = id.as_ref().map(cluster_object_id);
        principal.is_some_and(|id| is_held(memory, &id, it.tag(Mark::HOLDER_KEY)))
    };
    let ours = standing.filter(|it| is_held(it) || it.tag(Mark::OWNER_KEY) == Some(owner));
    if prior.is_none() {
        place(&azure, &group, spec, found).await;
        if let (Some(id), Some(_), None) = (&id, standing, ours) {
            taken(id, owner, found);
        }
        if let (Some(id), Some(_)) = (&id, ours.filter(|it| !is_held(it))) {
            takes_over(id.as_str(), spec, found);
        }
        network::check(&azure, spec, found).await;
    }
    references::check(&azure, spec, prior, found).await;
    version::check(&azure, subscription, spec, prior, found).await;
    let planned = (spec, prior);
    // A cluster that moves leaves its quota in the other region.
    let here = ours.filter(|it| it.location() == spec.region);
    machines::check(session, &azure, subscription, planned, here, found).await;
}

async fn region(
    session: &Session,
    azure: &Azure,
    subscription: &str,
    spec: &ClusterSpec,
    found: &mut Findings,
) -> bool {
    match azure.locations(subscription).await {
        Ok(known) if !known.is_empty() && !known.contains(&spec.region) => {
            refuse(
                found,
                at("region"),
                &codes::AZURE_NO_SUCH_REGION,
                format!(
                    "the subscription has no region {:?}, only {}",
                    spec.region,
                    known.join(", ")
                ),
            );
            false
        }
        Ok(_) => true,
        Err(error) => {
            let place = (at("azure"), &codes::AZURE_CANNOT_BE_ASKED);
            refuse_unanswered(session, spec, found, place, &error);
            false
        }
    }
}

/// A named resource group must exist: it is never made.
async fn place(azure: &Azure, group: &ArmId, spec: &ClusterSpec, found: &mut Findings) {
    let named = spec
        .azure
        .as_ref()
        .and_then(|azure| azure.resource_group.as_ref());
    if let (Some(name), Ok(None)) = (named, azure.group_location(group).await) {
        refuse(
            found,
            at("azure").attribute("resource_group"),
            &codes::NO_SUCH_RESOURCE_GROUP,
            format!("{name} does not exist in the subscription"),
        );
    }
}

/// A cluster of that name is somebody else's.
fn taken(id: &ArmId, owner: &str, found: &mut Findings) {
    refuse(
        found,
        at("name"),
        &codes::AZURE_CLUSTER_EXISTS_ALREADY,
        format!(
            "{id} was not made by {owner}. {}",
            import_advice::<ClusterSpec>(id.as_str())
        ),
    );
}
