//! A cluster that another owner imported has what it stands on and what was granted for it; the
//! owner before neither deletes nor leaves any of it.

use std::fs;

use paymesh_acceptance::{
    Cloud, Workspace,
    hcl::{ClusterBlock, Provider, configuration},
};
use reqwest::Method;
use serde_json::{Value, json};

const FIRST: &str = "owners/first";
const SECOND: &str = "owners/second";
const REGISTRY: &str = "$SHARED/Microsoft.ContainerRegistry/registries/images";

fn provider(owner: &str) -> String {
    format!("provider \"paymesh\" {{\n  owner = \"{owner}\"\n  simulator = true\n}}\n")
}

fn import(block: &ClusterBlock, id: &str) -> String {
    let to = block.address();
    format!("import {{\n  to = {to}\n  id = \"{id}\"\n}}\n")
}

#[track_caller]
fn orphans(cloud: &Cloud, words: &[&str]) -> String {
    let (has_succeeded, text) = paymesh_acceptance::orphans(&cloud.file(), words);
    assert!(has_succeeded, "{words:?}: {text}");
    text
}

/// What the first owner's state holds, as a file.
fn pulled(workspace: &Workspace<'_>) -> String {
    let run = workspace.run(&["state", "pull"]).succeeds();
    let path = workspace.path("pulled.tfstate");
    fs::write(&path, &run.output).expect("a file can be written");
    path.to_str().expect("it is a word").to_owned()
}

fn word(workspace: &Workspace<'_>, address: &str, attribute: &str) -> String {
    let value = workspace.attributes(address)[attribute].clone();
    value.as_str().expect("it is known").to_owned()
}

/// Who administers a GKE cluster by grants of Paymesh.
fn admins(cloud: &Cloud, cluster: &str) -> Vec<String> {
    let options = json!({ "options": { "requestedPolicyVersion": 3 } });
    let policy = "/v1/projects/paymesh-hub:getIamPolicy";
    let policy = cloud.google().ask(policy, &options);
    let bindings = policy["bindings"].as_array().into_iter().flatten();
    let of_cluster = bindings.filter(|binding| {
        let expression = binding["condition"]["expression"].as_str();
        expression.is_some_and(|it| it.ends_with(&format!("/clusters/{cluster}\"")))
    });
    let members = of_cluster.filter_map(|binding| binding["members"].as_array());
    let members = members.flatten().filter_map(Value::as_str);
    members.map(str::to_owned).collect()
}

#[test]
fn an_imported_gke_cluster_keeps_its_account_and_no_grant_of_the_owner_before() {
    let cloud = Cloud::start();
    let person = |name| format!("{{ google_email = \"{name}@paymesh.example\" }}");
    let [oncall, payments] = ["oncall", "payments"].map(person);
    let kept = ClusterBlock::plain(Provider::Gke, "kept").with(&format!("admins = [{oncall}]"));
    let given = ClusterBlock::plain(Provider::Gke, "given").with(&format!(
        "network.pods_range = \"pods-2\"; network.services_range = \"services-2\"; admins = [{oncall}, {payments}]"
    ));
    let first = Workspace::new(
        &cloud,
        &[provider(FIRST), configuration([&kept, &given])].concat(),
    );
    first.apply().succeeds();
    let id = word(&first, &given.address(), "id");
    let account = word(&first, &given.address(), "node_identity");

    let taken = given.clone().with(&format!(
        "google.node_service_account = \"{account}\"; admins = [{payments}]"
    ));
    let second = Workspace::new(
        &cloud,
        &[provider(SECOND), import(&taken, &id), taken.to_string()].concat(),
    );
    second.plans_something().says("oncall@paymesh.example");
    second.apply().succeeds();
    second.plans_nothing();
    assert_eq!(admins(&cloud, "given"), ["group:payments@paymesh.example"]);

    first.run(&["state", "rm", &given.address()]).succeeds();
    first.configure(&[provider(FIRST), kept.to_string()].concat());
    first.plans_nothing();
    let before = cloud.inventory();
    let delete = ["--owner", FIRST, "--delete", "--yes"];
    let spared = orphans(&cloud, &[&delete[..], &[&pulled(&first)]].concat());
    assert!(
        spared.contains("/clusters/given uses service account"),
        "{spared}"
    );
    assert_eq!(cloud.inventory(), before, "{spared}");

    second.destroy().succeeds();
    assert_eq!(admins(&cloud, "given"), Vec::<String>::new());
    cloud.google().act(
        &Method::DELETE,
        &format!("/v1/{}", word(&first, &kept.address(), "id")),
        None,
    );
    assert_eq!(admins(&cloud, "kept"), ["group:oncall@paymesh.example"]);
    let deleted = orphans(&cloud, &[&delete[..], &["--without-state"]].concat());
    assert!(deleted.contains("deleted  IAM grants on"), "{deleted}");
    assert_eq!(admins(&cloud, "kept"), Vec::<String>::new());
    assert_eq!(cloud.inventory(), Vec::<String>::new(), "{deleted}");
}

/// How many roles are assigned at `scope`.
fn assigned(cloud: &Cloud, scope: &str) -> usize {
    let at =
        format!("{scope}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01");
    let listed = cloud.azure().get(&at).to_string();
    listed.matches("\"principalId\"").count()
}

#[test]
fn an_imported_aks_cluster_takes_the_roles_with_it_that_the_owner_before_gave() {
    let cloud = Cloud::start();
    let registry = cloud.seeded(REGISTRY);
    let before = assigned(&cloud, &registry);
    let given =
        ClusterBlock::plain(Provider::Aks, "given").with(&format!("registries = [\"{registry}\"]"));
    let first = Workspace::new(&cloud, &[provider(FIRST), given.to_string()].concat());
    first.apply().succeeds();
    let id = word(&first, &given.address(), "id");
    first.run(&["state", "rm", &given.address()]).succeeds();
    assert_eq!(assigned(&cloud, &registry), before + 1);

    let group = id.split('/').nth(4).expect("it lies in a group");
    let taken = given.with(&format!("azure.resource_group = \"{group}\""));
    let second = Workspace::new(
        &cloud,
        &[provider(SECOND), import(&taken, &id), taken.to_string()].concat(),
    );
    second.apply().succeeds();
    second.plans_nothing();
    assert_eq!(assigned(&cloud, &registry), before + 1);
    second.destroy().succeeds();
    assert_eq!(assigned(&cloud, &registry), before);
}

#[test]
fn a_destroy_under_another_owner_leaves_no_role_behind() {
    let cloud = Cloud::start();
    let registry = cloud.seeded(REGISTRY);
    let before = assigned(&cloud, &registry);
    let aks =
        ClusterBlock::plain(Provider::Aks, "aks").with(&format!("registries = [\"{registry}\"]"));
    let gke = ClusterBlock::plain(Provider::Gke, "gke")
        .with("admins = [{ google_email = \"oncall@paymesh.example\" }]");
    let clusters = configuration([&aks, &gke]);
    let workspace = Workspace::new(&cloud, &[provider(FIRST), clusters.clone()].concat());
    workspace.apply().succeeds();
    assert_eq!(assigned(&cloud, &registry), before + 1);

    workspace.configure(&[provider(SECOND), clusters].concat());
    workspace
        .run(&["destroy", "-auto-approve", "-refresh=false"])
        .succeeds();
    assert_eq!(assigned(&cloud, &registry), before);
    assert_eq!(admins(&cloud, "gke"), Vec::<String>::new());
}
