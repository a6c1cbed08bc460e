//! A GKE cluster as it was seen, in the words of the resource.

use std::collections::BTreeMap;

use jiff::Timestamp;
use paymesh_google::{
    ClusterName, ClusterSeen, PoolSeen,
    cluster::{self, Access, Channel},
    pool::{self as gke, TaintEffect as GkeEffect},
};
use paymesh_kubernetes::oldest_minor;

use crate::cluster::{
    pool::{self, DiskType, PoolMode, PoolSpec, Taint, TaintEffect},
    spec::{
        ApiAccess, ClusterSpec, Features, GoogleCluster, Maintenance, MaintenanceExclusion,
        MaintenanceWindow, Network, NodeImageChannel, Power, Profile, Role, UpgradeChannel,
        Weekday,
    },
    status::ClusterStatus,
};

/// What the cluster called `id` reports.
pub(super) fn status(id: &str, cluster: ClusterSeen<'_>) -> ClusterStatus {
    let text = |text: Option<&str>| text.map(str::to_owned);
    let power = if cluster.is_stopped() {
        "Stopped"
    } else {
        "Running"
    };
    ClusterStatus {
        id: Some(id.to_owned()),
        uid: text(cluster.uid()),
        status: None,
        holder: None,
        effective_labels: Some(cluster.user_labels()),
        endpoint: cluster.endpoint(),
        ca_certificate: cluster.certificate_authority(),
        running_kubernetes_version: text(cluster.version()),
        running_power: Some(power.to_owned()),
        workload_identity_issuer: cluster
            .workload_pool()
            .map(|_| format!("https://container.googleapis.com/v1/{id}")),
        control_plane_identity: None,
        node_identity: text(cluster.node_account()),
        node_scope: id.split('/').nth(1).map(str::to_owned),
        pools: BTreeMap::new(),
    }
}

/// The configuration that describes the cluster, with its pools under the names they have; `own` is
/// the account that it would have of its own.
pub(super) fn described(name: &ClusterName, cluster: ClusterSeen<'_>, own: &str) -> ClusterSpec {
    let mut node_pools: BTreeMap<String, PoolSpec> = cluster
        .pools()
        .filter_map(|pool| Some((pool.name()?.to_owned(), self::pool(pool))))
        .collect();
    carries_components(&mut node_pools);
    let standby = pool::stands_by(&mut node_pools);
    let features = cluster.features();
    let running = [cluster.version()]
        .into_iter()
        .chain(cluster.pools().map(PoolSeen::version))
        .flatten();
    let text = |text: Option<&str>| text.map(str::to_owned);
    ClusterSpec {
        name: name.cluster.clone(),
        region: name.place.location.clone(),
        role: cluster
            .labels()
            .get("paymesh-role")
            .and_then(|role| role.parse().ok())
            .unwrap_or(Role::Main),
        kubernetes_version: oldest_minor(running).map_or_else(String::new, |it| it.to_string()),
        profile: match cluster.autoscaling_profile() {
            Some("OPTIMIZE_UTILIZATION") => Profile::CostOptimized,
            _ => Profile::HighAvailability,
        },
        network: cluster.subnetwork().map(|subnet| Network {
            subnet_id: subnet.to_owned(),
            pods_range: text(cluster.pods_range()),
            services_range: text(cluster.services_range()),
        }),
        azure: None,
        google: Some(GoogleCluster {
            project: Some(name.place.project.clone()),
            node_service_account: text(cluster.node_account().filter(|account| *account != own)),
            control_plane_cidr: text(cluster.control_plane_cidr()),
        }),
        admins: Vec::new(),
        deployer_admin: None,
        registries: Vec::new(),
        api_access: match cluster.access() {
            Access::Private => None,
            Access::AuthorizedCidrs(authorized_cidrs) => Some(ApiAccess { authorized_cidrs }),
        },
        node_pools,
        standby,
        power: Power::Unmanaged,
        upgrade_channel: match cluster.channel() {
            Some(Channel::Rapid) => UpgradeChannel::Rapid,
            Some(Channel::Regular) => UpgradeChannel::Regular,
            _ => UpgradeChannel::Stable,
        },
        node_image_channel: NodeImageChannel::NodeImage,
        maintenance: maintenance(&cluster.maintenance()),
        logs: None,
        kms_key_id: text(cluster.encryption_key()),
        features: Features {
            workload_identity: features.workload_identity,
            cilium: features.dataplane_v2,
            dataplane_metrics: features.dataplane_metrics,
            dns_cache: features.dns_cache,
            cost_allocation: features.cost_allocation,
            vertical_pod_autoscaling: features.vertical_pod_autoscaling,
            gateway_api: features.gateway_api,
        },
        labels: cluster.user_labels(),
        deletion_protection: true,
        timeouts: None,
    }
}

/// The weekly window and the exclusions, as far as the resource has words for them.
pub(super) fn maintenance(seen: &cluster::Maintenance) -> Option<Maintenance> {
    let exclusions = seen.exclusions.iter().filter_map(|(name, exclusion)| {
        let day = |moment: &str, time| moment.strip_suffix(time).map(str::to_owned);
        let exclusion = MaintenanceExclusion {
            first_day: day(&exclusion.start, "T00:00:00Z")?,
            last_day: day(&exclusion.end, "T23:59:59Z")?,
        };
        Some((name.clone(), exclusion))
    });
    let exclusions: BTreeMap<String, MaintenanceExclusion> = exclusions.collect();
    let window = seen.window.as_ref().and_then(window);
    (window.is_some() || !exclusions.is_empty()).then_some(Maintenance { window, exclusions })
}

fn window(window: &cluster::Window) -> Option<MaintenanceWindow> {
    let day = match window.recurrence.strip_prefix("FREQ=WEEKLY;BYDAY=")? {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    };
    let start: Timestamp = window.start.parse().ok()?;
    let end: Timestamp = window.end.parse().ok()?;
    Some(MaintenanceWindow {
        day,
        start: start.strftime("%H:%M").to_string(),
        hours: Some(u32::try_from(end.duration_since(start).as_hours()).ok()?),
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

/// The configuration that describes a pool.
pub(super) fn pool(pool: PoolSeen<'_>) -> PoolSpec {
    let (min_nodes, max_nodes) = pool.bounds().unwrap_or((pool.nodes(), pool.nodes()));
    let disk = pool.disk();
    PoolSpec {
        mode: PoolMode::User,
        vcpu: None,
        memory_gb: None,
        machine_type: pool.machine_type().map(str::to_owned),
        min_nodes,
        max_nodes,
        zones: Some(pool.zones()).filter(|zones| !zones.is_empty()),
        disk_gb: disk.as_ref().map_or(PoolSpec::DISK_GB, |disk| disk.size_gb),
        disk_type: match disk.as_ref().map(|disk| disk.kind.as_str()) {
            Some("pd-ssd") => DiskType::Ssd,
            _ => DiskType::Balanced,
        },
        max_pods: pool.pods_max().unwrap_or(PoolSpec::MAX_PODS),
        labels: pool.labels(),
        taints: pool.taints().into_iter().map(taint).collect(),
        spot: pool.is_spot(),
        surge: pool.surge_max().filter(|surge| *surge > 0),
    }
}

fn taint(taint: gke::Taint) -> Taint {
    Taint {
        key: taint.key,
        value: taint.value,
        effect: match taint.effect {
            GkeEffect::NoSchedule => TaintEffect::NoSchedule,
            GkeEffect::PreferNoSchedule => TaintEffect::PreferNoSchedule,
            GkeEffect::NoExecute => TaintEffect::NoExecute,
        },
    }
}
