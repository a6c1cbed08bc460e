//! A cluster's configuration in Azure's words.

use std::collections::BTreeMap;

use paymesh_azure::{
    Access, ArmId, ClusterWant, Features, IdentityWant, Kms, Logs, MaintenanceWant, NetworkWant,
    PoolWant, Power, Scale, Wording, pool_object_id,
};

use paymesh_engine::ObjectId;

use crate::cluster::{
    address::Range,
    choice::PoolChoice,
    pool::{self, DiskType, PoolMode, TaintEffect},
    profiles,
    spec::{self, ClusterSpec, NodeImageChannel, UpgradeChannel},
};

/// The windows in which AKS upgrades by itself, one for versions and one for node images.
pub(super) const SCHEDULES: [&str; 2] = [
    "aksManagedAutoUpgradeSchedule",
    "aksManagedNodeOSUpgradeSchedule",
];

/// The cluster.
pub(super) fn cluster(
    spec: &ClusterSpec,
    group: &ArmId,
    choices: &BTreeMap<String, PoolChoice>,
) -> ClusterWant {
    let terms = spec.profile.terms();
    let own = spec.azure.clone().unwrap_or_default();
    ClusterWant {
        id: group.cluster(&spec.name),
        location: spec.region.clone(),
        tags: tags(spec),
        gone_tags: Vec::new(),
        tier: terms.aks_tier.to_owned(),
        kubernetes_version: spec.kubernetes_version.clone(),
        identity: existing_identity(spec).unwrap_or_else(|| own_identity_id(spec, group)),
        kubelet_identity: own
            .kubelet_identity_id
            .as_deref()
            .and_then(|id| ArmId::parse(id).ok()),
        network: NetworkWant {
            dns_service_ip: own
                .services_cidr
                .parse::<Range>()
                .ok()
                .map(|services| services.address(10).to_string()),
            pod_cidr: own.pods_cidr,
            service_cidr: own.services_cidr,
        },
        access: match &spec.api_access {
            None => Access::Private,
            Some(access) => Access::Public {
                authorized_cidrs: access.authorized_cidrs.clone(),
            },
        },
        admin_groups: spec
            .admins
            .iter()
            .filter(|admin| admin.kind == spec::AdminKind::Group)
            .filter_map(|admin| admin.entra_object_id.clone())
            .collect(),
        features: Features {
            workload_identity: spec.features.workload_identity,
            cilium: spec.features.cilium,
            network_metrics: spec.features.dataplane_metrics,
            // Only a paid tier knows costs by namespace.
            cost_analysis: spec.features.cost_allocation && terms.aks_tier != "Free",
            vertical_pod_autoscaler: spec.features.vertical_pod_autoscaling,
        },
        upgrade_channel: match spec.upgrade_channel {
            UpgradeChannel::None => "none",
            UpgradeChannel::Patch => "patch",
            UpgradeChannel::Stable | UpgradeChannel::Regular => "stable",
            UpgradeChannel::Rapid => "rapid",
        }
        .to_owned(),
        node_os_channel: match spec.node_image_channel {
            NodeImageChannel::None => "None",
            NodeImageChannel::SecurityPatch => "SecurityPatch",
            NodeImageChannel::NodeImage => "NodeImage",
        }
        .to_owned(),
        autoscaler: profiles::autoscaler(terms),
        logs: spec
            .logs
            .as_ref()
            .and_then(|logs| logs.workspace_id.clone())
            .map(|workspace| Logs { workspace }),
        kms: spec.kms_key_id.clone().map(|key_id| Kms { key_id }),
        power: match spec.power {
            spec::Power::On => Some(Power::Running),
            spec::Power::Off => Some(Power::Stopped),
            spec::Power::Unmanaged => None,
        },
        pools: spec
            .node_pools
            .iter()
            .filter(|(_, pool)| pool.mode == PoolMode::System)
            .map(|(key, _)| pool(spec, key, &choices[key], Vec::new()))
            .collect(),
        needs: Vec::new(),
        wording: wording(),
    }
}

/// The existing identity of the control plane.
pub(super) fn existing_identity(spec: &ClusterSpec) -> Option<ArmId> {
    let id = spec.azure.as_ref()?.control_plane_identity_id.as_ref()?;
    ArmId::parse(id).ok()
}

/// The identity that the control plane gets where none is given.
pub(super) fn own_identity_id(spec: &ClusterSpec, group: &ArmId) -> ArmId {
    let name = format!("{}-control-plane", spec.name);
    group.resource("Microsoft.ManagedIdentity/userAssignedIdentities", &name)
}

pub(super) fn own_identity(spec: &ClusterSpec, group: &ArmId) -> IdentityWant {
    IdentityWant {
        id: own_identity_id(spec, group),
        location: spec.region.clone(),
        tags: spec.labels.clone(),
    }
}

fn tags(spec: &ClusterSpec) -> BTreeMap<String, String> {
    let mut tags = spec.labels.clone();
    tags.insert("paymesh-role".to_owned(), spec.role.to_string());
    tags
}

fn wording() -> Wording {
    let known = [
        ("location", "region"),
        ("tags", "labels"),
        ("sku", "profile"),
        ("identity", "azure.control_plane_identity_id"),
        ("properties.kubernetesVersion", "kubernetes_version"),
        ("properties.aadProfile", "admins"),
        ("properties.apiServerAccessProfile", "api_access"),
        ("properties.networkProfile", "network"),
        ("properties.networkProfile.podCidr", "azure.pods_cidr"),
        (
            "properties.networkProfile.serviceCidr",
            "azure.services_cidr",
        ),
        (
            "properties.networkProfile.networkDataplane",
            "features.cilium",
        ),
        ("properties.networkProfile.networkPolicy", "features.cilium"),
        (
            "properties.networkProfile.advancedNetworking",
            "features.dataplane_metrics",
        ),
        ("properties.oidcIssuerProfile", "features.workload_identity"),
        (
            "properties.securityProfile.workloadIdentity",
            "features.workload_identity",
        ),
        ("properties.securityProfile.azureKeyVaultKms", "kms_key_id"),
        (
            "properties.workloadAutoScalerProfile",
            "features.vertical_pod_autoscaling",
        ),
        ("properties.metricsProfile", "features.cost_allocation"),
        ("properties.addonProfiles.omsagent", "logs"),
        (
            "properties.autoUpgradeProfile.upgradeChannel",
            "upgrade_channel",
        ),
        (
            "properties.autoUpgradeProfile.nodeOSUpgradeChannel",
            "node_image_channel",
        ),
        ("properties.autoScalerProfile", "profile"),
        ("properties.identityProfile", "azure.kubelet_identity_id"),
        ("properties.powerState", "power"),
    ];
    Wording(
        known
            .into_iter()
            .map(|(path, name)| (path, name.to_owned()))
            .collect(),
    )
}

/// A pool.
pub(super) fn pool(
    spec: &ClusterSpec,
    key: &str,
    choice: &PoolChoice,
    system_pools: Vec<ObjectId>,
) -> PoolWant {
    let pool = &spec.node_pools[key];
    let mode = match pool.mode {
        PoolMode::System => paymesh_azure::PoolMode::System,
        PoolMode::User => paymesh_azure::PoolMode::User,
    };
    let scale = if spec.standby && pool.mode == PoolMode::User {
        Scale::Fixed(0)
    } else if pool.min_nodes == pool.max_nodes {
        Scale::Fixed(pool.min_nodes)
    } else {
        Scale::Auto {
            min: pool.min_nodes,
            max: pool.max_nodes,
        }
    };
    PoolWant {
        name: choice.cloud_name.clone(),
        mode,
        vm_size: choice.machine_type.clone(),
        scale,
        zones: choice.zones.clone(),
        os_disk_gb: pool.disk_gb,
        os_disk_type: match pool.disk_type {
            DiskType::Ephemeral => "Ephemeral",
            DiskType::Balanced | DiskType::Ssd => "Managed",
        }
        .to_owned(),
        subnet: spec
            .network
            .as_ref()
            .and_then(|network| ArmId::parse(&network.subnet_id).ok()),
        max_pods: pool.max_pods,
        labels: pool.labels.clone(),
        gone_labels: Vec::new(),
        taints: pool.taints.iter().map(taint).collect(),
        gone_taints: Vec::new(),
        tags: tags(spec),
        gone_tags: Vec::new(),
        spot: pool.spot,
        // A spot pool is never upgraded with more nodes than it has.
        max_surge: (!pool.spot).then(|| {
            pool.surge.map_or_else(
                || spec.profile.terms().surge.to_owned(),
                |surge| surge.to_string(),
            )
        }),
        drain_timeout_minutes: (!pool.spot).then_some(spec.profile.terms().drain_minutes),
        system_pools,
        dns_cache: spec.features.dns_cache,
        kubernetes_version: spec.kubernetes_version.clone(),
        attribute: Some(attribute_of(key)),
        wording: pool_wording(spec, key),
    }
}

fn taint(taint: &pool::Taint) -> String {
    let effect = match taint.effect {
        TaintEffect::NoSchedule => "NoSchedule",
        TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        TaintEffect::NoExecute => "NoExecute",
    };
    format!("{}={}:{effect}", taint.key, taint.value)
}

/// The attribute that asks for the pool `key`.
fn attribute_of(key: &str) -> String {
    format!("node_pools[\"{key}\"]")
}

fn pool_wording(spec: &ClusterSpec, key: &str) -> Wording {
    let pool = attribute_of(key);
    let is_waiting = spec.standby && spec.node_pools[key].mode == PoolMode::User;
    let count = |name: &str| {
        if is_waiting {
            "standby".to_owned()
        } else {
            format!("{pool}.{name}")
        }
    };
    let counts = [
        ("properties.count", count("min_nodes")),
        ("properties.minCount", count("min_nodes")),
        ("properties.maxCount", count("max_nodes")),
        ("properties.enableAutoScaling", count("max_nodes")),
    ];
    let known = [
        ("properties.mode", "mode"),
        ("properties.vmSize", "machine_type"),
        ("properties.availabilityZones", "zones"),
        ("properties.osDiskSizeGB", "disk_gb"),
        ("properties.osDiskType", "disk_type"),
        ("properties.maxPods", "max_pods"),
        ("properties.nodeLabels", "labels"),
        ("properties.nodeTaints", "taints"),
        ("properties.scaleSetPriority", "spot"),
        ("properties.upgradeSettings", "surge"),
    ];
    let own = known
        .into_iter()
        .map(|(path, attribute)| (path, format!("{pool}.{attribute}")));
    let of_the_cluster = [
        ("properties.tags", "labels"),
        ("properties.vnetSubnetID", "network.subnet_id"),
        ("properties.localDNSProfile", "features.dns_cache"),
        (
            "properties.upgradeSettings.drainTimeoutInMinutes",
            "profile",
        ),
        ("properties.orchestratorVersion", "kubernetes_version"),
    ]
    .map(|(path, attribute)| (path, attribute.to_owned()));
    Wording(own.chain(counts).chain(of_the_cluster).collect())
}

/// The least length of a weekly window (AKS, "Planned maintenance").
const WINDOW_HOURS: u32 = 4;

/// The weekly window called `name`, if there is one.
pub(super) fn maintenance(spec: &ClusterSpec, id: &ArmId, name: &str) -> Option<MaintenanceWant> {
    let maintenance = spec.maintenance.as_ref()?;
    let window = maintenance.window.as_ref()?;
    let mut day = window.day.to_string();
    day[..1].make_ascii_uppercase();
    Some(MaintenanceWant {
        cluster: id.clone(),
        name: name.to_owned(),
        day_of_week: day,
        start_time: window.start.clone(),
        hours: window.hours.unwrap_or(WINDOW_HOURS),
        excluded: maintenance
            .exclusions
            .values()
            .map(|exclusion| (exclusion.first_day.clone(), exclusion.last_day.clone()))
            .collect(),
    })
}

/// The pools that carry the cluster's own components.
pub(super) fn system_pools(
    spec: &ClusterSpec,
    choices: &BTreeMap<String, PoolChoice>,
    cluster: &ArmId,
) -> Vec<ObjectId> {
    let system = |(_, pool): &(&String, &pool::PoolSpec)| pool.mode == PoolMode::System;
    let keys = spec.node_pools.iter().filter(system).map(|(key, _)| key);
    keys.map(|key| pool_object_id(cluster, &choices[key].cloud_name))
        .collect()
}
