//! Quota of a project in a region, summed over all clusters of the run.

use std::collections::BTreeMap;

use paymesh_google::{
    ClusterName,
    cluster::Cluster,
    preflight::{MachineType, Region},
};
use paymesh_plugin::findings::Findings;

use crate::{
    cluster::{checks::at, preflight::Quota},
    codes::{self, refuse},
    session::Session,
};

/// What counts the cores of machines that have no quota of their own: E2 and N1.
const SHARED: &str = "CPUS";
/// What counts the cores of spot machines, where the project has it.
const SPOT: &str = "PREEMPTIBLE_CPUS";
/// What counts balanced and SSD disks.
const DISKS: &str = "SSD_TOTAL_GB";

/// What the new pools of a cluster need.
#[derive(Default)]
pub(super) struct Needs {
    pools: Vec<Need>,
}

struct Need {
    family: String,
    is_spot: bool,
    cores: u64,
    disk_gb: u64,
}

impl Needs {
    /// Adds `nodes` nodes of a pool.
    pub(super) fn add(
        &mut self,
        machine: &str,
        facts: MachineType,
        (is_spot, disk_gb): (bool, u32),
        nodes: u64,
    ) {
        let family = machine.split('-').next().unwrap_or_default();
        self.pools.push(Need {
            family: format!("{}_CPUS", family.to_ascii_uppercase()),
            is_spot,
            cores: nodes * u64::from(facts.vcpu),
            disk_gb: nodes * u64::from(disk_gb),
        });
    }

    /// The amounts by quota, of those that the region has.
    fn by_quota(&self, region: &Region) -> BTreeMap<&str, u64> {
        let mut amounts = BTreeMap::new();
        for need in &self.pools {
            let has = |name: &str| {
                region
                    .quotas
                    .get(name)
                    .is_some_and(|quota| quota.limit > 0.0)
            };
            let cores = if need.is_spot && has(SPOT) {
                SPOT
            } else if region.quotas.contains_key(&need.family) {
                need.family.as_str()
            } else {
                SHARED
            };
            *amounts.entry(cores).or_default() += need.cores;
            *amounts.entry(DISKS).or_default() += need.disk_gb;
        }
        amounts
    }

    /// Refuses what the region does not allow beyond `held`.
    pub(super) fn check(
        &self,
        session: &Session,
        (name, region): (&ClusterName, &Region),
        held: &Self,
        found: &mut Findings,
    ) {
        let cluster = Cluster::id_of(name);
        let place = format!("{}/{}", name.place.project, name.place.region());
        let held = held.by_quota(region);
        for (quota, needed) in self.by_quota(region) {
            let amount = needed.saturating_sub(held.get(quota).copied().unwrap_or(0));
            let Some(facts) = region.quotas.get(quota) else {
                continue;
            };
            let quota = Quota {
                name: quota,
                unit: if quota == DISKS { "GB" } else { "vCPU" },
                place: &place,
                limit: whole(facts.limit),
                current: whole(facts.usage),
            };
            if let Some(detail) = quota.exceeded(session, &cluster, amount) {
                refuse(
                    found,
                    at("node_pools"),
                    &codes::GOOGLE_NOT_ENOUGH_QUOTA,
                    &detail,
                );
            }
        }
    }
}

/// Quotas are whole numbers that the cloud writes with a point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits; no quota is near either end"
)]
fn whole(amount: f64) -> u64 {
    amount.clamp(0.0, 1e15) as u64
}

#[cfg(test)]
mod tests {
    use paymesh_google::preflight::Quota as Facts;

    use super::*;

    #[test]
    fn a_family_without_a_quota_of_its_own_shares_one() {
        let facts = Facts {
            limit: 500.0,
            usage: 0.0,
        };
        let names = ["CPUS", "N2_CPUS", "SSD_TOTAL_GB"];
        let region = Region {
            zones: Vec::new(),
            quotas: names.map(|name| (name.to_owned(), facts)).into(),
        };
        let need = |family: &str| Need {
            family: family.into(),
            is_spot: family == "E2_CPUS",
            cores: 8,
            disk_gb: 100,
        };
        let needs = Needs {
            pools: vec![need("N2_CPUS"), need("E2_CPUS")],
        };
        let expected = BTreeMap::from([("CPUS", 8), ("N2_CPUS", 8), ("SSD_TOTAL_GB", 200)]);
        assert_eq!(needs.by_quota(&region), expected);
    }
}
