//! Nearness: of what was seen, that which the user's configuration speaks of, in its spelling.
//! Labels, taints and pools of others are nobody's business here.

use std::collections::BTreeMap;

use super::{
    pool::{PoolSpec, Taint},
    spec::{ClusterSpec, Maintenance},
    status::ClusterStatus,
};

/// The labels that are spelled, with the values they have.
pub(super) fn labels(
    spelled: &BTreeMap<String, String>,
    mut seen: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    seen.retain(|key, _| spelled.contains_key(key));
    seen
}

/// The taints that are spelled, in that order, with the values they have.
fn taints(spelled: &[Taint], seen: &[Taint]) -> Vec<Taint> {
    let find = |wanted: &Taint| {
        let mut seen = seen.iter();
        seen.find(|it| (&it.key, it.effect) == (&wanted.key, wanted.effect))
    };
    spelled.iter().filter_map(find).cloned().collect()
}

/// The pools that are spelled, under their keys; `seen` gives a pool by its name in the cloud.
pub(super) fn pools(
    spelling: &ClusterSpec,
    prior: &ClusterStatus,
    seen: impl Fn(&str) -> Option<PoolSpec>,
) -> BTreeMap<String, PoolSpec> {
    let pools = spelling.node_pools.iter().filter_map(|(key, spelled)| {
        let mut pool = seen(prior.pools.get(key)?.cloud_name.as_deref()?)?;
        pool.labels = labels(&spelled.labels, pool.labels);
        pool.taints = taints(&spelled.taints, &pool.taints);
        Some((key.clone(), pool))
    });
    pools.collect()
}

/// The machines of a pool that others made again are those that were seen, not those that were
/// chosen.
pub(super) fn machines(seen: &ClusterSpec, status: &mut ClusterStatus) {
    for (key, pool) in &mut status.pools {
        let seen = seen.node_pools.get(key);
        let Some(machine) = seen.and_then(|seen| seen.machine_type.as_deref()) else {
            continue;
        };
        let mut running = pool.running_machine_type.iter();
        if !running.any(|running| running.eq_ignore_ascii_case(machine)) {
            pool.running_machine_type = Some(machine.to_owned());
        }
    }
}

/// The exclusions under the names that are spelled for the same days.
pub(super) fn maintenance(spelled: &Maintenance, mut seen: Maintenance) -> Maintenance {
    let days = seen.exclusions.into_iter();
    let named = days.map(|(name, days)| {
        let mut known = spelled.exclusions.iter();
        let known = known.find(|(_, spelled)| **spelled == days);
        (known.map_or(name, |(name, _)| name.clone()), days)
    });
    seen.exclusions = named.collect();
    seen
}
