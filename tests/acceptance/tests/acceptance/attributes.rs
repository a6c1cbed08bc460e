//! Clusters whose attributes are all set to something else than their defaults.

use std::collections::BTreeSet;

use paymesh_acceptance::{
    Cloud,
    hcl::{ClusterBlock, Provider},
};
use serde_json::Value;

/// Clusters on AKS; with those on GKE they set every attribute.
#[rustfmt::skip]
pub(crate) const AKS: [(&str, &str); 9] = [
    ("labelled", r#"role = "dr"; labels = { team = "payments" }; kubernetes_version = "1.34.4"; upgrade_channel = "rapid"; node_image_channel = "security_patch"; power = "on"; timeouts = { create = "3h", read = "5m", update = "3h", delete = "3h" }"#),
    ("spread", r#"profile = "high_availability"; deletion_protection = true"#),
    ("networked", r#"network = { subnet_id = "$NETWORKS/westeurope/subnets/aks-1" }; azure = { pods_cidr = "10.100.0.0/16", services_cidr = "10.101.0.0/20" }; api_access = { authorized_cidrs = ["203.0.113.0/24", "198.51.100.7/32"] }"#),
    ("peopled", r#"admins = [{ entra_object_id = "00000000-0000-0000-0000-000000000001", google_email = "platform@example.com" }, { kind = "user", entra_object_id = "00000000-0000-0000-0000-000000000002" }, { kind = "service_principal", entra_object_id = "00000000-0000-0000-0000-000000000003" }]; deployer_admin = false; registries = ["$SHARED/Microsoft.ContainerRegistry/registries/images"]"#),
    ("standing", r#"role = "dr"; standby = true"#),
    ("timed", r#"maintenance = { window = { day = "sunday", start = "22:30", hours = 6 }, exclusions = { peak = { first_day = "2027-11-20", last_day = "2027-12-02" } } }"#),
    ("watched", r#"logs = { workspace_id = "$SHARED/Microsoft.OperationalInsights/workspaces/logs" }; features = { dataplane_metrics = true, vertical_pod_autoscaling = true, workload_identity = false, cost_allocation = false, dns_cache = false }"#),
    ("plain", r#"features = { cilium = false }; azure = { subscription_id = "5ab1d6f0-3c64-4c1e-8f59-0a1b2c3d4e52", resource_group = "shared" }"#),
    ("pooled", r#"azure = { control_plane_identity_id = "$SHARED/Microsoft.ManagedIdentity/userAssignedIdentities/plane", kubelet_identity_id = "$SHARED/Microsoft.ManagedIdentity/userAssignedIdentities/nodes" }; kms_key_id = "https://keys.vault.azure.net/keys/clusters/0123456789abcdef0123456789abcdef"; node_pools.work = { machine_type = "Standard_D4ds_v5", zones = ["2", "3"], disk_gb = 100, disk_type = "ephemeral", max_pods = 60, labels = { team = "payments" }, taints = [{ key = "batch", value = "yes", effect = "no_execute" }], surge = 2, min_nodes = 2, max_nodes = 2 }; node_pools.cheap = { vcpu = 4, memory_gb = 16, min_nodes = 0, max_nodes = 3, spot = true }"#),
];

/// Clusters on GKE.
#[rustfmt::skip]
pub(crate) const GKE: [(&str, &str); 8] = [
    ("labelled", r#"role = "dr"; admins = [{ google_email = "platform@example.com" }, { kind = "user", google_email = "one@example.com" }]; labels = { team = "payments" }; upgrade_channel = "rapid"; power = "on"; timeouts = { create = "3h", read = "5m", update = "3h", delete = "3h" }"#),
    ("spread", r#"region = "us-west1"; network.subnet_id = "$GOOGLE/us-west1/subnetworks/default"; profile = "high_availability"; deletion_protection = true; api_access = { authorized_cidrs = ["203.0.113.0/24", "198.51.100.7/32"] }"#),
    ("networked", r#"region = "europe-west4"; network = { subnet_id = "projects/paymesh-spoke/regions/europe-west4/subnetworks/default", pods_range = "pods-2", services_range = "services-2" }; google = { project = "paymesh-spoke", control_plane_cidr = "172.16.0.16/28", node_service_account = "gke-nodes@paymesh-spoke.iam.gserviceaccount.com" }"#),
    ("standing", r#"role = "dr"; standby = true; region = "europe-west3"; network.subnet_id = "$GOOGLE/europe-west3/subnetworks/default""#),
    ("timed", r#"region = "europe-west2"; network.subnet_id = "$GOOGLE/europe-west2/subnetworks/default"; maintenance = { window = { day = "sunday", start = "22:30", hours = 12 }, exclusions = { peak = { first_day = "2027-11-20", last_day = "2027-12-02" } } }"#),
    ("watched", r#"region = "europe-west6"; network.subnet_id = "$GOOGLE/europe-west6/subnetworks/default"; kms_key_id = "projects/paymesh-hub/locations/europe-west6/keyRings/paymesh/cryptoKeys/clusters"; features = { dataplane_metrics = true, vertical_pod_autoscaling = true, dns_cache = false, cost_allocation = false, gateway_api = true }"#),
    ("plain", r#"region = "europe-north1"; network.subnet_id = "$GOOGLE/europe-north1/subnetworks/default"; registries = ["projects/paymesh-hub/locations/europe-west1/repositories/images"]; features = { cilium = false, workload_identity = false }"#),
    ("pooled", r#"region = "us-east1"; network.subnet_id = "$GOOGLE/us-east1/subnetworks/default"; node_pools.work = { machine_type = "n2-standard-4", zones = ["us-east1-b", "us-east1-c"], disk_gb = 100, disk_type = "ssd", max_pods = 60, labels = { team = "payments" }, taints = [{ key = "batch", value = "yes", effect = "no_execute" }], surge = 2, min_nodes = 2, max_nodes = 2 }; node_pools.cheap = { vcpu = 4, memory_gb = 16, min_nodes = 0, max_nodes = 6, spot = true }"#),
];

/// The clusters of a table, one for each line.
pub(crate) fn clusters(
    cloud: &Cloud,
    provider: Provider,
    lines: &[(&str, &str)],
) -> Vec<ClusterBlock> {
    lines
        .iter()
        .map(|(label, changes)| ClusterBlock::plain(provider, label).with(&cloud.seeded(changes)))
        .collect()
}

/// The paths of all attributes that a user can set, `*` for a key or index.
pub(crate) fn settable(schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    descend(attributes_of(schema), "", &mut all);
    all
}

/// The paths of all attributes and objects that a user can leave out.
pub(crate) fn optional(schema: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    descend_optional(attributes_of(schema), "", &mut all);
    all
}

fn attributes_of(schema: &Value) -> &Value {
    let providers = schema["provider_schemas"].as_object();
    let provider = providers.and_then(|providers| providers.values().next());
    let provider = provider.expect("the provider has a schema");
    &provider["resource_schemas"]["paymesh_cluster"]["block"]["attributes"]
}

fn descend_optional(attributes: &Value, below: &str, all: &mut BTreeSet<String>) {
    for (name, attribute) in attributes.as_object().into_iter().flatten() {
        let path = format!("{below}{name}");
        if attribute["optional"] == true {
            all.insert(path.clone());
        }
        let nested = &attribute["nested_type"];
        let inside = match nested["nesting_mode"].as_str() {
            Some("single") => format!("{path}."),
            Some(_) => format!("{path}.*."),
            None => continue,
        };
        descend_optional(&nested["attributes"], &inside, all);
    }
}

fn descend(attributes: &Value, below: &str, all: &mut Vec<String>) {
    for (name, attribute) in attributes.as_object().into_iter().flatten() {
        if attribute["optional"] != true && attribute["required"] != true {
            continue;
        }
        let path = format!("{below}{name}");
        let nested = &attribute["nested_type"];
        match nested["nesting_mode"].as_str() {
            None => all.push(path),
            Some("single") => descend(&nested["attributes"], &format!("{path}."), all),
            Some(_) => descend(&nested["attributes"], &format!("{path}.*."), all),
        }
    }
}
