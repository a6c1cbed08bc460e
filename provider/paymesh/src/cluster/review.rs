//! Rules over what is in state and what is planned, and over the clusters of one run.

use paymesh_kubernetes::Version;
use paymesh_plugin::{findings::Findings, path::Path};

use super::{
    Prior,
    checks::{at, default_labels},
    choice,
    spec::{ClusterSpec, Power},
};
use crate::{
    codes::{self, refuse, warn_about},
    converge::{DRIFTED, INCOMPLETE},
    session::Session,
};

pub(super) fn review(
    session: &Session,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) {
    default_labels(session.default_labels(), !spec.on_azure(), found);
    names(spec, prior, found);
    identities(spec, found);
    reach(spec, prior, found);
    if let Some(prior) = prior {
        renamed(spec, prior, found);
        version(spec, prior, found);
        stopped(session, spec, prior, found);
    }
}

fn names(spec: &ClusterSpec, prior: Option<&Prior>, found: &mut Findings) {
    let choices = choice::choose(spec, prior);
    if let Some((one, other)) = choice::clash(&choices) {
        refuse(
            found,
            at("node_pools").key(other),
            &codes::POOL_NAMES_CLASH,
            format!(
                "{one:?} and {other:?} are cut to the same name {:?}",
                choices[other].cloud_name
            ),
        );
    }
}

/// A pool under another key that keeps its name in the cloud: the plan of an import shows it as one
/// that goes and one that comes.
fn renamed(spec: &ClusterSpec, prior: &Prior, found: &mut Findings) {
    let choices = choice::choose(spec, Some(prior));
    let lines = prior.status.pools.iter().filter_map(|(before, status)| {
        let name = status.cloud_name.as_deref()?;
        let mut now = choices
            .iter()
            .filter(|(_, choice)| choice.cloud_name == name);
        let (now, _) = now.next().filter(|(now, _)| *now != before)?;
        Some(format!(
            "  - node_pools[{before:?}] -> node_pools[{now:?}]: {name}"
        ))
    });
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    warn_about(
        found,
        at("node_pools"),
        &codes::POOLS_RENAMED,
        &spec.name,
        format!(
            "the plan shows them as removed and added; no node is touched:\n\n{}",
            lines.join("\n")
        ),
    );
}

fn identities(spec: &ClusterSpec, found: &mut Findings) {
    let given = spec
        .azure
        .as_ref()
        .is_some_and(|azure| azure.control_plane_identity_id.is_some())
        || spec
            .google
            .as_ref()
            .is_some_and(|google| google.node_service_account.is_some());
    if given && spec.deployer_admin == Some(true) {
        refuse(
            found,
            at("deployer_admin"),
            &codes::DEPLOYER_BESIDE_EXISTING_IDENTITIES,
            "deployer_admin is true, and the cluster uses an existing identity",
        );
    }
}

/// The clouds read an empty list as everybody. A cluster that is open already stays so until its
/// configuration names ranges: it could not be imported otherwise.
fn reach(spec: &ClusterSpec, prior: Option<&Prior>, found: &mut Findings) {
    let is_open = |spec: &ClusterSpec| {
        let access = spec.api_access.as_ref();
        access.is_some_and(|access| access.authorized_cidrs.is_empty())
    };
    if !is_open(spec) {
        return;
    }
    let path = at("api_access").attribute("authorized_cidrs");
    if prior.is_some_and(|prior| is_open(&prior.spec)) {
        let detail = "api_access.authorized_cidrs is empty, as it is in the cloud: everybody is \
                      authorized, and stays so";
        warn_about(
            found,
            path,
            &codes::NOBODY_IS_AUTHORIZED,
            &spec.name,
            detail,
        );
        return;
    }
    refuse(
        found,
        path,
        &codes::NOBODY_IS_AUTHORIZED,
        "api_access.authorized_cidrs is empty, which the clouds read as everybody",
    );
}

fn version(spec: &ClusterSpec, prior: &Prior, found: &mut Findings) {
    let (Ok(floor), Some(Ok(runs))) = (
        spec.kubernetes_version.parse::<Version>(),
        prior
            .status
            .running_kubernetes_version
            .as_deref()
            .map(str::parse::<Version>),
    ) else {
        return;
    };
    let before = prior.spec.kubernetes_version.parse::<Version>();
    let lowered = before.is_ok_and(|before| !floor.meets(before));
    if lowered && !floor.meets(runs.minor()) {
        warn_about(
            found,
            at("kubernetes_version"),
            &codes::NO_DOWNGRADE,
            &spec.name,
            format!(
                "kubernetes_version goes from {} to {floor}, and the cluster keeps running {runs}",
                prior.spec.kubernetes_version
            ),
        );
    }
}

/// A cluster that is stopped accepts no change but its start.
fn stopped(session: &Session, spec: &ClusterSpec, prior: &Prior, found: &mut Findings) {
    if !prior.status.is_stopped() || spec.power == Power::On || spec.stops(&prior.spec) {
        return;
    }
    // What a cut run began is no new change; nor is what others changed on GKE, where it is undone
    // while no node runs. A stop of AKS that is drift is against the last state: as with `stops`, a
    // run that was cut may have sent it after all else.
    match prior.status.status.as_deref() {
        Some(INCOMPLETE) => return,
        Some(DRIFTED) if !spec.on_azure() || spec.power == Power::Off => return,
        _ => {}
    }
    let mut same = prior.spec.clone();
    same.power = spec.power;
    same.deletion_protection = spec.deletion_protection;
    same.timeouts.clone_from(&spec.timeouts);
    let labels = prior.status.effective_labels.as_ref();
    let is_relabelled =
        session.is_known() && labels.is_some_and(|it| *it != session.labels(&spec.labels));
    if same != *spec || is_relabelled {
        refuse(
            found,
            Path::root(),
            &codes::STOPPED_CLUSTER_CANNOT_CHANGE,
            format!(
                "{} is stopped, and the plan changes more than its power",
                spec.name
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::fixture;

    #[test]
    fn an_existing_identity_is_given_no_role() {
        let own = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i";
        let account = "nodes@pay.iam.gserviceaccount.com";
        for (cloud, identity) in [
            ("azure", json!({ "control_plane_identity_id": own })),
            ("google", json!({ "node_service_account": account })),
        ] {
            let change = json!({ "deployer_admin": true, cloud: identity });
            let spec = fixture::cluster(cloud, &change);
            let mut found = Findings::new();
            identities(&spec, &mut found);
            assert!(
                found.to_string().contains("Remove deployer_admin"),
                "{cloud}: {found}"
            );
        }
    }
}
