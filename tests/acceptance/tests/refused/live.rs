//! What the clouds say against a configuration that looks right.

use super::{Case, Kind::Live, aks};

/// The cases.
#[rustfmt::skip]
pub(crate) const CASES: [Case; 25] = [
    aks(Live, r#"region = "atlantis""#, ["PM200", "region", "westeurope"]),
    aks(Live, r#"azure = { subscription_id = "00000000-0000-0000-0000-000000000001" }"#, ["PM201", "azure", "subscription_id"]),
    aks(Live, r#"azure = { resource_group = "nowhere" }"#, ["PM202", "azure.resource_group", "create it"]),
    aks(Live, r#"name = "theirs"; azure = { resource_group = "shared" }"#, ["PM203", "name", "import"]),
    aks(Live, r#"network = { subnet_id = "$NETWORKS/westeurope/subnets/aks-9" }; azure = { pods_cidr = "10.101.0.0/16", services_cidr = "10.102.0.0/16" }"#, ["PM204", "network.subnet_id", "copy"]),
    aks(Live, r#"network = { subnet_id = "$NETWORKS/westeurope/subnets/aks-1" }; azure = { pods_cidr = "10.10.16.0/20", services_cidr = "10.104.0.0/16" }"#, ["PM207", "azure.pods_cidr", "outside"]),
    aks(Live, r#"network = { subnet_id = "$NETWORKS/westeurope/subnets/aks-2" }; azure = { pods_cidr = "10.105.0.0/16", services_cidr = "10.10.32.0/20" }"#, ["PM207", "azure.services_cidr", "outside"]),
    aks(Live, r#"kubernetes_version = "1.99""#, ["PM208", "kubernetes_version", "use one"]),
    aks(Live, r#"kubernetes_version = "1.34.99""#, ["PM209", "kubernetes_version", "any patch"]),
    aks(Live, r#"kubernetes_version = "1.36""#, ["PM210", "kubernetes_version", "production"]),
    aks(Live, r#"node_pools.work = { machine_type = "Standard_D4s_v9", min_nodes = 1, max_nodes = 3 }"#, ["PM211", r#"node_pools["work"].machine_type"#, "another"]),
    aks(Live, r#"node_pools.work = { vcpu = 64, memory_gb = 256, min_nodes = 1, max_nodes = 3 }"#, ["PM211", r#"node_pools["work"].vcpu"#, "another"]),
    aks(Live, r#"region = "francecentral"; node_pools.work = { machine_type = "Standard_D4s_v6", min_nodes = 1, max_nodes = 3 }"#, ["PM213", r#"node_pools["work"].machine_type"#, "support"]),
    aks(Live, r#"region = "northeurope"; node_pools.work = { machine_type = "Standard_D4s_v6", min_nodes = 1, max_nodes = 3, zones = ["3"] }"#, ["PM214", r#"node_pools["work"].zones"#, "offered"]),
    aks(Live, r#"region = "uksouth"; node_pools.work = { machine_type = "Standard_D8s_v5", min_nodes = 70, max_nodes = 80 }"#, ["PM215", "node_pools", "quota"]),
    aks(Live, r#"region = "swedencentral"; node_pools.one = { machine_type = "Standard_D8s_v5", min_nodes = 55, max_nodes = 60 }; node_pools.two = { machine_type = "Standard_D8ds_v5", min_nodes = 55, max_nodes = 60 }; node_pools.three = { machine_type = "Standard_D8as_v5", min_nodes = 20, max_nodes = 30 }"#, ["PM216", "node_pools", "quota"]),
    aks(Live, r#"network = { subnet_id = "$NETWORKS/northeurope/subnets/aks-1" }; azure = { pods_cidr = "10.107.0.0/16", services_cidr = "10.108.0.0/16" }"#, ["PM217", "network.subnet_id", "region"]),
    aks(Live, r#"logs = { workspace_id = "$SHARED/Microsoft.OperationalInsights/workspaces/nothing" }"#, ["PM218", "logs.workspace_id", "create it"]),
    aks(Live, r#"registries = ["$SHARED/Microsoft.ContainerRegistry/registries/nothing"]"#, ["PM219", "registries[0]", "create it"]),
    aks(Live, r#"azure = { control_plane_identity_id = "$SHARED/Microsoft.ManagedIdentity/userAssignedIdentities/nobody" }"#, ["PM220", "azure.control_plane_identity_id", "create it"]),
    aks(Live, r#"node_pools.work = { machine_type = "Standard_B4ms", spot = true, min_nodes = 1, max_nodes = 3 }"#, ["PM221", r#"node_pools["work"].spot"#, "spot = false"]),
    aks(Live, r#"node_pools.work = { machine_type = "Standard_D4s_v5", disk_type = "ephemeral", min_nodes = 1, max_nodes = 3 }"#, ["PM222", r#"node_pools["work"].disk_type"#, "balanced"]),
    aks(Live, r#"region = "eastus"; node_pools.work = { machine_type = "Standard_D8s_v5", spot = true, min_nodes = 200, max_nodes = 250 }"#, ["PM223", "node_pools", "quota"]),
    aks(Live, r#"network = { subnet_id = "$NETWORKS/tight/subnets/reserved" }; azure = { pods_cidr = "10.109.0.0/16", services_cidr = "10.110.0.0/16" }"#, ["PM205", "network.subnet_id", "without delegation"]),
    aks(Live, r#"network = { subnet_id = "$NETWORKS/tight/subnets/small" }; azure = { pods_cidr = "10.111.0.0/16", services_cidr = "10.112.0.0/16" }"#, ["PM206", "network.subnet_id", "larger"]),
];
