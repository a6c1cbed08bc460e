//! What an AKS cluster's body says, in the words of the resource.

use std::collections::BTreeMap;

use paymesh_azure::ArmId;
use serde_json::Value;

use crate::cluster::{
    pool::{self, DiskType, PoolMode, PoolSpec, Taint, TaintEffect},
    spec::{
        Admin, AdminKind, ApiAccess, AzureCluster, ClusterSpec, Features, Logs, Maintenance,
        MaintenanceExclusion, MaintenanceWindow, Network, NodeImageChannel, Power, Profile, Role,
        UpgradeChannel,
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

fn number(body: &Value, at: &str) -> Option<u32> {
    body.pointer(at)?
        .as_u64()
        .and_then(|number| number.try_into().ok())
}

fn texts(body: &Value, at: &str) -> Vec<String> {
    let list = body.pointer(at).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// What the cluster reports.
pub(super) fn status(body: &Value) -> ClusterStatus {
    let host = text(body, "/properties/privateFQDN").or_else(|| text(body, "/properties/fqdn"));
    ClusterStatus {
        id: text(body, "/id"),
        uid: text(body, "/properties/resourceUID").or_else(|| text(body, "/id")),
        status: None,
        holder: None,
        endpoint: host.map(|host| format!("https://{host}:443")),
        // Not in the body: read beside it.
        ca_certificate: None,
        running_kubernetes_version: text(body, "/properties/currentKubernetesVersion")
            .or_else(|| text(body, "/properties/kubernetesVersion")),
        running_power: text(body, "/properties/powerState/code"),
        workload_identity_issuer: text(body, "/properties/oidcIssuerProfile/issuerURL"),
        control_plane_identity: body
            .pointer("/identity/userAssignedIdentities")
            .and_then(Value::as_object)
            .and_then(|identities| identities.keys().next().cloned())
            .or_else(|| text(body, "/identity/principalId")),
        node_identity: text(
            body,
            "/properties/identityProfile/kubeletidentity/resourceId",
        ),
        node_scope: text(body, "/properties/nodeResourceGroup"),
        pools: BTreeMap::new(),
    }
}

/// The configuration that describes the cluster.
pub(super) fn described(id: &ArmId, body: &Value) -> ClusterSpec {
    let pools = body
        .pointer("/properties/agentPoolProfiles")
        .and_then(Value::as_array);
    let pools: Vec<&Value> = pools.into_iter().flatten().collect();
    let mut node_pools: BTreeMap<String, PoolSpec> = pools
        .iter()
        .filter_map(|pool| Some((text(pool, "/name")?, self::pool(pool))))
        .collect();
    let standby = pool::stands_by(&mut node_pools);
    let private = flag(
        body,
        "/properties/apiServerAccessProfile/enablePrivateCluster",
    );
    let authorized = texts(
        body,
        "/properties/apiServerAccessProfile/authorizedIPRanges",
    );
    let runs = text(body, "/properties/currentKubernetesVersion")
        .or_else(|| text(body, "/properties/kubernetesVersion"))
        .unwrap_or_default();
    let tags = body
        .get("tags")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let role = tags
        .get("paymesh-role")
        .and_then(Value::as_str)
        .unwrap_or("main");
    ClusterSpec {
        name: id.name().to_owned(),
        region: region(body),
        role: role.parse().unwrap_or(Role::Main),
        kubernetes_version: runs
            .parse::<Version>()
            .map_or(runs, |version| version.minor().to_string()),
        profile: match text(body, "/sku/tier").as_deref() {
            Some("Free") => Profile::CostOptimized,
            _ => Profile::HighAvailability,
        },
        network: pools
            .iter()
            .find_map(|pool| text(pool, "/vnetSubnetID"))
            .map(|subnet_id| Network {
                subnet_id,
                pods_range: None,
                services_range: None,
            }),
        azure: Some(AzureCluster {
            subscription_id: id.subscription().map(str::to_owned),
            resource_group: id.group_name().map(str::to_owned),
            pods_cidr: text(body, "/properties/networkProfile/podCidr")
                .unwrap_or_else(|| "10.244.0.0/16".to_owned()),
            services_cidr: text(body, "/properties/networkProfile/serviceCidr")
                .unwrap_or_else(|| "10.0.0.0/16".to_owned()),
            control_plane_identity_id: existing_identity(id, body),
            kubelet_identity_id: None,
        }),
        google: None,
        admins: texts(body, "/properties/aadProfile/adminGroupObjectIDs")
            .into_iter()
            .map(|id| Admin {
                kind: AdminKind::Group,
                entra_object_id: Some(id),
                google_email: None,
            })
            .collect(),
        // Whoever imports it did not make it.
        deployer_admin: Some(false),
        registries: Vec::new(),
        api_access: (!private && !authorized.is_empty()).then_some(ApiAccess {
            authorized_cidrs: authorized,
        }),
        node_pools,
        standby,
        power: Power::Unmanaged,
        upgrade_channel: match text(body, "/properties/autoUpgradeProfile/upgradeChannel")
            .as_deref()
        {
            Some("patch") => UpgradeChannel::Patch,
            Some("stable") => UpgradeChannel::Stable,
            Some("rapid") => UpgradeChannel::Rapid,
            _ => UpgradeChannel::None,
        },
        node_image_channel: match text(body, "/properties/autoUpgradeProfile/nodeOSUpgradeChannel")
            .as_deref()
        {
            Some("NodeImage") => NodeImageChannel::NodeImage,
            Some("SecurityPatch") => NodeImageChannel::SecurityPatch,
            _ => NodeImageChannel::None,
        },
        maintenance: None,
        logs: text(
            body,
            "/properties/addonProfiles/omsagent/config/logAnalyticsWorkspaceResourceID",
        )
        .map(|workspace_id| Logs {
            workspace_id: Some(workspace_id),
        }),
        kms_key_id: text(body, "/properties/securityProfile/azureKeyVaultKms/keyId")
            .filter(|_| flag(body, "/properties/securityProfile/azureKeyVaultKms/enabled")),
        features: Features {
            workload_identity: flag(body, "/properties/securityProfile/workloadIdentity/enabled"),
            cilium: text(body, "/properties/networkProfile/networkDataplane").as_deref()
                == Some("cilium"),
            dataplane_metrics: flag(
                body,
                "/properties/networkProfile/advancedNetworking/enabled",
            ),
            dns_cache: pools
                .iter()
                .all(|pool| text(pool, "/localDNSProfile/mode").as_deref() == Some("Required")),
            cost_allocation: flag(body, "/properties/metricsProfile/costAnalysis/enabled"),
            vertical_pod_autoscaling: flag(
                body,
                "/properties/workloadAutoScalerProfile/verticalPodAutoscaler/enabled",
            ),
            gateway_api: false,
        },
        labels: tags
            .iter()
            .filter(|(key, _)| !key.starts_with("paymesh-"))
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        deletion_protection: true,
        timeouts: None,
    }
}

/// The identity of the control plane, unless it is the one that the provider makes for a cluster.
fn existing_identity(id: &ArmId, body: &Value) -> Option<String> {
    let all = body
        .pointer("/identity/userAssignedIdentities")?
        .as_object()?;
    let identity = all.keys().next()?;
    let own = ArmId::parse(identity).ok().filter(|it| {
        it.group_id() == id.group_id() && it.name() == format!("{}-control-plane", id.name())
    });
    own.is_none().then(|| identity.clone())
}

/// Who has a role, from the assignment's body.
pub(super) fn admin(assignment: &Value) -> Option<Admin> {
    Some(Admin {
        kind: match text(assignment, "/properties/principalType").as_deref() {
            Some("User") => AdminKind::User,
            Some("ServicePrincipal") => AdminKind::ServicePrincipal,
            _ => AdminKind::Group,
        },
        entra_object_id: Some(text(assignment, "/properties/principalId")?),
        google_email: None,
    })
}

/// A weekly window in UTC; another schedule has no words here.
pub(super) fn maintenance(window: &Value) -> Option<Maintenance> {
    let day = text(window, "/schedule/weekly/dayOfWeek")?;
    let exclusions = window.pointer("/notAllowedDates").and_then(Value::as_array);
    let exclusions = exclusions.into_iter().flatten().enumerate();
    Some(Maintenance {
        window: Some(MaintenanceWindow {
            day: day.to_ascii_lowercase().parse().ok()?,
            start: text(window, "/startTime")?,
            hours: number(window, "/durationHours")?,
        }),
        exclusions: exclusions
            .filter_map(|(number, dates)| {
                let exclusion = MaintenanceExclusion {
                    first_day: text(dates, "/start")?,
                    last_day: text(dates, "/end")?,
                };
                Some((format!("exclusion-{}", number + 1), exclusion))
            })
            .collect(),
    })
}

fn region(body: &Value) -> String {
    text(body, "/location")
        .unwrap_or_default()
        .to_ascii_lowercase()
        .replace(' ', "")
}

/// The configuration that describes a pool.
fn pool(profile: &Value) -> PoolSpec {
    let count = number(profile, "/count").unwrap_or(0);
    let scales = flag(profile, "/enableAutoScaling");
    let bound = |at| number(profile, at).filter(|_| scales).unwrap_or(count);
    let labels = profile.pointer("/nodeLabels").and_then(Value::as_object);
    PoolSpec {
        mode: if text(profile, "/mode").as_deref() == Some("System") {
            PoolMode::System
        } else {
            PoolMode::User
        },
        vcpu: None,
        memory_gb: None,
        machine_type: text(profile, "/vmSize"),
        min_nodes: bound("/minCount"),
        max_nodes: bound("/maxCount"),
        zones: Some(texts(profile, "/availabilityZones")),
        disk_gb: number(profile, "/osDiskSizeGB").unwrap_or(128),
        disk_type: match text(profile, "/osDiskType").as_deref() {
            Some("Ephemeral") => DiskType::Ephemeral,
            _ => DiskType::Balanced,
        },
        max_pods: number(profile, "/maxPods").unwrap_or(110),
        labels: labels
            .into_iter()
            .flatten()
            .filter(|(key, _)| !key.starts_with("kubernetes.azure.com/"))
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect(),
        taints: texts(profile, "/nodeTaints")
            .iter()
            .filter(|taint| !taint.starts_with("kubernetes.azure.com/"))
            .filter_map(|taint| taint_of(taint))
            .collect(),
        spot: text(profile, "/scaleSetPriority").as_deref() == Some("Spot"),
        surge: text(profile, "/upgradeSettings/maxSurge").and_then(|surge| surge.parse().ok()),
    }
}

/// `key=value:NoSchedule`.
fn taint_of(text: &str) -> Option<Taint> {
    let (pair, effect) = text.rsplit_once(':')?;
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let effect = match effect {
        "NoSchedule" => TaintEffect::NoSchedule,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        "NoExecute" => TaintEffect::NoExecute,
        _ => return None,
    };
    Some(Taint {
        key: key.to_owned(),
        value: value.to_owned(),
        effect,
    })
}

/// `spelling` without the pools that are no longer there. Every other difference is found by
/// comparing the objects themselves.
pub(super) fn drifted(spelling: &ClusterSpec, prior: &ClusterStatus, body: &Value) -> ClusterSpec {
    let mut spec = spelling.clone();
    let profiles = body
        .pointer("/properties/agentPoolProfiles")
        .and_then(Value::as_array);
    if let Some(profiles) = profiles {
        let names: Vec<String> = profiles
            .iter()
            .filter_map(|pool| text(pool, "/name"))
            .collect();
        spec.node_pools.retain(|key, _| {
            let name = prior
                .pools
                .get(key)
                .and_then(|pool| pool.cloud_name.as_ref());
            name.is_none_or(|name| names.contains(name))
        });
    }
    let running = text(body, "/properties/currentKubernetesVersion");
    if let (Some(Ok(runs)), Ok(floor)) = (
        running.as_deref().map(str::parse::<Version>),
        spec.kubernetes_version.parse::<Version>(),
    ) && !runs.meets(&floor)
    {
        spec.kubernetes_version = runs.minor().to_string();
    }
    spec
}
