//! Quota: processors in use per region, and the words of a refusal.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    super::{
        catalogue::machines::{self, CPU_QUOTAS},
        json::{text, truth},
        names::ClusterName,
        refusal::Refusal,
    },
    POOLS,
};
use crate::core::World;

/// Processors by quota.
pub(crate) type Usage = BTreeMap<&'static str, u64>;

/// What `nodes` nodes per zone of a pool take.
pub(crate) fn cost(pool: &Value, nodes: &Value) -> Usage {
    let mut usage = Usage::new();
    let machine = text(pool, "/config/machineType");
    let spot = truth(pool, "/config/spot") || truth(pool, "/config/preemptible");
    for (zone, count) in nodes.as_object().into_iter().flatten() {
        let Some(machine) = machines::machine(zone, machine) else {
            continue;
        };
        let quota = if spot {
            "PREEMPTIBLE_CPUS"
        } else {
            machine.quota
        };
        *usage.entry(quota).or_default() +=
            count.as_u64().unwrap_or_default() * u64::from(machine.cpus);
    }
    usage
}

/// What all pools of a project use in a region.
pub(crate) fn usage(world: &World, project: &str, region: &str) -> Usage {
    let mut usage = Usage::new();
    for key in world
        .store
        .keys(POOLS, &format!("projects/{project}/locations/"))
    {
        let here = ClusterName::of_key(&key).is_some_and(|name| name.place.region == region);
        let Some(pool) = world.store.find(POOLS, &key).filter(|_| here) else {
            continue;
        };
        for (quota, cpus) in cost(&pool["body"], &pool["sim"]["nodes"]) {
            *usage.entry(quota).or_default() += cpus;
        }
    }
    usage
}

/// The limit of a quota.
pub(crate) fn limit(quota: &str) -> u64 {
    CPU_QUOTAS
        .iter()
        .find(|(name, _)| *name == quota)
        .map_or(0, |(_, limit)| u64::from(*limit))
}

/// Refuses what would exceed a quota; every quota that is short is named.
pub(crate) fn check(world: &World, name: &ClusterName, asked: &[Usage]) -> Result<(), Refusal> {
    let used = usage(world, &name.project, &name.place.region);
    let mut total = Usage::new();
    for (quota, cpus) in asked.iter().flatten() {
        *total.entry(quota).or_default() += cpus;
    }
    let mut short = Vec::new();
    for (quota, asked) in total {
        let limit = limit(quota);
        let left = limit.saturating_sub(used.get(quota).copied().unwrap_or_default());
        if asked > left {
            short.push(format!(
                "Insufficient regional quota to satisfy request: resource \"{quota}\": request requires '{asked}.0' and \
                 is short '{}.0'. project has a quota of '{limit}.0' with '{left}.0' available. View and manage quotas \
                 at https://console.cloud.google.com/iam-admin/quotas?usage=USED&project={}.",
                asked - left,
                name.project
            ));
        }
    }
    match short.as_slice() {
        [] => Ok(()),
        [one] => Err(Refusal::forbidden(one.as_str())),
        many => {
            let lines: Vec<String> = many
                .iter()
                .enumerate()
                .map(|(index, line)| format!("\n\t({}) {line}", index + 1))
                .collect();
            Err(Refusal::forbidden(lines.concat()))
        }
    }
}
