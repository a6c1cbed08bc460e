//! What the user sets of a node pool.

use std::collections::BTreeMap;

use paymesh_plugin::spec::{Attributes, Choice};

/// A node pool. Counts are totals over all zones on both clouds.
#[derive(Clone, Debug, PartialEq, Attributes)]
pub struct PoolSpec {
    /// Whether the pool carries the cluster's own components or workloads.
    #[attr(default = PoolMode::User)]
    pub mode: PoolMode,
    /// Least virtual CPUs of a node; with `memory_gb`, chooses the smallest machine that has both
    /// from the table in the guide "Machine types". The choice is kept once it is made.
    #[attr(rolling, check = range(1..=1024))]
    pub vcpu: Option<u32>,
    /// Least memory of a node in gibibytes.
    #[attr(rolling, check = range(1..=32_768))]
    pub memory_gb: Option<u32>,
    /// Machine type, in the cloud's own words, instead of `vcpu` and `memory_gb`.
    #[attr(rolling)]
    pub machine_type: Option<String>,
    /// Least number of nodes, in all zones together. A GKE pool of several zones grows and shrinks
    /// in all of them.
    #[attr(check = range(0..=1000))]
    pub min_nodes: u32,
    /// Greatest number of nodes, in all zones together. Equal to `min_nodes`, the pool has a fixed size.
    #[attr(check = range(0..=1000))]
    pub max_nodes: u32,
    /// Zones, in the cloud's own words: `1` on Azure, `europe-west1-b` on Google. Left out, as
    /// many as the profile spreads over; on GKE, those over which GKE spreads the cluster, three
    /// in most regions.
    #[attr(rolling)]
    pub zones: Option<Vec<String>>,
    /// Size of the system disk.
    #[attr(rolling, default = Self::DISK_GB, check = range(30..=2048))]
    pub disk_gb: u32,
    /// Kind of the system disk.
    #[attr(rolling, default = DiskType::Balanced)]
    pub disk_type: DiskType,
    /// Most pods on one node.
    #[attr(rolling, default = Self::MAX_PODS, check = range(10..=250))]
    pub max_pods: u32,
    /// Kubernetes labels of the nodes.
    #[attr(default = BTreeMap::new())]
    pub labels: BTreeMap<String, String>,
    /// Kubernetes taints of the nodes.
    #[attr(default = Vec::new())]
    pub taints: Vec<Taint>,
    /// Whether the nodes are cheap and can be taken back at any time.
    #[attr(rolling, default = false)]
    pub spot: bool,
    /// Nodes added beside the pool while it is upgraded; left out, the profile's. AKS adds none to
    /// a spot pool.
    #[attr(check = range(1..=20))]
    pub surge: Option<u32>,
}

impl PoolSpec {
    /// The default, also of an existing pool whose disk cannot be read.
    pub(super) const DISK_GB: u32 = 128;
    /// The same for its pods.
    pub(super) const MAX_PODS: u32 = 110;
}

/// What a pool carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum PoolMode {
    /// The cluster's own components. AKS needs one such pool.
    System,
    /// Workloads.
    User,
}

/// The kind of a system disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum DiskType {
    /// A network disk (AKS `Managed`, GKE `pd-balanced`).
    Balanced,
    /// A fast network disk (GKE `pd-ssd`; AKS chooses the disk by the machine).
    Ssd,
    /// The machine's own disk, lost with it (AKS only).
    Ephemeral,
}

/// A Kubernetes taint.
#[derive(Clone, Debug, PartialEq, Eq, Attributes)]
pub struct Taint {
    /// Key.
    #[attr(check = non_empty())]
    pub key: String,
    /// Value.
    #[attr(default = String::new())]
    pub value: String,
    /// What happens to pods that do not tolerate it.
    #[attr(default = TaintEffect::NoSchedule)]
    pub effect: TaintEffect,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum TaintEffect {
    /// They are not placed here.
    NoSchedule,
    /// They are placed here only if there is no other place.
    PreferNoSchedule,
    /// They are not placed here, and those that run here leave.
    NoExecute,
}

/// Whether a cluster without workload nodes waits for a disaster. How far its pools may grow then
/// is nowhere in the cloud; one node is what a configuration must allow at least.
pub(super) fn stands_by(pools: &mut BTreeMap<String, PoolSpec>) -> bool {
    let mut workloads = pools
        .values()
        .filter(|pool| pool.mode == PoolMode::User)
        .peekable();
    if workloads.peek().is_none() || !workloads.all(|pool| pool.max_nodes == 0) {
        return false;
    }
    for pool in pools.values_mut().filter(|pool| pool.max_nodes == 0) {
        pool.max_nodes = 1;
    }
    true
}
