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
            // The name of the pool before, if it is as this one with what `whole` says of it.
            let alike = |whole: Option<&ClusterSpec>| {
                let (before, applied, status) = prior?;
                let whole = whole.unwrap_or(applied);
                let zones = self::zones(whole, before);
                let machine = status.running_machine_type.as_deref()?;
                let immutable_before = self::immutable(whole, before, machine, &zones);
                Some(status.cloud_name.as_deref()?).filter(|_| same(&immutable_before, &immutable))
            };
            let kept = alike(None).map(str::to_owned);
            let rule = if spec.on_azure() {
                naming::AKS
            } else {
                naming::GKE
            };
            let cloud_name = kept.unwrap_or_else(|| {
                let first = naming::pool_name(rule, key, &immutable);
                let second = naming::second_name(rule, key, &immutable);
                let runs = prior.and_then(|(.., status)| status.cloud_name.as_deref());
                // A profile that others changed (the tier of AKS) moves no pool to other zones:
                // only what a pool has itself makes it another.
                let is_another = alike(Some(spec)).is_none();
                let has_second = runs == Some(second.as_str());
                if is_another && runs == Some(first.as_str()) || !is_another && has_second {
                    second
                } else {
                    first
                }
            });
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
    let table = if spec.on_azure() {
        machines::AZURE
    } else {
        machines::GOOGLE
    };
    let (vcpu, memory) = (pool.vcpu.unwrap_or(0), pool.memory_gb.unwrap_or(0));
    if let Some((before, Some(running))) = prior
        && before.machine_type.is_none()
        && (before.vcpu, before.memory_gb) == (pool.vcpu, pool.memory_gb)
        && machines::named(table, running).is_none_or(|it| it.has(vcpu, memory))
    {
        return running.to_owned();
    }
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
    fn a_machine_that_was_chosen_once_is_kept_while_it_fits() {
        let machine_after = |cloud, running: &str| {
            let spec = spec(cloud, 4, 6);
            let pool = PoolStatus {
                cloud_name: Some("system".to_owned()),
                running_machine_type: Some(running.to_owned()),
            };
            let status = ClusterStatus {
                pools: [("system".to_owned(), pool)].into(),
                ..ClusterStatus::default()
            };
            let prior = Prior {
                spec: spec.clone(),
                status,
            };
            choose(&spec, Some(&prior))["system"].machine_type.clone()
        };
        assert_eq!(machine_after("azure", "Standard_E4s_v5"), "Standard_E4s_v5");
        assert_eq!(machine_after("azure", "Standard_D4s_v3"), "Standard_D4s_v3");
        assert_eq!(machine_after("azure", "Standard_D2s_v5"), "Standard_D4s_v5");
        assert_eq!(machine_after("google", "n2-highmem-4"), "n2-highmem-4");
        assert_eq!(machine_after("google", "n2-highcpu-4"), "n2-standard-4");
    }

    #[test]
    fn a_pool_that_others_made_again_otherwise_gets_another_name_until_it_is_made_again() {
        for cloud in ["azure", "google"] {
            let wanted = spec(cloud, 4, 6);
            let made = choose(&wanted, None)["system"].clone();
            let first = made.cloud_name.clone();
            let (mut seen, mut status) = (wanted.clone(), ClusterStatus::default());
            let pool = seen.node_pools.get_mut("system").expect("it has one pool");
            pool.machine_type = Some("theirs".to_owned());
            status.pools = BTreeMap::from([(
                "system".to_owned(),
                PoolStatus {
                    cloud_name: Some(made.cloud_name.clone()),
                    running_machine_type: Some("theirs".to_owned()),
                },
            )]);
            let mut prior = Prior { spec: seen, status };
            let before = choose(&prior.spec, Some(&prior))["system"].clone();
            assert_eq!(
                before.cloud_name, made.cloud_name,
                "what is there stays, {cloud}"
            );
            let after = choose(&wanted, Some(&prior))["system"].clone();
            assert_eq!(after.machine_type, made.machine_type, "{cloud}");
            assert_ne!(after.cloud_name, first, "{cloud}");
            // Once more: the first name is free again.
            let pool = prior
                .status
                .pools
                .get_mut("system")
                .expect("it has one pool");
            pool.cloud_name = Some(after.cloud_name);
            let again = choose(&wanted, Some(&prior))["system"].clone();
            assert_eq!(again.cloud_name, first, "{cloud}");
        }
    }

    #[test]
    fn a_profile_that_others_changed_gives_no_pool_another_name() {
        let wanted = spec("azure", 4, 6);
        let made = choose(&wanted, None)["system"].clone();
        let mut seen = wanted.clone();
        seen.profile = Profile::CostOptimized;
        let second = naming::second_name(
            naming::AKS,
            "system",
            &immutable(
                &wanted,
                &wanted.node_pools["system"],
                &made.machine_type,
                &made.zones,
            ),
        );
        for runs in [&made.cloud_name, &second] {
            let pool = PoolStatus {
                cloud_name: Some(runs.clone()),
                running_machine_type: Some(made.machine_type.clone()),
            };
            let status = ClusterStatus {
                pools: BTreeMap::from([("system".to_owned(), pool)]),
                ..ClusterStatus::default()
            };
            let prior = Prior {
                spec: seen.clone(),
                status,
            };
            let kept = choose(&wanted, Some(&prior))["system"].clone();
            assert_eq!(kept.cloud_name, *runs);
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
