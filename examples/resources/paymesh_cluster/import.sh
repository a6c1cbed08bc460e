# AKS: the cluster's resource id.
terraform import paymesh_cluster.main /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/payments/providers/Microsoft.ContainerService/managedClusters/payments-prod-main

# GKE: the cluster's resource name, or its self link.
terraform import paymesh_cluster.main projects/payments-prod/locations/europe-west1/clusters/payments-prod-main
