//! What the service does to clusters without being asked.

use serde_json::{Value, json};

use super::{TYPE, begin_state};
use crate::{
    azure::{path::key, pool, resource, versions},
    core::World,
};

/// What the service does to clusters without being asked: an extension manager ten minutes after
/// birth, upgrades by channel a week after the last change, and the autoscaler.
pub(in crate::azure) fn tick(world: &mut World) {
    const EXTENSION_AFTER: i64 = 600_000;
    const UPGRADE_AFTER: i64 = 7 * 86_400_000;
    let now = world.clock.now();
    let clusters: Vec<(String, Value)> = resource::of_type(world, TYPE)
        .filter(|(_, body)| {
            body["properties"]["provisioningState"] == "Succeeded"
                && body["properties"]["powerState"]["code"] == "Running"
        })
        .map(|(id, body)| (id.clone(), body.clone()))
        .collect();
    for (id, body) in clusters {
        if !world.running_on("azure", &id).is_empty() {
            continue;
        }
        let born = resource::kept(&body, "born").as_i64().unwrap_or(now);
        let settled = resource::kept(&body, "settled").as_i64().unwrap_or(now);
        let properties = &body["properties"];
        if now - born >= EXTENSION_AFTER
            && properties["addonProfiles"]["extensionManager"].is_null()
        {
            begin_state(world, &id, "Updating", |_| {});
            set_pools(world, &id, "Updating");
            by_itself(world, "Updating", &id, 60, json!({ "action": "extension" }));
            continue;
        }
        let channel = properties["autoUpgradeProfile"]["upgradeChannel"]
            .as_str()
            .unwrap_or("none");
        let current = properties["currentKubernetesVersion"]
            .as_str()
            .unwrap_or_default();
        if now - settled >= UPGRADE_AFTER
            && let Some(goal) = versions::channel_target(channel, current)
        {
            begin_state(world, &id, "Upgrading", |body| {
                resource::keep(body, "version", json!(goal));
            });
            let pools: Vec<String> = pool::of_cluster(world, &id)
                .map(|(id, _)| id.clone())
                .collect();
            for pool in pools {
                resource::change(world, &pool, |body| {
                    body["properties"]["provisioningState"] = "Upgrading".into();
                    body["properties"]["orchestratorVersion"] = goal.into();
                    resource::keep(body, "version", json!(goal));
                });
            }
            by_itself(
                world,
                "Upgrading",
                &id,
                900,
                json!({ "action": "cluster", "auto": true }),
            );
            continue;
        }
        scale(world, &id, now);
    }
}

fn set_pools(world: &mut World, cluster: &str, state: &str) {
    let pools: Vec<String> = pool::of_cluster(world, cluster)
        .map(|(id, _)| id.clone())
        .collect();
    for pool in pools {
        resource::change(world, &pool, |body| {
            body["properties"]["provisioningState"] = state.into();
        });
    }
}

/// Starts an operation that nobody asked for; nobody polls it either, so it ends by the clock.
fn by_itself(world: &mut World, kind: &str, id: &str, seconds: u32, detail: Value) {
    let (ending, last) = (world.ending.take(), world.last_operation.take());
    let mut operation = world.start_operation("azure", kind, &key(id), seconds, detail);
    operation.polls_left = None;
    world.keep_operation(&operation);
    (world.ending, world.last_operation) = (ending, last);
}

/// The autoscaler. Nothing runs on simulated nodes, so after ten idle minutes it takes one away;
/// while pods are pending it adds one every minute. It asks no quota.
fn scale(world: &mut World, cluster: &str, now: i64) {
    const IDLE: i64 = 600_000;
    const READY: i64 = 60_000;
    let name = cluster.rsplit('/').next().unwrap_or_default();
    let pending = world.faults.pods_pending("azure", name);
    let pools: Vec<(String, Value)> = pool::of_cluster(world, cluster)
        .map(|(id, body)| (id.clone(), body.clone()))
        .collect();
    for (id, body) in pools {
        let properties = &body["properties"];
        let settled = resource::kept(&body, "settled").as_i64().unwrap_or(now);
        let (Some(count), Some(least), Some(most)) = (
            properties["count"].as_i64(),
            properties["minCount"].as_i64(),
            properties["maxCount"].as_i64(),
        ) else {
            continue;
        };
        let (steps, scaled) = if let Some(since) = pending {
            let steps = (now - settled.max(since)) / READY;
            (steps, (count + steps).min(most.max(count)))
        } else {
            let steps = (now - settled) / IDLE;
            (steps, (count - steps).max(least.min(count)))
        };
        // Nodes that pods wait for are not idle, also where there may be no more of them.
        if properties["enableAutoScaling"] == true
            && properties["provisioningState"] == "Succeeded"
            && steps > 0
            && (scaled != count || pending.is_some())
        {
            resource::change(world, &id, |body| {
                body["properties"]["count"] = scaled.into();
                resource::keep(body, "settled", now.into());
            });
        }
    }
}
