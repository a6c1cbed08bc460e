# A cluster of another configuration, by name.
data "paymesh_cluster" "hub" {
  name   = "payments-hub"
  region = "westeurope"
  azure  = { resource_group = "payments-hub" }
}

# By its id, on either cloud.
data "paymesh_cluster" "dr" {
  cluster_id = "projects/payments-prod/locations/europe-west4/clusters/payments-prod-dr"
}
