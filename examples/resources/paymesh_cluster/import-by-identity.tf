import {
  to = paymesh_cluster.main
  identity = {
    id = "projects/payments-prod/locations/europe-west1/clusters/payments-prod-main"
  }
}
