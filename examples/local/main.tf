# One AKS cluster and one GKE cluster on the simulated cloud of this machine: `make demo`.

terraform {
  required_version = ">= 1.11"
  required_providers {
    paymesh = { source = "paymesh/paymesh" }
  }
}

provider "paymesh" {
  owner          = "demo/local"
  simulator      = true
  default_labels = { team = "payments" }
}

resource "paymesh_cluster" "aks" {
  name                = "pay-aks"
  region              = "westeurope"
  kubernetes_version  = "1.34"
  azure               = {}
  deletion_protection = false

  node_pools = {
    system   = { mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 5 }
    payments = { vcpu = 8, memory_gb = 32, min_nodes = 3, max_nodes = 12 }
  }

  lifecycle {
    postcondition {
      condition     = self.status == "Ready"
      error_message = "The cluster is not ready (status ${self.status}); see the messages above."
    }
  }
}

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
    system   = { mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 6 }
    payments = { vcpu = 8, memory_gb = 32, min_nodes = 3, max_nodes = 12 }
  }

  lifecycle {
    postcondition {
      condition     = self.status == "Ready"
      error_message = "The cluster is not ready (status ${self.status}); see the messages above."
    }
  }
}

output "clusters" {
  description = "The clusters and the addresses of their API servers."
  value = {
    aks = { id = paymesh_cluster.aks.id, endpoint = paymesh_cluster.aks.endpoint }
    gke = { id = paymesh_cluster.gke.id, endpoint = paymesh_cluster.gke.endpoint }
  }
}
