//! Rules over node pools, one by one and together.

use std::collections::{BTreeMap, BTreeSet};

use paymesh_plugin::{findings::Findings, path::Path, spec::Field};

use super::{Cloud, at, words};
use crate::cluster::{
    machines,
    pool::{DiskType, PoolMode, PoolSpecDraft},
    spec::{ClusterSpecDraft, Profile},
    totals,
};
use crate::codes::{self, refuse};

pub(super) fn check(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let Some(pools) = draft.node_pools.known() else {
        return;
    };
    if pools.is_empty() {
        refuse(
            found,
            at("node_pools"),
            &codes::CLUSTER_WITHOUT_NODES,
            "node_pools is empty",
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
            &codes::NO_SYSTEM_POOL,
            "no pool has mode = \"system\"; the cluster's own components need one",
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
            &codes::TOO_MANY_POOLS,
            format!(
                "{} pools; {most} leave room for their rotation",
                pools.len()
            ),
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
                &codes::NOT_AN_AKS_POOL_NAME,
                format!("{key:?}: at most 12 lower-case letters and digits, the first a letter"),
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
                &codes::NOT_A_GKE_POOL_NAME,
                format!(
                    "{key:?}: at most 36 lower-case letters, digits and hyphens, the first a letter"
                ),
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
                    &codes::SIZED_TWICE,
                    format!("both machine_type and {name} are set"),
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
                    &codes::POOL_WITHOUT_SIZE,
                    format!("neither machine_type nor {name} is set"),
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
    if machines::smallest(table, *vcpu, *memory).is_some() {
        return;
    }
    // Whatever is not in the table is more than its last machine has.
    if let Some(largest) = table.last() {
        let too_much = if *vcpu > largest.vcpu {
            "vcpu"
        } else {
            "memory_gb"
        };
        refuse(
            found,
            path.attribute(too_much),
            &codes::NO_MACHINE_OF_THIS_SIZE,
            format!(
                "{vcpu} vCPU and {memory} GiB are wanted; the largest machine in the provider's table, \
                 {}, has {} and {}",
                largest.name, largest.vcpu, largest.memory_gb
            ),
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
            &codes::MACHINE_TYPE_OF_ANOTHER_CLOUD,
            format!("{machine:?} is not how this cloud writes a machine type"),
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
            &codes::TOO_SMALL_FOR_SYSTEM_POOL,
            format!("{machine} has less than 2 vCPU or 4 GiB"),
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
            &codes::MAXIMUM_BELOW_MINIMUM,
            format!("min_nodes is {min} and max_nodes is {max}"),
        );
    }
    if *max == 0 {
        refuse(
            found,
            path.attribute("max_nodes"),
            &codes::POOL_NEVER_HAS_A_NODE,
            "max_nodes is 0",
        );
    }
    if let (Some(Cloud::Google), true, Some(zones)) = (cloud, min == max, pool.zones.known())
        && let Ok(zones) = u32::try_from(zones.len())
        && let Some((less, more)) = totals::uneven(*min, zones)
    {
        refuse(
            found,
            path.attribute("min_nodes"),
            &codes::ZONES_CANNOT_SHARE_FIXED_SIZE,
            format!(
                "{min} nodes over {zones} zones; GKE has the same number in each zone, so {less} or {more}"
            ),
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
                &codes::SAME_ZONE_TWICE,
                format!("{zone} is named twice"),
            );
        }
        match cloud {
            Some(Cloud::Azure) if !["1", "2", "3"].contains(&zone.as_str()) => {
                refuse(
                    found,
                    path,
                    &codes::NOT_AN_AZURE_ZONE,
                    format!("{zone:?}: Azure numbers the zones of a region 1, 2 and 3"),
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
                        &codes::ZONE_OF_ANOTHER_REGION,
                        format!("{zone:?} is not a zone of {region}, such as {region}-b"),
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
            &codes::HIGH_AVAILABILITY_IN_ONE_ZONE,
            "the system pool is in one zone and profile is \"high_availability\"",
        );
    }
}

fn disk(pool: &PoolSpecDraft, path: &Path, cloud: Option<Cloud>, found: &mut Findings) {
    if pool.disk_type.is(DiskType::Ephemeral) && cloud == Some(Cloud::Google) {
        refuse(
            found,
            path.attribute("disk_type"),
            &codes::GKE_HAS_NO_EPHEMERAL_SYSTEM_DISK,
            "disk_type is \"ephemeral\" on GKE",
        );
    }
    if pool.disk_type.is(DiskType::Ssd) && cloud == Some(Cloud::Azure) {
        refuse(
            found,
            path.attribute("disk_type"),
            &codes::AKS_CHOOSES_DISK_BY_MACHINE,
            "disk_type is \"ssd\" on AKS, where machines with an s in their size have fast disks",
        );
    }
}

fn spot(pool: &PoolSpecDraft, path: &Path, cloud: Option<Cloud>, found: &mut Findings) {
    if pool.spot.is(true) && pool.surge.is_known() && cloud == Some(Cloud::Azure) {
        refuse(
            found,
            path.attribute("surge"),
            &codes::SPOT_POOL_WITHOUT_SURGE,
            "surge and spot are both set on AKS, which upgrades a spot pool without surge",
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
            &codes::SYSTEM_POOL_WITHOUT_NODES,
            "min_nodes is 0 in a pool with mode = \"system\"",
        );
    }
    if pool.spot.is(true) {
        refuse(
            found,
            path.attribute("spot"),
            &codes::SPOT_SYSTEM_POOL,
            "spot is true in a pool with mode = \"system\"",
        );
    }
    if pool.max_pods.known().is_some_and(|pods| *pods < 30) {
        refuse(
            found,
            path.attribute("max_pods"),
            &codes::TOO_FEW_PODS_FOR_SYSTEM_POOL,
            "max_pods is below 30 in a pool with mode = \"system\"",
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
                &codes::NOT_A_LABEL_KEY,
                format!("{key:?}: {why}"),
            );
        } else if let Some(owner) = words::reserved_label(key) {
            refuse(
                found,
                path.clone(),
                &codes::LABEL_OF_THE_CLOUD,
                format!("{key:?} belongs to {owner}; the cloud would refuse it or write over it"),
            );
        }
        if let Some(value) = value.known()
            && !words::is_label_value(value)
        {
            refuse(
                found,
                path,
                &codes::NOT_A_LABEL_VALUE,
                format!("{value:?}: at most 63 letters, digits, hyphens, dots and underscores"),
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
                &codes::NOT_A_TAINT_KEY,
                format!("{key:?}: {why}"),
            );
        } else if let Some(owner) = words::reserved_label(key) {
            refuse(
                found,
                path.attribute("key"),
                &codes::TAINT_OF_THE_CLOUD,
                format!("{key:?} belongs to {owner}; spot = true sets the spot taint by itself"),
            );
        }
        if let Some(value) = taint.value.known()
            && !words::is_label_value(value)
        {
            refuse(
                found,
                path.attribute("value"),
                &codes::NOT_A_TAINT_VALUE,
                format!("{value:?}: at most 63 letters, digits, hyphens, dots and underscores"),
            );
        }
        if let Some(effect) = taint.effect.known()
            && !seen.insert((key.clone(), effect.to_string()))
        {
            refuse(
                found,
                path.attribute("effect"),
                &codes::SAME_TAINT_TWICE,
                format!("{key:?} has the effect {effect} twice"),
            );
        }
        if pool.mode.is(PoolMode::System) && key != "CriticalAddonsOnly" {
            refuse(
                found,
                path.attribute("key"),
                &codes::TAINT_KEEPS_COMPONENTS_OUT,
                format!(
                    "{key:?} is on a pool with mode = \"system\"; only CriticalAddonsOnly is tolerated"
                ),
            );
        }
    }
}
