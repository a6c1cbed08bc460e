//! A GKE cluster: what can be wanted of it, how that is written, and how it converges.

mod body;
mod object;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use object::Cluster;
use paymesh_engine::ObjectId;
use paymesh_kubernetes::Version;

use crate::{ClusterName, Wording, pool::PoolWant};

/// The wanted shape of a cluster, in Google's words.
#[derive(Clone, Debug)]
pub struct ClusterWant {
    /// Its name and place.
    pub name: ClusterName,
    /// The least version of the control plane; the channel may be ahead of it.
    pub version: Option<Version>,
    /// How the cloud upgrades it.
    pub channel: Channel,
    /// Where it is attached. Only a new cluster can be attached elsewhere.
    pub network: NetworkWant,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// Who reaches the API server, and how.
    pub access: Access,
    /// What is switched on.
    pub features: Features,
    /// What encrypts Secrets.
    pub encryption: Encryption,
    /// How the autoscaler trades spare nodes against speed: `BALANCED`, `OPTIMIZE_UTILIZATION`.
    pub autoscaling_profile: String,
    /// Addresses of the control plane, a /28; `None` leaves the choice to Google. Only a new
    /// cluster can have others.
    pub control_plane_cidr: Option<String>,
    /// When Google may work on it; `None` leaves that as it is.
    pub maintenance: Option<Maintenance>,
    /// The node pools that are made together with a new cluster.
    pub pools: Vec<PoolWant>,
    /// Objects that must exist first: the account of its nodes and that account's roles.
    pub needs: Vec<ObjectId>,
    /// How the user knows its settings.
    pub wording: Wording,
}

/// A release channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Weeks after upstream.
    Rapid,
    /// The default.
    Regular,
    /// Months after Regular.
    Stable,
    /// Long support.
    Extended,
}

/// The subnetwork of a cluster and its secondary ranges.
#[derive(Clone, Debug)]
pub struct NetworkWant {
    /// `projects/PROJECT/regions/REGION/subnetworks/NAME`.
    pub subnetwork: String,
    /// The secondary range of pods, by name.
    pub pods_range: String,
    /// The secondary range of services, by name.
    pub services_range: String,
}

/// What encrypts Secrets, beside Google's own encryption of disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// A Cloud KMS key.
    Key(String),
    /// Nothing any more.
    Gone,
    /// Whatever does.
    AsItIs,
}

/// Who reaches the API server. The DNS endpoint, guarded by IAM, is always on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// No public address.
    Private,
    /// A public address that answers these ranges only.
    AuthorizedCidrs(Vec<String>),
}

/// What is switched on in a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one independent switch of the cloud"
)]
pub struct Features {
    /// Pods act as IAM principals.
    pub workload_identity: bool,
    /// Dataplane V2 (Cilium). Only a new cluster can change it.
    pub dataplane_v2: bool,
    /// Metrics of the dataplane.
    pub dataplane_metrics: bool,
    /// A DNS cache on every node.
    pub dns_cache: bool,
    /// Cost by namespace and label.
    pub cost_allocation: bool,
    /// Vertical pod autoscaling.
    pub vertical_pod_autoscaling: bool,
    /// The Gateway API's standard channel.
    pub gateway_api: bool,
}

/// When Google may work on the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// The recurring window; `None` means at any time.
    pub window: Option<Window>,
    /// Times in which nothing is done, by name.
    pub exclusions: BTreeMap<String, Exclusion>,
}

/// A recurring window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// First start, RFC 3339.
    pub start: String,
    /// First end, RFC 3339.
    pub end: String,
    /// RFC 5545 rule: `FREQ=WEEKLY;BYDAY=SA,SU`.
    pub recurrence: String,
}

/// A time in which nothing is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// RFC 3339.
    pub start: String,
    /// RFC 3339.
    pub end: String,
    /// What is left undone: `NO_UPGRADES`, `NO_MINOR_UPGRADES`, `NO_MINOR_OR_NODE_UPGRADES`.
    pub scope: String,
}

impl Channel {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Rapid, Self::Regular, Self::Stable, Self::Extended];

    /// Google's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rapid => "RAPID",
            Self::Regular => "REGULAR",
            Self::Stable => "STABLE",
            Self::Extended => "EXTENDED",
        }
    }
}
