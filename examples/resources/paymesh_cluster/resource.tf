resource "paymesh_cluster" "main" {
  name               = "payments-prod-main"
  region             = "westeurope"
  kubernetes_version = "1.34"
  azure              = {}

  node_pools = {
    system   = { mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 5 }
    payments = { vcpu = 8, memory_gb = 32, min_nodes = 3, max_nodes = 30 }
    batch    = { vcpu = 4, memory_gb = 16, min_nodes = 0, max_nodes = 20, spot = true }
  }

  lifecycle {
    postcondition {
      condition     = self.status == "Ready"
      error_message = "The cluster is not ready (status ${self.status}); see the messages above."
    }
  }
}
