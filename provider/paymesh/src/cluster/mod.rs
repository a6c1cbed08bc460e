//! `paymesh_cluster`: a managed Kubernetes cluster for payment workloads, on AKS or GKE.

pub mod address;
pub mod machines;
pub mod naming;
pub mod profiles;
pub mod totals;
pub mod versions;
