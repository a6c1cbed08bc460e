//! Clusters: what the server checks and fills in when one is created.

use serde_json::{Map, Value, json};

use super::{
    super::{
        catalogue::versions::{self, CHANNELS},
        json::{fill, set, text, texts, truth},
        names::{ClusterName, check_labels, check_name, draw, fingerprint, project_number},
        network,
        refusal::Refusal,
    },
    maintenance, pool,
};
use crate::core::World;

/// Fields that only the server writes.
const OUTPUT_ONLY: [&str; 21] = [
    "selfLink",
    "zone",
    "location",
    "endpoint",
    "createTime",
    "status",
    "statusMessage",
    "conditions",
    "currentMasterVersion",
    "currentNodeVersion",
    "currentNodeCount",
    "nodeIpv4CidrSize",
    "servicesIpv4Cidr",
    "instanceGroupUrls",
    "expireTime",
    "id",
    "etag",
    "labelFingerprint",
    "currentEmulatedVersion",
    "satisfiesPzs",
    "satisfiesPzi",
];

/// Checks a cluster that someone wants and fills in what they left open. The pools come apart.
pub(crate) fn complete(
    world: &World,
    name: &ClusterName,
    given: Map<String, Value>,
) -> Result<(Value, Vec<Value>), Refusal> {
    let mut cluster = Value::Object(given);
    for field in OUTPUT_ONLY {
        set(&mut cluster, field, Value::Null);
    }
    check_name("cluster.name", &name.cluster)?;
    check_labels("cluster.resource_labels", &cluster["resourceLabels"])?;
    check_features(name, &cluster)?;
    set_version(&mut cluster)?;
    set_endpoints(name, &mut cluster)?;
    network::attach(world, name, &mut cluster)?;
    let zones = match texts(&cluster, "/locations") {
        zones if zones.is_empty() => name.place.default_zones(),
        zones => zones,
    };
    pool::check_zones(name, &zones)?;
    if let Some(zone) = &name.place.zone
        && !zones.contains(zone)
    {
        return Err(Refusal::invalid(format!(
            "Locations must contain the zone of the cluster, \"{zone}\"."
        )));
    }
    set(&mut cluster, "locations", json!(zones));
    let asked = asked_pools(&mut cluster)?;
    let filled = defaults(name, &cluster);
    fill(&mut cluster, &filled);
    maintenance::check(&cluster["maintenancePolicy"])?;
    let version = maintenance::version(&cluster["maintenancePolicy"]);
    set(
        &mut cluster,
        "maintenancePolicy/resourceVersion",
        json!(version),
    );
    let mut pools: Vec<Value> = Vec::new();
    for asked in asked {
        let completed = pool::complete(name, &cluster, asked)?;
        if pools.iter().any(|pool| pool["name"] == completed["name"]) {
            return Err(Refusal::invalid(format!(
                "Duplicate node pool name {}.",
                completed["name"]
            )));
        }
        pools.push(completed);
    }
    Ok((cluster, pools))
}

/// The pools of a new cluster: those listed, or `default-pool` of the older fields.
fn asked_pools(cluster: &mut Value) -> Result<Vec<Value>, Refusal> {
    let listed = cluster["nodePools"].as_array().cloned().unwrap_or_default();
    let count = cluster["initialNodeCount"].as_u64().unwrap_or_default();
    let config = cluster["nodeConfig"].clone();
    for field in ["nodePools", "initialNodeCount", "nodeConfig"] {
        set(cluster, field, Value::Null);
    }
    if !listed.is_empty() {
        if count > 0 || config.is_object() {
            return Err(Refusal::invalid(
                "Cluster.initial_node_count and Cluster.node_config cannot be set together with Cluster.node_pools.",
            ));
        }
        return Ok(listed);
    }
    if truth(cluster, "/autopilot/enabled") {
        return Ok(Vec::new());
    }
    if count == 0 {
        return Err(Refusal::invalid(
            "Cluster.initial_node_count must be greater than zero.",
        ));
    }
    let mut pool = json!({ "name": "default-pool", "initialNodeCount": count });
    if config.is_object() {
        pool["config"] = config;
    }
    Ok(vec![pool])
}

fn check_features(name: &ClusterName, cluster: &Value) -> Result<(), Refusal> {
    if text(cluster, "/networkConfig/datapathProvider") == "ADVANCED_DATAPATH"
        && truth(cluster, "/networkPolicy/enabled")
    {
        return Err(Refusal::invalid(
            "Enabling NetworkPolicy for clusters with DatapathProvider=ADVANCED_DATAPATH is not allowed.",
        ));
    }
    check_workload_pool(name, &cluster["workloadIdentityConfig"])?;
    if truth(cluster, "/privateClusterConfig/enablePrivateEndpoint")
        && !truth(cluster, "/privateClusterConfig/enablePrivateNodes")
        && !truth(cluster, "/networkConfig/defaultEnablePrivateNodes")
    {
        return Err(Refusal::invalid(
            "Private endpoint can only be enabled if private nodes are enabled.",
        ));
    }
    if cluster["ipAllocationPolicy"].is_object()
        && truth(cluster, "/ipAllocationPolicy/useRoutes")
        && truth(cluster, "/networkConfig/defaultEnablePrivateNodes")
    {
        return Err(Refusal::invalid(
            "Private nodes can only be enabled if ip_allocation_policy is VPC-native.",
        ));
    }
    Ok(())
}

/// Checks that workload identity names the project's own pool.
pub(crate) fn check_workload_pool(name: &ClusterName, config: &Value) -> Result<(), Refusal> {
    let pool = text(config, "/workloadPool");
    if !pool.is_empty() && pool != format!("{}.svc.id.goog", name.project) {
        return Err(Refusal::invalid(format!(
            "Workload Identity Pool \"{pool}\" is not supported: only the pool of the project, \
             \"{}.svc.id.goog\", is.",
            name.project
        )));
    }
    Ok(())
}

/// Chooses channel and version as the API documents: a version alone enrolls in the most mature
/// channel that offers it, nothing at all means REGULAR.
fn set_version(cluster: &mut Value) -> Result<(), Refusal> {
    let wanted = text(cluster, "/initialClusterVersion").to_owned();
    let channel = match cluster.get("releaseChannel") {
        Some(channel) => channel["channel"].as_str().map(str::to_owned),
        None if wanted.is_empty() || wanted == "-" => Some("REGULAR".to_owned()),
        None => ["STABLE", "REGULAR", "RAPID"]
            .into_iter()
            .find(|channel| versions::resolve(&wanted, Some(channel)).is_ok())
            .map(str::to_owned),
    };
    let version = versions::resolve(&wanted, channel.as_deref())?;
    match channel {
        Some(channel) if CHANNELS.iter().any(|known| known.name == channel) => {
            set(cluster, "releaseChannel", json!({ "channel": channel }));
        }
        _ => set(cluster, "releaseChannel", json!({})),
    }
    set(cluster, "initialClusterVersion", json!(version));
    set(cluster, "currentMasterVersion", json!(version));
    set(cluster, "currentNodeVersion", json!(version));
    Ok(())
}

/// Brings the older and the newer words for control plane access together.
fn set_endpoints(name: &ClusterName, cluster: &mut Value) -> Result<(), Refusal> {
    let newer = cluster["controlPlaneEndpointsConfig"].clone();
    let older = cluster["privateClusterConfig"].clone();
    if newer
        .pointer("/ipEndpointsConfig/enablePublicEndpoint")
        .is_some()
        && truth(&older, "/enablePrivateEndpoint")
    {
        return Err(Refusal::invalid(
            "It is invalid to specify both PrivateClusterConfig.enablePrivateEndpoint and \
             ControlPlaneEndpointsConfig.IPEndpointsConfig.enablePublicEndpoint.",
        ));
    }
    if truth(&older, "/enablePrivateNodes") {
        set(
            cluster,
            "networkConfig/defaultEnablePrivateNodes",
            json!(true),
        );
    }
    if newer
        .pointer("/ipEndpointsConfig/authorizedNetworksConfig")
        .is_none()
        && cluster["masterAuthorizedNetworksConfig"].is_object()
    {
        let networks = cluster["masterAuthorizedNetworksConfig"].clone();
        set(
            cluster,
            "controlPlaneEndpointsConfig/ipEndpointsConfig/authorizedNetworksConfig",
            networks,
        );
    }
    check_networks(
        &cluster["controlPlaneEndpointsConfig"]["ipEndpointsConfig"]["authorizedNetworksConfig"],
    )?;
    let public = !truth(&older, "/enablePrivateEndpoint");
    let endpoints = json!({
        "dnsEndpointConfig": {
            "allowExternalTraffic": false,
            "enableK8sTokensViaDns": false,
            "endpoint": format!(
                "gke-{}-{}.{}.gke.goog",
                &fingerprint(&name.key())[..30],
                project_number(&name.project),
                name.place.region
            ),
        },
        "ipEndpointsConfig": {
            "authorizedNetworksConfig": { "gcpPublicCidrsAccessEnabled": true },
            "enablePublicEndpoint": public,
            "enabled": true,
        },
    });
    set(
        cluster,
        "privateClusterConfig/enablePrivateEndpoint",
        Value::Null,
    );
    let mut config = cluster["controlPlaneEndpointsConfig"].clone();
    if !config.is_object() {
        config = json!({});
    }
    fill(&mut config, &endpoints);
    set(cluster, "controlPlaneEndpointsConfig", config);
    mirror_endpoints(name, cluster, false);
    Ok(())
}

/// Checks the networks that may reach the control plane: at most 100, each a true range.
pub(crate) fn check_networks(config: &Value) -> Result<(), Refusal> {
    let blocks = config["cidrBlocks"].as_array().cloned().unwrap_or_default();
    if blocks.len() > 100 {
        return Err(Refusal::invalid(
            "At most 100 authorized networks are allowed.",
        ));
    }
    for block in &blocks {
        let range = text(block, "/cidrBlock");
        let good = range.split_once('/').is_some_and(|(address, bits)| {
            let bits: Option<u32> = bits.parse().ok().filter(|bits| *bits <= 32);
            let address: Option<std::net::Ipv4Addr> = address.parse().ok();
            match (address, bits) {
                (Some(address), Some(bits)) => {
                    u32::from(address).checked_shl(bits).unwrap_or(0) == 0
                }
                _ => false,
            }
        });
        if !good {
            return Err(Refusal::invalid(format!(
                "Invalid master authorized networks: network \"{range}\" is not a valid CIDR block."
            )));
        }
    }
    Ok(())
}

/// Writes what the newer access fields say into the older ones; addresses only once `ready`.
pub(crate) fn mirror_endpoints(name: &ClusterName, cluster: &mut Value, ready: bool) {
    let networks =
        cluster["controlPlaneEndpointsConfig"]["ipEndpointsConfig"]["authorizedNetworksConfig"]
            .clone();
    set(cluster, "masterAuthorizedNetworksConfig", networks);
    let ip = truth(
        cluster,
        "/controlPlaneEndpointsConfig/ipEndpointsConfig/enabled",
    );
    let public = ip
        && truth(
            cluster,
            "/controlPlaneEndpointsConfig/ipEndpointsConfig/enablePublicEndpoint",
        );
    set(
        cluster,
        "privateClusterConfig/enablePrivateEndpoint",
        if public { Value::Null } else { json!(true) },
    );
    let private_nodes = truth(cluster, "/networkConfig/defaultEnablePrivateNodes");
    set(
        cluster,
        "privateClusterConfig/enablePrivateNodes",
        if private_nodes {
            json!(true)
        } else {
            Value::Null
        },
    );
    let inner = if ready && ip {
        json!(pool::address(10, &name.key()))
    } else {
        Value::Null
    };
    let outer = if ready && public {
        json!(pool::address(34, &name.key()))
    } else {
        Value::Null
    };
    for place in [
        "privateClusterConfig",
        "controlPlaneEndpointsConfig/ipEndpointsConfig",
    ] {
        set(cluster, &format!("{place}/privateEndpoint"), inner.clone());
        set(cluster, &format!("{place}/publicEndpoint"), outer.clone());
    }
    let endpoint = if outer.is_string() { outer } else { inner };
    set(cluster, "endpoint", endpoint);
}

fn defaults(name: &ClusterName, cluster: &Value) -> Value {
    let encrypted = text(cluster, "/databaseEncryption/state") == "ENCRYPTED";
    let cilium = text(cluster, "/networkConfig/datapathProvider") == "ADVANCED_DATAPATH";
    let mut filled = json!({
        "addonsConfig": {
            "gcePersistentDiskCsiDriverConfig": { "enabled": true },
            "kubernetesDashboard": { "disabled": true },
            "networkPolicyConfig": { "disabled": true },
            "parallelstoreCsiDriverConfig": {},
        },
        "anonymousAuthenticationConfig": { "mode": "ENABLED" },
        "autopilot": {},
        "autoscaling": { "autoscalingProfile": "BALANCED" },
        "binaryAuthorization": {},
        // Seen in answers of v1, in no published model of it.
        "clusterTelemetry": { "type": "ENABLED" },
        "protectConfig": {
            "workloadConfig": { "auditMode": "BASIC" },
            "workloadVulnerabilityMode": "WORKLOAD_VULNERABILITY_MODE_UNSPECIFIED",
        },
        "databaseEncryption": {
            "currentState": if encrypted { "CURRENT_STATE_ENCRYPTED" } else { "CURRENT_STATE_DECRYPTED" },
            "state": "DECRYPTED",
        },
        "defaultMaxPodsConstraint": { "maxPodsPerNode": "110" },
        "enterpriseConfig": { "clusterTier": "STANDARD" },
        "legacyAbac": {},
        "loggingConfig": { "componentConfig": { "enableComponents": ["SYSTEM_COMPONENTS", "WORKLOADS"] } },
        "loggingService": "logging.googleapis.com/kubernetes",
        "maintenancePolicy": {},
        "masterAuth": { "clientCertificateConfig": {} },
        "monitoringConfig": {
            "advancedDatapathObservabilityConfig": if cilium { json!({ "enableMetrics": true }) } else { json!({}) },
            "componentConfig": { "enableComponents": [
                "SYSTEM_COMPONENTS", "DAEMONSET", "DEPLOYMENT", "STATEFULSET", "JOBSET", "STORAGE", "HPA", "POD",
                "CADVISOR", "KUBELET", "DCGM",
            ] },
            "managedPrometheusConfig": { "enabled": true },
        },
        "monitoringService": "monitoring.googleapis.com/kubernetes",
        "networkConfig": {
            "defaultEnablePrivateNodes": false,
            "defaultSnatStatus": {},
            "serviceExternalIpsConfig": {},
        },
        "nodePoolAutoConfig": { "nodeKubeletConfig": { "insecureKubeletReadonlyPortEnabled": false } },
        "nodePoolDefaults": { "nodeConfigDefaults": {
            "loggingConfig": { "variantConfig": { "variant": "DEFAULT" } },
            "nodeKubeletConfig": { "insecureKubeletReadonlyPortEnabled": false },
        } },
        "notificationConfig": { "pubsub": {} },
        "podAutoscaling": { "hpaProfile": "PERFORMANCE" },
        "rbacBindingConfig": {
            "enableInsecureBindingSystemAuthenticated": true,
            "enableInsecureBindingSystemUnauthenticated": true,
        },
        "securityPostureConfig": { "mode": "BASIC", "vulnerabilityMode": "VULNERABILITY_MODE_UNSPECIFIED" },
        "shieldedNodes": { "enabled": true },
        "userManagedKeysConfig": {},
    });
    if cluster.pointer("/loggingConfig/componentConfig").is_some() {
        filled["loggingConfig"] = json!({});
    }
    if let Some(given) = cluster.pointer("/monitoringConfig") {
        let defaults = &mut filled["monitoringConfig"];
        if given.get("componentConfig").is_some() {
            set(defaults, "componentConfig", Value::Null);
        }
        if given.get("managedPrometheusConfig").is_some() {
            set(defaults, "managedPrometheusConfig", Value::Null);
        }
        if given.get("advancedDatapathObservabilityConfig").is_some() {
            set(defaults, "advancedDatapathObservabilityConfig", Value::Null);
        }
    }
    for given in [
        "gcePersistentDiskCsiDriverConfig",
        "networkPolicyConfig",
        "kubernetesDashboard",
    ] {
        if cluster["addonsConfig"].get(given).is_some() {
            set(&mut filled, &format!("addonsConfig/{given}"), Value::Null);
        }
    }
    for given in [
        "shieldedNodes",
        "securityPostureConfig",
        "anonymousAuthenticationConfig",
    ] {
        if cluster.get(given).is_some() {
            set(&mut filled, given, Value::Null);
        }
    }
    filled["location"] = json!(name.location);
    filled["zone"] = json!(name.location);
    filled["name"] = json!(name.cluster);
    filled["selfLink"] = json!(format!(
        "https://container.googleapis.com/v1/{}",
        name.shown()
    ));
    filled
}

/// The fingerprint of a cluster's labels.
pub(crate) fn label_fingerprint(labels: &Value) -> String {
    let hash = fingerprint(&super::super::json::sorted(labels).to_string());
    format!("{}=", &hash[..11])
}

/// The checksum that conditional updates name: what people set, not what moves by itself.
pub(crate) fn etag(document: &Value) -> String {
    let mut content = document.clone();
    forget_what_moves(&mut content);
    for pool in content["nodePools"].as_array_mut().into_iter().flatten() {
        forget_what_moves(pool);
    }
    let hash = fingerprint(&super::super::json::sorted(&content).to_string());
    format!("{}-{}", &hash[..8], draw(&hash, 1_000_000))
}

fn forget_what_moves(document: &mut Value) {
    for moving in [
        "status",
        "statusMessage",
        "conditions",
        "currentNodeCount",
        "etag",
        "updateInfo",
    ] {
        set(document, moving, Value::Null);
    }
}
