//! Azure in Azure's words: credentials, ARM ids, and the engine objects of a managed cluster.
//!
//! Bodies stay raw JSON: an object knows the part it manages, reads and rewrites it inside the
//! whole under its etag, and leaves every other field as the cloud sent it. Invariants:
//! - ARM ids are compared without case;
//! - what exists is observed from the cloud only; an object keeps nothing between calls;
//! - a resource group is deleted only when it is ours and empty.

mod arm;
mod cluster;
mod connection;
mod credentials;
mod diagnostics;
mod drain;
mod endpoint;
mod environment;
mod fault;
mod group;
mod identity;
mod json;
mod maintenance;
mod marked;
mod operation;
mod part;
mod pool;
mod preflight;
mod role;
mod seen;
mod signed_in;
mod sovereign;
mod tags;

pub use arm::{ArmId, BadId};
pub use cluster::{
    Access, Cluster, ClusterWant, Features, Kms, Logs, NetworkWant, Power, cluster_object_id,
};
pub use connection::{Azure, AzureSettings};
pub use credentials::{Assertion, Credential, Identity as ManagedIdentity};
pub use diagnostics::Diagnostics;
pub use endpoint::Endpoint;
pub use environment::{Simulated, usual_subscription};
pub use group::{Group, GroupWant, group_object_id};
pub use identity::{Identity, IdentityWant, identity_object_id};
pub use maintenance::{Maintenance, MaintenanceWant};
pub use marked::Marked;
pub use part::Wording;
pub use pool::{Pool, PoolMode, PoolWant, Scale, pool_object_id};
pub use preflight::{KubernetesVersion, MachineSize, Subnet, Usage, VirtualNetwork};
pub use role::{Principal, Role, RoleWant, well_known_roles};
pub use seen::{AccessSeen, AssignmentSeen, ClusterSeen, PoolSeen, WindowSeen, workspace_of_logs};
pub use signed_in::SignedIn;
pub use sovereign::Sovereign;
