//! What an existing, protected cluster of one pool cannot become.

use super::case::{
    Case,
    Kind::{Live, One},
    aks, gke,
};

/// How each cluster is made, before it is changed.
pub(crate) const MADE: &str = "node_pools.work = absent; deletion_protection = true";

/// The cases.
#[rustfmt::skip]
pub(crate) const CASES: [Case; 11] = [
    aks(Live, r#"kubernetes_version = "1.37""#, ["PM208", "kubernetes_version", "use one"]),
    aks(Live, r#"kubernetes_version = "1.36""#, ["PM210", "kubernetes_version", "production"]),
    aks(One, r#"azure = { pods_cidr = "10.100.0.0/16" }"#, ["PM120", "azure.pods_cidr", "deletion_protection = false"]),
    aks(One, r#"features = { cilium = false }"#, ["PM120", "features.cilium", "deletion_protection = false"]),
    gke(One, r#"google = { control_plane_cidr = "172.20.0.0/28" }"#, ["PM120", "google.control_plane_cidr", "deletion_protection = false"]),
    // Where it could not be at all, that is told, and not what would follow from it.
    aks(Live, r#"region = "atlantis""#, ["PM200", "region", "westeurope"]),
    gke(Live, r#"@us-west1; google = { project = "paymesh-nowhere" }"#, ["PM241", "google", "project"]),
    aks(Live, "node_pools.system.max_nodes = 255; node_pools.system.min_nodes = 250", ["PM215", "node_pools", "quota"]),
    gke(Live, "@us-central1; node_pools.system.max_nodes = 255; node_pools.system.min_nodes = 250", ["PM256", "node_pools", "quota"]),
    aks(Live, r#"registries = ["$SHARED/Microsoft.ContainerRegistry/registries/nothing"]"#, ["PM219", "registries[0]", "create the registry"]),
    aks(Live, r#"node_pools.system.machine_type = "Standard_D4s_v9"; node_pools.system.vcpu = null; node_pools.system.memory_gb = null"#, ["PM211", r#"node_pools["system"].machine_type"#, "another"]),
];
