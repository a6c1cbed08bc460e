//! What differs about a cluster or a node pool, in Google's words, and how the user knows it.

use std::{fmt, sync::Arc};

use paymesh_engine::Subject;

/// A setting of a cluster or of a node pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is said by its own name")]
pub enum Word {
    ApiAccess,
    Autoscaling,
    AutoscalingProfile,
    ControlPlaneAddresses,
    CostAllocation,
    Dataplane,
    DataplaneMetrics,
    DiskSize,
    DiskType,
    DnsCache,
    GatewayApi,
    IntraNodeVisibility,
    KmsKey,
    Labels,
    LegacyAbac,
    Logs,
    MachineType,
    MaintenanceWindow,
    Management,
    Nodes,
    PodsOfNode,
    PodsRange,
    PrivateNodes,
    ReleaseChannel,
    RolesOfEverybody,
    SecurityPosture,
    ServicesRange,
    ShieldedNodes,
    Spot,
    Subnetwork,
    Surge,
    Taints,
    Version,
    VerticalPodAutoscaling,
    WorkloadIdentity,
    Zones,
}

impl Word {
    /// As a plan prints it.
    fn text(self) -> &'static str {
        match self {
            Self::ApiAccess => "api access",
            Self::Autoscaling => "autoscaling",
            Self::AutoscalingProfile => "autoscaling profile",
            Self::ControlPlaneAddresses => "control plane addresses",
            Self::CostAllocation => "cost allocation",
            Self::Dataplane => "dataplane",
            Self::DataplaneMetrics => "dataplane metrics",
            Self::DiskSize => "disk size",
            Self::DiskType => "disk type",
            Self::DnsCache => "dns cache",
            Self::GatewayApi => "gateway api",
            Self::IntraNodeVisibility => "intra-node visibility",
            Self::KmsKey => "kms key",
            Self::Labels => "labels",
            Self::LegacyAbac => "legacy abac",
            Self::Logs => "logs",
            Self::MachineType => "machine type",
            Self::MaintenanceWindow => "maintenance window",
            Self::Management => "repair and upgrade of nodes",
            Self::Nodes => "nodes",
            Self::PodsOfNode => "pods of a node",
            Self::PodsRange => "pods range",
            Self::PrivateNodes => "private nodes",
            Self::ReleaseChannel => "release channel",
            Self::RolesOfEverybody => "roles of everybody",
            Self::SecurityPosture => "security posture",
            Self::ServicesRange => "services range",
            Self::ShieldedNodes => "shielded nodes",
            Self::Spot => "spot",
            Self::Subnetwork => "subnetwork",
            Self::Surge => "surge",
            Self::Taints => "taints",
            Self::Version => "version",
            Self::VerticalPodAutoscaling => "vertical pod autoscaling",
            Self::WorkloadIdentity => "workload identity",
            Self::Zones => "zones",
        }
    }
}

/// How the user knows the settings of one object: the path of the attribute behind each.
#[derive(Clone)]
pub struct Wording(Arc<dyn Fn(Word) -> Option<String> + Send + Sync>);

impl Wording {
    /// `attribute` tells the path of the attribute behind a word, or that there is none.
    pub fn new(attribute: impl Fn(Word) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(attribute))
    }

    /// `word` as the user knows it.
    pub(crate) fn of(&self, word: Word) -> Subject {
        (self.0)(word).map_or_else(
            || Subject::Setting(word.text().to_owned()),
            Subject::Attribute,
        )
    }
}

impl Default for Wording {
    fn default() -> Self {
        Self::new(|_| None)
    }
}

impl fmt::Debug for Wording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wording")
    }
}
