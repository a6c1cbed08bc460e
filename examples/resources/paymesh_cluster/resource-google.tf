resource "paymesh_cluster" "main" {
  name               = "payments-prod-main"
  region             = "europe-west1"
  kubernetes_version = "1.34"
  google             = {}

  network = {
    subnet_id      = "projects/payments-prod/regions/europe-west1/subnetworks/clusters"
    pods_range     = "pods"
    services_range = "services"
  }

  node_pools = {
    system   = { mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 6 }
    payments = { vcpu = 8, memory_gb = 32, min_nodes = 3, max_nodes = 30 }
  }

  lifecycle {
    postcondition {
      condition     = self.status == "Ready"
      error_message = "The cluster is not ready (status ${self.status}); see the messages above."
    }
  }
}
