//! Every attribute of a cluster, set to something else than its default, plans empty after apply,
//! and after an import with the configuration that the client generates.

use paymesh_acceptance::{
    Cloud, Workspace,
    hcl::{ClusterBlock, Provider, configuration},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::attributes::{self, clusters, settable};

#[test]
fn every_attribute_of_aks_plans_empty_after_apply_and_after_import() {
    let cloud = Cloud::start();
    let azure = cloud.azure();
    for name in ["plane", "nodes"] {
        let shared = cloud.shared();
        let path = format!("{shared}/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
        azure.act(
            &Method::PUT,
            &path,
            Some(&json!({ "location": "westeurope" })),
        );
    }
    check_empty(&cloud, &clusters(&cloud, Provider::Aks, &attributes::AKS));
}

#[test]
fn every_attribute_of_gke_plans_empty_after_apply_and_after_import() {
    let cloud = Cloud::start();
    let account = json!({ "accountId": "gke-nodes", "serviceAccount": { "displayName": "nodes" } });
    cloud
        .google()
        .ask("/v1/projects/paymesh-spoke/serviceAccounts", &account);
    // The rest of the cloud learns of an account some time after it was made.
    cloud.pass(300);
    check_empty(&cloud, &clusters(&cloud, Provider::Gke, &attributes::GKE));
}

#[test]
fn the_tables_set_every_attribute() {
    let cloud = Cloud::start();
    let schema = Workspace::new(&cloud, "").schema();
    let all: Vec<ClusterBlock> = clusters(&cloud, Provider::Aks, &attributes::AKS)
        .into_iter()
        .chain(clusters(&cloud, Provider::Gke, &attributes::GKE))
        .collect();
    let forgotten: Vec<String> = settable(&schema)
        .into_iter()
        .filter(|path| !all.iter().any(|block| block.sets(path)))
        .collect();
    assert_eq!(forgotten, Vec::<String>::new());
}

/// The clusters are made, plan empty, are imported by a second state with the configuration that
/// the client generates, and plan empty there.
#[track_caller]
fn check_empty(cloud: &Cloud, blocks: &[ClusterBlock]) {
    let maker = Workspace::new(cloud, &configuration(blocks));
    let made = maker.apply().succeeds();
    assert!(!made.output.contains("Warning"), "{made}");
    check_nothing(&maker);

    let imports: Vec<String> = blocks
        .iter()
        .map(|block| {
            let id = maker.attributes(&block.address())["id"].clone();
            format!("import {{\n  to = {}\n  id = {id}\n}}\n", block.address())
        })
        .collect();
    let importer = Workspace::new(cloud, &imports.concat());
    let before = cloud.last_request();
    importer
        .run(&["plan", "-generate-config-out=generated.tf"])
        .succeeds();
    check_nothing(&importer);
    importer.apply().succeeds();
    assert_eq!(
        cloud.writes(before),
        Vec::<String>::new(),
        "an import writes nothing"
    );
    check_nothing(&importer);
}

/// A plan changes no attribute of any resource; it may import.
#[track_caller]
fn check_nothing(workspace: &Workspace<'_>) {
    let plan = workspace.planned(&[]);
    let changes = plan["resource_changes"].as_array();
    let differences: Vec<String> = changes
        .into_iter()
        .flatten()
        .filter(|change| change["change"]["actions"] != json!(["no-op"]))
        .map(difference)
        .collect();
    assert!(
        differences.is_empty(),
        "planned:\n{}",
        differences.join("\n")
    );
}

/// The attributes that differ, with what they are and what they would be.
fn difference(resource: &Value) -> String {
    let change = &resource["change"];
    let mut lines = vec![format!("{} {}", resource["address"], change["actions"])];
    for (name, after) in change["after"].as_object().into_iter().flatten() {
        let before = &change["before"][name];
        if before != after {
            lines.push(format!("  {name}: {before} -> {after}"));
        }
    }
    lines.join("\n")
}
