//! Safe defaults: which CIS control of AKS each field of a default cluster satisfies.
//!
//! Numbers are those of the CIS AKS Benchmark 1.8; `AZURE_n` are checks of Checkov; a dash is our
//! own. Not defaults: 2.1.1 (audit logs, `provider/azure/src/diagnostics.rs`) and 5.3.1 (own keys,
//! below) need a workspace and a key that only the user has; host encryption (`AZURE_227`) needs a
//! feature that the subscription has to register; ephemeral disks (`AZURE_226`) need machines with
//! room for them, and are `disk_type = "ephemeral"`; a system pool that takes nothing else
//! (`AZURE_232`) is a taint of the user's; allowed registries (5.1.4, `AZURE_116`) are the business
//! of policies inside the cluster.

use paymesh_clock::Clock;
use paymesh_engine::Engine;
use paymesh_plugin::{findings::Findings, spec::Attribute};
use serde_json::{Value as Json, json};

use super::want;
use crate::{
    cluster::{
        choice,
        fixture::{spec, value},
    },
    session::Session,
    settings::Settings,
};

/// Control, what it asks for, and where the cluster's body says so.
const OF_THE_CLUSTER: [(&str, &str, &str, &str); 17] = [
    (
        "5.2.1",
        "the control plane acts by an identity of its own",
        "/identity/type",
        "\"UserAssigned\"",
    ),
    (
        "5.2.1",
        "workloads sign in by identities of their own",
        "/properties/securityProfile/workloadIdentity/enabled",
        "true",
    ),
    (
        "5.2.1",
        "their tokens have an issuer",
        "/properties/oidcIssuerProfile/enabled",
        "true",
    ),
    (
        "5.4.1",
        "the API server has no public address",
        "/properties/apiServerAccessProfile/enablePrivateCluster",
        "true",
    ),
    (
        "5.4.2",
        "nor a public name",
        "/properties/apiServerAccessProfile/enablePrivateClusterPublicFQDN",
        "false",
    ),
    (
        "5.4.4",
        "network policies are enforced",
        "/properties/networkProfile/networkPolicy",
        "\"cilium\"",
    ),
    (
        "AZURE_7",
        "and by a network that can",
        "/properties/networkProfile/networkPlugin",
        "\"azure\"",
    ),
    (
        "5.5.1",
        "Entra knows the users",
        "/properties/aadProfile/managed",
        "true",
    ),
    (
        "5.5.2",
        "Azure roles say what they may",
        "/properties/aadProfile/enableAzureRBAC",
        "true",
    ),
    (
        "AZURE_141",
        "certificates that know no person are off",
        "/properties/disableLocalAccounts",
        "true",
    ),
    (
        "AZURE_5",
        "access control is on",
        "/properties/enableRBAC",
        "true",
    ),
    (
        "AZURE_170",
        "the API server has a promise",
        "/sku/tier",
        "\"Standard\"",
    ),
    (
        "AZURE_171",
        "versions follow a channel",
        "/properties/autoUpgradeProfile/upgradeChannel",
        "\"stable\"",
    ),
    (
        "-",
        "node images follow one",
        "/properties/autoUpgradeProfile/nodeOSUpgradeChannel",
        "\"NodeImage\"",
    ),
    (
        "-",
        "secrets come from a vault",
        "/properties/addonProfiles/azureKeyvaultSecretsProvider/enabled",
        "true",
    ),
    (
        "AZURE_172",
        "and are renewed from it",
        "/properties/addonProfiles/azureKeyvaultSecretsProvider/config/enableSecretRotation",
        "\"true\"",
    ),
    (
        "-",
        "stale images are removed from nodes",
        "/properties/securityProfile/imageCleaner/enabled",
        "true",
    ),
];

/// The same where something has to be named first.
const OF_A_CLUSTER_WITH_KEY_AND_WORKSPACE: [(&str, &str, &str, &str); 3] = [
    (
        "AZURE_4",
        "logs go to the workspace",
        "/properties/addonProfiles/omsagent/enabled",
        "true",
    ),
    (
        "5.3.1",
        "secrets are encrypted with a key of one's own",
        "/properties/securityProfile/azureKeyVaultKms/enabled",
        "true",
    ),
    (
        "5.3.1",
        "by that key",
        "/properties/securityProfile/azureKeyVaultKms/keyId",
        "\"https://pay.vault.azure.net/keys/etcd/0123\"",
    ),
];

/// The same for its pools.
const OF_A_POOL: [(&str, &str, &str, &str); 2] = [
    (
        "5.4.3",
        "nodes have no public address",
        "/properties/enableNodePublicIP",
        "false",
    ),
    (
        "-",
        "nodes spread over zones",
        "/properties/availabilityZones/2",
        "\"3\"",
    ),
];

fn default_cluster() -> Json {
    json!({
        "name": "pay", "region": "westeurope", "kubernetes_version": "1.34",
        "azure": {"subscription_id": "7c0a1c5e-5f0e-4a51-9b7e-2f3c5a6d7e01"},
        "node_pools": {"system": {
            "mode": "system", "vcpu": 4, "memory_gb": 16, "min_nodes": 3, "max_nodes": 5,
        }},
    })
}

/// The bodies of the cluster and of its pool.
fn bodies(config: &Json) -> (Json, Json) {
    let spec = spec(config);
    let mut found = Findings::new();
    let settings = Settings::recall(&value(&json!({"owner": "payments/prod"})), &mut found);
    let session = Session::new(settings, None, Engine::new(Clock::real()));
    let group = super::group_id(&session, &spec).unwrap();
    let choices = choice::choose(&spec, None);
    let cluster = want::cluster(&spec, &group, &choices);
    let pool = want::pool(&spec, "system", &choices["system"], Vec::new());
    (cluster.part(), pool.part())
}

fn check(body: &Json, controls: &[(&str, &str, &str, &str)]) {
    let broken: Vec<_> = controls
        .iter()
        .filter(|(_, _, at, expected)| {
            body.pointer(at).map(Json::to_string).as_deref() != Some(*expected)
        })
        .map(|(control, asks, at, expected)| format!("{control} {asks}: {at} is not {expected}"))
        .collect();
    assert_eq!(broken.join("\n"), "", "{body:#}");
}

#[test]
fn a_default_cluster_satisfies_the_controls() {
    let (cluster, pool) = bodies(&default_cluster());
    check(&cluster, &OF_THE_CLUSTER);
    check(&pool, &OF_A_POOL);
}

#[test]
fn a_key_and_a_workspace_satisfy_the_rest() {
    let mut config = default_cluster();
    let id = |kind: &str| format!("/subscriptions/s/resourceGroups/g/providers/{kind}/it");
    config["azure"]["control_plane_identity_id"] =
        id("Microsoft.ManagedIdentity/userAssignedIdentities").into();
    config["kms_key_id"] = "https://pay.vault.azure.net/keys/etcd/0123".into();
    config["logs"] = json!({"workspace_id": id("Microsoft.OperationalInsights/workspaces")});
    check(&bodies(&config).0, &OF_A_CLUSTER_WITH_KEY_AND_WORKSPACE);
}

#[test]
fn a_public_api_server_answers_the_named_ranges_only() {
    let mut config = default_cluster();
    config["api_access"] = json!({"authorized_cidrs": ["203.0.113.0/24"]});
    let (cluster, _) = bodies(&config);
    assert_eq!(
        cluster["properties"]["apiServerAccessProfile"]["authorizedIPRanges"],
        json!(["203.0.113.0/24"])
    );
}
