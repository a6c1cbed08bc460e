//! `paymesh_cluster`: a managed Kubernetes cluster for payment workloads, on AKS or GKE.

pub mod address;
pub mod checks;
pub mod choice;
pub mod machines;
pub mod naming;
pub mod pool;
pub mod profiles;
pub mod spec;
pub mod status;
pub mod totals;
pub mod versions;

pub use spec::ClusterSpec;
pub use status::ClusterStatus;
