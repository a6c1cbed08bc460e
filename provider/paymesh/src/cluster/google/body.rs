//! What a GKE cluster's body says, in the words of the resource.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use paymesh_google::{ClusterName, cluster::is_stopped};
use serde_json::Value;

use crate::cluster::{
    pool::{self, DiskType, PoolMode, PoolSpec, Taint, TaintEffect},
    spec::{
        ApiAccess, ClusterSpec, Features, GoogleCluster, Maintenance, MaintenanceExclusion,
        MaintenanceWindow, Network, NodeImageChannel, Power, Profile, Role, UpgradeChannel,
        Weekday,
    },
    status::ClusterStatus,
    versions::Version,
};

fn text(body: &Value, at: &str) -> Option<String> {
    body.pointer(at)?
        .as_str()
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn flag(body: &Value, at: &str) -> bool {
    body.pointer(at).and_then(Value::as_bool).unwrap_or(false)
}

/// A number, or a 64-bit number in quotes.
fn number(body: &Value, at: &str) -> Option<u32> {
    let number = body.pointer(at)?;
    number
        .as_u64()
        .and_then(|number| number.try_into().ok())
        .or_else(|| number.as_str()?.parse().ok())
}

fn pools(body: &Value) -> impl Iterator<Item = &Value> {
    body["nodePools"].as_array().into_iter().flatten()
}

/// What the cluster called `id` reports.
pub(super) fn status(id: &str, body: &Value) -> ClusterStatus {
    let host = text(
        body,
        "/controlPlaneEndpointsConfig/dnsEndpointConfig/endpoint",
    )
    .or_else(|| text(body, "/endpoint"));
    let certificate = text(body, "/masterAuth/clusterCaCertificate")
        .and_then(|encoded| BASE64_STANDARD.decode(encoded).ok())
        .and_then(|pem| String::from_utf8(pem).ok());
    let stopped = is_stopped(body);
    ClusterStatus {
        id: Some(id.to_owned()),
        uid: text(body, "/id"),
        status: None,
        holder: None,
        endpoint: host.map(|host| format!("https://{host}")),
        ca_certificate: certificate,
        running_kubernetes_version: text(body, "/currentMasterVersion"),
        running_power: Some(if stopped { "Stopped" } else { "Running" }.to_owned()),
        workload_identity_issuer: text(body, "/workloadIdentityConfig/workloadPool")
            .map(|_| format!("https://container.googleapis.com/v1/{id}")),
        control_plane_identity: None,
        node_identity: text(body, "/nodePools/0/config/serviceAccount"),
        node_scope: id.split('/').nth(1).map(str::to_owned),
        pools: BTreeMap::new(),
    }
}

/// `spelling` without the pools that are no longer there, and with the version of a control plane
/// that was put back. Every other difference is found by comparing the objects themselves.
pub(super) fn drifted(spelling: &ClusterSpec, prior: &ClusterStatus, body: &Value) -> ClusterSpec {
    let mut spec = spelling.clone();
    let names: Vec<String> = pools(body).filter_map(|pool| text(pool, "/name")).collect();
    spec.node_pools.retain(|key, _| {
        let name = prior
            .pools
            .get(key)
            .and_then(|pool| pool.cloud_name.as_ref());
        name.is_none_or(|name| names.contains(name))
    });
    let running = text(body, "/currentMasterVersion").and_then(|text| text.parse::<Version>().ok());
    if let (Some(runs), Ok(floor)) = (running, spec.kubernetes_version.parse::<Version>())
        && !runs.meets(&floor)
    {
        spec.kubernetes_version = runs.minor().to_string();
    }
    spec
}

/// The configuration that describes the cluster; `own` is the account that it would have of its
/// own.
pub(super) fn described(name: &ClusterName, body: &Value, own: &str) -> ClusterSpec {
    let runs = text(body, "/currentMasterVersion").unwrap_or_default();
    let labels = body["resourceLabels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    let role = labels
        .get("paymesh-role")
        .and_then(Value::as_str)
        .unwrap_or("main");
    let mut node_pools: BTreeMap<String, PoolSpec> = pools(body)
        .filter_map(|pool| Some((text(pool, "/name")?, self::pool(pool))))
        .collect();
    carries_components(&mut node_pools);
    let standby = pool::stands_by(&mut node_pools);
    let networks = "/controlPlaneEndpointsConfig/ipEndpointsConfig/authorizedNetworksConfig";
    let authorized: Vec<String> = body
        .pointer(&format!("{networks}/cidrBlocks"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|block| text(block, "/cidrBlock"))
        .collect();
    let public = flag(
        body,
        "/controlPlaneEndpointsConfig/ipEndpointsConfig/enablePublicEndpoint",
    );
    ClusterSpec {
        name: name.cluster.clone(),
        region: name.place.location.clone(),
        role: role.parse().unwrap_or(Role::Main),
        kubernetes_version: runs
            .parse::<Version>()
            .map_or(runs, |version| version.minor().to_string()),
        profile: match text(body, "/autoscaling/autoscalingProfile").as_deref() {
            Some("OPTIMIZE_UTILIZATION") => Profile::CostOptimized,
            _ => Profile::HighAvailability,
        },
        network: text(body, "/networkConfig/subnetwork").map(|subnet_id| Network {
            subnet_id,
            pods_range: text(body, "/ipAllocationPolicy/clusterSecondaryRangeName"),
            services_range: text(body, "/ipAllocationPolicy/servicesSecondaryRangeName"),
        }),
        azure: None,
        google: Some(GoogleCluster {
            project: Some(name.place.project.clone()),
            node_service_account: text(body, "/nodePools/0/config/serviceAccount")
                .filter(|account| account != own),
            control_plane_cidr: text(body, "/privateClusterConfig/masterIpv4CidrBlock"),
        }),
        admins: Vec::new(),
        deployer_admin: None,
        registries: Vec::new(),
        api_access: (public && !authorized.is_empty()).then_some(ApiAccess {
            authorized_cidrs: authorized,
        }),
        node_pools,
        standby,
        power: Power::Unmanaged,
        upgrade_channel: match text(body, "/releaseChannel/channel").as_deref() {
            Some("RAPID") => UpgradeChannel::Rapid,
            Some("REGULAR") => UpgradeChannel::Regular,
            _ => UpgradeChannel::Stable,
        },
        node_image_channel: NodeImageChannel::NodeImage,
        maintenance: maintenance(body),
        logs: None,
        kms_key_id: text(body, "/databaseEncryption/keyName"),
        features: Features {
            workload_identity: text(body, "/workloadIdentityConfig/workloadPool").is_some(),
            cilium: text(body, "/networkConfig/datapathProvider").as_deref()
                == Some("ADVANCED_DATAPATH"),
            dataplane_metrics: flag(
                body,
                "/monitoringConfig/advancedDatapathObservabilityConfig/enableMetrics",
            ),
            dns_cache: flag(body, "/addonsConfig/dnsCacheConfig/enabled"),
            cost_allocation: flag(body, "/costManagementConfig/enabled"),
            vertical_pod_autoscaling: flag(body, "/verticalPodAutoscaling/enabled"),
            gateway_api: text(body, "/networkConfig/gatewayApiConfig/channel").as_deref()
                == Some("CHANNEL_STANDARD"),
        },
        labels: labels
            .iter()
            .filter(|(key, _)| !key.starts_with("paymesh-") && !key.starts_with("goog-"))
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        deletion_protection: true,
        timeouts: None,
    }
}

/// The weekly window and the exclusions, as far as the resource has words for them.
fn maintenance(body: &Value) -> Option<Maintenance> {
    let policy = body.pointer("/maintenancePolicy/window")?;
    let exclusions: BTreeMap<String, MaintenanceExclusion> = policy["maintenanceExclusions"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, exclusion)| {
            let day = |at: &str, time: &str| {
                let moment = text(exclusion, at)?;
                moment.strip_suffix(time).map(str::to_owned)
            };
            let exclusion = MaintenanceExclusion {
                first_day: day("/startTime", "T00:00:00Z")?,
                last_day: day("/endTime", "T23:59:59Z")?,
            };
            Some((name.clone(), exclusion))
        })
        .collect();
    let window = policy.get("recurringWindow").and_then(window);
    (window.is_some() || !exclusions.is_empty()).then_some(Maintenance { window, exclusions })
}

fn window(recurring: &Value) -> Option<MaintenanceWindow> {
    let day = match recurring["recurrence"]
        .as_str()?
        .strip_prefix("FREQ=WEEKLY;BYDAY=")?
    {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    };
    let moment = |at: &str| text(recurring, at)?.parse::<Timestamp>().ok();
    let (start, end) = (moment("/window/startTime")?, moment("/window/endTime")?);
    Some(MaintenanceWindow {
        day,
        start: start.strftime("%H:%M").to_string(),
        hours: u32::try_from(end.duration_since(start).as_hours()).ok()?,
    })
}

/// GKE does not tell pools apart. The cluster's own components run where nothing keeps them out:
/// in the first pool with nodes and without taints.
fn carries_components(pools: &mut BTreeMap<String, PoolSpec>) {
    let open = |pool: &&mut PoolSpec| pool.taints.is_empty() && !pool.spot && pool.min_nodes > 0;
    if let Some(pool) = pools.values_mut().find(open) {
        pool.mode = PoolMode::System;
    }
}

fn pool(pool: &Value) -> PoolSpec {
    let minimum = number(pool, "/autoscaling/totalMinNodeCount").unwrap_or(0);
    let zones: Vec<String> = pool["locations"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|zone| zone.as_str().map(str::to_owned))
        .collect();
    let fixed = number(pool, "/initialNodeCount").unwrap_or(0)
        * u32::try_from(zones.len()).unwrap_or(1).max(1);
    let autoscaled = flag(pool, "/autoscaling/enabled");
    let labels = pool.pointer("/config/labels").and_then(Value::as_object);
    let taints = pool.pointer("/config/taints").and_then(Value::as_array);
    PoolSpec {
        mode: PoolMode::User,
        vcpu: None,
        memory_gb: None,
        machine_type: text(pool, "/config/machineType"),
        min_nodes: if autoscaled { minimum } else { fixed },
        max_nodes: if autoscaled {
            number(pool, "/autoscaling/totalMaxNodeCount").unwrap_or(minimum)
        } else {
            fixed
        },
        zones: Some(zones).filter(|zones| !zones.is_empty()),
        disk_gb: number(pool, "/config/diskSizeGb").unwrap_or(100),
        disk_type: match text(pool, "/config/diskType").as_deref() {
            Some("pd-ssd") => DiskType::Ssd,
            _ => DiskType::Balanced,
        },
        max_pods: number(pool, "/maxPodsConstraint/maxPodsPerNode").unwrap_or(110),
        labels: labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        taints: taints.into_iter().flatten().filter_map(taint).collect(),
        spot: flag(pool, "/config/spot"),
        surge: number(pool, "/upgradeSettings/maxSurge").filter(|surge| *surge > 0),
    }
}

fn taint(taint: &Value) -> Option<Taint> {
    let effect = match taint["effect"].as_str()? {
        "NO_SCHEDULE" => TaintEffect::NoSchedule,
        "PREFER_NO_SCHEDULE" => TaintEffect::PreferNoSchedule,
        "NO_EXECUTE" => TaintEffect::NoExecute,
        _ => return None,
    };
    Some(Taint {
        key: text(taint, "/key")?,
        value: text(taint, "/value").unwrap_or_default(),
        effect,
    })
}
