//! Operations of the container API: their shape on the wire, who may run beside whom, their end.

use serde_json::{Value, json};

use super::{
    super::{
        json::{set, sorted},
        names::{ClusterName, project_number},
        refusal::Refusal,
    },
    API, CLUSTERS, POOLS, cluster,
};
use crate::core::{Millis, Operation, Status, World};

/// What an operation will write when it succeeds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effect {
    /// Path and value, per document key.
    changes: Vec<(String, String, Value)>,
    /// A document that goes away (with everything below it).
    removes: Option<String>,
}

impl Effect {
    /// Nothing changes but the status.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// `key` goes away.
    pub(crate) fn removal(key: String) -> Self {
        Self {
            removes: Some(key),
            ..Self::default()
        }
    }

    /// Adds a write of `value` at `path` of the document `key`; `null` removes.
    pub(crate) fn write(&mut self, key: &str, path: &str, value: Value) {
        self.changes.push((key.into(), path.into(), value));
    }

    fn to_json(&self) -> Value {
        json!({ "changes": self.changes, "removes": self.removes })
    }
}

/// The wire name of an operation.
pub(crate) fn wire_name(operation: &Operation) -> String {
    format!("operation-{}-{}", operation.started, operation.id)
}

/// The operation that a wire name means.
pub(crate) fn id_of(wire_name: &str) -> Option<&str> {
    wire_name.get(wire_name.len().checked_sub(36)?..)
}

/// Starts an operation on a cluster, or on one of its pools.
pub(crate) fn start(
    world: &mut World,
    name: &ClusterName,
    pool: Option<&str>,
    kind: &str,
    seconds: u32,
    effect: &Effect,
) -> Value {
    let target = pool.map_or_else(|| name.key(), |pool| name.pool_key(pool));
    let mut detail = effect.to_json();
    detail["project"] = json!(name.project);
    detail["location"] = json!(name.location);
    let operation = world.start_operation(API, kind, &target, seconds, detail);
    shape(world, &operation)
}

/// Refuses a second cluster-level operation, or one on a pool that is busy.
pub(crate) fn ensure_free(
    world: &World,
    name: &ClusterName,
    pool: Option<&str>,
) -> Result<(), Refusal> {
    let own = pool.map(|pool| name.pool_key(pool));
    let busy = world
        .running_on(API, &name.key())
        .into_iter()
        .find(|operation| match &own {
            Some(own) => operation.target == name.key() || operation.target == *own,
            None => true,
        });
    let Some(operation) = busy else { return Ok(()) };
    let id = wire_name(&operation);
    Err(Refusal::precondition(match operation.kind.as_str() {
        "UPGRADE_MASTER" => format!(
            "Operation {id} is currently upgrading cluster {}. Please wait and try again once it is done.",
            name.cluster
        ),
        "DELETE_CLUSTER" => format!(
            "Operation {id} is currently deleting cluster {}. Please wait and try again once it is done.",
            name.cluster
        ),
        _ => format!("Cluster is running incompatible operation {id}."),
    }))
}

/// The operation as clients see it.
pub(crate) fn shape(world: &World, operation: &Operation) -> Value {
    let project = operation.detail["project"].as_str().unwrap_or_default();
    let location = operation.detail["location"].as_str().unwrap_or_default();
    let Some(name) = ClusterName::of_key(&operation.target) else {
        return Value::Null;
    };
    let base = format!(
        "https://container.googleapis.com/v1/projects/{}/{}/{location}",
        project_number(project),
        name.place.word()
    );
    let pool = operation
        .target
        .split_once("/nodePools/")
        .map(|(_, pool)| pool);
    let mut target = format!("{base}/clusters/{}", name.cluster);
    if let Some(pool) = pool {
        target = format!("{target}/nodePools/{pool}");
    }
    let id = wire_name(operation);
    let now = world.clock.now();
    let status = match operation.status {
        Status::Running if operation.ending == Some(crate::core::operation::Ending::Canceled) => {
            "ABORTING"
        }
        Status::Running => "RUNNING",
        _ => "DONE",
    };
    let mut shown = json!({
        "name": id,
        "zone": location,
        "location": location,
        "operationType": operation.kind,
        "status": status,
        "selfLink": format!("{base}/operations/{id}"),
        "targetLink": target,
        "startTime": nanos(operation.started),
    });
    if let Some(ended) = operation.ended {
        shown["endTime"] = json!(nanos(ended));
    }
    if operation.kind == "CREATE_CLUSTER" {
        shown["progress"] = progress(operation, now);
    }
    if let Some((code, canonical, message)) = error_of(operation) {
        shown["error"] = json!({ "code": code, "message": message });
        shown["statusMessage"] = json!(message);
        if let Some(condition) = canonical {
            let field = if pool.is_some() {
                "nodepoolConditions"
            } else {
                "clusterConditions"
            };
            shown[field] = json!([condition]);
        }
    }
    sorted(&shown)
}

/// Code, condition and message of an operation that did not succeed.
pub(crate) fn error_of(operation: &Operation) -> Option<(u32, Option<Value>, String)> {
    match operation.status {
        Status::Failed => {
            let failure = operation.failure.as_ref()?;
            let (code, canonical) = match failure.code.as_str() {
                "GCE_STOCKOUT" | "GCE_QUOTA_EXCEEDED" | "RESOURCE_EXHAUSTED" => {
                    (8, "RESOURCE_EXHAUSTED")
                }
                "INVALID_ARGUMENT" => (3, "INVALID_ARGUMENT"),
                "DEADLINE_EXCEEDED" => (4, "DEADLINE_EXCEEDED"),
                "PERMISSION_DENIED" | "GKE_SERVICE_ACCOUNT_DELETED" => (7, "PERMISSION_DENIED"),
                "FAILED_PRECONDITION" | "CLOUD_KMS_KEY_ERROR" => (9, "FAILED_PRECONDITION"),
                "ABORTED" => (10, "ABORTED"),
                "UNAVAILABLE" => (14, "UNAVAILABLE"),
                _ => (13, "INTERNAL"),
            };
            let known = [
                "GCE_STOCKOUT",
                "GCE_QUOTA_EXCEEDED",
                "GKE_SERVICE_ACCOUNT_DELETED",
                "CLOUD_KMS_KEY_ERROR",
            ];
            let condition = if known.contains(&failure.code.as_str()) {
                failure.code.as_str()
            } else {
                "UNKNOWN"
            };
            let condition = json!({ "code": condition, "canonicalCode": canonical, "message": failure.message });
            Some((code, Some(condition), failure.message.clone()))
        }
        Status::Canceled => Some((1, None, "Operation was aborted.".into())),
        _ => None,
    }
}

fn progress(operation: &Operation, now: Millis) -> Value {
    let whole = (operation.due - operation.started).max(1);
    let passed = if operation.running() {
        (now - operation.started).clamp(0, whole - 1)
    } else {
        whole
    };
    let share = |total: i64, from: i64, to: i64| {
        (((passed * 100 / whole - from) * total) / (to - from)).clamp(0, total)
    };
    let metric = |name: &str, value: i64| json!({ "name": name, "intValue": value.to_string() });
    let healthy = i64::from(!operation.running());
    json!({ "metrics": [
        metric("CLUSTER_CONFIGURING", share(8, 0, 30)),
        metric("CLUSTER_CONFIGURING_TOTAL", 8),
        metric("CLUSTER_DEPLOYING", share(12, 30, 90)),
        metric("CLUSTER_DEPLOYING_TOTAL", 12),
        metric("CLUSTER_HEALTHCHECKING", healthy),
        metric("CLUSTER_HEALTHCHECKING_TOTAL", 2),
    ] })
}

/// RFC 3339 with nanoseconds, as the container API writes it.
pub(crate) fn nanos(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| format!("{at:.9}"))
}

/// Applies what `operation` does at its end.
pub(crate) fn complete(world: &mut World, operation: &Operation) {
    let Some(name) = ClusterName::of_key(&operation.target) else {
        return;
    };
    if let Some((code, condition, message)) = error_of(operation) {
        let table = if operation.target.contains("/nodePools/") {
            POOLS
        } else {
            CLUSTERS
        };
        let failed = json!({ "code": code, "condition": condition, "message": message });
        let broken = matches!(
            operation.kind.as_str(),
            "CREATE_CLUSTER" | "CREATE_NODE_POOL" | "UPGRADE_NODES" | "AUTO_UPGRADE_NODES"
        );
        if broken {
            world.store.change(table, &operation.target, |document| {
                document["sim"]["failed"] = failed;
                document["sim"]["unmade"] = json!(operation.kind.starts_with("CREATE"));
            });
        }
        return;
    }
    if let Some(key) = operation.detail["removes"].as_str() {
        world.store.remove(CLUSTERS, key);
        world.store.remove(POOLS, key);
        for pool in world.store.keys(POOLS, &format!("{key}/")) {
            world.store.remove(POOLS, &pool);
        }
        return;
    }
    let changes = operation.detail["changes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for change in changes {
        let (Some(key), Some(path)) = (change[0].as_str(), change[1].as_str()) else {
            continue;
        };
        let table = if key.contains("/nodePools/") {
            POOLS
        } else {
            CLUSTERS
        };
        world.store.change(table, key, |document| {
            set(document, path, change[2].clone());
        });
    }
    for (table, key) in [(POOLS, operation.target.clone()), (CLUSTERS, name.key())] {
        world.store.change(table, &key, |document| {
            if key == operation.target {
                set(document, "sim/failed", Value::Null);
            }
        });
    }
    world.store.change(CLUSTERS, &name.key(), |document| {
        let ready = document["sim"]["ready"] == true;
        cluster::mirror_endpoints(&name, &mut document["body"], ready);
    });
}
