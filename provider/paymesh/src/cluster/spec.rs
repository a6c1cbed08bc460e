//! What the user sets of a cluster.

use std::collections::BTreeMap;

use paymesh_plugin::spec::{Attributes, Choice, Spec, Timeouts};

use super::{ClusterStatus, pool::PoolSpec};

/// A managed Kubernetes cluster for payment workloads, on AKS or GKE.
///
/// The version is a minimum and node counts are ranges, so what the cloud's own upgrades and
/// autoscaler do is never a difference. No credential is ever in state.
///
/// Importing a cluster writes nothing; the first apply that changes something puts this owner's mark on
/// it, and takes it over from any other state, with what Paymesh granted for it. One that bears another
/// owner's mark is taken over by the import itself, which its plan shows (PM119): let the other state
/// forget it after that. On GKE the nodes go on as the service account that they have, which has to be
/// named in `google.node_service_account` and is left when the cluster is destroyed.
///
/// What an import does not change, the apply after it does, where the cluster is not as Paymesh makes
/// them: its plan lists those steps (PM185). The generated configuration has the pools under the names
/// they have in the cloud. A cluster that Paymesh made may be imported with the keys that its
/// configuration had: the plan then shows each pool as removed and added, and says that no node is
/// touched (PM187).
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "paymesh_cluster", version = 1, status = ClusterStatus, rule = super::checks::check)]
pub struct ClusterSpec {
    /// Name of the cluster in the cloud, unique in its resource group or project and region.
    #[attr(replace, check = dns_label(1..=40))]
    pub name: String,
    /// Region, in the cloud's own words: `westeurope`, `europe-west1`.
    #[attr(replace)]
    pub region: String,
    /// What the cluster is for. It labels the cluster and never replaces it.
    #[attr(default = Role::Main)]
    pub role: Role,
    /// The least Kubernetes version: `1.34`, or with a patch, `1.34.2`. A cluster that runs
    /// something newer is left alone; an older one is upgraded one minor at a time.
    pub kubernetes_version: String,
    /// Sizing, spread and autoscaling in one word. A change spreads AKS pools over other zones and
    /// so rotates each that names none.
    #[attr(default = Profile::HighAvailability)]
    pub profile: Profile,
    /// Existing network, by the cloud's own ids. GKE needs it. AKS may leave it out: then Azure
    /// makes a network for this cluster alone, and nodes reach the internet from the public address
    /// of a load balancer.
    #[attr(replace)]
    pub network: Option<Network>,
    /// AKS settings; exactly one of `azure` and `google`.
    #[attr(one_of = "cloud", replace)]
    pub azure: Option<AzureCluster>,
    /// GKE settings; exactly one of `azure` and `google`.
    #[attr(one_of = "cloud", replace)]
    pub google: Option<GoogleCluster>,
    /// Who administers the cluster. On GKE each gets the role `roles/container.admin`, on the
    /// condition that it counts for this cluster alone.
    #[attr(default = Vec::new())]
    pub admins: Vec<Admin>,
    /// Whether the identity that creates the cluster administers it too. Left out, it does, except
    /// with existing identities; another identity that applies later changes nothing. On GKE it
    /// always does: the role that creates clusters administers them.
    pub deployer_admin: Option<bool>,
    /// Registries, by the cloud's own ids, from which the nodes may pull images.
    #[attr(default = Vec::new())]
    pub registries: Vec<String>,
    /// Who reaches the API server. Left out, it is private: an AKS cluster is reached from its
    /// network and what is joined to it, or with `az aks command invoke`; a GKE cluster at its DNS
    /// endpoint, from anywhere, by whom IAM admits. People sign in with `az aks get-credentials`
    /// and `kubelogin`, or `gcloud container clusters get-credentials --dns-endpoint`. On AKS, that
    /// it appears or disappears replaces the cluster.
    pub api_access: Option<ApiAccess>,
    /// Node pools by name. Terraform itself drops a misspelt optional attribute in here without a
    /// word, and the default holds. The plan shows each value that counts: a pool that should be
    /// spot shows `spot = true` there, and after `spott = true` it does not. A key is at most 12 lower-case letters and digits on AKS, 36
    /// with hyphens on GKE; it is cut short in the pool's name in the cloud.
    ///
    /// A change of a pool's machine, zones, disk, `max_pods` or `spot` rotates it, and removing a
    /// key retires it: the new pool is made first; then the old one takes no new pods, its pods are
    /// evicted within their disruption budgets, and only then it is deleted. On AKS the cloud
    /// evicts them while the old pool is scaled to zero nodes. A budget that allows no eviction
    /// stops the rotation with both pools in place; the next apply goes on.
    pub node_pools: BTreeMap<String, PoolSpec>,
    /// Whether the cluster waits for a disaster: workload pools at zero nodes, autoscaling off.
    #[attr(default = false)]
    pub standby: bool,
    /// Whether the cluster runs.
    #[attr(default = Power::Unmanaged)]
    pub power: Power,
    /// Which new Kubernetes versions the cloud installs by itself.
    #[attr(default = UpgradeChannel::Stable)]
    pub upgrade_channel: UpgradeChannel,
    /// Which new node images the cloud installs by itself.
    #[attr(default = NodeImageChannel::NodeImage)]
    pub node_image_channel: NodeImageChannel,
    /// When the cloud may do so.
    pub maintenance: Option<Maintenance>,
    /// Where control-plane and audit logs go. On AKS they are off without it; GKE always writes
    /// them.
    pub logs: Option<Logs>,
    /// The key that encrypts Kubernetes secrets, by the cloud's own id. AKS reads it while the
    /// cluster is made, so there it takes an existing `azure.control_plane_identity_id` that may.
    pub kms_key_id: Option<String>,
    /// Features of the cluster.
    #[attr(default = Features::default())]
    pub features: Features,
    /// Labels, added to the provider's `default_labels`.
    #[attr(default = BTreeMap::new())]
    pub labels: BTreeMap<String, String>,
    /// Refuses, while planning, to destroy or replace the cluster, also by a change that ends the
    /// protection. A tainted cluster is Terraform's own decision, of which no plan is told: there
    /// apply refuses, before anything is deleted.
    #[attr(default = true)]
    pub deletion_protection: bool,
    /// How long operations may take. Left out, two hours to create, update or delete, twenty
    /// minutes to read.
    pub timeouts: Option<Timeouts>,
}

/// What a cluster is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum Role {
    /// The command-and-control cluster.
    Hub,
    /// The cluster that serves payments.
    Main,
    /// The cluster that takes over when the main region is lost.
    Dr,
}

/// Sizing, spread and autoscaling in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum Profile {
    /// Three zones, an availability promise for the API server, an autoscaler slow to take nodes
    /// away.
    HighAvailability,
    /// One zone, no promise, an eager autoscaler.
    CostOptimized,
}

/// Whether a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum Power {
    /// It runs; a cluster that was stopped by others is started.
    On,
    /// It is stopped. GKE has no stop: every pool goes to zero nodes and autoscaling is off.
    Off,
    /// It is made running; then others start and stop it.
    Unmanaged,
}

/// Which new Kubernetes versions the cloud installs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum UpgradeChannel {
    /// None.
    None,
    /// New patches of the same minor (AKS only).
    Patch,
    /// New minors once they are well proven.
    Stable,
    /// New minors a few months after their release (GKE only).
    Regular,
    /// New minors as soon as the cloud offers them.
    Rapid,
}

/// Which new node images the cloud installs by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum NodeImageChannel {
    /// None (AKS only).
    None,
    /// Security patches, applied in place where they can be (AKS only).
    SecurityPatch,
    /// Whole new images, node by node.
    NodeImage,
}

/// An existing network.
#[derive(Clone, Debug, PartialEq, Attributes)]
pub struct Network {
    /// Id of the subnet of the nodes.
    #[attr(replace, check = non_empty())]
    pub subnet_id: String,
    /// Name of the subnet's secondary range for pods (GKE).
    #[attr(replace)]
    pub pods_range: Option<String>,
    /// Name of the subnet's secondary range for services (GKE).
    #[attr(replace)]
    pub services_range: Option<String>,
}

/// What only AKS has.
#[derive(Clone, Debug, Default, PartialEq, Attributes)]
pub struct AzureCluster {
    /// Subscription; left out, the provider's.
    #[attr(replace)]
    pub subscription_id: Option<String>,
    /// An existing resource group, never deleted. Left out, the provider makes one for each
    /// region and deletes it when it is empty; of the owner `payments/prod` in `westeurope` it is
    /// `paymesh-payments-prod-dc9c-westeurope`, whose four digits begin a hash of the owner. In the
    /// cluster's group is made the identity `NAME-control-plane`, unless one is given. The names of
    /// role assignments are UUIDs that follow from owner, scope, role and principal.
    #[attr(replace)]
    pub resource_group: Option<String>,
    /// Addresses of pods. AKS gives each node 256 of them, so that a /16 ends at 256 nodes, nodes of
    /// upgrades and rotations included; a larger range takes a new cluster.
    #[attr(replace, default = Self::default_pods())]
    pub pods_cidr: String,
    /// Addresses of services.
    #[attr(replace, default = Self::default_services())]
    pub services_cidr: String,
    /// Id of an existing identity of the control plane. With it, no role is assigned.
    pub control_plane_identity_id: Option<String>,
    /// Id of an existing identity of the nodes, beside one of the control plane that may operate
    /// it. With it, no role is assigned. A change replaces every node; taking it away replaces the
    /// cluster.
    pub kubelet_identity_id: Option<String>,
}

impl AzureCluster {
    pub(super) fn default_pods() -> String {
        "10.244.0.0/16".to_owned()
    }

    pub(super) fn default_services() -> String {
        "10.0.0.0/16".to_owned()
    }
}

/// What only GKE has.
#[derive(Clone, Debug, Default, PartialEq, Attributes)]
pub struct GoogleCluster {
    /// Project; left out, the provider's.
    #[attr(replace)]
    pub project: Option<String>,
    /// E-mail address of an existing service account of the nodes, or `default` for the project's
    /// own. With it, no role is assigned to the nodes. Left out, the cluster gets an account of its
    /// own with the role `roles/container.defaultNodeServiceAccount`.
    #[attr(replace)]
    pub node_service_account: Option<String>,
    /// Addresses of the control plane, a /28.
    #[attr(replace)]
    pub control_plane_cidr: Option<String>,
}

/// Someone who administers a cluster: an Entra object id on AKS, an e-mail address on GKE. One
/// object may hold both, so that one variable serves clusters on both clouds.
#[derive(Clone, Debug, PartialEq, Attributes)]
pub struct Admin {
    /// What it is.
    #[attr(default = AdminKind::Group)]
    pub kind: AdminKind,
    /// Object id in Entra.
    pub entra_object_id: Option<String>,
    /// E-mail address in Google.
    pub google_email: Option<String>,
}

/// What an administrator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum AdminKind {
    /// A group.
    Group,
    /// One person.
    User,
    /// A program's identity.
    ServicePrincipal,
}

/// Who reaches the API server.
#[derive(Clone, Debug, PartialEq, Attributes)]
pub struct ApiAccess {
    /// Ranges that reach the public endpoint. GKE answers on its IAM-guarded DNS endpoint too.
    pub authorized_cidrs: Vec<String>,
}

/// When the cloud may upgrade by itself.
#[derive(Clone, Debug, PartialEq, Attributes)]
pub struct Maintenance {
    /// The weekly window.
    pub window: Option<MaintenanceWindow>,
    /// Times without any maintenance, by name.
    #[attr(default = BTreeMap::new())]
    pub exclusions: BTreeMap<String, MaintenanceExclusion>,
}

/// A weekly window.
#[derive(Clone, Debug, PartialEq, Attributes)]
pub struct MaintenanceWindow {
    /// Day of the week.
    pub day: Weekday,
    /// Start, in UTC: `22:00`.
    pub start: String,
    /// Length in hours. Left out, 4 on AKS and 12 on GKE, the least that each takes.
    #[attr(check = range(4..=24))]
    pub hours: Option<u32>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Choice)]
pub enum Weekday {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

/// A time without maintenance.
#[derive(Clone, Debug, PartialEq, Attributes)]
pub struct MaintenanceExclusion {
    /// First day: `2026-11-20`.
    pub first_day: String,
    /// Last day: `2026-12-02`.
    pub last_day: String,
}

/// Where control-plane and audit logs go.
#[derive(Clone, Debug, PartialEq, Attributes)]
pub struct Logs {
    /// Id of the Log Analytics workspace (AKS), which also gets the container logs that its data
    /// collection rules ask for. GKE writes to Cloud Logging of its project.
    pub workspace_id: Option<String>,
}

/// Features of a cluster.
#[derive(Clone, Debug, PartialEq, Attributes)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Features {
    /// Pods sign in to the cloud with identities of their own.
    #[attr(default = true)]
    pub workload_identity: bool,
    /// The Cilium dataplane, which enforces network policies. Without it, Calico does on AKS. AKS
    /// switches it on by replacing every node; every other change replaces the cluster.
    #[attr(default = true)]
    pub cilium: bool,
    /// Flow metrics of the Cilium dataplane.
    #[attr(default = false)]
    pub dataplane_metrics: bool,
    /// A DNS cache on every node. A change on AKS starts each node anew.
    #[attr(default = true)]
    pub dns_cache: bool,
    /// Cost by namespace. AKS has it only with `profile = "high_availability"`.
    #[attr(default = true)]
    pub cost_allocation: bool,
    /// The vertical pod autoscaler.
    #[attr(default = false)]
    pub vertical_pod_autoscaling: bool,
    /// The Gateway API (GKE only).
    #[attr(default = false)]
    pub gateway_api: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            workload_identity: true,
            cilium: true,
            dataplane_metrics: false,
            dns_cache: true,
            cost_allocation: true,
            vertical_pod_autoscaling: false,
            gateway_api: false,
        }
    }
}

impl ClusterSpec {
    /// Whether the cluster is on AKS.
    pub fn on_azure(&self) -> bool {
        self.azure.is_some()
    }

    /// Whether it is to be stopped by the change that leads from `before` to this.
    pub fn stops(&self, before: &Self) -> bool {
        self.power == Power::Off && before.power != Power::Off
    }

    /// The cloud that the cluster is in.
    pub fn cloud(&self) -> &'static str {
        if self.on_azure() {
            "Azure"
        } else {
            "Google Cloud"
        }
    }
}
