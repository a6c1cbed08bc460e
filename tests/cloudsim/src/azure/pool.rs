//! Agent pools: defaults, rules, and their own requests.

mod plan;

use serde_json::{Value, json};

use super::{
    Arm, Outcome, cluster,
    error::{flat, no_resource},
    path::key,
    resource, versions,
};
use crate::core::{Answer, Operation, Status, World};
pub(super) use plan::{Home, plan};

/// The type, as answers spell it.
pub(super) const TYPE: &str = "Microsoft.ContainerService/managedClusters/agentPools";

/// The newest node image.
pub(super) const NODE_IMAGE: &str = "AKSUbuntu-2204gen2containerd-202611.05.0";

/// The id of the pool `name` of a cluster.
pub(super) fn id_of(cluster: &str, name: &str) -> String {
    format!("{cluster}/agentPools/{name}")
}

/// The pools of a cluster, in order of name.
pub(super) fn of_cluster<'a>(
    world: &'a World,
    cluster: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    let prefix = format!("{}/agentpools", key(cluster));
    resource::below(world, &prefix)
}

/// A pool as an entry of the cluster's `agentPoolProfiles`.
pub(super) fn profile(body: &Value) -> Value {
    let mut profile = json!({ "name": body["name"] });
    if let (Some(profile), Some(properties)) =
        (profile.as_object_mut(), body["properties"].as_object())
    {
        profile.extend(properties.clone());
    }
    profile
}

/// Makes or changes a pool's document; the operation that does the work is begun by the caller.
pub(super) fn write(
    world: &mut World,
    cluster: &str,
    name: &str,
    mut properties: Value,
    state: &str,
) {
    let id = id_of(cluster, name);
    let version = properties
        .as_object_mut()
        .and_then(|members| members.shift_remove("_version"));
    let existing = resource::find(world, &id).cloned();
    let image = existing.as_ref().map_or(json!(NODE_IMAGE), |old| {
        old["properties"]["nodeImageVersion"].clone()
    });
    properties["nodeImageVersion"] = image;
    properties["provisioningState"] = state.into();
    properties["eTag"] = uuid::Uuid::new_v4().to_string().into();
    let mut body = existing.unwrap_or_else(|| json!({ "id": id, "name": name, "type": TYPE }));
    body["properties"] = properties;
    resource::keep(&mut body, "version", version.unwrap_or(Value::Null));
    resource::put(world, &id, body);
}

/// Ends what was done to a pool.
pub(super) fn settle(world: &mut World, id: &str, succeeded: bool, canceled: bool) {
    let now = world.clock.now();
    resource::change(world, id, |body| {
        if succeeded {
            let version = resource::kept(body, "version").clone();
            if version.is_string() {
                if body["properties"]["currentOrchestratorVersion"] != version {
                    body["properties"]["nodeImageVersion"] = NODE_IMAGE.into();
                }
                body["properties"]["currentOrchestratorVersion"] = version;
            }
        }
        let state = if succeeded {
            "Succeeded"
        } else if canceled {
            "Canceled"
        } else {
            "Failed"
        };
        body["properties"]["provisioningState"] = state.into();
        resource::keep(body, "settled", now.into());
    });
}

/// Answers a request for one pool, or for the pools of a cluster.
pub(super) fn answer(arm: &mut Arm<'_>) -> Outcome {
    let cluster_id = arm.parent_id();
    if resource::find(arm.world, &cluster_id).is_none() {
        return Err(match arm.call.method.as_str() {
            "DELETE" => Answer::empty(204),
            "GET" => no_resource(
                "Microsoft.ContainerService/managedClusters",
                arm.target.name(0),
                arm.target.group(),
            ),
            _ => super::error::gateway(
                404,
                "ParentResourceNotFound",
                &format!(
                    "Failed to perform '{}' on resource(s) of type 'managedClusters/agentPools', because the parent resource '{cluster_id}' could not be found.",
                    if arm.call.method == "GET" {
                        "read"
                    } else {
                        "write"
                    }
                ),
            ),
        });
    }
    if arm.target.tail.as_deref() == Some("agentpools") {
        let keys = of_cluster(arm.world, &cluster_id).map(|(id, _)| id.clone());
        for pool in keys.collect::<Vec<String>>() {
            arm.world.poll_target("azure", &pool);
        }
        let pools: Vec<Value> = of_cluster(arm.world, &cluster_id)
            .map(|(_, pool)| resource::bare(pool))
            .collect();
        return Ok(Answer::json(200, &json!({ "value": pools })));
    }
    if let Some((kind, _)) = arm.target.parts.get(2) {
        let kind = kind.clone();
        return act(arm, &cluster_id, &kind);
    }
    if let Some(tail) = arm.target.tail.clone() {
        return act(arm, &cluster_id, &tail);
    }
    let id = arm.id();
    match arm.call.method.as_str() {
        "GET" => {
            if !arm.world.running_on("azure", &key(&id)).is_empty() {
                arm.world.poll_target("azure", &key(&id));
            }
            resource::shown(arm.world, &id)
                .map(|body| Answer::json(200, &body))
                .ok_or_else(|| missing(arm))
        }
        "PUT" => put(arm, &cluster_id),
        "DELETE" => delete(arm, &cluster_id),
        _ => Err(Answer::empty(405)),
    }
}

fn missing(arm: &Arm<'_>) -> Answer {
    flat(
        404,
        "NotFound",
        &format!(
            "Could not find the agent pool {} of the managed cluster {}.",
            arm.target.name(1),
            arm.target.name(0)
        ),
    )
}

fn put(arm: &mut Arm<'_>, cluster_id: &str) -> Outcome {
    let id = arm.id();
    let name = arm.target.name(1).to_owned();
    let body = arm.object()?;
    let existing = resource::find(arm.world, &id).map(|body| body["properties"].clone());
    arm.precondition(existing.as_ref().and_then(|old| old["eTag"].as_str()))?;
    cluster::refuse_if_busy(arm.world, cluster_id)?;
    let cluster = resource::find(arm.world, cluster_id)
        .cloned()
        .unwrap_or_default();
    cluster::refuse_if_stopped(&cluster)?;
    let region = cluster["location"].as_str().unwrap_or_default().to_owned();
    let home = Home {
        region: &region,
        version: cluster["properties"]["currentKubernetesVersion"]
            .as_str()
            .unwrap_or_default(),
        subscription: arm.target.subscription(),
        api: arm.call.query("api-version").unwrap_or_default(),
    };
    let properties = plan(
        arm.world,
        &home,
        &name,
        existing.as_ref(),
        &body["properties"],
    )?;
    if existing.as_ref().is_some_and(|old| old["mode"] == "System")
        && properties["mode"] != "System"
    {
        refuse_last_system(arm.world, cluster_id, &id)?;
    }
    cluster::check_subnet_rights(arm.world, &cluster, &properties)?;
    let state = if existing.is_some() {
        let grows = existing
            .as_ref()
            .is_some_and(|old| old["count"] != properties["count"]);
        let upgrades = properties["_version"] != properties["currentOrchestratorVersion"];
        if upgrades {
            "Upgrading"
        } else if grows {
            "Scaling"
        } else {
            "Updating"
        }
    } else {
        "Creating"
    };
    cluster::fail_in_lost_zone(arm.world, &region, &properties);
    write(arm.world, cluster_id, &name, properties, state);
    let seconds = match state {
        "Upgrading" => 400,
        "Creating" => 150,
        _ => 90,
    };
    let operation = arm.begin(state, &id, &region, seconds, json!({ "action": "pool" }));
    let body = resource::shown(arm.world, &id).unwrap_or_default();
    Ok(
        Answer::json(if existing.is_some() { 200 } else { 201 }, &body)
            .with("azure-asyncoperation", operation.poll),
    )
}

fn refuse_last_system(world: &World, cluster: &str, id: &str) -> Result<(), Answer> {
    let id = key(id);
    let others = of_cluster(world, cluster)
        .filter(|(other, pool)| {
            **other != id
                && pool["properties"]["mode"] == "System"
                && pool["properties"]["provisioningState"] != "Deleting"
        })
        .count();
    if others > 0 {
        return Ok(());
    }
    Err(flat(
        400,
        "OperationNotAllowed",
        "There has to be at least one system agent pool in the cluster. See https://aka.ms/aks/node-pool-rules for more details.",
    ))
}

fn delete(arm: &mut Arm<'_>, cluster_id: &str) -> Outcome {
    let id = arm.id();
    let Some(pool) = resource::find(arm.world, &id).cloned() else {
        return Ok(Answer::empty(204));
    };
    arm.precondition(pool["properties"]["eTag"].as_str())?;
    cluster::refuse_if_busy(arm.world, cluster_id)?;
    let cluster = resource::find(arm.world, cluster_id)
        .cloned()
        .unwrap_or_default();
    cluster::refuse_if_stopped(&cluster)?;
    if pool["properties"]["mode"] == "System" {
        refuse_last_system(arm.world, cluster_id, &id)?;
    }
    resource::change(arm.world, &id, |body| {
        body["properties"]["provisioningState"] = "Deleting".into();
    });
    let region = cluster["location"].as_str().unwrap_or_default().to_owned();
    let operation = arm.begin("Deleting", &id, &region, 120, json!({ "action": "delete" }));
    Ok(Answer::empty(202)
        .with("azure-asyncoperation", operation.poll)
        .with("location", operation.result))
}

fn act(arm: &mut Arm<'_>, cluster_id: &str, tail: &str) -> Outcome {
    let id = id_of(cluster_id, arm.target.name(1));
    let Some(pool) = resource::find(arm.world, &id).cloned() else {
        return Err(missing(arm));
    };
    let cluster = resource::find(arm.world, cluster_id)
        .cloned()
        .unwrap_or_default();
    let region = cluster["location"].as_str().unwrap_or_default().to_owned();
    match (arm.call.method.as_str(), tail) {
        ("GET", "upgradeprofiles") => Ok(Answer::json(
            200,
            &json!({ "value": [upgrade_profile(&id, &pool, &cluster)] }),
        )),
        ("POST", "upgradenodeimageversion") => {
            cluster::refuse_if_busy(arm.world, cluster_id)?;
            cluster::refuse_if_stopped(&cluster)?;
            resource::change(arm.world, &id, |body| {
                body["properties"]["provisioningState"] = "UpgradingNodeImageVersion".into();
                body["properties"]["eTag"] = uuid::Uuid::new_v4().to_string().into();
            });
            let operation = arm.begin(
                "UpgradingNodeImageVersion",
                &id,
                &region,
                300,
                json!({ "action": "image" }),
            );
            Ok(
                Answer::json(202, &resource::shown(arm.world, &id).unwrap_or_default())
                    .with("azure-asyncoperation", operation.poll)
                    .with("location", operation.result),
            )
        }
        ("POST", "abort") => cluster::abort(arm, &id, &region),
        _ => Err(Answer::empty(404)),
    }
}

/// `agentPools/{p}/upgradeProfiles/default`.
pub(super) fn upgrade_profile(id: &str, pool: &Value, cluster: &Value) -> Value {
    let current = pool["properties"]["currentOrchestratorVersion"]
        .as_str()
        .unwrap_or_default();
    let plane = cluster["properties"]["currentKubernetesVersion"]
        .as_str()
        .unwrap_or_default();
    let upgrades: Vec<Value> = versions::offered()
        .filter(|version| {
            versions::numbers(version) > versions::numbers(current)
                && versions::numbers(version) <= versions::numbers(plane)
        })
        .map(|version| json!({ "kubernetesVersion": version }))
        .collect();
    json!({
        "id": format!("{id}/upgradeProfiles/default"), "name": "default", "type": format!("{TYPE}/upgradeProfiles"),
        "properties": {
            "kubernetesVersion": current, "osType": pool["properties"]["osType"], "upgrades": upgrades, "latestNodeImageVersion": NODE_IMAGE,
        },
    })
}

/// Completes an operation on a pool.
pub(super) fn complete(world: &mut World, operation: &Operation) {
    let succeeded = operation.status == Status::Succeeded;
    if operation.detail["action"] == "delete" && succeeded {
        resource::remove(world, &operation.target);
        return;
    }
    if operation.detail["action"] == "image" && succeeded {
        resource::change(world, &operation.target, |body| {
            body["properties"]["nodeImageVersion"] = NODE_IMAGE.into();
        });
    }
    settle(
        world,
        &operation.target,
        succeeded,
        operation.status == Status::Canceled,
    );
}
