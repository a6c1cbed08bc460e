//! What each of two clusters may have and both must not.

use super::case::{Case, Kind::Clusters, aks, gke};

/// A case whose second cluster has this change.
const fn beside(neighbour: &'static str, case: Case) -> Case {
    Case {
        neighbour: Some(neighbour),
        ..case
    }
}

/// A case whose two clusters have the same change.
const fn both(case: Case) -> Case {
    beside(case.change, case)
}

/// The cases. Each has a region of its own.
#[rustfmt::skip]
pub(crate) const CASES: [Case; 12] = [
    both(aks(Clusters, r#"name = "pay-twin""#, ["PM156", "name", "rename"])),
    both(gke(Clusters, r#"name = "pay-twin"; region = "us-east1"; network = { subnet_id = "$GOOGLE/us-east1/subnetworks/default", pods_range = "pods-2", services_range = "services-2" }"#, ["PM156", "name", "rename"])),
    beside(r#"network.services_range = "services-2""#, gke(Clusters, "", ["PM106", "network.pods_range", "of its own"])),
    beside(
        r#"region = "us-west1"; network.subnet_id = "$GOOGLE/us-west1/subnetworks/default"; network.pods_range = "pods-2""#,
        gke(Clusters, r#"region = "us-west1"; network.subnet_id = "$GOOGLE/us-west1/subnetworks/default""#, ["PM106", "network.services_range", "of its own"]),
    ),
    beside(
        r#"region = "us-east4"; network = { subnet_id = "$GOOGLE/us-east4/subnetworks/default", pods_range = "pods-2", services_range = "services-2" }; google = { control_plane_cidr = "172.16.0.0/28" }"#,
        gke(Clusters, r#"region = "us-east4"; network.subnet_id = "$GOOGLE/us-east4/subnetworks/default"; google = { control_plane_cidr = "172.16.0.0/28" }"#, ["PM105", "google.control_plane_cidr", "of its own"]),
    ),
    beside(
        r#"@asia-east1; google = { control_plane_cidr = "172.16.1.0/28" }"#,
        gke(Clusters, r#"@asia-northeast1; google = { control_plane_cidr = "172.16.1.0/28" }"#, ["PM105", "google.control_plane_cidr", "of its own"]),
    ),
    beside(
        r#"region = "asia-southeast1"; network.subnet_id = "https://www.googleapis.com/compute/v1/$GOOGLE/asia-southeast1/subnetworks/default""#,
        gke(Clusters, r#"@asia-southeast1; "#, ["PM106", "network.pods_range | network.services_range", "of its own"]),
    ),
    beside(
        r#"name = "namesake"; region = "us-west2"; network.subnet_id = "$GOOGLE/us-west2/subnetworks/default"; google = { project = "paymesh-spoke" }"#,
        gke(Clusters, r#"name = "namesake"; region = "us-west2"; network.subnet_id = "$GOOGLE/us-west2/subnetworks/default""#, ["PM106", "network.pods_range | network.services_range", "of its own"]),
    ),
    beside(
        r#"region = "westus2"; name = "namesake"; azure = { resource_group = "shared" }; node_pools.work = { machine_type = "Standard_D8s_v5", min_nodes = 40, max_nodes = 50 }"#,
        aks(Clusters, r#"region = "westus2"; name = "namesake"; node_pools.work = { machine_type = "Standard_D8s_v5", min_nodes = 40, max_nodes = 50 }"#, ["PM215", "node_pools", "quota"]),
    ),
    both(aks(Clusters, r#"region = "uksouth"; node_pools.work = { machine_type = "Standard_D8s_v5", min_nodes = 40, max_nodes = 50 }"#, ["PM215", "node_pools", "quota"])),
    both(aks(Clusters, r#"region = "swedencentral"; node_pools.one = { machine_type = "Standard_D8s_v5", min_nodes = 24, max_nodes = 30 }; node_pools.two = { machine_type = "Standard_D8ds_v5", min_nodes = 24, max_nodes = 30 }; node_pools.three = { machine_type = "Standard_D8as_v5", min_nodes = 15, max_nodes = 30 }"#, ["PM216", "node_pools", "quota"])),
    beside(
        r#"@us-central1; network.pods_range = "pods-2"; network.services_range = "services-2"; node_pools.work = { machine_type = "n2-standard-8", min_nodes = 40, max_nodes = 60 }"#,
        gke(Clusters, r#"@us-central1; node_pools.work = { machine_type = "n2-standard-8", min_nodes = 40, max_nodes = 60 }"#, ["PM256", "node_pools", "quota"]),
    ),
];
