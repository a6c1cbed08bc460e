//! Managed clusters: defaults, rules, requests, and what happens to them without being asked.

mod access;
mod action;
mod drift;
mod plan;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Arm, Outcome, catalogue,
    error::{flat, invalid, no_resource},
    path::{key, location},
    pool, resource, versions,
};
use crate::core::{
    Answer, Operation, Status, World,
    operation::{Ending, Failure},
};
pub(super) use access::check_subnet_rights;
pub(super) use action::{abort, upgrade_profile};
pub(super) use drift::tick;
use plan::{Planned, plan};

/// The type, as answers spell it (capital M, unlike the one in ids).
pub(super) const TYPE: &str = "Microsoft.ContainerService/ManagedClusters";

/// A cluster as clients see it: with its pools.
pub(super) fn shown(world: &World, body: &Value) -> Value {
    let mut shown = resource::bare(body);
    let pools: Vec<Value> = pool::of_cluster(world, body["id"].as_str().unwrap_or_default())
        .map(|(_, pool)| pool::profile(pool))
        .collect();
    shown["properties"]["agentPoolProfiles"] = pools.into();
    shown
}

/// A Kubernetes version that AKS does not offer.
pub(super) fn unsupported(version: &str, region: &str) -> Answer {
    let offered: Vec<&str> = versions::offered().collect();
    flat(
        400,
        "K8sVersionNotSupported",
        &format!(
            "Managed cluster version {version} is not supported in location '{region}'. Please use [az aks get-versions] command to get the supported version list in this region. Supported versions: [{}]. For more information, please check https://aka.ms/supported-version-list",
            offered.join(" ")
        ),
    )
}

/// Refuses a second operation.
pub(super) fn refuse_if_busy(world: &World, cluster: &str) -> Result<(), Answer> {
    let Some(operation) = world.running_on("azure", &key(cluster)).into_iter().next() else {
        return Ok(());
    };
    let what = match operation.target.split_once("/agentpools/") {
        Some((_, pool)) => format!("Another agentpool operation ({pool} - {})", operation.kind),
        None => format!("Another operation ({})", operation.kind),
    };
    Err(flat(
        409,
        "OperationNotAllowed",
        &format!(
            "Operation is not allowed: {what} is in progress, please wait for it to finish before starting a new operation. See https://aka.ms/aks-pending-operation for more details"
        ),
    ))
}

/// Refuses a change of a stopped cluster.
pub(super) fn refuse_if_stopped(cluster: &Value) -> Result<(), Answer> {
    if cluster["properties"]["powerState"]["code"] != "Stopped" {
        return Ok(());
    }
    Err(flat(
        400,
        "OperationNotAllowed",
        "Operation is not allowed because the managed cluster is in stopped state. Start the cluster before performing this operation. See https://aka.ms/aks-cluster-stopped for more details",
    ))
}

/// Checks and normalises tags.
pub(super) fn retag(body: &mut Value, member: &str) -> Result<(), Answer> {
    let Some(tags) = body.get(member).filter(|tags| !tags.is_null()) else {
        return Ok(());
    };
    super::check_tags(tags)
}

/// Answers a request for clusters.
pub(super) fn answer(arm: &mut Arm<'_>) -> Outcome {
    let tail = arm.target.tail.clone();
    if tail.as_deref() == Some("managedclusters") {
        return Ok(list(arm));
    }
    let id = arm.id();
    if let Some(tail) = tail {
        return action::act(arm, &id, &tail);
    }
    match arm.call.method.as_str() {
        "GET" => {
            arm.world.poll_target("azure", &key(&id));
            resource::shown(arm.world, &id)
                .map(|body| Answer::json(200, &body))
                .ok_or_else(|| missing(arm))
        }
        "PUT" => put(arm, &id),
        "PATCH" => action::patch(arm, &id),
        "DELETE" => action::delete(arm, &id),
        _ => Err(Answer::empty(405)),
    }
}

fn missing(arm: &Arm<'_>) -> Answer {
    no_resource(
        "Microsoft.ContainerService/managedClusters",
        arm.target.name(0),
        arm.target.group(),
    )
}

fn list(arm: &Arm<'_>) -> Answer {
    let prefix = if arm.target.group.is_some() {
        arm.target.group_id()
    } else {
        format!("/subscriptions/{}", arm.target.subscription())
    };
    let prefix = format!("{}/", key(&prefix));
    let clusters: Vec<Value> = resource::of_type(arm.world, TYPE)
        .filter(|(id, _)| id.starts_with(&prefix))
        .map(|(_, body)| shown(arm.world, body))
        .collect();
    Answer::json(200, &json!({ "value": clusters }))
}

fn put(arm: &mut Arm<'_>, id: &str) -> Outcome {
    let body = arm.object()?;
    let existing = resource::find(arm.world, id).cloned();
    arm.precondition(
        existing
            .as_ref()
            .and_then(|old| resource::kept(old, "etag").as_str()),
    )?;
    if let Some(old) = &existing {
        refuse_if_busy(arm.world, id)?;
        refuse_if_stopped(old)?;
    }
    let name = arm.target.name(0).to_owned();
    let plain = |letter: char| letter.is_ascii_alphanumeric();
    if name.len() > 63
        || !name.starts_with(plain)
        || !name.ends_with(plain)
        || !name
            .chars()
            .all(|letter| plain(letter) || "-_".contains(letter))
    {
        return Err(invalid(
            "resourceName",
            "the name has 1 to 63 letters, digits, hyphens and underscores, and starts and ends with a letter or digit",
        ));
    }
    let Some(region) = body["location"]
        .as_str()
        .and_then(catalogue::region)
        .map(|region| region.0)
    else {
        return Err(super::error::gateway(
            400,
            if body["location"].is_string() {
                "LocationNotAvailableForResourceType"
            } else {
                "LocationRequired"
            },
            &format!(
                "The provided location '{}' is not available for resource type 'Microsoft.ContainerService/managedClusters'.",
                body["location"].as_str().unwrap_or_default()
            ),
        ));
    };
    if let Some(old) = existing.as_ref().and_then(|old| old["location"].as_str())
        && location(old) != region
    {
        return Err(super::error::gateway(
            409,
            "InvalidResourceLocation",
            &format!(
                "The resource '{name}' already exists in location '{old}' in resource group '{}'. A resource with the same name cannot be created in location '{region}'. Please select a new resource name.",
                arm.target.group()
            ),
        ));
    }
    if let (Some(sent), Some(old)) = (body["properties"]["provisioningState"].as_str(), &existing)
        && old["properties"]["provisioningState"] != sent
    {
        return Err(invalid(
            "properties.provisioningState",
            "the provisioning state is read-only and differs from the server's",
        ));
    }
    super::check_tags(&body["tags"])?;
    let planned = plan(arm, id, &name, region, existing.as_ref(), &body)?;
    Ok(commit(
        arm,
        id,
        &name,
        region,
        existing.as_ref(),
        &body,
        planned,
    ))
}

/// A name-based id.
pub(super) fn guid(of: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, of.as_bytes()).to_string()
}

fn short_hash(of: &str) -> String {
    super::entra::hex(&Sha256::digest(of)[..4])
}

/// The zone in which a pool cannot be had now, if one is lost: its operation will fail.
pub(super) fn fail_in_lost_zone(world: &mut World, region: &str, pool: &Value) {
    let zones: Vec<&str> = pool["availabilityZones"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if let Some(zone) = zones
        .iter()
        .find(|zone| world.faults.lost_zone("azure", region, zone))
    {
        world.ending = Some(Ending::Failed(Failure {
            code: "ZonalAllocationFailed".into(),
            message: format!(
                "Allocation failed. We do not have sufficient capacity for the requested VM size in zone {zone} of {region}. Read more about improving likelihood of allocation success at http://aka.ms/allocation-guidance"
            ),
        }));
    }
}

fn commit(
    arm: &mut Arm<'_>,
    id: &str,
    name: &str,
    region: &str,
    existing: Option<&Value>,
    sent: &Value,
    planned: Planned,
) -> Answer {
    let mut properties = planned.properties;
    let state = match existing {
        None => "Creating",
        Some(_) if planned.upgrades => "Upgrading",
        Some(_) => "Updating",
    };
    let prefix = properties["dnsPrefix"]
        .as_str()
        .or(properties["fqdnSubdomain"].as_str())
        .unwrap_or(name)
        .to_owned();
    let host = format!("{prefix}-{}", short_hash(&key(id)));
    let private = properties["apiServerAccessProfile"]["enablePrivateCluster"] == true;
    if private {
        if properties["apiServerAccessProfile"]["privateDNSZone"].is_null() {
            properties["apiServerAccessProfile"]["privateDNSZone"] = "system".into();
        }
        if properties["apiServerAccessProfile"]["enablePrivateClusterPublicFQDN"].is_null() {
            properties["apiServerAccessProfile"]["enablePrivateClusterPublicFQDN"] = true.into();
        }
        properties["privateFQDN"] =
            format!("{host}.{}.privatelink.{region}.azmk8s.io", guid(&key(id))).into();
    }
    properties["fqdn"] = format!("{host}.hcp.{region}.azmk8s.io").into();
    properties["azurePortalFQDN"] = format!("{host}.portal.hcp.{region}.azmk8s.io").into();
    properties["provisioningState"] = state.into();
    properties["powerState"] = json!({ "code": "Running" });
    properties["maxAgentPools"] = 100.into();
    let current = existing.map_or(json!(planned.version), |old| {
        old["properties"]["currentKubernetesVersion"].clone()
    });
    properties["currentKubernetesVersion"] = current;
    properties["resourceUID"] = existing.map_or_else(
        || json!(uuid::Uuid::new_v4().simple().to_string()[..24]),
        |old| old["properties"]["resourceUID"].clone(),
    );
    let node_group = properties["nodeResourceGroup"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let kubelet = super::node_group(
        arm.world,
        arm.target.subscription(),
        &node_group,
        id,
        name,
        region,
    );
    if properties["identityProfile"]["kubeletidentity"].is_null() {
        properties["identityProfile"] = json!({ "kubeletidentity": kubelet });
    }
    if let Some(old) = existing.map(|old| &old["properties"]["addonProfiles"]["extensionManager"])
        && old.is_object()
        && properties["addonProfiles"]["extensionManager"].is_null()
    {
        properties["addonProfiles"]["extensionManager"] = old.clone();
    }
    let mut sku = json!({ "name": "Base", "tier": "Free" });
    if let Some(wanted) = sent["sku"].as_object() {
        for (key, value) in wanted {
            sku[key] = value.clone();
        }
    }
    let mut body = json!({
        "id": existing.map_or_else(
            || json!(format!("/subscriptions/{}/resourcegroups/{}/providers/Microsoft.ContainerService/managedClusters/{name}", arm.target.subscription(), arm.target.group())),
            |old| old["id"].clone(),
        ),
        "location": region, "name": existing.map_or(json!(name), |old| old["name"].clone()), "type": TYPE,
        "tags": sent["tags"].clone(), "kind": "Base", "sku": sku, "properties": properties, "identity": planned.identity,
    });
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
        // Members that this simulator does not know are kept, as unknown fields are.
        for (name, value) in sent.as_object().into_iter().flatten() {
            if !members.contains_key(name)
                && !value.is_null()
                && !["systemData", "eTag", "etag"].contains(&name.as_str())
            {
                members.insert(name.clone(), value.clone());
            }
        }
    }
    if let Some(old) = existing {
        body["_kept"] = old["_kept"].clone();
    }
    resource::keep(&mut body, "version", json!(planned.version));
    resource::keep(&mut body, "etag", json!(uuid::Uuid::new_v4().to_string()));
    if existing.is_some() {
        body["eTag"] = resource::kept(&body, "etag").clone();
    }
    resource::put(arm.world, id, body);
    for (name, properties) in planned.pools {
        fail_in_lost_zone(arm.world, region, &properties);
        let pool_state = if resource::find(arm.world, &pool::id_of(id, &name)).is_some() {
            state
        } else {
            "Creating"
        };
        pool::write(arm.world, id, &name, properties, pool_state);
    }
    for name in &planned.gone {
        resource::change(arm.world, &pool::id_of(id, name), |body| {
            body["properties"]["provisioningState"] = "Deleting".into();
        });
    }
    touch_pools(arm.world, id);
    let seconds = match state {
        "Creating" => 300,
        "Upgrading" => 600,
        _ => 120,
    };
    let operation = arm.begin(
        state,
        id,
        region,
        seconds,
        json!({ "action": "cluster", "gone": planned.gone }),
    );
    let body = resource::shown(arm.world, id).unwrap_or_default();
    Answer::json(if existing.is_some() { 200 } else { 201 }, &body)
        .with("azure-asyncoperation", operation.poll)
}

/// A cluster operation changes the etags of all pools.
fn touch_pools(world: &mut World, cluster: &str) {
    let pools: Vec<String> = pool::of_cluster(world, cluster)
        .map(|(id, _)| id.clone())
        .collect();
    for id in pools {
        resource::change(world, &id, |body| {
            body["properties"]["eTag"] = uuid::Uuid::new_v4().to_string().into();
        });
    }
}

fn begin_state(world: &mut World, id: &str, state: &str, by: impl FnOnce(&mut Value)) {
    resource::change(world, id, |body| {
        by(body);
        let etag = json!(uuid::Uuid::new_v4().to_string());
        body["properties"]["provisioningState"] = state.into();
        body["eTag"] = etag.clone();
        resource::keep(body, "etag", etag);
    });
    touch_pools(world, id);
}

/// Completes an operation on a cluster.
pub(super) fn complete(world: &mut World, operation: &Operation) {
    let id = operation.target.clone();
    let succeeded = operation.status == Status::Succeeded;
    let canceled = operation.status == Status::Canceled;
    let action = operation.detail["action"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if action == "abort" {
        return;
    }
    if action == "delete" && succeeded {
        if let Some(group) = resource::find(world, &id)
            .and_then(|body| body["properties"]["nodeResourceGroup"].as_str())
            .map(str::to_owned)
        {
            let subscription = id.split('/').nth(2).unwrap_or_default();
            let group = format!("/subscriptions/{subscription}/resourceGroups/{group}");
            resource::remove(world, &group);
        }
        resource::remove(world, &id);
        return;
    }
    if succeeded {
        for name in operation.detail["gone"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            resource::remove(world, &pool::id_of(&id, name));
        }
    }
    let now = operation.ended.unwrap_or_else(|| world.clock.now());
    resource::change(world, &id, |body| {
        let properties = &mut body["properties"];
        properties["provisioningState"] = if succeeded {
            "Succeeded"
        } else if canceled {
            "Canceled"
        } else {
            "Failed"
        }
        .into();
        if succeeded {
            match action.as_str() {
                "stop" => properties["powerState"]["code"] = "Stopped".into(),
                "start" => properties["powerState"]["code"] = "Running".into(),
                "extension" => {
                    properties["addonProfiles"]["extensionManager"] = json!({ "enabled": true, "config": null, "identity": { "clientId": guid(&format!("{id}/extension")), "objectId": guid(&format!("{id}/extension/object")) } });
                }
                _ => {}
            }
            let version = resource::kept(body, "version").clone();
            if version.is_string() {
                if operation.detail["auto"] == true {
                    body["properties"]["kubernetesVersion"] = version.clone();
                }
                body["properties"]["currentKubernetesVersion"] = version;
            }
        }
        let etag = json!(uuid::Uuid::new_v4().to_string());
        body["eTag"] = etag.clone();
        resource::keep(body, "etag", etag);
        resource::keep(body, "settled", now.into());
        if resource::kept(body, "born").is_null() {
            resource::keep(body, "born", now.into());
        }
    });
    let pools: Vec<String> = pool::of_cluster(world, &id)
        .map(|(id, _)| id.clone())
        .collect();
    for pool in pools {
        pool::settle(world, &pool, succeeded, canceled);
        if succeeded && (action == "stop" || action == "start") {
            let code = if action == "stop" {
                "Stopped"
            } else {
                "Running"
            };
            resource::change(world, &pool, |body| {
                body["properties"]["powerState"]["code"] = code.into();
            });
        }
    }
    touch_pools(world, &id);
}
