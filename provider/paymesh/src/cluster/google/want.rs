//! A cluster's configuration in Google's words.

use std::collections::BTreeMap;

use paymesh_google::{
    Attributes, ClusterName, NodePoolName,
    cluster::{
        Access, Channel, ClusterWant, Encryption, Exclusion, Features, Maintenance, NetworkWant,
        Window,
    },
    pool::{Disk, PoolWant, Size, Taint, TaintEffect},
};

use crate::cluster::{
    Prior,
    choice::PoolChoice,
    pool::{self, DiskType, PoolMode, PoolSpec},
    spec::{self, ClusterSpec, Power, UpgradeChannel, Weekday},
    totals,
};

/// The zones over which GKE spreads the nodes of a regional cluster that names none.
/// Source: container v1, `Cluster.locations`, read 2026-11.
const ZONES_OF_REGION: u32 = 3;

/// The cluster, with the pools that are made together with it.
pub(super) fn cluster(
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    name: ClusterName,
    pools: Vec<PoolWant>,
) -> ClusterWant {
    let labels = labels(spec);
    let own = spec.google.clone().unwrap_or_default();
    let had = |what: fn(&ClusterSpec) -> bool| prior.is_some_and(|prior| what(&prior.spec));
    ClusterWant {
        name,
        version: spec.kubernetes_version.parse().ok(),
        channel: channel(spec),
        network: network(spec),
        labels,
        access: match &spec.api_access {
            None => Access::Private,
            Some(access) => Access::AuthorizedCidrs(access.authorized_cidrs.clone()),
        },
        features: Features {
            workload_identity: spec.features.workload_identity,
            dataplane_v2: spec.features.cilium,
            dataplane_metrics: spec.features.dataplane_metrics,
            dns_cache: spec.features.dns_cache,
            cost_allocation: spec.features.cost_allocation,
            vertical_pod_autoscaling: spec.features.vertical_pod_autoscaling,
            gateway_api: spec.features.gateway_api,
        },
        encryption: match &spec.kms_key_id {
            Some(key) => Encryption::Key(key.clone()),
            None if had(|before| before.kms_key_id.is_some()) => Encryption::Gone,
            None => Encryption::AsItIs,
        },
        autoscaling_profile: spec.profile.terms().gke_autoscaling.to_owned(),
        control_plane_cidr: own.control_plane_cidr,
        maintenance: match &spec.maintenance {
            Some(wanted) => Some(maintenance(wanted)),
            None => had(|before| before.maintenance.is_some()).then(Maintenance::default),
        },
        pools,
        needs: Vec::new(),
        attributes: attributes(),
    }
}

/// The release channel. What only AKS has is refused before.
pub(super) fn channel(spec: &ClusterSpec) -> Channel {
    match spec.upgrade_channel {
        UpgradeChannel::Rapid => Channel::Rapid,
        UpgradeChannel::Regular => Channel::Regular,
        UpgradeChannel::None | UpgradeChannel::Patch | UpgradeChannel::Stable => Channel::Stable,
    }
}

/// The subnetwork and its ranges.
pub(super) fn network(spec: &ClusterSpec) -> NetworkWant {
    let (subnet, pods, services) = spec
        .network
        .as_ref()
        .map_or_else(Default::default, |network| {
            (
                network.subnet_id.as_str(),
                network.pods_range.clone().unwrap_or_default(),
                network.services_range.clone().unwrap_or_default(),
            )
        });
    // A self link names the same subnetwork.
    let from = subnet.find("projects/").unwrap_or(0);
    NetworkWant {
        subnetwork: subnet[from..].to_owned(),
        pods_range: pods,
        services_range: services,
    }
}

fn labels(spec: &ClusterSpec) -> BTreeMap<String, String> {
    let mut labels = spec.labels.clone();
    labels.insert("paymesh-role".to_owned(), spec.role.to_string());
    labels
}

fn maintenance(maintenance: &spec::Maintenance) -> Maintenance {
    let exclusions = maintenance.exclusions.iter().map(|(name, exclusion)| {
        let exclusion = Exclusion {
            start: format!("{}T00:00:00Z", exclusion.first_day),
            end: format!("{}T23:59:59Z", exclusion.last_day),
            scope: "NO_UPGRADES".to_owned(),
        };
        (name.clone(), exclusion)
    });
    Maintenance {
        window: maintenance.window.as_ref().map(window),
        exclusions: exclusions.collect(),
    }
}

/// The least length of a weekly window.
/// Source: GKE documentation, "Maintenance windows and exclusions", read 2026-11.
pub(in crate::cluster) const WINDOW_HOURS: u32 = 12;

/// A weekly window. Its first day lies in the past, in a week that begins with Monday,
/// 5 January 2026.
fn window(window: &spec::MaintenanceWindow) -> Window {
    let (day, name) = match window.day {
        Weekday::Monday => (5, "MO"),
        Weekday::Tuesday => (6, "TU"),
        Weekday::Wednesday => (7, "WE"),
        Weekday::Thursday => (8, "TH"),
        Weekday::Friday => (9, "FR"),
        Weekday::Saturday => (10, "SA"),
        Weekday::Sunday => (11, "SU"),
    };
    let (hour, minute) = window
        .start
        .split_once(':')
        .unwrap_or((&window.start, "00"));
    let hour: u32 = hour.parse().unwrap_or(0);
    let end = hour + window.hours.unwrap_or(WINDOW_HOURS);
    Window {
        start: format!("2026-01-{day:02}T{hour:02}:{minute}:00Z"),
        end: format!("2026-01-{:02}T{:02}:{minute}:00Z", day + end / 24, end % 24),
        recurrence: format!("FREQ=WEEKLY;BYDAY={name}"),
    }
}

/// A pool.
pub(super) fn pool(
    spec: &ClusterSpec,
    key: &str,
    choice: &PoolChoice,
    prior: Option<&Prior>,
    name: NodePoolName,
    service_account: Option<String>,
) -> PoolWant {
    let pool = &spec.node_pools[key];
    PoolWant {
        name,
        version: spec.kubernetes_version.parse().ok(),
        machine_type: choice.machine_type.clone(),
        disk: Disk {
            kind: match pool.disk_type {
                DiskType::Ssd => "pd-ssd",
                DiskType::Balanced | DiskType::Ephemeral => "pd-balanced",
            }
            .to_owned(),
            size_gb: pool.disk_gb,
        },
        spot: pool.spot,
        pods_max: pool.max_pods,
        zones: choice.zones.clone(),
        size: size(spec, pool, &choice.zones),
        may_sleep: spec.power == Power::Unmanaged
            && prior.is_some_and(|prior| prior.spec.power == Power::Unmanaged),
        workload_identity: spec.features.workload_identity,
        labels: pool.labels.clone(),
        taints: pool.taints.iter().map(taint).collect(),
        surge_max: pool.surge.unwrap_or(spec.profile.terms().surge_nodes),
        service_account,
        attributes: pool_attributes(spec, key),
    }
}

/// How the user knows what Google's words say of a cluster.
fn attributes() -> Attributes {
    let known = [
        ("labels", "labels"),
        ("release channel", "upgrade_channel"),
        ("autoscaling profile", "profile"),
        ("dns cache", "features.dns_cache"),
        ("cost allocation", "features.cost_allocation"),
        (
            "vertical pod autoscaling",
            "features.vertical_pod_autoscaling",
        ),
        ("gateway api", "features.gateway_api"),
        ("dataplane metrics", "features.dataplane_metrics"),
        ("dataplane", "features.cilium"),
        ("workload identity", "features.workload_identity"),
        ("api access", "api_access"),
        ("kms key", "kms_key_id"),
        ("maintenance window", "maintenance"),
        ("version", "kubernetes_version"),
        ("subnetwork", "network.subnet_id"),
        ("pods range", "network.pods_range"),
        ("services range", "network.services_range"),
        ("control plane addresses", "google.control_plane_cidr"),
    ];
    let known = known.into_iter();
    Attributes(known.map(|(word, it)| (word, it.to_owned())).collect())
}

/// The same of a pool.
fn pool_attributes(spec: &ClusterSpec, key: &str) -> Attributes {
    let pool = format!("node_pools[\"{key}\"]");
    let is_waiting = spec.standby && spec.node_pools[key].mode == PoolMode::User;
    let count = |name: &str| match (spec.power, is_waiting) {
        (Power::Off, _) => "power".to_owned(),
        (_, true) => "standby".to_owned(),
        _ => format!("{pool}.{name}"),
    };
    let own = [
        ("surge", "surge"),
        ("labels", "labels"),
        ("taints", "taints"),
        ("zones", "zones"),
        ("machine type", "machine_type"),
        ("disk type", "disk_type"),
        ("disk size", "disk_gb"),
        ("spot", "spot"),
        ("pods of a node", "max_pods"),
    ];
    let own = own.map(|(word, name)| (word, format!("{pool}.{name}")));
    let others = [
        ("", pool.clone()),
        ("autoscaling", count("max_nodes")),
        ("nodes", count("min_nodes")),
        ("version", "kubernetes_version".to_owned()),
        ("workload identity", "features.workload_identity".to_owned()),
    ];
    Attributes(own.into_iter().chain(others).collect())
}

/// How many nodes: none while the cluster is off, and none for workloads while it stands by.
fn size(spec: &ClusterSpec, pool: &PoolSpec, zones: &[String]) -> Size {
    let count = u32::try_from(zones.len()).ok().filter(|count| *count > 0);
    let count = count.unwrap_or(ZONES_OF_REGION);
    if spec.power == Power::Off || (spec.standby && pool.mode == PoolMode::User) {
        Size::Fixed { per_zone: 0 }
    } else if pool.min_nodes == pool.max_nodes {
        Size::Fixed {
            per_zone: totals::per_zone(pool.min_nodes, count),
        }
    } else {
        Size::Autoscaled {
            total_min: pool.min_nodes,
            total_max: pool.max_nodes,
            initial_per_zone: totals::initial_per_zone(pool.min_nodes, pool.max_nodes, count),
        }
    }
}

fn taint(taint: &pool::Taint) -> Taint {
    Taint {
        key: taint.key.clone(),
        value: taint.value.clone(),
        effect: match taint.effect {
            pool::TaintEffect::NoSchedule => TaintEffect::NoSchedule,
            pool::TaintEffect::PreferNoSchedule => TaintEffect::PreferNoSchedule,
            pool::TaintEffect::NoExecute => TaintEffect::NoExecute,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cluster::fixture;

    #[test]
    fn a_window_of_no_said_length_is_as_long_as_google_wants_it() {
        let window = json!({ "window": { "day": "sunday", "start": "22:00" } });
        let spec = fixture::cluster("google", &json!({ "maintenance": window }));
        let maintenance = spec.maintenance.expect("it has a window");
        let wanted = super::window(&maintenance.window.expect("it is weekly"));
        assert_eq!(wanted.start, "2026-01-11T22:00:00Z");
        assert_eq!(wanted.end, "2026-01-12T10:00:00Z");
    }
}
