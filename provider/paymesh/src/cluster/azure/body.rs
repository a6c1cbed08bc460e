//! An AKS cluster as it was seen, in the words of the resource.

use std::collections::BTreeMap;

use paymesh_azure::{
    AccessSeen, ArmId, AssignmentSeen, ClusterSeen, PoolMode as AksMode, PoolSeen, Scale,
    WindowSeen,
};
use paymesh_kubernetes::oldest_minor;

use crate::cluster::{
    pool::{self, DiskType, PoolMode, PoolSpec, Taint, TaintEffect},
    spec::{
        Admin, AdminKind, ApiAccess, AzureCluster, ClusterSpec, Features, Logs, Maintenance,
        MaintenanceExclusion, MaintenanceWindow, Network, NodeImageChannel, Power, Profile, Role,
        UpgradeChannel,
    },
    status::ClusterStatus,
};

/// What the cloud reports.
pub(super) fn status(cluster: ClusterSeen<'_>) -> ClusterStatus {
    let text = |text: Option<&str>| text.map(str::to_owned);
    ClusterStatus {
        id: text(cluster.id()),
        uid: text(cluster.uid().or(cluster.id())),
        status: None,
        holder: None,
        effective_labels: Some(cluster.user_tags()),
        endpoint: cluster.endpoint(),
        // Not in the body: read beside it.
        ca_certificate: None,
        running_kubernetes_version: text(cluster.version()),
        running_power: text(cluster.power()),
        workload_identity_issuer: text(cluster.oidc_issuer()),
        control_plane_identity: text(cluster.identity_id().or(cluster.principal_id())),
        node_identity: text(cluster.kubelet_identity_id()),
        node_scope: text(cluster.node_resource_group()),
        pools: BTreeMap::new(),
    }
}

/// The configuration that describes the cluster, with its pools under the names they have.
pub(super) fn described(id: &ArmId, cluster: ClusterSeen<'_>) -> ClusterSpec {
    let mut node_pools: BTreeMap<String, PoolSpec> = cluster
        .pools()
        .filter_map(|pool| Some((pool.name()?.to_owned(), self::pool(pool))))
        .collect();
    let standby = pool::stands_by(&mut node_pools);
    let features = cluster.features();
    let running = [cluster.version()]
        .into_iter()
        .chain(cluster.pools().map(PoolSeen::version))
        .flatten();
    let text = |text: Option<&str>| text.map(str::to_owned);
    ClusterSpec {
        name: id.name().to_owned(),
        region: cluster.location(),
        role: cluster
            .tag("paymesh-role")
            .and_then(|role| role.parse().ok())
            .unwrap_or(Role::Main),
        kubernetes_version: oldest_minor(running).map_or_else(String::new, |it| it.to_string()),
        profile: match cluster.tier() {
            Some("Free") => Profile::CostOptimized,
            _ => Profile::HighAvailability,
        },
        network: cluster
            .pools()
            .find_map(PoolSeen::subnet)
            .map(|subnet| Network {
                subnet_id: subnet.to_owned(),
                pods_range: None,
                services_range: None,
            }),
        azure: Some(AzureCluster {
            subscription_id: text(id.subscription()),
            resource_group: text(id.group_name()),
            pods_cidr: text(cluster.pod_cidr()).unwrap_or_else(AzureCluster::default_pods),
            services_cidr: text(cluster.service_cidr())
                .unwrap_or_else(AzureCluster::default_services),
            control_plane_identity_id: existing_identity(id, cluster),
            kubelet_identity_id: None,
        }),
        google: None,
        admins: cluster.admin_groups().into_iter().map(group).collect(),
        // Whoever imports it did not make it.
        deployer_admin: Some(false),
        registries: Vec::new(),
        api_access: match cluster.access() {
            AccessSeen::Private => None,
            AccessSeen::Public(authorized_cidrs) => Some(ApiAccess { authorized_cidrs }),
        },
        node_pools,
        standby,
        power: Power::Unmanaged,
        upgrade_channel: match cluster.upgrade_channel() {
            Some("patch") => UpgradeChannel::Patch,
            Some("stable") => UpgradeChannel::Stable,
            Some("rapid") => UpgradeChannel::Rapid,
            _ => UpgradeChannel::None,
        },
        node_image_channel: match cluster.node_os_channel() {
            Some("NodeImage") => NodeImageChannel::NodeImage,
            Some("SecurityPatch") => NodeImageChannel::SecurityPatch,
            _ => NodeImageChannel::None,
        },
        maintenance: None,
        logs: cluster.log_workspace().map(|workspace| Logs {
            workspace_id: Some(workspace.to_owned()),
        }),
        kms_key_id: text(cluster.kms_key_id()),
        features: Features {
            workload_identity: features.workload_identity,
            cilium: features.cilium,
            dataplane_metrics: features.network_metrics,
            dns_cache: cluster.pools().all(PoolSeen::dns_cache),
            cost_allocation: features.cost_analysis,
            vertical_pod_autoscaling: features.vertical_pod_autoscaler,
            gateway_api: false,
        },
        labels: cluster.user_tags(),
        deletion_protection: true,
        timeouts: None,
    }
}

/// The identity of the control plane, unless it is the one that the provider makes for a cluster.
fn existing_identity(id: &ArmId, cluster: ClusterSeen<'_>) -> Option<String> {
    let identity = cluster.identity_id()?;
    let own = ArmId::parse(identity).ok().filter(|it| {
        it.group_id() == id.group_id() && it.name() == format!("{}-control-plane", id.name())
    });
    own.is_none().then(|| identity.to_owned())
}

/// A group that administers.
pub(super) fn group(id: String) -> Admin {
    Admin {
        kind: AdminKind::Group,
        entra_object_id: Some(id),
        google_email: None,
    }
}

/// Who has a role.
pub(super) fn admin(assignment: &AssignmentSeen) -> Admin {
    Admin {
        kind: match assignment.principal_type.as_str() {
            "User" => AdminKind::User,
            "ServicePrincipal" => AdminKind::ServicePrincipal,
            _ => AdminKind::Group,
        },
        ..group(assignment.principal_id.clone())
    }
}

/// A weekly window in UTC; another schedule has no words here.
pub(super) fn maintenance(window: &WindowSeen) -> Option<Maintenance> {
    let exclusions = window.excluded.iter().enumerate();
    Some(Maintenance {
        window: Some(MaintenanceWindow {
            day: window.day_of_week.to_ascii_lowercase().parse().ok()?,
            start: window.start_time.clone(),
            hours: Some(window.hours),
        }),
        exclusions: exclusions
            .map(|(number, (first_day, last_day))| {
                let exclusion = MaintenanceExclusion {
                    first_day: first_day.clone(),
                    last_day: last_day.clone(),
                };
                (format!("exclusion-{}", number + 1), exclusion)
            })
            .collect(),
    })
}

/// The configuration that describes a pool.
pub(super) fn pool(pool: PoolSeen<'_>) -> PoolSpec {
    let (min_nodes, max_nodes) = match pool.scale() {
        Scale::Fixed(count) => (count, count),
        Scale::Auto { min, max } => (min, max),
    };
    PoolSpec {
        mode: match pool.mode() {
            AksMode::System => PoolMode::System,
            AksMode::User => PoolMode::User,
        },
        vcpu: None,
        memory_gb: None,
        machine_type: pool.vm_size().map(str::to_owned),
        min_nodes,
        max_nodes,
        zones: Some(pool.zones()),
        disk_gb: pool.os_disk_gb().unwrap_or(PoolSpec::DISK_GB),
        disk_type: match pool.os_disk_type() {
            Some("Ephemeral") => DiskType::Ephemeral,
            _ => DiskType::Balanced,
        },
        max_pods: pool.max_pods().unwrap_or(PoolSpec::MAX_PODS),
        labels: pool.labels(),
        taints: pool.taints().into_iter().filter_map(taint).collect(),
        spot: pool.is_spot(),
        surge: pool.max_surge().and_then(|surge| surge.parse().ok()),
    }
}

/// `key=value:NoSchedule`.
fn taint(text: &str) -> Option<Taint> {
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
