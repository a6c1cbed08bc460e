//! Quota, summed over all clusters of the run.

use std::collections::BTreeMap;

use paymesh_azure::{Azure, MachineSize};
use paymesh_plugin::findings::Findings;

use super::WAY_OUT;
use crate::{
    cluster::{
        checks::{at, refuse},
        spec::ClusterSpec,
    },
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
            &["lowPriorityCores"]
        } else {
            &[&size.family, REGION]
        };
        for quota in quotas {
            *self.0.entry((*quota).to_owned()).or_default() += cores;
        }
    }
}

/// The name of the quota of all families together.
const REGION: &str = "cores";

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
    let place = format!("{subscription}/{}", spec.region);
    for (name, cores) in &needs.0 {
        let usage = usages
            .iter()
            .find(|usage| usage.name.eq_ignore_ascii_case(name));
        let Some(usage) = usage else { continue };
        let others = session.reserve(&format!("{place}/{name}"), &spec.name, *cores);
        if *cores == 0 || usage.current + others + cores <= usage.limit {
            continue;
        }
        let (code, what) = match name.as_str() {
            REGION => (216, "the region"),
            "lowPriorityCores" => (223, "spot"),
            family => (215, family),
        };
        refuse(
            found,
            at("node_pools"),
            code,
            [
                "Not enough quota",
                &format!(
                    "{what} allows {} vCPU in {}; {} are in use, {others} are planned by other clusters of this run, and {} needs {cores} more to begin with, one surge node for each new pool included",
                    usage.limit, spec.region, usage.current, spec.name
                ),
                &format!("ask for more quota (az quota), or lower min_nodes; {WAY_OUT}"),
            ],
        );
    }
}
