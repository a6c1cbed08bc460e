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
    if let Some(prior) = prior {
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
    let is_stopped = prior.status.running_power.as_deref() == Some("Stopped");
    if !is_stopped || spec.power == Power::On {
        return;
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
