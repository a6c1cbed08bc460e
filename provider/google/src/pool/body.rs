//! The request bodies of a node pool.

use paymesh_engine::Mark;
use serde_json::{Map, Value, json};

use super::{PoolWant, Size, Taint};

/// A new pool, alone or inside a new cluster.
pub(crate) fn create(want: &PoolWant, mark: &Mark) -> Value {
    let mut config = json!({
        "machineType": want.machine_type,
        "diskType": want.disk.kind,
        "diskSizeGb": want.disk.size_gb,
        "imageType": "COS_CONTAINERD",
        "spot": want.spot,
        "labels": want.labels,
        "taints": taints(&want.taints),
        "resourceLabels": mark_labels(mark),
        "shieldedInstanceConfig": { "enableSecureBoot": true, "enableIntegrityMonitoring": true },
        "workloadMetadataConfig": metadata(want),
        "oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"],
    });
    if let Some(account) = &want.service_account {
        config["serviceAccount"] = json!(account);
    }
    let initial = match want.size {
        Size::Autoscaled {
            initial_per_zone, ..
        } => initial_per_zone,
        Size::Fixed { per_zone } => per_zone,
    };
    let mut pool = json!({
        "name": want.name.pool,
        "config": config,
        "initialNodeCount": initial,
        "maxPodsConstraint": { "maxPodsPerNode": want.pods_max.to_string() },
        "autoscaling": autoscaling(want.size),
        "management": management(),
        "upgradeSettings": upgrade_settings(want),
        "networkConfig": { "enablePrivateNodes": true },
    });
    if !want.zones.is_empty() {
        pool["locations"] = json!(want.zones);
    }
    pool
}

/// The autoscaler's limits, as totals over all zones.
pub(super) fn autoscaling(size: Size) -> Value {
    match size {
        Size::Autoscaled {
            total_min,
            total_max,
            ..
        } => json!({
            "enabled": true,
            "totalMinNodeCount": total_min,
            "totalMaxNodeCount": total_max,
            "locationPolicy": "BALANCED",
        }),
        Size::Fixed { .. } => json!({ "enabled": false }),
    }
}

/// What pods reach as the metadata server: GKE's, which knows who they are, or the machine's own.
pub(super) fn metadata(want: &PoolWant) -> Value {
    let mode = if want.workload_identity {
        "GKE_METADATA"
    } else {
        "GCE_METADATA"
    };
    json!({ "mode": mode })
}

/// Repair and upgrade by the cloud (CIS GKE 5.5.2 and 5.5.3).
pub(super) fn management() -> Value {
    json!({ "autoRepair": true, "autoUpgrade": true })
}

/// How nodes are replaced: a new one is there before an old one goes.
pub(super) fn upgrade_settings(want: &PoolWant) -> Value {
    json!({
        "strategy": "SURGE",
        "maxSurge": want.surge_max,
        "maxUnavailable": 0,
    })
}

/// The taints in Google's words.
pub(super) fn taints(taints: &[Taint]) -> Value {
    taints
        .iter()
        .map(|taint| {
            json!({ "key": taint.key, "value": taint.value, "effect": taint.effect.as_str() })
        })
        .collect()
}

fn mark_labels(mark: &Mark) -> Value {
    let labels: Map<String, Value> = mark
        .digests()
        .into_iter()
        .map(|(key, digest)| (key.to_owned(), json!(digest)))
        .collect();
    Value::Object(labels)
}
