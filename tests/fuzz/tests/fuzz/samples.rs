//! What is really sent: the samples that inputs are near to.

use paymesh::{cluster::ClusterSpec, settings::Settings};
use paymesh_engine::ObjectId;
use paymesh_plugin::{
    findings::Findings,
    spec::{Attribute, Attributes},
    value::Value as Terraform,
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// The attribute that says on which cloud a cluster is.
pub(crate) const CLOUDS: [&str; 2] = ["azure", "google"];

/// One thread, so that a crash is one of the target's own.
pub(crate) fn runtime() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made")
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).expect("a sample is JSON")
}

/// What a state holds of a cluster, on both clouds.
pub(crate) fn states() -> [Value; 2] {
    let frozen = [
        include_str!("../../../acceptance/tests/acceptance/states/aks-1.json"),
        include_str!("../../../acceptance/tests/acceptance/states/gke-1.json"),
    ];
    frozen.map(|text| read(text)["attributes"].take())
}

/// What a user writes of a cluster on `cloud`.
pub(crate) fn configuration(cloud: &str) -> Value {
    let configured = [
        include_str!("../../samples/configuration-azure.json"),
        include_str!("../../samples/configuration-google.json"),
    ];
    read(configured[usize::from(cloud == CLOUDS[1])])
}

/// What a user writes of the provider.
pub(crate) fn settings() -> Value {
    json!({
        "owner": "payments/prod",
        "default_labels": { "team": "payments" },
        "azure": {
            "subscription_id": "5ab1d6f0-3c64-4c1e-8f59-0a1b2c3d4e51",
            "tenant_id": "5ab1d6f0-3c64-4c1e-8f59-0a1b2c3d4e52",
            "environment": "public",
            "endpoint": "http://127.0.0.1:9",
        },
        "google": { "project": "payments-prod", "endpoint": "http://127.0.0.1:9" },
    })
}

/// An operation as a run that was cut remembers it.
pub(crate) fn operation() -> Value {
    json!({
        "shape": { "azure_async": { "url": "/operations/1?t=1&s=x" } },
        "resource": "/subscriptions/s/resourceGroups/rg?api-version=2025-04-01",
        "deleting": true,
        "wait_seconds": 15,
    })
}

/// What the clouds answer, each with a part of the address that asks for it.
pub(crate) fn answers() -> Vec<(&'static str, Value)> {
    let all = read(include_str!("../../samples/answers.json"));
    let addresses = [
        "/agentPools",
        "/maintenanceConfigurations",
        "/listClusterUserCredential",
        "/managedClusters",
        "/roleAssignments",
        "/diagnosticSettings",
        "/userAssignedIdentities",
        "/skus",
        "/usages",
        "/kubernetesVersions",
        "/subnets",
        "/virtualNetworks",
        "/resources",
        "/resourcegroups",
        "/resourceGroups",
        "/operations",
        "/nodePools",
        "/serverConfig",
        "/clusters",
        "/serviceAccounts",
        "etIamPolicy",
        "/machineTypes",
        "/subnetworks",
        "/regions",
    ];
    let named = addresses.map(|address| {
        let answer = all.get(address);
        (address, answer.expect("there is an answer").clone())
    });
    named.into()
}

/// What an object of the engine looks like.
pub(crate) fn body(id: &ObjectId) -> Value {
    let address = match id.kind.as_str() {
        "managed cluster" => "/managedClusters",
        "agent pool" => "/agentPools",
        "maintenance configuration" => "/maintenanceConfigurations",
        "diagnostic setting" => "/diagnosticSettings",
        "managed identity" => "/userAssignedIdentities",
        "role assignment" => "/roleAssignments",
        "resource group" => "/resourceGroups",
        "GKE cluster" => "/clusters",
        "GKE node pool" => "/nodePools",
        "service account" => "/serviceAccounts",
        "IAM grants" => "etIamPolicy",
        other => panic!("there is no sample of a {other}"),
    };
    let found = answers().into_iter().find(|(of, _)| *of == address);
    let mut body = found.expect("there is an answer").1;
    if body["id"] == "" {
        body["id"] = id.name.as_str().into();
    }
    body
}

/// The cluster that a user wrote so; it has no mistake.
pub(crate) fn spec(written: &Value) -> ClusterSpec {
    let mut found = Findings::new();
    let draft = ClusterSpec::read(&Terraform::from_json(written), &mut found);
    assert_eq!(found.to_string(), "");
    let spec = ClusterSpec::recall(&ClusterSpec::draft_value(&draft), &mut found);
    spec.unwrap_or_else(|| panic!("{found}"))
}

/// The provider that a user wrote so; it has no mistake.
pub(crate) fn settings_of(written: &Value) -> Settings {
    let mut found = Findings::new();
    let settings = Settings::decode(&Terraform::from_json(written), &mut found);
    settings.unwrap_or_else(|| panic!("{found}"))
}
