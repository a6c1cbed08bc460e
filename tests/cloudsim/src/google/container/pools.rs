//! Requests on node pools.

use serde_json::{Value, json};

use super::{
    super::{
        access::Caller,
        catalogue::versions,
        json::{count, fill, overlay, set, sorted, text, texts},
        names::{ClusterName, check_labels},
        refusal::Refusal,
        schema::{self, snake_case},
    },
    API, POOLS, Request, clusters,
    operations::{self, Effect},
    pool, quota, show,
};
use crate::core::World;

/// Fields of an update that land in the pool's configuration under their own name.
const IN_CONFIG: [&str; 20] = [
    "accelerators",
    "bootDisk",
    "confidentialNodes",
    "consolidationDelay",
    "containerdConfig",
    "diskType",
    "fastSocket",
    "flexStart",
    "gcfsConfig",
    "gvnic",
    "imageType",
    "kubeletConfig",
    "linuxNodeConfig",
    "loggingConfig",
    "machineType",
    "maxRunDuration",
    "resourceManagerTags",
    "storagePools",
    "windowsNodeConfig",
    "workloadMetadataConfig",
];

/// Fields of an update that only say what is updated.
const ADDRESS: [&str; 6] = [
    "name",
    "projectId",
    "zone",
    "clusterId",
    "nodePoolId",
    "etag",
];

/// Answers a request below `…/nodePools`.
pub(crate) fn route(
    world: &mut World,
    caller: &Caller,
    name: &ClusterName,
    request: &Request,
) -> Result<Value, Refusal> {
    let pools = &request.rest[2..];
    match (request.method, pools, request.verb) {
        ("GET", [_], "") => {
            let shown: Result<Vec<Value>, Refusal> = show::pools_of(world, name)
                .iter()
                .map(|(short, _)| show::pool(world, name, short))
                .collect();
            Ok(json!({ "nodePools": shown? }))
        }
        ("POST", [_], "") => create(world, caller, name, &request.read("CreateNodePoolRequest")?),
        ("GET", [_, short], "") => {
            super::watch(world, &name.pool_key(short));
            world.poll_target(API, &name.key());
            show::pool(world, name, short)
        }
        ("DELETE", [_, short], "") => delete(world, name, short),
        ("PUT", [_, short], "") | ("POST", [_, short, "update"], "") => {
            let stored = show::find_pool(world, name, short)?;
            update(
                world,
                name,
                short,
                &stored,
                &request.read("UpdateNodePoolRequest")?,
            )
        }
        ("POST", [_, short], "setSize") | ("POST", [_, short, "setSize"], "") => {
            let read = request.read("SetNodePoolSizeRequest")?;
            set_size(world, name, short, count(&read, "/nodeCount"))
        }
        ("POST", [_, short], "setAutoscaling") | ("POST", [_, short, "autoscaling"], "") => {
            let read = request.read("SetNodePoolAutoscalingRequest")?;
            set_autoscaling(world, name, short, &read["autoscaling"])
        }
        ("POST", [_, short], "setManagement") | ("POST", [_, short, "setManagement"], "") => {
            let read = request.read("SetNodePoolManagementRequest")?;
            set_management(world, name, short, &read["management"])
        }
        ("POST", [_, short], "rollback") => roll_back(world, name, short),
        _ => Err(Refusal::no_such("Method not found.")),
    }
}

fn create(
    world: &mut World,
    caller: &Caller,
    name: &ClusterName,
    read: &Value,
) -> Result<Value, Refusal> {
    let stored = show::find(world, name)?;
    let short = text(read, "/nodePool/name").to_owned();
    if world.store.find(POOLS, &name.pool_key(&short)).is_some() {
        return Err(Refusal::exists(format!(
            "Already exists: {}/nodePools/{short}.",
            name.shown()
        )));
    }
    let wanted = if read["nodePool"].is_object() {
        read["nodePool"].clone()
    } else {
        json!({})
    };
    let body = pool::complete(name, &stored["body"], wanted)?;
    operations::ensure_free(world, name, Some(&short))?;
    caller.may_run_nodes_as(world, &pool::service_account(name, &body), &name.project)?;
    let nodes = pool::first_nodes(&body);
    quota::check(world, name, &[quota::cost(&body, &nodes)])?;
    let lost: Vec<String> = texts(&body, "/locations")
        .into_iter()
        .filter(|zone| world.faults.lost_zone(API, &name.place.region, zone))
        .collect();
    let now = world.clock.now();
    let sim = json!({ "created": now, "nodes": nodes, "idle_since": now });
    world.store.put(
        POOLS,
        &name.pool_key(&short),
        json!({ "body": body, "sim": sim }),
    );
    let shown = operations::start(
        world,
        name,
        Some(&short),
        "CREATE_NODE_POOL",
        120,
        &Effect::none(),
    );
    clusters::fail_for_lost_zones(world, &shown, &lost);
    Ok(shown)
}

fn delete(world: &mut World, name: &ClusterName, short: &str) -> Result<Value, Refusal> {
    show::find_pool(world, name, short)?;
    operations::ensure_free(world, name, Some(short))?;
    let effect = Effect::removal(name.pool_key(short));
    Ok(operations::start(
        world,
        name,
        Some(short),
        "DELETE_NODE_POOL",
        120,
        &effect,
    ))
}

/// Applies an update to a pool.
pub(crate) fn update(
    world: &mut World,
    name: &ClusterName,
    short: &str,
    stored: &Value,
    read: &Value,
) -> Result<Value, Refusal> {
    let cluster = show::find(world, name)?;
    let given: Vec<(&String, &Value)> = read
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(field, value)| !ADDRESS.contains(&field.as_str()) && !value.is_null())
        .collect();
    if given.is_empty() {
        return Err(Refusal::invalid(format!(
            "At least one of {} must be specified.",
            accepted()
        )));
    }
    let etag = text(read, "/etag");
    if !etag.is_empty() && etag != text(&show::pool(world, name, short)?, "/etag") {
        return Err(Refusal::aborted(
            "The etag of the node pool does not match: the node pool was changed meanwhile.",
        ));
    }
    operations::ensure_free(world, name, Some(short))?;
    let mut body = stored["body"].clone();
    let mut effect = Effect::none();
    let mut kind = "UPDATE_CLUSTER";
    let key = name.pool_key(short);
    for (field, value) in given {
        match field.as_str() {
            "nodeVersion" => {
                kind = "UPGRADE_NODES";
                let version = node_version(&cluster["body"], value.as_str().unwrap_or_default())?;
                versions::check_skew(&version, text(&cluster, "/body/currentMasterVersion"))?;
                if version != text(&body, "/version") {
                    effect.write(&key, "sim/prior_version", body["version"].clone());
                }
                set(&mut body, "version", json!(version));
            }
            "locations" => {
                let zones = texts(read, "/locations");
                pool::check_zones(name, &zones)?;
                move_to(&mut effect, name, short, stored, &zones);
                set(&mut body, "locations", json!(zones));
                set(
                    &mut body,
                    "instanceGroupUrls",
                    json!(pool::group_urls(name, short, &zones)),
                );
            }
            "labels" => {
                pool::check_node_labels(&value["labels"])?;
                set(&mut body, "config/labels", value["labels"].clone());
            }
            "taints" => {
                pool::check_taints(&value["taints"])?;
                set(&mut body, "config/taints", value["taints"].clone());
            }
            "tags" => set(&mut body, "config/tags", value["tags"].clone()),
            "resourceLabels" => {
                check_labels("resource_labels", &value["labels"])?;
                let mut labels = if value["labels"].is_object() {
                    value["labels"].clone()
                } else {
                    json!({})
                };
                let mut own = body["config"]["resourceLabels"].clone();
                if let Some(own) = own.as_object_mut() {
                    own.retain(|label, _| label.starts_with("goog-"));
                }
                fill(&mut labels, &own);
                set(&mut body, "config/resourceLabels", labels);
            }
            "diskSizeGb" => {
                kind = "UPGRADE_NODES";
                let size: u32 = value
                    .as_str()
                    .and_then(|size| size.parse().ok())
                    .unwrap_or_default();
                set(&mut body, "config/diskSizeGb", json!(size));
                set(&mut body, "config/bootDisk/sizeGb", json!(size.to_string()));
            }
            "upgradeSettings" => {
                pool::check_upgrade_settings(value)?;
                let mut settings = value.clone();
                fill(&mut settings, &json!({ "strategy": "SURGE" }));
                set(&mut body, "upgradeSettings", settings);
            }
            "nodeNetworkConfig" => overlay(&mut body["networkConfig"], value),
            "queuedProvisioning" | "nodeDrainConfig" | "maintenancePolicy" => {
                set(&mut body, field, value.clone());
            }
            field if IN_CONFIG.contains(&field) => {
                if matches!(field, "machineType" | "diskType" | "imageType" | "bootDisk") {
                    kind = "UPGRADE_NODES";
                }
                set(&mut body, &format!("config/{field}"), value.clone());
                if field == "diskType" {
                    set(&mut body, "config/bootDisk/diskType", value.clone());
                }
            }
            other => {
                return Err(Refusal::invalid(format!(
                    "Updating {} is not supported for this node pool.",
                    snake_case(other)
                )));
            }
        }
    }
    pool::check_config(&body["config"], &texts(&body, "/locations"))?;
    for field in [
        "config",
        "version",
        "locations",
        "instanceGroupUrls",
        "upgradeSettings",
        "networkConfig",
        "queuedProvisioning",
        "nodeDrainConfig",
        "maintenancePolicy",
    ] {
        if body[field] != stored["body"][field] {
            effect.write(&key, &format!("body/{field}"), body[field].clone());
        }
    }
    let nodes = u32::try_from(show::nodes_of(stored)).unwrap_or(1).max(1);
    let seconds = if kind == "UPGRADE_NODES" {
        60 + 90 * nodes
    } else {
        60
    };
    Ok(operations::start(
        world,
        name,
        Some(short),
        kind,
        seconds,
        &effect,
    ))
}

/// What an empty update could have named, in the words of the real refusal.
fn accepted() -> String {
    let names: Vec<String> = schema::fields("UpdateNodePoolRequest")
        .filter(|field| !ADDRESS.contains(field))
        .map(|field| format!("'{}'", snake_case(field)))
        .collect();
    format!("[{}]", names.join(", "))
}

fn node_version(cluster: &Value, wanted: &str) -> Result<String, Refusal> {
    let master = text(cluster, "/currentMasterVersion");
    let channel = cluster
        .pointer("/releaseChannel/channel")
        .and_then(Value::as_str);
    match wanted {
        "-" => Ok(master.to_owned()),
        // An alias never leads past the control plane.
        alias
            if master.starts_with(&format!("{alias}."))
                || master.starts_with(&format!("{alias}-gke.")) =>
        {
            Ok(master.to_owned())
        }
        alias if alias == master => Ok(master.to_owned()),
        alias => versions::resolve(alias, channel)
            .map(str::to_owned)
            .map_err(|refusal| {
                Refusal::invalid(refusal.message.replace("Master version", "Node version"))
            }),
    }
}

/// Adds what a change of zones writes.
pub(crate) fn move_to(
    effect: &mut Effect,
    name: &ClusterName,
    short: &str,
    stored: &Value,
    zones: &[String],
) {
    let key = name.pool_key(short);
    let each = count(&stored["body"], "/initialNodeCount");
    let nodes: serde_json::Map<String, Value> = zones
        .iter()
        .map(|zone| {
            (
                zone.clone(),
                stored["sim"]["nodes"]
                    .get(zone)
                    .cloned()
                    .unwrap_or_else(|| json!(each)),
            )
        })
        .collect();
    effect.write(&key, "sim/nodes", Value::Object(nodes));
    effect.write(&key, "body/locations", json!(zones));
    effect.write(
        &key,
        "body/instanceGroupUrls",
        json!(pool::group_urls(name, short, zones)),
    );
}

fn set_size(
    world: &mut World,
    name: &ClusterName,
    short: &str,
    each: u32,
) -> Result<Value, Refusal> {
    let stored = show::find_pool(world, name, short)?;
    operations::ensure_free(world, name, Some(short))?;
    let zones = texts(&stored["body"], "/locations");
    let nodes: serde_json::Map<String, Value> =
        zones.into_iter().map(|zone| (zone, json!(each))).collect();
    let nodes = Value::Object(nodes);
    let mut more = quota::cost(&stored["body"], &nodes);
    for (quota, cpus) in quota::cost(&stored["body"], &stored["sim"]["nodes"]) {
        if let Some(asked) = more.get_mut(quota) {
            *asked = asked.saturating_sub(cpus);
        }
    }
    quota::check(world, name, &[more])?;
    let mut effect = Effect::none();
    let key = name.pool_key(short);
    effect.write(&key, "sim/nodes", nodes);
    effect.write(&key, "body/initialNodeCount", json!(each));
    effect.write(&key, "sim/idle_since", json!(world.clock.now()));
    Ok(operations::start(
        world,
        name,
        Some(short),
        "SET_NODE_POOL_SIZE",
        60,
        &effect,
    ))
}

/// Sets the limits of the autoscaler, or turns it off.
pub(crate) fn set_autoscaling(
    world: &mut World,
    name: &ClusterName,
    short: &str,
    wanted: &Value,
) -> Result<Value, Refusal> {
    let stored = show::find_pool(world, name, short)?;
    pool::check_autoscaling(wanted)?;
    operations::ensure_free(world, name, Some(short))?;
    let mut autoscaling = wanted.clone();
    if wanted["enabled"] == true {
        let policy = if stored["body"]["config"]["spot"] == true {
            "ANY"
        } else {
            "BALANCED"
        };
        fill(&mut autoscaling, &json!({ "locationPolicy": policy }));
    } else {
        autoscaling = json!({});
    }
    let mut effect = Effect::none();
    effect.write(
        &name.pool_key(short),
        "body/autoscaling",
        sorted(&autoscaling),
    );
    effect.write(
        &name.pool_key(short),
        "sim/idle_since",
        json!(world.clock.now()),
    );
    Ok(operations::start(
        world,
        name,
        Some(short),
        "UPDATE_CLUSTER",
        60,
        &effect,
    ))
}

fn set_management(
    world: &mut World,
    name: &ClusterName,
    short: &str,
    wanted: &Value,
) -> Result<Value, Refusal> {
    let cluster = show::find(world, name)?;
    show::find_pool(world, name, short)?;
    let wanted = if wanted.is_object() {
        wanted.clone()
    } else {
        json!({})
    };
    pool::check_management(&cluster["body"], &wanted)?;
    operations::ensure_free(world, name, Some(short))?;
    let mut effect = Effect::none();
    effect.write(&name.pool_key(short), "body/management", wanted);
    Ok(operations::start(
        world,
        name,
        Some(short),
        "SET_NODE_POOL_MANAGEMENT",
        30,
        &effect,
    ))
}

fn roll_back(world: &mut World, name: &ClusterName, short: &str) -> Result<Value, Refusal> {
    let stored = show::find_pool(world, name, short)?;
    operations::ensure_free(world, name, Some(short))?;
    if !stored["sim"]["failed"].is_object() || stored["sim"]["unmade"] == true {
        return Err(Refusal::precondition(format!(
            "Node pool \"{short}\" has no aborted or failed upgrade to roll back."
        )));
    }
    Ok(operations::start(
        world,
        name,
        Some(short),
        "UPGRADE_NODES",
        180,
        &Effect::none(),
    ))
}
