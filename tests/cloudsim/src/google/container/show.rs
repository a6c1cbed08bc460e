//! Clusters and pools as clients see them.

use serde_json::{Value, json};

use super::{
    super::{
        access::Caller,
        catalogue::versions,
        json::{set, sorted, text},
        names::ClusterName,
        refusal::Refusal,
    },
    API, CLUSTERS, POOLS, cluster, pool,
};
use crate::core::{Operation, World};

/// The stored cluster.
pub(crate) fn find(world: &World, name: &ClusterName) -> Result<Value, Refusal> {
    let found = world.store.find(CLUSTERS, &name.key()).cloned();
    found.ok_or_else(|| Refusal::not_found(&name.shown()))
}

/// The stored pool.
pub(crate) fn find_pool(world: &World, name: &ClusterName, pool: &str) -> Result<Value, Refusal> {
    let found = world.store.find(POOLS, &name.pool_key(pool)).cloned();
    found.ok_or_else(|| Refusal::not_found(&format!("{}/nodePools/{pool}", name.shown())))
}

/// The stored pools of a cluster, by short name, oldest first.
pub(crate) fn pools_of(world: &World, name: &ClusterName) -> Vec<(String, Value)> {
    let prefix = format!("{}/nodePools/", name.key());
    let mut pools: Vec<(String, Value)> = world
        .store
        .keys(POOLS, &prefix)
        .into_iter()
        .filter_map(|key| {
            Some((
                key[prefix.len()..].to_owned(),
                world.store.find(POOLS, &key)?.clone(),
            ))
        })
        .collect();
    pools.sort_by_key(|(short, pool)| {
        (
            pool["sim"]["created"].as_i64(),
            pool["sim"]["place"].as_u64(),
            short.clone(),
        )
    });
    pools
}

/// How many nodes a stored pool has.
pub(crate) fn nodes_of(pool: &Value) -> u64 {
    pool["sim"]["nodes"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, count)| count.as_u64())
        .sum()
}

/// A cluster, whole.
pub(crate) fn cluster(world: &World, name: &ClusterName) -> Result<Value, Refusal> {
    let stored = find(world, name)?;
    let running = world.running_on(API, &name.key());
    let mut shown = stored["body"].clone();
    let pools = pools_of(world, name);
    let list: Vec<Value> = pools
        .iter()
        .map(|(short, stored)| shape_pool(name, short, stored, &running))
        .collect();
    if let Some(first) = list.first() {
        set(&mut shown, "nodeConfig", first["config"].clone());
        set(
            &mut shown,
            "initialNodeCount",
            first["initialNodeCount"].clone(),
        );
        let lowest = list
            .iter()
            .map(|pool| text(pool, "/version"))
            .min_by_key(|version| versions::order(version));
        let mixed = list
            .iter()
            .any(|pool| Some(text(pool, "/version")) != lowest);
        set(
            &mut shown,
            "currentNodeVersion",
            json!(format!(
                "{}{}",
                lowest.unwrap_or_default(),
                if mixed { "*" } else { "" }
            )),
        );
    }
    let urls: Vec<Value> = list
        .iter()
        .flat_map(|pool| {
            pool["instanceGroupUrls"]
                .as_array()
                .cloned()
                .unwrap_or_default()
        })
        .collect();
    set(&mut shown, "instanceGroupUrls", json!(urls));
    let nodes: u64 = pools.iter().map(|(_, pool)| nodes_of(pool)).sum();
    if nodes > 0 {
        set(&mut shown, "currentNodeCount", json!(nodes));
    }
    set(&mut shown, "nodePools", json!(list));
    set(
        &mut shown,
        "status",
        json!(status_of(world, name, &stored, &running)),
    );
    if let Some(message) = stored["sim"]["failed"]["message"].as_str() {
        set(&mut shown, "statusMessage", json!(message));
        set(
            &mut shown,
            "conditions",
            json!([stored["sim"]["failed"]["condition"]]),
        );
    }
    if let Some(condition) = nodes_without_role(world, name, &list) {
        let mut conditions = shown["conditions"].as_array().cloned().unwrap_or_default();
        conditions.push(condition);
        set(&mut shown, "conditions", json!(conditions));
    }
    let fingerprint = cluster::label_fingerprint(&shown["resourceLabels"]);
    set(&mut shown, "labelFingerprint", json!(fingerprint));
    let etag = cluster::etag(&shown);
    set(&mut shown, "etag", json!(etag));
    Ok(sorted(&shown))
}

/// Nodes whose account may not write logs and metrics.
fn nodes_without_role(world: &World, name: &ClusterName, pools: &[Value]) -> Option<Value> {
    let project = format!("projects/{}", name.project);
    let lacks = |account: &String| {
        let member = format!("serviceAccount:{account}");
        // The default account of a project is its editor.
        !account.ends_with("-compute@developer.gserviceaccount.com")
            && !Caller::new(world, &member).may("monitoring.timeSeries.create", &project)
    };
    let account = pools
        .iter()
        .map(|pool| pool::service_account(name, pool))
        .find(lacks)?;
    Some(json!({
        "code": "NODE_SERVICE_ACCOUNT_MISSING_PERMISSIONS",
        "canonicalCode": "PERMISSION_DENIED",
        "message": format!("Node service account {account} is missing the role roles/container.defaultNodeServiceAccount."),
    }))
}

fn status_of(
    world: &World,
    name: &ClusterName,
    stored: &Value,
    running: &[Operation],
) -> &'static str {
    if running
        .iter()
        .any(|operation| operation.kind == "CREATE_CLUSTER")
    {
        return "PROVISIONING";
    }
    if running
        .iter()
        .any(|operation| operation.kind == "DELETE_CLUSTER")
    {
        return "STOPPING";
    }
    let lost = name
        .place
        .zone
        .as_ref()
        .is_some_and(|zone| world.faults.lost_zone(API, &name.place.region, zone));
    if stored["sim"]["failed"].is_object() || lost {
        return "ERROR";
    }
    if running.is_empty() {
        "RUNNING"
    } else {
        "RECONCILING"
    }
}

/// A pool, whole.
pub(crate) fn pool(world: &World, name: &ClusterName, short: &str) -> Result<Value, Refusal> {
    let stored = find_pool(world, name, short)?;
    let running = world.running_on(API, &name.key());
    Ok(sorted(&shape_pool(name, short, &stored, &running)))
}

fn shape_pool(name: &ClusterName, short: &str, stored: &Value, running: &[Operation]) -> Value {
    let key = name.pool_key(short);
    let on = |kind: &str| running.iter().any(|operation| operation.kind == kind);
    let own = running.iter().find(|operation| operation.target == key);
    let mut shown = stored["body"].clone();
    let status = match own.map(|operation| operation.kind.as_str()) {
        Some("CREATE_NODE_POOL") => "PROVISIONING",
        Some("DELETE_NODE_POOL") => "STOPPING",
        Some(_) => "RECONCILING",
        None if on("CREATE_CLUSTER") => "PROVISIONING",
        None if on("DELETE_CLUSTER") => "STOPPING",
        None if stored["sim"]["failed"].is_object() && stored["sim"]["unmade"] == true => "ERROR",
        None if stored["sim"]["failed"].is_object() => "RUNNING_WITH_ERROR",
        None => "RUNNING",
    };
    set(&mut shown, "status", json!(status));
    if let Some(message) = stored["sim"]["failed"]["message"].as_str() {
        set(&mut shown, "statusMessage", json!(message));
        if stored["sim"]["failed"]["condition"].is_object() {
            set(
                &mut shown,
                "conditions",
                json!([stored["sim"]["failed"]["condition"]]),
            );
        }
    }
    if stored["body"]["initialNodeCount"] == 0 {
        set(&mut shown, "initialNodeCount", Value::Null);
    }
    let etag = cluster::etag(&shown);
    set(&mut shown, "etag", json!(etag));
    shown
}

/// All clusters of a project in a location, or in all (`-`).
pub(crate) fn list_clusters(world: &World, project: &str, location: &str) -> Value {
    let prefix = if location == "-" {
        format!("projects/{project}/locations/")
    } else {
        format!("projects/{project}/locations/{location}/")
    };
    let mut missing: Vec<String> = Vec::new();
    let mut found = Vec::new();
    for key in world.store.keys(CLUSTERS, &prefix) {
        let Some(name) = ClusterName::of_key(&key) else {
            continue;
        };
        if world.faults.lost_region(API, &name.place.region) {
            if !missing.contains(&name.location) {
                missing.push(name.location);
            }
        } else if let Ok(cluster) = cluster(world, &name) {
            found.push(cluster);
        }
    }
    let mut list = json!({});
    if !found.is_empty() {
        list["clusters"] = json!(found);
    }
    if !missing.is_empty() {
        list["missingZones"] = json!(missing);
    }
    list
}

/// Every live cluster and pool.
pub(crate) fn inventory(world: &World) -> Vec<Value> {
    let mut found = Vec::new();
    for key in world.store.keys(CLUSTERS, "") {
        let Some(name) = ClusterName::of_key(&key) else {
            continue;
        };
        let Ok(shown) = cluster(world, &name) else {
            continue;
        };
        found.push(json!({
            "cloud": API,
            "type": "container.googleapis.com/Cluster",
            "id": key,
            "name": name.cluster,
            "location": name.location,
            "status": shown["status"],
            "version": shown["currentMasterVersion"],
            "labels": shown["resourceLabels"],
        }));
        for pool in shown["nodePools"].as_array().into_iter().flatten() {
            let short = text(pool, "/name");
            let stored = world
                .store
                .find(POOLS, &name.pool_key(short))
                .cloned()
                .unwrap_or_default();
            found.push(json!({
                "cloud": API,
                "type": "container.googleapis.com/NodePool",
                "id": name.pool_key(short),
                "name": short,
                "parent": key,
                "location": name.location,
                "status": pool["status"],
                "version": pool["version"],
                "machine_type": pool["config"]["machineType"],
                "nodes": nodes_of(&stored),
            }));
        }
    }
    found
}
