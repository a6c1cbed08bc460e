//! What Google Cloud itself says against a plan: regions, machines, zones, quota, versions,
//! networks and names. Asked while planning, once for all clusters of a run, and only about what
//! changes.

mod machines;
mod network;
mod quota;
mod references;
mod version;

use paymesh_engine::{Mark, Memory};
use paymesh_google::{ClusterName, ClusterSeen, Google, cluster::Cluster};
use paymesh_plugin::findings::Findings;

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

/// Whether Google Cloud can be asked about the plan, and the cluster be where it is planned.
pub(in crate::cluster) async fn locate(
    session: &Session,
    spec: &ClusterSpec,
    found: &mut Findings,
) -> bool {
    let Some(google) = super::connect(session, found) else {
        return false;
    };
    match super::cluster_name(session, spec) {
        Ok(name) => region(session, &google, spec, &name, found).await,
        Err(why) => {
            super::no_project(why, found);
            false
        }
    }
}

/// Everything that Google Cloud says against the plan of a cluster that can be where it is planned.
pub(in crate::cluster) async fn check(
    session: &Session,
    spec: &ClusterSpec,
    (prior, memory): (Option<&Prior>, &Memory),
    found: &mut Findings,
) {
    let (Ok(google), Ok(name)) = (session.google(), super::cluster_name(session, spec)) else {
        return;
    };
    let regions = google.regions(&name.place.project).await;
    let region = regions
        .ok()
        .and_then(|mut it| it.remove(name.place.region()));
    let Some(region) = region else { return };
    let body = if begins_pools(spec, prior) {
        google.cluster(&name).await.ok().flatten()
    } else {
        None
    };
    let standing = body.as_ref().map(ClusterSeen::new);
    let mark = session.mark(&Cluster::id_of(&name));
    let principal = Cluster::id_of(&name);
    let is_held = |it: &ClusterSeen<'_>| is_held(memory, &principal, it.holder());
    let ours = standing.filter(|it| is_held(it) || it.is_of(&mark));
    if prior.is_none() {
        if standing.is_some() && ours.is_none() {
            taken(&name, &mark, found);
        }
        if ours.is_some_and(|it| !is_held(&it)) {
            takes_over(&name.to_string(), spec, found);
        }
        network::check(&google, spec, found).await;
    }
    references::check(&google, spec, prior, found).await;
    version::check(&google, &name.place, spec, prior, found).await;
    let place = (&name, &region);
    machines::check(session, &google, place, (spec, prior), ours, found).await;
}

async fn region(
    session: &Session,
    google: &Google,
    spec: &ClusterSpec,
    name: &ClusterName,
    found: &mut Findings,
) -> bool {
    let project = &name.place.project;
    match google.regions(project).await {
        Ok(known) => {
            let wanted = name.place.region();
            let is_place = known.get(wanted).is_some_and(|facts| {
                !name.place.is_zone() || facts.zones.contains(&name.place.location)
            });
            if is_place {
                return true;
            }
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            refuse(
                found,
                at("region"),
                &codes::GOOGLE_NO_SUCH_REGION,
                format!(
                    "the project {project} has no region {:?}, only {}",
                    name.place.location,
                    names.join(", ")
                ),
            );
            false
        }
        Err(error) => {
            let place = (at("google"), &codes::GOOGLE_CANNOT_BE_ASKED);
            refuse_unanswered(session, spec, found, place, &error);
            false
        }
    }
}

/// A cluster of that name is somebody else's.
fn taken(name: &ClusterName, mark: &Mark, found: &mut Findings) {
    refuse(
        found,
        at("name"),
        &codes::GOOGLE_CLUSTER_EXISTS_ALREADY,
        format!(
            "the cluster {name} does not bear the mark of {} ({}). {}",
            mark.owner,
            Mark::OWNER_KEY,
            import_advice::<ClusterSpec>(&name.to_string())
        ),
    );
}
