//! Rules over node pools, one by one and together.

use std::collections::{BTreeMap, BTreeSet};

use paymesh_plugin::{findings::Findings, path::Path, spec::Field};

use super::{Cloud, at, refuse, words};
use crate::cluster::{
    machines,
    pool::{DiskType, PoolMode, PoolSpecDraft},
    spec::{ClusterSpecDraft, Profile},
    totals,
};
use crate::codes;

pub(super) fn check(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let Some(pools) = draft.node_pools.known() else {
        return;
    };
    if pools.is_empty() {
        refuse(
            found,
            at("node_pools"),
            codes::CLUSTER_WITHOUT_NODES,
            [
                "A cluster without nodes",
                "node_pools is empty",
                "add at least one pool with mode = \"system\"",
            ],
        );
        return;
    }
    together(pools, cloud, found);
    for (key, pool) in pools {
        let path = at("node_pools").key(key);
        name(key, &path, cloud, found);
        let Field::Known(pool) = pool else { continue };
        machine(pool, &path, cloud, found);
        size(pool, &path, cloud, found);
        zones(draft, pool, &path, cloud, found);
        disk(pool, &path, cloud, found);
        spot(pool, &path, cloud, found);
        system(pool, &path, found);
        labels(pool, &path, found);
        taints(pool, &path, found);
    }
}

fn together(
    pools: &BTreeMap<String, Field<PoolSpecDraft>>,
    cloud: Option<Cloud>,
    found: &mut Findings,
) {
    let maybe_system = pools.values().any(|pool| match pool {
        Field::Known(pool) => pool.mode.is(PoolMode::System) || pool.mode.is_unknown(),
        _ => true,
    });
    if !maybe_system {
        refuse(
            found,
            at("node_pools"),
            codes::NO_SYSTEM_POOL,
            [
                "No system pool",
                "no pool has mode = \"system\"; the cluster's own components need one",
                "give one pool mode = \"system\"",
            ],
        );
    }
    let most = if cloud == Some(Cloud::Google) {
        200
    } else {
        50
    };
    if pools.len() > most {
        refuse(
            found,
            at("node_pools"),
            codes::TOO_MANY_POOLS,
            [
                "Too many pools",
                &format!(
                    "{} pools; {most} leave room for their rotation",
                    pools.len()
                ),
                "join pools that differ only in their labels",
            ],
        );
    }
}

fn name(key: &str, path: &Path, cloud: Option<Cloud>, found: &mut Findings) {
    let begins = key.starts_with(|first: char| first.is_ascii_lowercase());
    let small = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match cloud {
        Some(Cloud::Azure) if !begins || key.len() > 12 || !key.bytes().all(small) => {
            refuse(
                found,
                path.clone(),
                codes::NOT_AN_AKS_POOL_NAME,
                [
                    "Not the name of an AKS pool",
                    &format!(
                        "{key:?}: at most 12 lower-case letters and digits, the first a letter"
                    ),
                    "rename the pool",
                ],
            );
        }
        Some(Cloud::Google)
            if !begins
                || key.len() > 36
                || key.ends_with('-')
                || !key.bytes().all(|byte| small(byte) || byte == b'-') =>
        {
            refuse(
                found,
                path.clone(),
                codes::NOT_A_GKE_POOL_NAME,
                [
                    "Not the name of a GKE pool",
                    &format!(
                        "{key:?}: at most 36 lower-case letters, digits and hyphens, the first a letter"
                    ),
                    "rename the pool",
                ],
            );
        }
        _ => {}
    }
}

fn machine(pool: &PoolSpecDraft, path: &Path, cloud: Option<Cloud>, found: &mut Findings) {
    let sized = [("vcpu", &pool.vcpu), ("memory_gb", &pool.memory_gb)];
    if pool.machine_type.is_known() {
        for (name, field) in sized {
            if field.is_known() {
                refuse(
                    found,
                    path.attribute(name),
                    codes::SIZED_TWICE,
                    [
                        "Sized twice",
                        &format!("both machine_type and {name} are set"),
                        "keep machine_type, or vcpu and memory_gb",
                    ],
                );
            }
        }
    }
    if pool.machine_type.is_null() {
        for (name, field) in sized {
            if field.is_null() {
                refuse(
                    found,
                    path.attribute(name),
                    codes::POOL_WITHOUT_SIZE,
                    [
                        "A pool without a size",
                        &format!("neither machine_type nor {name} is set"),
                        "set vcpu and memory_gb, or machine_type",
                    ],
                );
            }
        }
    }
    let (Some(cloud), Some(vcpu), Some(memory)) =
        (cloud, pool.vcpu.known(), pool.memory_gb.known())
    else {
        return check_machine_type(pool, path, cloud, found);
    };
    let table = match cloud {
        Cloud::Azure => machines::AZURE,
        Cloud::Google => machines::GOOGLE,
    };
    if machines::smallest(table, *vcpu, *memory).is_none() {
        refuse(
            found,
            path.attribute("memory_gb"),
            codes::NO_MACHINE_OF_THIS_SIZE,
            [
                "No machine of this size",
                &format!("the provider's table has no machine with {vcpu} vCPU and {memory} GiB"),
                "name a machine_type instead",
            ],
        );
    }
}

fn check_machine_type(
    pool: &PoolSpecDraft,
    path: &Path,
    cloud: Option<Cloud>,
    found: &mut Findings,
) {
    let Some(machine) = pool.machine_type.known() else {
        return;
    };
    let looks_azure = machine.to_ascii_lowercase().starts_with("standard_");
    let wrong = match cloud {
        Some(Cloud::Azure) => !looks_azure,
        Some(Cloud::Google) => looks_azure || !machine.contains('-'),
        None => false,
    };
    if wrong {
        refuse(
            found,
            path.attribute("machine_type"),
            codes::MACHINE_TYPE_OF_ANOTHER_CLOUD,
            [
                "A machine type of another cloud",
                &format!("{machine:?} is not how this cloud writes a machine type"),
                "write \"Standard_D4s_v5\" on AKS and \"n2-standard-4\" on GKE, or vcpu and memory_gb for both",
            ],
        );
    }
    let small = [machines::AZURE, machines::GOOGLE]
        .iter()
        .find_map(|table| machines::named(table, machine))
        .is_some_and(|known| known.vcpu < 2 || known.memory_gb < 4);
    if small && pool.mode.is(PoolMode::System) {
        refuse(
            found,
            path.attribute("machine_type"),
            codes::TOO_SMALL_FOR_SYSTEM_POOL,
            [
                "Too small for a system pool",
                &format!("{machine} has less than 2 vCPU or 4 GiB"),
                "choose a larger machine",
            ],
        );
    }
}

fn size(pool: &PoolSpecDraft, path: &Path, cloud: Option<Cloud>, found: &mut Findings) {
    let (Some(min), Some(max)) = (pool.min_nodes.known(), pool.max_nodes.known()) else {
        return;
    };
    if min > max {
        refuse(
            found,
            path.attribute("max_nodes"),
            codes::MAXIMUM_BELOW_MINIMUM,
            [
                "A maximum below the minimum",
                &format!("min_nodes is {min} and max_nodes is {max}"),
                "swap the two",
            ],
        );
    }
    if *max == 0 {
        refuse(
            found,
            path.attribute("max_nodes"),
            codes::POOL_NEVER_HAS_A_NODE,
            [
                "A pool that never has a node",
                "max_nodes is 0",
                "remove the pool, or let it grow; standby = true keeps a cluster without workload nodes",
            ],
        );
    }
    if let (Some(Cloud::Google), true, Some(zones)) = (cloud, min == max, pool.zones.known())
        && let Ok(zones) = u32::try_from(zones.len())
        && let Some((less, more)) = totals::uneven(*min, zones)
    {
        refuse(
            found,
            path.attribute("min_nodes"),
            codes::ZONES_CANNOT_SHARE_FIXED_SIZE,
            [
                "A fixed size that the zones cannot share",
                &format!("{min} nodes over {zones} zones; GKE has the same number in each zone"),
                &format!("use {less} or {more}, or a range"),
            ],
        );
    }
}

fn zones(
    draft: &ClusterSpecDraft,
    pool: &PoolSpecDraft,
    path: &Path,
    cloud: Option<Cloud>,
    found: &mut Findings,
) {
    let Some(zones) = pool.zones.known() else {
        return;
    };
    let mut seen = BTreeSet::new();
    for (index, zone) in zones.iter().enumerate() {
        let Some(zone) = zone.known() else { continue };
        let path = path.attribute("zones").index(index);
        if !seen.insert(zone.clone()) {
            refuse(
                found,
                path.clone(),
                codes::SAME_ZONE_TWICE,
                [
                    "The same zone twice",
                    &format!("{zone} is named twice"),
                    "remove one of the two",
                ],
            );
        }
        match cloud {
            Some(Cloud::Azure) if !["1", "2", "3"].contains(&zone.as_str()) => {
                refuse(
                    found,
                    path,
                    codes::NOT_AN_AZURE_ZONE,
                    [
                        "Not an Azure zone",
                        &format!("{zone:?}: Azure numbers the zones of a region 1, 2 and 3"),
                        "write \"1\", \"2\" or \"3\"",
                    ],
                );
            }
            Some(Cloud::Google) => {
                if let Some(region) = draft.region.known()
                    && !zone
                        .strip_prefix(region.as_str())
                        .is_some_and(|rest| rest.len() == 2 && rest.starts_with('-'))
                {
                    refuse(
                        found,
                        path,
                        codes::ZONE_OF_ANOTHER_REGION,
                        [
                            "A zone of another region",
                            &format!("{zone:?} is not a zone of {region}"),
                            &format!("write \"{region}-b\" or another zone of the region"),
                        ],
                    );
                }
            }
            _ => {}
        }
    }
    if zones.len() == 1
        && draft.profile.is(Profile::HighAvailability)
        && pool.mode.is(PoolMode::System)
    {
        refuse(
            found,
            path.attribute("zones"),
            codes::HIGH_AVAILABILITY_IN_ONE_ZONE,
            [
                "High availability in one zone",
                "the system pool is in one zone and profile is \"high_availability\"",
                "name two or three zones, or set profile = \"cost_optimized\"",
            ],
        );
    }
}

fn disk(pool: &PoolSpecDraft, path: &Path, cloud: Option<Cloud>, found: &mut Findings) {
    if pool.disk_type.is(DiskType::Ephemeral) && cloud == Some(Cloud::Google) {
        refuse(
            found,
            path.attribute("disk_type"),
            codes::GKE_HAS_NO_EPHEMERAL_SYSTEM_DISK,
            [
                "GKE has no ephemeral system disk",
                "disk_type is \"ephemeral\" on GKE",
                "use \"balanced\" or \"ssd\"",
            ],
        );
    }
    if pool.disk_type.is(DiskType::Ssd) && cloud == Some(Cloud::Azure) {
        refuse(
            found,
            path.attribute("disk_type"),
            codes::AKS_CHOOSES_DISK_BY_MACHINE,
            [
                "AKS chooses the disk by the machine",
                "disk_type is \"ssd\" on AKS, where machines with an s in their size have fast disks",
                "use \"balanced\", or \"ephemeral\" for the machine's own disk",
            ],
        );
    }
}

fn spot(pool: &PoolSpecDraft, path: &Path, cloud: Option<Cloud>, found: &mut Findings) {
    if pool.spot.is(true) && pool.surge.is_known() && cloud == Some(Cloud::Azure) {
        refuse(
            found,
            path.attribute("surge"),
            codes::SPOT_POOL_WITHOUT_SURGE,
            [
                "AKS adds no nodes to a spot pool",
                "surge and spot are both set on AKS, which upgrades a spot pool without surge",
                "remove surge",
            ],
        );
    }
}

fn system(pool: &PoolSpecDraft, path: &Path, found: &mut Findings) {
    if !pool.mode.is(PoolMode::System) {
        return;
    }
    if pool.min_nodes.is(0) {
        refuse(
            found,
            path.attribute("min_nodes"),
            codes::SYSTEM_POOL_WITHOUT_NODES,
            [
                "A system pool without nodes",
                "min_nodes is 0 in a pool with mode = \"system\"",
                "keep at least one node, better three",
            ],
        );
    }
    if pool.spot.is(true) {
        refuse(
            found,
            path.attribute("spot"),
            codes::SPOT_SYSTEM_POOL,
            [
                "A system pool that can be taken back",
                "spot is true in a pool with mode = \"system\"",
                "use spot nodes for workloads only",
            ],
        );
    }
    if pool.max_pods.known().is_some_and(|pods| *pods < 30) {
        refuse(
            found,
            path.attribute("max_pods"),
            codes::TOO_FEW_PODS_FOR_SYSTEM_POOL,
            [
                "Too few pods for a system pool",
                "max_pods is below 30 in a pool with mode = \"system\"",
                "allow 30 pods or more",
            ],
        );
    }
}

fn labels(pool: &PoolSpecDraft, path: &Path, found: &mut Findings) {
    let Some(labels) = pool.labels.known() else {
        return;
    };
    for (key, value) in labels {
        let path = path.attribute("labels").key(key);
        if let Some(why) = words::bad_label_key(key) {
            refuse(
                found,
                path.clone(),
                codes::NOT_A_LABEL_KEY,
                [
                    "Not the key of a Kubernetes label",
                    &format!("{key:?}: {why}"),
                    "rename the label",
                ],
            );
        } else if let Some(owner) = words::reserved_label(key) {
            refuse(
                found,
                path.clone(),
                codes::LABEL_OF_THE_CLOUD,
                [
                    "A label that the cloud owns",
                    &format!(
                        "{key:?} belongs to {owner}; the cloud would refuse it or write over it"
                    ),
                    "use a prefix of your own",
                ],
            );
        }
        if let Some(value) = value.known()
            && !words::is_label_value(value)
        {
            refuse(
                found,
                path,
                codes::NOT_A_LABEL_VALUE,
                [
                    "Not the value of a Kubernetes label",
                    &format!(
                        "{value:?}: at most 63 letters, digits, hyphens, dots and underscores"
                    ),
                    "shorten it, or write it without other characters",
                ],
            );
        }
    }
}

fn taints(pool: &PoolSpecDraft, path: &Path, found: &mut Findings) {
    let Some(taints) = pool.taints.known() else {
        return;
    };
    let mut seen = BTreeSet::new();
    for (index, taint) in taints.iter().enumerate() {
        let Some(taint) = taint.known() else { continue };
        let path = path.attribute("taints").index(index);
        let Some(key) = taint.key.known() else {
            continue;
        };
        if let Some(why) = words::bad_label_key(key) {
            refuse(
                found,
                path.attribute("key"),
                codes::NOT_A_TAINT_KEY,
                [
                    "Not the key of a taint",
                    &format!("{key:?}: {why}"),
                    "rename the taint",
                ],
            );
        } else if let Some(owner) = words::reserved_label(key) {
            refuse(
                found,
                path.attribute("key"),
                codes::TAINT_OF_THE_CLOUD,
                [
                    "A taint that the cloud owns",
                    &format!(
                        "{key:?} belongs to {owner}; spot = true sets the spot taint by itself"
                    ),
                    "use a prefix of your own",
                ],
            );
        }
        if let Some(value) = taint.value.known()
            && !words::is_label_value(value)
        {
            refuse(
                found,
                path.attribute("value"),
                codes::NOT_A_TAINT_VALUE,
                [
                    "Not the value of a taint",
                    &format!(
                        "{value:?}: at most 63 letters, digits, hyphens, dots and underscores"
                    ),
                    "shorten it, or write it without other characters",
                ],
            );
        }
        if let Some(effect) = taint.effect.known()
            && !seen.insert((key.clone(), effect.to_string()))
        {
            refuse(
                found,
                path.attribute("effect"),
                codes::SAME_TAINT_TWICE,
                [
                    "The same taint twice",
                    &format!("{key:?} has the effect {effect} twice"),
                    "remove one of the two",
                ],
            );
        }
        if pool.mode.is(PoolMode::System) && key != "CriticalAddonsOnly" {
            refuse(
                found,
                path.attribute("key"),
                codes::TAINT_KEEPS_COMPONENTS_OUT,
                [
                    "A taint that keeps the cluster's components out",
                    &format!(
                        "{key:?} is on a pool with mode = \"system\"; only CriticalAddonsOnly is tolerated"
                    ),
                    "remove it, or put it on a workload pool",
                ],
            );
        }
    }
}
