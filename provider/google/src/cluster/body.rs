//! The request bodies of a cluster.

use std::collections::BTreeMap;

use paymesh_engine::{Holder, Mark};
use serde_json::{Map, Value, json};

use super::{ClusterWant, Maintenance, settings::settings};
use crate::{json::put, pool};

/// The body that creates the cluster in `network` (a self link or path).
pub(super) fn create(want: &ClusterWant, network: &str, mark: &Mark, holder: &Holder) -> Value {
    let mut cluster = json!({
        "name": want.name.cluster,
        "network": network,
        "subnetwork": want.network.subnetwork,
        "ipAllocationPolicy": {
            "useIpAliases": true,
            "clusterSecondaryRangeName": want.network.pods_range,
            "servicesSecondaryRangeName": want.network.services_range,
        },
        "networkConfig": {
            "datapathProvider": datapath(want.features.dataplane_v2),
        },
        "resourceLabels": labels(&want.labels, mark, holder),
        "nodePools": want.pools.iter().map(|pool| pool::body::create(pool, mark)).collect::<Vec<_>>(),
    });
    if let Some(version) = want.version {
        put(
            &mut cluster,
            "/initialClusterVersion",
            json!(version.minor().to_string()),
        );
    }
    if let Some(cidr) = &want.control_plane_cidr {
        put(
            &mut cluster,
            "/privateClusterConfig/masterIpv4CidrBlock",
            json!(cidr),
        );
    }
    for setting in settings(want) {
        put(&mut cluster, setting.pointer, setting.value);
    }
    if let Some(maintenance) = &want.maintenance {
        put(
            &mut cluster,
            "/maintenancePolicy/window",
            maintenance_window(maintenance),
        );
    }
    json!({ "cluster": cluster })
}

/// Google's word for the dataplane.
pub(super) fn datapath(v2: bool) -> &'static str {
    if v2 {
        "ADVANCED_DATAPATH"
    } else {
        "LEGACY_DATAPATH"
    }
}

/// The user's labels with the mark and the holder.
pub(super) fn labels(user: &BTreeMap<String, String>, mark: &Mark, holder: &Holder) -> Value {
    let mut labels: Map<String, Value> = user
        .iter()
        .map(|(key, value)| (key.clone(), json!(value)))
        .collect();
    for (key, digest) in mark.digests() {
        labels.insert(key.to_owned(), json!(digest));
    }
    labels.insert(Mark::HOLDER_KEY.to_owned(), json!(holder.as_str()));
    Value::Object(labels)
}

/// The maintenance window and its exclusions.
pub(super) fn maintenance_window(maintenance: &Maintenance) -> Value {
    let exclusions: Map<String, Value> = maintenance
        .exclusions
        .iter()
        .map(|(name, exclusion)| {
            let window = json!({
                "startTime": exclusion.start,
                "endTime": exclusion.end,
                "maintenanceExclusionOptions": { "scope": exclusion.scope },
            });
            (name.clone(), window)
        })
        .collect();
    let mut window = json!({ "maintenanceExclusions": exclusions });
    if let Some(recurring) = &maintenance.window {
        window["recurringWindow"] = json!({
            "window": { "startTime": recurring.start, "endTime": recurring.end },
            "recurrence": recurring.recurrence,
        });
    }
    window
}
