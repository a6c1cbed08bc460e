//! Nearness: of what was seen, that which the user's configuration speaks of, in its spelling.
//! Labels, taints and pools of others are nobody's business here.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    naming::{self, NameRule},
    pool::{PoolSpec, Taint},
    spec::{ClusterSpec, Maintenance},
    status::{ClusterStatus, PoolStatus},
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

/// Where the pool of a key is gone and another that was made for the key is there (a rotation that
/// was cut once the old one had gone), that one serves the key. `there` are the pools that bear a
/// mark of ours, with their machines; a pool `is_gone` when its own read says so, by which the Spec
/// goes too: that of the cluster may be another moment's. Keys that are alike as far as a name has
/// room for them have no successors: it could be either's.
pub(super) fn successors(
    rule: NameRule,
    there: &BTreeMap<&str, &str>,
    is_gone: impl Fn(&str) -> bool,
    pools: &mut BTreeMap<String, PoolStatus>,
) {
    let names = pools.values().filter_map(|pool| pool.cloud_name.clone());
    let known: BTreeSet<String> = names.collect();
    let keys: Vec<String> = pools.keys().cloned().collect();
    let has_one_key = |name: &str| {
        keys.iter()
            .filter(|key| naming::is_of(rule, key, name))
            .count()
            == 1
    };
    for (key, pool) in pools {
        let name = pool.cloud_name.as_deref();
        if !name.is_some_and(&is_gone) {
            continue;
        }
        let mut others = there
            .iter()
            .filter(|(name, _)| !known.contains(**name) && naming::is_of(rule, key, name))
            .filter(|(name, _)| has_one_key(name));
        if let (Some((name, machine)), None) = (others.next(), others.next()) {
            pool.cloud_name = Some((*name).to_owned());
            pool.running_machine_type = Some((*machine).to_owned());
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn status(name: &str) -> PoolStatus {
        PoolStatus {
            cloud_name: Some(name.to_owned()),
            running_machine_type: Some("chosen".to_owned()),
        }
    }

    /// The name of the pool that serves `payments`, which the state calls `payments-abc`.
    #[track_caller]
    fn check_served_by(there: &[&str], gone: &[&str], expected: &str) {
        let named = [("payments", "payments-abc"), ("batch", "batch-abc")];
        let mut pools: BTreeMap<String, PoolStatus> = named
            .map(|(key, name)| (key.to_owned(), status(name)))
            .into();
        let there = there.iter().map(|name| (*name, "seen")).collect();
        successors(naming::GKE, &there, |name| gone.contains(&name), &mut pools);
        assert_eq!(pools["payments"].cloud_name.as_deref(), Some(expected));
    }

    #[test]
    fn the_pool_that_was_made_for_a_key_serves_it_once_the_other_is_gone() {
        let gone = &["payments-abc"];
        check_served_by(&["payments-xyz", "batch-abc"], gone, "payments-xyz");
        check_served_by(&["payments-abc", "payments-xyz"], &[], "payments-abc");
        // The cluster was read when the pool had gone, the pool while it went.
        check_served_by(&["payments-xyz", "batch-abc"], &[], "payments-abc");
        check_served_by(&["payments-uvw", "payments-xyz"], gone, "payments-abc");
        let others = &["payment-xyz", "payments-long", "batch-abc"];
        check_served_by(others, gone, "payments-abc");
    }

    #[test]
    fn a_pool_that_two_keys_could_have_made_serves_neither_of_them() {
        let names = [
            ("payments1", "payments1abc"),
            ("payments1b", "payments1xyz"),
        ];
        let before: BTreeMap<String, PoolStatus> = names
            .map(|(key, name)| (key.to_owned(), status(name)))
            .into();
        let mut pools = before.clone();
        let there = [("payments1uvw", "seen"), ("payments1xyz", "seen")].into();
        successors(
            naming::AKS,
            &there,
            |name| name == "payments1abc",
            &mut pools,
        );
        assert_eq!(pools, before);
    }
}
