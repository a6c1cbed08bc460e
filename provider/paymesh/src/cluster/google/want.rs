//! A cluster's configuration in Google's words.

use std::collections::BTreeMap;

use paymesh_google::{
    ClusterName, NodePoolName, Word, Wording,
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
        wording: wording(),
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
        may_sleep: spec.power == Power::Unmanaged && prior.is_some(),
        workload_identity: spec.features.workload_identity,
        labels: pool.labels.clone(),
        taints: pool.taints.iter().map(taint).collect(),
        surge_max: pool.surge.unwrap_or(spec.profile.terms().surge_nodes),
        service_account,
        attribute: Some(attribute_of(key)),
        wording: pool_wording(spec, key),
    }
}

/// The attribute behind each setting of a cluster.
fn wording() -> Wording {
    let attribute = |word| match word {
        Word::ApiAccess => Some("api_access"),
        Word::AutoscalingProfile => Some("profile"),
        Word::ControlPlaneAddresses => Some("google.control_plane_cidr"),
        Word::CostAllocation => Some("features.cost_allocation"),
        Word::Dataplane => Some("features.cilium"),
        Word::DataplaneMetrics => Some("features.dataplane_metrics"),
        Word::DnsCache => Some("features.dns_cache"),
        Word::GatewayApi => Some("features.gateway_api"),
        Word::KmsKey => Some("kms_key_id"),
        Word::Labels => Some("labels"),
        Word::MaintenanceWindow => Some("maintenance"),
        Word::PodsRange => Some("network.pods_range"),
        Word::ReleaseChannel => Some("upgrade_channel"),
        Word::ServicesRange => Some("network.services_range"),
        Word::Subnetwork => Some("network.subnet_id"),
        Word::Version => Some("kubernetes_version"),
        Word::VerticalPodAutoscaling => Some("features.vertical_pod_autoscaling"),
        Word::WorkloadIdentity => Some("features.workload_identity"),
        // Safe defaults that nobody can give up, and what only pools have.
        Word::Autoscaling
        | Word::DiskSize
        | Word::DiskType
        | Word::IntraNodeVisibility
        | Word::LegacyAbac
        | Word::Logs
        | Word::MachineType
        | Word::Management
        | Word::Nodes
        | Word::PodsOfNode
        | Word::PrivateNodes
        | Word::RolesOfEverybody
        | Word::SecurityPosture
        | Word::ShieldedNodes
        | Word::Spot
        | Word::Surge
        | Word::Taints
        | Word::Zones => None,
    };
    Wording::new(move |word| attribute(word).map(str::to_owned))
}

/// The attribute that asks for the pool `key`.
fn attribute_of(key: &str) -> String {
    format!("node_pools[\"{key}\"]")
}

/// The same of a pool.
fn pool_wording(spec: &ClusterSpec, key: &str) -> Wording {
    let pool = attribute_of(key);
    let is_off = spec.power == Power::Off;
    let is_waiting = spec.standby && spec.node_pools[key].mode == PoolMode::User;
    Wording::new(move |word| {
        let own = |name: &str| Some(format!("{pool}.{name}"));
        let count = |name: &str| match (is_off, is_waiting) {
            (true, _) => Some("power".to_owned()),
            (_, true) => Some("standby".to_owned()),
            _ => own(name),
        };
        match word {
            Word::Autoscaling => count("max_nodes"),
            Word::DiskSize => own("disk_gb"),
            Word::DiskType => own("disk_type"),
            Word::Labels => own("labels"),
            Word::MachineType => own("machine_type"),
            Word::Nodes => count("min_nodes"),
            Word::PodsOfNode => own("max_pods"),
            Word::Spot => own("spot"),
            Word::Surge => own("surge"),
            Word::Taints => own("taints"),
            Word::Version => Some("kubernetes_version".to_owned()),
            Word::WorkloadIdentity => Some("features.workload_identity".to_owned()),
            Word::Zones => own("zones"),
            // GKE repairs and upgrades the nodes of a release channel always; the others only
            // clusters have.
            Word::ApiAccess
            | Word::AutoscalingProfile
            | Word::ControlPlaneAddresses
            | Word::CostAllocation
            | Word::Dataplane
            | Word::DataplaneMetrics
            | Word::DnsCache
            | Word::GatewayApi
            | Word::IntraNodeVisibility
            | Word::KmsKey
            | Word::LegacyAbac
            | Word::Logs
            | Word::MaintenanceWindow
            | Word::Management
            | Word::PodsRange
            | Word::PrivateNodes
            | Word::ReleaseChannel
            | Word::RolesOfEverybody
            | Word::SecurityPosture
            | Word::ServicesRange
            | Word::ShieldedNodes
            | Word::Subnetwork
            | Word::VerticalPodAutoscaling => None,
        }
    })
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
