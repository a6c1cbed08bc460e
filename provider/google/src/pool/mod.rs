//! A node pool of a GKE cluster: what can be wanted of it, how that is written, and how it
//! converges.

pub(crate) mod body;
mod object;

use std::collections::BTreeMap;

pub(crate) use object::GROUP_SIZES;
pub use object::NodePool;
use paymesh_kubernetes::Version;

use crate::{NodePoolName, Wording};

/// The wanted shape of a node pool, in Google's words.
#[derive(Clone, Debug)]
pub struct PoolWant {
    /// Its name and cluster.
    pub name: NodePoolName,
    /// The least version of its nodes; never above the control plane's.
    pub version: Option<Version>,
    /// The machine type. Only a new pool can have another.
    pub machine_type: String,
    /// The boot disk of a node. Only a new pool can have another.
    pub disk: Disk,
    /// Whether its machines can be taken away at any time. Only a new pool can change it.
    pub spot: bool,
    /// Most pods on a node. Only a new pool can change it.
    pub pods_max: u32,
    /// The zones of its nodes; empty means the cluster's.
    pub zones: Vec<String>,
    /// How many nodes it has.
    pub size: Size,
    /// Whether the size does not count while the whole cluster is stopped.
    pub may_sleep: bool,
    /// Whether pods act as IAM principals.
    pub workload_identity: bool,
    /// Labels of its nodes in Kubernetes.
    pub labels: BTreeMap<String, String>,
    /// Taints of its nodes.
    pub taints: Vec<Taint>,
    /// Nodes above the wanted number while they are replaced, per zone.
    pub surge_max: u32,
    /// The service account of its nodes; `None` is the project's default. A pool keeps the one it
    /// was made with.
    pub service_account: Option<String>,
    /// The attribute that asks for this pool.
    pub attribute: Option<String>,
    /// How the user knows its settings.
    pub wording: Wording,
}

/// A boot disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// `pd-balanced`, `pd-ssd`, `hyperdisk-balanced`.
    pub kind: String,
    /// GiB.
    pub size_gb: u32,
}

/// How many nodes a pool has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// The autoscaler keeps the pool's total between these.
    Autoscaled {
        /// Least number of nodes over all zones.
        total_min: u32,
        /// Greatest number of nodes over all zones.
        total_max: u32,
        /// Nodes of a new pool in each zone. Never compared.
        initial_per_zone: u32,
    },
    /// No autoscaler; this many nodes in each zone.
    Fixed {
        /// Nodes in each zone.
        per_zone: u32,
    },
}

/// A taint of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaintEffect {
    /// They are not placed.
    NoSchedule,
    /// They are placed elsewhere if possible.
    PreferNoSchedule,
    /// They are not placed, and leave.
    NoExecute,
}

impl TaintEffect {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::NoSchedule, Self::PreferNoSchedule, Self::NoExecute];

    /// Google's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NO_SCHEDULE",
            Self::PreferNoSchedule => "PREFER_NO_SCHEDULE",
            Self::NoExecute => "NO_EXECUTE",
        }
    }
}
