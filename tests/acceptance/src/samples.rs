//! Configurations that many tests start from: one cluster on each cloud, of the same shape. A test
//! changes a line with `replace`, and both clouds change with it.

/// One AKS cluster with two pools.
pub const AKS: &str = r#"
resource "paymesh_cluster" "aks" {
  name                = "pay-aks"
  region              = "westeurope"
  kubernetes_version  = "1.34"
  azure               = {}
  deletion_protection = false
  node_pools = {
    system = { mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 5 }
    work   = { vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 6 }
  }
  lifecycle {
    postcondition {
      condition     = self.status == "Ready"
      error_message = "The cluster is not ready yet."
    }
  }
}
"#;

/// One GKE cluster with two pools.
pub const GKE: &str = r#"
resource "paymesh_cluster" "gke" {
  name                = "pay-gke"
  region              = "europe-west1"
  kubernetes_version  = "1.34"
  google              = {}
  deletion_protection = false
  network = {
    subnet_id      = "projects/paymesh-hub/regions/europe-west1/subnetworks/default"
    pods_range     = "pods"
    services_range = "services"
  }
  node_pools = {
    system = { mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 6 }
    work   = { vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 6 }
  }
  lifecycle {
    postcondition {
      condition     = self.status == "Ready"
      error_message = "The cluster is not ready yet."
    }
  }
}
"#;

/// A line of both that rotates a pool when it becomes [`LARGER`].
pub const SMALLER: &str = "work   = { vcpu = 4, memory_gb = 16";

/// What [`SMALLER`] becomes.
pub const LARGER: &str = "work   = { vcpu = 8, memory_gb = 32";

/// The addresses of both.
pub const BOTH: [&str; 2] = ["paymesh_cluster.aks", "paymesh_cluster.gke"];

/// A cluster on each cloud, whose state is kept by the simulator.
pub fn both() -> String {
    format!("terraform {{\n  backend \"http\" {{}}\n}}\n{AKS}{GKE}")
}
