//! What the cloud reports of a cluster.

use std::collections::BTreeMap;

use paymesh_plugin::spec::{Attributes, Status};

/// What the cloud reports.
#[derive(Clone, Debug, Default, PartialEq, Status)]
pub struct ClusterStatus {
    /// Identifier in the cloud, accepted verbatim by `import`.
    #[attr(identity)]
    pub id: Option<String>,
    /// The cloud's id of this incarnation; another one after the cluster was replaced.
    pub uid: Option<String>,
    /// `Ready` when nothing is left to do, `Incomplete` when the next apply resumes, `Drifted` when
    /// it undoes what was changed outside Terraform, `Stale` when another state owns the cluster.
    /// The data source says `Ready` of a cluster that serves, and `Incomplete` while it is being
    /// made or deleted, or when the cloud failed to change it.
    pub status: Option<String>,
    /// Random word that says which state entry owns the cluster; written beside the owner mark.
    pub holder: Option<String>,
    /// Labels of the cluster: the provider's `default_labels`, and its own `labels` over them. The
    /// data source tells those of others too.
    pub effective_labels: Option<BTreeMap<String, String>>,
    /// Address of the API server.
    pub endpoint: Option<String>,
    /// Certificate authority of the API server, in PEM.
    pub ca_certificate: Option<String>,
    /// Kubernetes version of the control plane.
    pub running_kubernetes_version: Option<String>,
    /// Whether the cluster runs: `Running` or `Stopped`.
    pub running_power: Option<String>,
    /// Issuer of the tokens with which pods sign in to the cloud.
    pub workload_identity_issuer: Option<String>,
    /// Identity of the control plane.
    pub control_plane_identity: Option<String>,
    /// Identity of the nodes.
    pub node_identity: Option<String>,
    /// Resource group (AKS) or project (GKE) that holds the nodes.
    pub node_scope: Option<String>,
    /// The pools as they are, by key.
    pub pools: BTreeMap<String, PoolStatus>,
}

impl ClusterStatus {
    /// Whether the cloud says that it is stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.running_power.as_deref() == Some("Stopped")
    }
}

/// What the cloud reports of a pool.
#[derive(Clone, Debug, Default, PartialEq, Attributes)]
pub struct PoolStatus {
    /// Name in the cloud.
    pub cloud_name: Option<String>,
    /// Machine type of the nodes.
    pub running_machine_type: Option<String>,
}
