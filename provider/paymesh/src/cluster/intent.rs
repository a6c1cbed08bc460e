//! What a plan can promise of the Status.
//!
//! Known is intent: the pools' names and machines. What only the cloud can tell is unknown when it
//! may change, and stays as it was when it cannot.

use std::collections::BTreeMap;

use paymesh_plugin::spec::{Attribute, Draft, Field};

use super::{
    Prior,
    choice::{self, PoolChoice},
    spec::ClusterSpec,
    status::{ClusterStatus, PoolStatus},
};
use crate::converge::READY;

pub(super) fn intend(
    plan: &mut Draft<ClusterStatus>,
    spec: Option<&ClusterSpec>,
    prior: Option<&Prior>,
) {
    plan.pools = spec.map_or(Field::Unknown, |spec| {
        pools(&choice::choose(spec, prior)).into_draft()
    });
    if spec.is_some_and(|spec| !spec.on_azure()) {
        // Google's control plane has no identity of the user's.
        plan.control_plane_identity = Field::Null;
    }
    if prior.is_none() {
        return;
    }
    plan.status = Field::Known(READY.to_owned());
    let was_ready = prior.is_some_and(|prior| prior.status.status.as_deref() == Some(READY));
    let upgrades = prior.zip(spec).is_none_or(|(prior, spec)| {
        prior.spec.kubernetes_version != spec.kubernetes_version
            || prior.spec.upgrade_channel != spec.upgrade_channel
    });
    if upgrades || !was_ready {
        plan.running_kubernetes_version = Field::Unknown;
    }
    let starts_or_stops = prior
        .zip(spec)
        .is_none_or(|(prior, spec)| prior.spec.power != spec.power);
    if starts_or_stops || !was_ready {
        plan.running_power = Field::Unknown;
    }
    let moves = prior.zip(spec).is_none_or(|(prior, spec)| {
        // Other ranges leave the address.
        prior.spec.api_access.is_some() != spec.api_access.is_some()
            || prior.spec.power != spec.power
    });
    if moves {
        plan.endpoint = Field::Unknown;
    }
    let issues = prior.zip(spec).is_none_or(|(prior, spec)| {
        prior.spec.features.workload_identity != spec.features.workload_identity
    });
    if issues {
        plan.workload_identity_issuer = Field::Unknown;
    }
    let identities = |spec: &ClusterSpec| {
        let azure = spec.azure.as_ref()?;
        Some((
            azure.control_plane_identity_id.clone(),
            azure.kubelet_identity_id.clone(),
        ))
    };
    let others = prior
        .zip(spec)
        .is_none_or(|(prior, spec)| identities(&prior.spec) != identities(spec));
    if others {
        plan.control_plane_identity = Field::Unknown;
        plan.node_identity = Field::Unknown;
    }
}

/// The pools of the Status.
pub(super) fn pools(choices: &BTreeMap<String, PoolChoice>) -> BTreeMap<String, PoolStatus> {
    choices
        .iter()
        .map(|(key, choice)| {
            let status = PoolStatus {
                cloud_name: Some(choice.cloud_name.clone()),
                running_machine_type: Some(choice.machine_type.clone()),
            };
            (key.clone(), status)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::fixture;

    /// What is planned of the address when the access changes so.
    fn endpoint(
        cloud: &str,
        before: &serde_json::Value,
        after: &serde_json::Value,
    ) -> Field<String> {
        let with = |access| fixture::cluster(cloud, &json!({ "api_access": access }));
        let status = ClusterStatus {
            status: Some(READY.to_owned()),
            endpoint: Some("https://there".to_owned()),
            ..ClusterStatus::default()
        };
        let mut plan = status
            .clone()
            .into_draft()
            .into_known()
            .expect("it is known");
        let prior = Prior {
            spec: with(before),
            status,
        };
        intend(&mut plan, Some(&with(after)), Some(&prior));
        plan.endpoint
    }

    #[test]
    fn other_ranges_leave_the_address_and_the_way_in_does_not() {
        let ranges = |range| json!({ "authorized_cidrs": [range] });
        let (one, other) = (ranges("203.0.113.0/24"), ranges("198.51.100.0/24"));
        for cloud in ["azure", "google"] {
            assert_eq!(
                endpoint(cloud, &one, &other),
                Field::Known("https://there".to_owned()),
                "{cloud}"
            );
            assert_eq!(
                endpoint(cloud, &one, &json!(null)),
                Field::Unknown,
                "{cloud}"
            );
        }
    }
}
