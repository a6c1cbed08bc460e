//! Quota, summed over all clusters of the run.

use std::collections::BTreeMap;

use paymesh_azure::{Azure, MachineSize, cluster_object_id};
use paymesh_plugin::findings::Findings;

use crate::{
    cluster::{azure::cluster_id, checks::at, preflight::Quota, spec::ClusterSpec},
    codes::{self, refuse},
    session::Session,
};

/// The vCPU that a plan needs, by quota.
#[derive(Debug, Default)]
pub(super) struct Needs(BTreeMap<String, u64>);

impl Needs {
    /// Adds `nodes` machines. Spot machines count against a quota of their own and no other.
    pub(super) fn add(&mut self, size: &MachineSize, spot: bool, nodes: u64) {
        let cores = nodes * u64::from(size.vcpu);
        let quotas: &[&str] = if spot {
            &[SPOT]
        } else {
            &[&size.family, REGION]
        };
        for quota in quotas {
            *self.0.entry((*quota).to_owned()).or_default() += cores;
        }
    }

    /// What is needed beyond `held`.
    pub(super) fn beyond(mut self, held: &Self) -> Self {
        for (quota, cores) in &mut self.0 {
            *cores = cores.saturating_sub(held.0.get(quota).copied().unwrap_or(0));
        }
        self
    }
}

/// The name of the quota of all families together.
const REGION: &str = "cores";
/// The name of the quota of spot machines of all families.
const SPOT: &str = "lowPriorityCores";

/// Refuses what exceeds a quota together with the other plans of the run.
pub(super) async fn check(
    session: &Session,
    azure: &Azure,
    subscription: &str,
    spec: &ClusterSpec,
    needs: &Needs,
    found: &mut Findings,
) {
    let Ok(usages) = azure.usages(subscription, &spec.region).await else {
        return;
    };
    let Ok(id) = cluster_id(session, spec) else {
        return;
    };
    let cluster = cluster_object_id(&id);
    let place = format!("{subscription}/{}", spec.region);
    for (name, cores) in &needs.0 {
        let usage = usages
            .iter()
            .find(|usage| usage.name.eq_ignore_ascii_case(name));
        let Some(usage) = usage else { continue };
        let (row, what) = match name.as_str() {
            REGION => (&codes::AZURE_REGION_QUOTA, "the region"),
            SPOT => (&codes::AZURE_SPOT_QUOTA, "spot"),
            family => (&codes::AZURE_FAMILY_QUOTA, family),
        };
        let quota = Quota {
            name: what,
            unit: "vCPU",
            place: &place,
            limit: usage.limit,
            current: usage.current,
        };
        if let Some(detail) = quota.exceeded(session, &cluster, *cores) {
            refuse(found, at("node_pools"), row, detail);
        }
    }
}
