//! What changes without anybody asking: automatic upgrades, and the autoscaler.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    super::{
        catalogue::versions,
        json::{count, text, truth},
        names::ClusterName,
    },
    API, CLUSTERS, POOLS, maintenance,
    operations::{self, Effect},
    show,
};
use crate::core::{Millis, World};

const DAY: Millis = 24 * 3600 * 1000;
/// How long after its last upgrade a cluster on a channel is upgraded again.
const UPGRADE_AFTER: Millis = 14 * DAY;
/// How long nodes stay idle before the autoscaler takes them away.
const IDLE: Millis = 10 * 60 * 1000;
/// How long a node takes that pods wait for.
const READY: Millis = 60 * 1000;

/// Lets time pass.
pub(crate) fn tick(world: &mut World) {
    let now = world.clock.now();
    for key in world.store.keys(CLUSTERS, "") {
        let Some(name) = ClusterName::of_key(&key) else {
            continue;
        };
        if world.running_on(API, &key).is_empty() {
            upgrade(world, &name, now);
        }
    }
    for key in world.store.keys(POOLS, "") {
        scale(world, &key, now);
    }
}

fn upgrade(world: &mut World, name: &ClusterName, now: Millis) {
    let Ok(stored) = show::find(world, name) else {
        return;
    };
    let due = stored["sim"]["upgraded"]
        .as_i64()
        .is_some_and(|at| now - at >= UPGRADE_AFTER);
    let Some(channel) =
        versions::channel(text(&stored, "/body/releaseChannel/channel")).filter(|_| due)
    else {
        return;
    };
    let at = Timestamp::from_millisecond(now).unwrap_or_default();
    let policy = &stored["body"]["maintenancePolicy"];
    let master = text(&stored, "/body/currentMasterVersion");
    let Some(next) = next_step(master, channel.target, &channel.versions()) else {
        upgrade_a_pool(world, name, policy, at, master);
        return;
    };
    let minor = versions::minor(next) > versions::minor(master);
    let held = maintenance::excluded(policy, at, |scope| minor || scope == "NO_UPGRADES");
    if held {
        return;
    }
    let mut effect = Effect::none();
    effect.write(&name.key(), "body/currentMasterVersion", json!(next));
    by_itself(world, name, None, "UPGRADE_MASTER", 480, &effect);
}

/// Starts an operation that nobody asked for; nobody polls it either, so it ends by the clock.
fn by_itself(
    world: &mut World,
    name: &ClusterName,
    pool: Option<&str>,
    kind: &str,
    seconds: u32,
    effect: &Effect,
) {
    let polls = world.operation_polls.take();
    operations::start(world, name, pool, kind, seconds, effect);
    world.operation_polls = polls;
}

fn upgrade_a_pool(
    world: &mut World,
    name: &ClusterName,
    policy: &Value,
    at: Timestamp,
    master: &str,
) {
    for (short, stored) in show::pools_of(world, name) {
        let version = text(&stored, "/body/version");
        let behind = versions::order(version) < versions::order(master);
        if !behind || !truth(&stored, "/body/management/autoUpgrade") {
            continue;
        }
        let minor = versions::minor(version) < versions::minor(master);
        let held = maintenance::excluded(policy, at, |scope| minor || scope != "NO_MINOR_UPGRADES");
        if !held {
            let mut effect = Effect::none();
            effect.write(&name.pool_key(&short), "body/version", json!(master));
            by_itself(
                world,
                name,
                Some(&short),
                "AUTO_UPGRADE_NODES",
                600,
                &effect,
            );
            return;
        }
    }
}

/// The next version on the way to `target`, at most one minor ahead.
fn next_step<'a>(master: &str, target: &'a str, offered: &[&'a str]) -> Option<&'a str> {
    if versions::order(master) >= versions::order(target) {
        return None;
    }
    let near = |version: &&&str| {
        versions::minor(version) <= versions::minor(master) + 1
            && versions::order(version) > versions::order(master)
            && versions::order(version) <= versions::order(target)
    };
    offered.iter().find(near).copied()
}

/// The autoscaler: to its minimum after ten idle minutes, and a node more every minute while pods
/// are pending. It asks no quota.
fn scale(world: &mut World, key: &str, now: Millis) {
    let (Some(stored), Some(cluster)) = (world.store.find(POOLS, key), ClusterName::of_key(key))
    else {
        return;
    };
    let autoscaling = &stored["body"]["autoscaling"];
    let idle_since = stored["sim"]["idle_since"].as_i64();
    let (Some(zones), Some(idle_since), true) = (
        stored["sim"]["nodes"].as_object(),
        idle_since,
        truth(autoscaling, "/enabled"),
    ) else {
        return;
    };
    let pending = world.faults.pods_pending(API, &cluster.cluster);
    let nodes = match pending {
        Some(since) => match (now - idle_since.max(since)) / READY {
            ..1 => return,
            more => grown(autoscaling, zones.clone(), more),
        },
        None if now - idle_since < IDLE => return,
        None => shrunk(autoscaling, zones),
    };
    // Nodes that pods wait for are not idle, also where there may be no more of them.
    let changes = nodes != *zones || pending.is_some();
    if changes && world.running_on(API, &cluster.key()).is_empty() {
        world.store.change(POOLS, key, |document| {
            document["sim"]["nodes"] = Value::Object(nodes);
            if pending.is_some() {
                document["sim"]["idle_since"] = now.into();
            }
        });
    }
}

/// `more` nodes, each in the zone that has fewest, as far as the limits go.
fn grown(autoscaling: &Value, mut zones: Map<String, Value>, more: i64) -> Map<String, Value> {
    let zone_high = u64::from(count(autoscaling, "/maxNodeCount"));
    let total_high = u64::from(count(autoscaling, "/totalMaxNodeCount"));
    for _ in 0..more {
        let total: u64 = zones.values().filter_map(Value::as_u64).sum();
        let fewest = zones.values_mut().min_by_key(|have| have.as_u64());
        let Some(fewest) = fewest else { break };
        let have = fewest.as_u64().unwrap_or_default();
        let may = if zone_high > 0 {
            have < zone_high
        } else {
            total < total_high
        };
        if !may {
            break;
        }
        *fewest = json!(have + 1);
    }
    zones
}

/// The least nodes, in their zones.
fn shrunk(autoscaling: &Value, zones: &Map<String, Value>) -> Map<String, Value> {
    let total_low = count(autoscaling, "/totalMinNodeCount");
    let zone_low = count(autoscaling, "/minNodeCount");
    let spread = u32::try_from(zones.len()).unwrap_or(1).max(1);
    let mut nodes = Map::new();
    for (place, (zone, have)) in zones.iter().enumerate() {
        let place = u32::try_from(place).unwrap_or_default();
        let share = if zone_low > 0 {
            zone_low
        } else {
            total_low / spread + u32::from(place < total_low % spread)
        };
        let have = have
            .as_u64()
            .and_then(|have| u32::try_from(have).ok())
            .unwrap_or_default();
        let up = zone_low.max(total_low) > 0 && have < share;
        nodes.insert(
            zone.clone(),
            json!(if up { share } else { have.min(share) }),
        );
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_automatic_upgrade_goes_one_minor_at_a_time() {
        let channel = versions::channel("REGULAR").unwrap();
        let step = |from| next_step(from, channel.target, &channel.versions());
        assert_eq!(step("1.32.11-gke.1038000"), Some("1.33.10-gke.1067000"));
        assert_eq!(step("1.33.10-gke.1067000"), Some("1.34.6-gke.1068000"));
        assert_eq!(step("1.34.6-gke.1068000"), None);
    }
}
