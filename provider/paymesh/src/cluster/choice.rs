//! What is chosen for each pool while planning: its machine type, zones and cloud name.
//!
//! The choice is a pure function of the configuration and of what was chosen before. What was
//! chosen before is kept as long as what led to it is unchanged, so that a new table of machines
//! or a name given by somebody else never replaces a pool.

use std::collections::BTreeMap;

use super::{
    ClusterStatus, machines,
    naming::{self, Immutable},
    pool::{DiskType, PoolSpec},
    profiles::{self, Terms},
    spec::{ClusterSpec, Profile},
};

/// What is chosen for one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolChoice {
    /// Name in the cloud.
    pub cloud_name: String,
    /// Machine type.
    pub machine_type: String,
    /// Zones; empty where the cloud spreads by itself, or has none.
    pub zones: Vec<String>,
}

/// What the state holds of an earlier apply.
#[derive(Clone, Debug, PartialEq)]
pub struct Prior {
    /// The configuration it was made from.
    pub spec: ClusterSpec,
    /// What the cloud reported.
    pub status: ClusterStatus,
}

impl Profile {
    /// What the profile stands for.
    pub fn terms(self) -> &'static Terms {
        match self {
            Self::HighAvailability => &profiles::HIGH_AVAILABILITY,
            Self::CostOptimized => &profiles::COST_OPTIMIZED,
        }
    }
}

/// The choices for all pools of `spec`, by key.
pub fn choose(spec: &ClusterSpec, prior: Option<&Prior>) -> BTreeMap<String, PoolChoice> {
    spec.node_pools
        .iter()
        .map(|(key, pool)| {
            let prior = prior.and_then(|prior| {
                let before = prior.spec.node_pools.get(key)?;
                Some((before, &prior.spec, prior.status.pools.get(key)?))
            });
            let machine_type = machine_type(
                spec,
                pool,
                prior.map(|(before, _, status)| (before, status.running_machine_type.as_deref())),
            );
            let zones = zones(spec, pool);
            let immutable = immutable(spec, pool, &machine_type, &zones);
            let kept = prior.and_then(|(before, whole, status)| {
                let zones = self::zones(whole, before);
                let machine = status.running_machine_type.clone()?;
                let unchanged = same(
                    &self::immutable(whole, before, &machine, &zones),
                    &immutable,
                );
                status.cloud_name.clone().filter(|_| unchanged)
            });
            let rule = if spec.on_azure() {
                naming::AKS
            } else {
                naming::GKE
            };
            let cloud_name = kept.unwrap_or_else(|| naming::pool_name(rule, key, &immutable));
            (
                key.clone(),
                PoolChoice {
                    cloud_name,
                    machine_type,
                    zones,
                },
            )
        })
        .collect()
}

/// Pools that share a cloud name: two keys that are cut to the same letters and, by bad luck,
/// have the same hash.
pub fn clash(choices: &BTreeMap<String, PoolChoice>) -> Option<(&str, &str)> {
    let mut seen = BTreeMap::new();
    choices.iter().find_map(|(key, choice)| {
        seen.insert(choice.cloud_name.as_str(), key.as_str())
            .map(|first| (first, key.as_str()))
    })
}

fn machine_type(
    spec: &ClusterSpec,
    pool: &PoolSpec,
    prior: Option<(&PoolSpec, Option<&str>)>,
) -> String {
    if let Some(machine) = &pool.machine_type {
        return machine.clone();
    }
    if let Some((before, Some(running))) = prior
        && before.machine_type.is_none()
        && (before.vcpu, before.memory_gb) == (pool.vcpu, pool.memory_gb)
    {
        return running.to_owned();
    }
    let table = if spec.on_azure() {
        machines::AZURE
    } else {
        machines::GOOGLE
    };
    let (vcpu, memory) = (pool.vcpu.unwrap_or(0), pool.memory_gb.unwrap_or(0));
    machines::smallest(table, vcpu, memory).map_or_else(String::new, |found| found.name.to_owned())
}

/// The zones of a pool. On Azure they are numbers and known while planning; on Google the cloud
/// spreads a pool over the cluster's zones when none are named.
fn zones(spec: &ClusterSpec, pool: &PoolSpec) -> Vec<String> {
    match &pool.zones {
        Some(zones) => zones.clone(),
        None if spec.on_azure() => (1..=spec.profile.terms().zones)
            .map(|zone| zone.to_string())
            .collect(),
        None => Vec::new(),
    }
}

/// What takes a new pool. GKE moves a pool to other zones in place, and AKS has one kind of network
/// disk.
fn immutable<'a>(
    spec: &ClusterSpec,
    pool: &PoolSpec,
    machine_type: &'a str,
    zones: &'a [String],
) -> Immutable<'a> {
    Immutable {
        machine_type,
        zones: if spec.on_azure() { zones } else { &[] },
        disk_gb: pool.disk_gb,
        disk_type: match pool.disk_type {
            DiskType::Ssd if !spec.on_azure() => "ssd",
            DiskType::Balanced | DiskType::Ssd => "balanced",
            DiskType::Ephemeral => "ephemeral",
        },
        spot: pool.spot,
        max_pods: pool.max_pods,
    }
}

fn same(before: &Immutable<'_>, after: &Immutable<'_>) -> bool {
    let sorted = |zones: &[String]| {
        let mut zones = zones.to_vec();
        zones.sort_unstable();
        zones
    };
    before.machine_type.eq_ignore_ascii_case(after.machine_type)
        && sorted(before.zones) == sorted(after.zones)
        && (
            before.disk_gb,
            before.disk_type,
            before.spot,
            before.max_pods,
        ) == (after.disk_gb, after.disk_type, after.spot, after.max_pods)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::{fixture, status::PoolStatus};

    fn spec(cloud: &str, vcpu: u32, nodes_max: u32) -> ClusterSpec {
        let pool = json!({
            "mode": "system", "vcpu": vcpu, "memory_gb": 16, "min_nodes": 3, "max_nodes": nodes_max,
        });
        fixture::cluster(cloud, &json!({ "node_pools": { "system": pool } }))
    }

    /// The name of the pool after a change, where somebody else named it before.
    fn name_after(cloud: &str, vcpu: u32, nodes_max: u32) -> String {
        let before = spec(cloud, 4, 6);
        let made = &choose(&before, None)["system"];
        let status = ClusterStatus {
            pools: BTreeMap::from([(
                "system".to_owned(),
                PoolStatus {
                    cloud_name: Some("theirs".to_owned()),
                    running_machine_type: Some(made.machine_type.clone()),
                },
            )]),
            ..ClusterStatus::default()
        };
        let prior = Prior {
            spec: before,
            status,
        };
        let after = spec(cloud, vcpu, nodes_max);
        choose(&after, Some(&prior))["system"].cloud_name.clone()
    }

    #[test]
    fn a_pool_that_others_named_keeps_its_name_until_its_machines_change() {
        for cloud in ["azure", "google"] {
            assert_eq!(name_after(cloud, 4, 6), "theirs", "{cloud}");
            assert_eq!(name_after(cloud, 4, 9), "theirs", "{cloud}");
            let renamed = name_after(cloud, 8, 6);
            assert!(renamed.starts_with("sys"), "{cloud}: {renamed}");
        }
    }

    #[test]
    fn two_pools_of_one_name_in_the_cloud_clash() {
        let named = |cloud_name: &str| PoolChoice {
            cloud_name: cloud_name.to_owned(),
            machine_type: String::new(),
            zones: Vec::new(),
        };
        let mut choices = BTreeMap::from([
            ("payments-blue".to_owned(), named("paymentsa1b")),
            ("payments-green".to_owned(), named("paymentsa1b")),
            ("system".to_owned(), named("systemc2d")),
        ]);
        assert_eq!(clash(&choices), Some(("payments-blue", "payments-green")));
        choices.insert("payments-green".to_owned(), named("paymentse3f"));
        assert_eq!(clash(&choices), None);
    }
}
