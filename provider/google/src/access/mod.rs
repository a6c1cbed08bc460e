//! Who may do what: the service account that a cluster's nodes run as, and the roles that are
//! granted for a cluster.

mod account;
mod grants;
mod policy;
mod race;
#[cfg(test)]
mod tests;

pub(crate) use account::word;
pub use account::{AccountWant, ServiceAccount};
pub use grants::{Grants, GrantsWant, Scope, admins_in};
use paymesh_engine::{Fault, FaultKind};
pub(crate) use policy::{Sign, marks, policy_of, without};
pub(crate) use race::Race;

/// Roles that clusters need.
pub mod roles {
    /// What nodes need to write logs and metrics, and no more (CIS GKE 5.2.1).
    pub const NODES: &str = "roles/container.defaultNodeServiceAccount";
    /// Lets nodes pull images from a repository.
    pub const PULL: &str = "roles/artifactregistry.reader";
    /// All rights over a cluster and what is in it.
    pub const CLUSTER_ADMIN: &str = "roles/container.admin";
}

/// A new account takes up to a minute to be known to other services (IAM documentation, "Access
/// change propagation", read 2026-11): a refusal because it does not exist is one for now.
pub(crate) fn unknown_yet(mut fault: Fault) -> Fault {
    let message = fault.message.to_ascii_lowercase();
    let speaks_of_account =
        message.contains("service account") || message.contains("serviceaccount");
    if fault.kind == FaultKind::Refused && speaks_of_account && message.contains("does not exist") {
        fault.kind = FaultKind::Propagating;
        return fault
            .next("Check that the service account exists: gcloud iam service-accounts list.");
    }
    fault
}

/// The same fault, with the role that lets the deployer do it.
fn needs_role(mut fault: Fault, role: &str, on: &str) -> Fault {
    if fault.kind == FaultKind::Denied {
        fault.next = Some(format!(
            "Give the identity that runs Terraform the role {role} on {on}, or name an existing \
             identity of the nodes in google.node_service_account."
        ));
    }
    fault
}
