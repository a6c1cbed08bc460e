//! Node pools: what the server checks and fills in.

use serde_json::{Value, json};

use super::super::{
    catalogue::{machines, places, versions},
    json::{count, fill, set, text, texts, truth},
    names::{ClusterName, check_labels, check_name, draw, fingerprint, project_number},
    refusal::Refusal,
};

/// The scopes of nodes whose creator named none.
const SCOPES: [&str; 6] = [
    "https://www.googleapis.com/auth/devstorage.read_only",
    "https://www.googleapis.com/auth/logging.write",
    "https://www.googleapis.com/auth/monitoring",
    "https://www.googleapis.com/auth/service.management.readonly",
    "https://www.googleapis.com/auth/servicecontrol",
    "https://www.googleapis.com/auth/trace.append",
];

/// Fields that only the server writes.
const OUTPUT_ONLY: [&str; 9] = [
    "selfLink",
    "status",
    "statusMessage",
    "instanceGroupUrls",
    "podIpv4CidrSize",
    "conditions",
    "updateInfo",
    "etag",
    "kubeletCertInfo",
];

/// Checks a pool that someone wants in `cluster` and fills in what they left open.
pub(crate) fn complete(
    name: &ClusterName,
    cluster: &Value,
    mut pool: Value,
) -> Result<Value, Refusal> {
    for field in OUTPUT_ONLY {
        set(&mut pool, field, Value::Null);
    }
    let short = text(&pool, "/name").to_owned();
    check_name("node_pool.name", &short)?;
    check_labels(
        "node_pool.config.resource_labels",
        &pool["config"]["resourceLabels"],
    )?;
    check_autoscaling(&pool["autoscaling"])?;
    check_upgrade_settings(&pool["upgradeSettings"])?;
    check_taints(&pool["config"]["taints"])?;
    check_node_labels(&pool["config"]["labels"])?;
    check_management(cluster, &pool["management"])?;

    let zones = zones(cluster, &pool);
    check_zones(name, &zones)?;
    let master = text(cluster, "/currentMasterVersion");
    let channel = cluster
        .pointer("/releaseChannel/channel")
        .and_then(Value::as_str);
    let version = match text(&pool, "/version") {
        "" | "-" => master.to_owned(),
        alias => versions::resolve(alias, channel)
            .map_err(|refusal| {
                Refusal::invalid(refusal.message.replace("Master version", "Node version"))
            })?
            .to_owned(),
    };
    versions::check_skew(&version, master)?;

    let filled = defaults(name, cluster, &short, &pool);
    fill(&mut pool, &filled);
    check_config(&pool["config"], &zones)?;
    set(&mut pool, "locations", json!(zones));
    set(&mut pool, "version", json!(version));
    set(
        &mut pool,
        "instanceGroupUrls",
        json!(group_urls(name, &short, &zones)),
    );
    set(
        &mut pool,
        "selfLink",
        json!(format!(
            "https://container.googleapis.com/v1/{}/nodePools/{short}",
            name.shown()
        )),
    );
    if pool["autoscaling"].is_object() && truth(&pool, "/autoscaling/enabled") {
        let policy = if truth(&pool, "/config/spot") {
            "ANY"
        } else {
            "BALANCED"
        };
        fill(
            &mut pool["autoscaling"],
            &json!({ "locationPolicy": policy }),
        );
    }
    Ok(pool)
}

fn defaults(name: &ClusterName, cluster: &Value, short: &str, pool: &Value) -> Value {
    let spot = truth(pool, "/config/spot");
    let private = truth(cluster, "/networkConfig/defaultEnablePrivateNodes");
    let model = match (spot, truth(pool, "/config/preemptible")) {
        (true, _) => "spot",
        (_, true) => "preemptible",
        _ => "on-demand",
    };
    let machine = text(pool, "/config/machineType");
    let newest = machine.starts_with("c4-") || machine.starts_with("n4-");
    let disk_type = match text(pool, "/config/diskType") {
        "" if newest => "hyperdisk-balanced",
        "" => "pd-balanced",
        given => given,
    };
    let disk_size = match count(pool, "/config/diskSizeGb") {
        0 => 100,
        given => given,
    };
    let pods = pool
        .pointer("/maxPodsConstraint/maxPodsPerNode")
        .or(cluster.pointer("/defaultMaxPodsConstraint/maxPodsPerNode"));
    let pods: u32 = pods
        .and_then(Value::as_str)
        .and_then(|pods| pods.parse().ok())
        .unwrap_or(110);
    let mut filled = json!({
        "config": {
            "bootDisk": { "diskType": disk_type, "sizeGb": disk_size.to_string() },
            "diskSizeGb": disk_size,
            "diskType": disk_type,
            "effectiveCgroupMode": "EFFECTIVE_CGROUP_MODE_V2",
            "imageType": "COS_CONTAINERD",
            "kubeletConfig": { "insecureKubeletReadonlyPortEnabled": false, "maxParallelImagePulls": 2 },
            "machineType": "e2-medium",
            "metadata": { "disable-legacy-endpoints": "true" },
            "resourceLabels": { "goog-gke-node-pool-provisioning-model": model },
            "serviceAccount": "default",
            "shieldedInstanceConfig": { "enableIntegrityMonitoring": true },
            "windowsNodeConfig": {},
        },
        "management": {},
        "maxPodsConstraint": { "maxPodsPerNode": pods.to_string() },
        "networkConfig": {
            "enablePrivateNodes": private,
            "podIpv4CidrBlock": text(cluster, "/clusterIpv4Cidr"),
            "podIpv4RangeUtilization": 0.001,
            "podRange": cluster
                .pointer("/ipAllocationPolicy/clusterSecondaryRangeName")
                .cloned()
                .unwrap_or_else(|| json!(format!("gke-{}-pods-{}", name.cluster, &fingerprint(&name.key())[..8]))),
            "subnetwork": text(cluster, "/networkConfig/subnetwork"),
        },
        "podIpv4CidrSize": 32 - (pods * 2).next_power_of_two().trailing_zeros(),
        "queuedProvisioning": {},
        "upgradeSettings": { "maxSurge": 1, "strategy": "SURGE" },
    });
    if pool["upgradeSettings"].is_object() {
        filled["upgradeSettings"] = json!({ "strategy": "SURGE" });
    }
    if pool.pointer("/config/oauthScopes").is_none() {
        filled["config"]["oauthScopes"] = json!(SCOPES);
    }
    if cluster["workloadIdentityConfig"]["workloadPool"].is_string() {
        filled["config"]["workloadMetadataConfig"] = json!({ "mode": "GKE_METADATA" });
    }
    if !pool["management"].is_object() {
        filled["management"] = json!({ "autoUpgrade": true, "autoRepair": true });
    }
    if short == "default-pool" {
        filled["config"]["loggingConfig"] = json!({ "variantConfig": { "variant": "DEFAULT" } });
    }
    filled
}

/// The zones of a pool: its own, or the cluster's.
pub(crate) fn zones(cluster: &Value, pool: &Value) -> Vec<String> {
    let own = texts(pool, "/locations");
    if own.is_empty() {
        texts(cluster, "/locations")
    } else {
        own
    }
}

/// Checks that every zone exists and lies in the cluster's region.
pub(crate) fn check_zones(name: &ClusterName, zones: &[String]) -> Result<(), Refusal> {
    for zone in zones {
        if places::region_of(zone) != Some(name.place.region.as_str()) {
            return Err(Refusal::invalid(format!(
                "Invalid location \"{zone}\": node locations must be zones of the region \"{}\".",
                name.place.region
            )));
        }
    }
    Ok(())
}

/// Checks autoscaling limits: per zone or in total, never both.
pub(crate) fn check_autoscaling(autoscaling: &Value) -> Result<(), Refusal> {
    let [low, high, total_low, total_high] = [
        "/minNodeCount",
        "/maxNodeCount",
        "/totalMinNodeCount",
        "/totalMaxNodeCount",
    ]
    .map(|field| count(autoscaling, field));
    if !truth(autoscaling, "/enabled") {
        return Ok(());
    }
    if (low > 0 || high > 0) && (total_low > 0 || total_high > 0) {
        return Err(Refusal::invalid(
            "Cannot set both total_min_node_count/total_max_node_count and min_node_count/max_node_count: the limits \
             are either per zone or in total.",
        ));
    }
    if high == 0 && total_high == 0 {
        return Err(Refusal::invalid(
            "Autoscaling max_node_count must be greater than zero.",
        ));
    }
    if low > high || total_low > total_high {
        return Err(Refusal::invalid(
            "Autoscaling min_node_count must not be greater than max_node_count.",
        ));
    }
    if high > 1000 || total_high > 15000 {
        return Err(Refusal::invalid(
            "Autoscaling max_node_count must not be greater than 1000 per zone.",
        ));
    }
    Ok(())
}

/// Checks that a pool on a release channel upgrades and repairs itself.
pub(crate) fn check_management(cluster: &Value, management: &Value) -> Result<(), Refusal> {
    let channel = text(cluster, "/releaseChannel/channel");
    if channel.is_empty() || !management.is_object() {
        return Ok(());
    }
    for (field, words) in [
        ("/autoUpgrade", "Auto_upgrade"),
        ("/autoRepair", "Auto_repair"),
    ] {
        if !truth(management, field) {
            return Err(Refusal::invalid(format!(
                "{words} cannot be false when release_channel {channel} is set."
            )));
        }
    }
    Ok(())
}

/// Checks surge settings.
pub(crate) fn check_upgrade_settings(settings: &Value) -> Result<(), Refusal> {
    let (surge, unavailable) = (
        count(settings, "/maxSurge"),
        count(settings, "/maxUnavailable"),
    );
    if settings.is_object()
        && text(settings, "/strategy") != "BLUE_GREEN"
        && surge + unavailable == 0
    {
        return Err(Refusal::invalid(
            "Both max_surge and max_unavailable cannot be 0.",
        ));
    }
    if surge + unavailable > 20 {
        return Err(Refusal::invalid(
            "The sum of max_surge and max_unavailable cannot exceed 20.",
        ));
    }
    Ok(())
}

/// Checks taints: no two with one key and effect.
pub(crate) fn check_taints(taints: &Value) -> Result<(), Refusal> {
    let mut seen = std::collections::BTreeSet::new();
    for taint in taints.as_array().into_iter().flatten() {
        let (key, effect) = (text(taint, "/key"), text(taint, "/effect"));
        if key.is_empty() || effect.is_empty() {
            return Err(Refusal::invalid("Taints must have a key and an effect."));
        }
        if !seen.insert((key, effect)) {
            return Err(Refusal::invalid(format!(
                "Taint \"{key}\" with effect \"{effect}\" is specified more than once."
            )));
        }
    }
    Ok(())
}

/// Checks Kubernetes labels of nodes: none that Kubernetes keeps for itself.
pub(crate) fn check_node_labels(labels: &Value) -> Result<(), Refusal> {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        let reserved = domain == "kubernetes.io"
            || domain.ends_with(".kubernetes.io")
            || domain == "k8s.io"
            || domain.ends_with(".k8s.io");
        let value = value.as_str().unwrap_or_default();
        let fits = value.len() <= 63
            && value
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        if reserved && !domain.starts_with("node.") && !domain.starts_with("node-") {
            return Err(Refusal::invalid(format!(
                "Node label key \"{key}\" is reserved for Kubernetes."
            )));
        }
        if !fits || key.is_empty() {
            return Err(Refusal::invalid(format!(
                "Invalid node label \"{key}: {value}\"."
            )));
        }
    }
    Ok(())
}

/// Checks machine, disk and image.
pub(crate) fn check_config(config: &Value, zones: &[String]) -> Result<(), Refusal> {
    let machine = text(config, "/machineType");
    for zone in zones {
        if machines::machine(zone, machine).is_none() {
            return Err(Refusal::invalid(format!(
                "Machine type with name '{machine}' does not exist in zone '{zone}'."
            )));
        }
    }
    let disk = text(config, "/diskType");
    if !["pd-standard", "pd-balanced", "pd-ssd", "hyperdisk-balanced"].contains(&disk) {
        return Err(Refusal::invalid(format!("Invalid disk type \"{disk}\".")));
    }
    let newest = machine.starts_with("c4-") || machine.starts_with("n4-");
    if newest != (disk == "hyperdisk-balanced") && (newest || !machine.starts_with("c3-")) {
        return Err(Refusal::invalid(format!(
            "Disk type \"{disk}\" is not supported by machine type \"{machine}\"."
        )));
    }
    let size = count(config, "/diskSizeGb");
    if !(15..=65536).contains(&size) {
        return Err(Refusal::invalid(format!(
            "Disk size must be between 15 and 65536 GB; found {size}."
        )));
    }
    let image = text(config, "/imageType").to_ascii_uppercase();
    if ![
        "COS_CONTAINERD",
        "UBUNTU_CONTAINERD",
        "WINDOWS_LTSC_CONTAINERD",
    ]
    .contains(&image.as_str())
    {
        return Err(Refusal::invalid(format!("Invalid image type \"{image}\".")));
    }
    if truth(config, "/spot") && truth(config, "/preemptible") {
        return Err(Refusal::invalid(
            "Only one of spot and preemptible can be set.",
        ));
    }
    Ok(())
}

/// The names of the instance groups behind a pool, one per zone.
pub(crate) fn group_name(name: &ClusterName, pool: &str, zone: &str) -> String {
    let cut = |text: &str| text.chars().take(18).collect::<String>();
    let hash = fingerprint(&format!("{}/{zone}", name.pool_key(pool)));
    format!(
        "gke-{}-{}-{}-grp",
        cut(&name.cluster),
        cut(pool),
        &hash[..8]
    )
}

/// The addresses of the instance groups behind a pool.
pub(crate) fn group_urls(name: &ClusterName, pool: &str, zones: &[String]) -> Vec<String> {
    zones
        .iter()
        .map(|zone| {
            format!(
                "https://www.googleapis.com/compute/v1/projects/{}/zones/{zone}/instanceGroupManagers/{}",
                name.project,
                group_name(name, pool, zone)
            )
        })
        .collect()
}

/// How many nodes a new pool has in each zone.
pub(crate) fn first_nodes(pool: &Value) -> Value {
    let each = count(pool, "/initialNodeCount");
    texts(pool, "/locations")
        .into_iter()
        .map(|zone| (zone, json!(each)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The service account that a pool's nodes run as.
pub(crate) fn service_account(name: &ClusterName, pool: &Value) -> String {
    match text(pool, "/config/serviceAccount") {
        "" | "default" => format!(
            "{}-compute@developer.gserviceaccount.com",
            project_number(&name.project)
        ),
        account => account.into(),
    }
}

/// An address that depends on nothing but `words`.
pub(crate) fn address(first: u8, words: &str) -> String {
    format!(
        "{first}.{}.{}.{}",
        draw(words, 250) + 1,
        draw(&format!("{words}b"), 250) + 1,
        draw(&format!("{words}c"), 250) + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_per_zone_or_in_total() {
        assert!(
            check_autoscaling(&json!({ "enabled": true, "minNodeCount": 1, "maxNodeCount": 3 }))
                .is_ok()
        );
        assert!(
            check_autoscaling(
                &json!({ "enabled": true, "totalMinNodeCount": 3, "totalMaxNodeCount": 9 })
            )
            .is_ok()
        );
        assert!(
            check_autoscaling(
                &json!({ "enabled": true, "maxNodeCount": 3, "totalMaxNodeCount": 9 })
            )
            .is_err()
        );
    }

    #[test]
    fn the_newest_machines_take_no_old_disks() {
        let zones = ["europe-west4-a".to_owned()];
        let config = json!({ "machineType": "c4-standard-8", "diskType": "pd-balanced", "diskSizeGb": 100, "imageType": "COS_CONTAINERD" });
        assert!(check_config(&config, &zones).is_err());
        let config = json!({ "machineType": "n2-standard-8", "diskType": "pd-balanced", "diskSizeGb": 100, "imageType": "COS_CONTAINERD" });
        assert!(check_config(&config, &zones).is_ok());
    }
}
