ephemeral "paymesh_cluster_credentials" "main" {
  cluster_id = paymesh_cluster.main.id
}

provider "kubernetes" {
  host                   = ephemeral.paymesh_cluster_credentials.main.endpoint
  cluster_ca_certificate = ephemeral.paymesh_cluster_credentials.main.ca_certificate
  token                  = ephemeral.paymesh_cluster_credentials.main.token
}
