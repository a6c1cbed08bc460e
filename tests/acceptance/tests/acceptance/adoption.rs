//! Clusters that are there already: looked up, imported, moved from other providers, and never
//! lost sight of when the provider block changes.

use std::fs;

use paymesh_acceptance::{Client, Cloud, Run, Workspace};
use serde_json::{Value, json};

const AKS: &str = r#"
resource "paymesh_cluster" "one" {
  name               = "pay-one"
  region             = "westeurope"
  kubernetes_version = "1.34"
  azure              = {}
  node_pools = {
    system = { mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 5 }
  }
}
"#;

const GKE: &str = r#"
resource "paymesh_cluster" "one" {
  name               = "pay-one"
  region             = "europe-west1"
  kubernetes_version = "1.34"
  google             = {}
  network = {
    subnet_id      = "projects/paymesh-hub/regions/europe-west1/subnetworks/default"
    pods_range     = "pods"
    services_range = "services"
  }
  node_pools = {
    system = { mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 6 }
  }
}
"#;

fn provider(owner: &str, more: &str) -> String {
    format!("provider \"paymesh\" {{\n  owner = \"{owner}\"\n  simulator = true\n  {more}\n}}\n")
}

fn of(cloud: &Cloud, list: &str, number: usize) -> String {
    cloud.card()[list][number]
        .as_str()
        .expect("the simulator has several")
        .to_owned()
}

/// A read, whatever its verb.
fn is_read(line: &str) -> bool {
    line.ends_with(":getIamPolicy") || line.ends_with("/listClusterUserCredential")
}

/// The plan must refuse, because it would replace a protected cluster, and write nothing.
#[track_caller]
fn check_protected(cloud: &Cloud, workspace: &Workspace<'_>, configuration: &str) {
    let why = "Deletion protection forbids the replacement";
    check_refused(cloud, workspace, configuration, why);
}

#[track_caller]
fn check_refused(cloud: &Cloud, workspace: &Workspace<'_>, configuration: &str, why: &str) -> Run {
    let before = cloud.last_request();
    workspace.configure(configuration);
    let refused = workspace.apply().fails_with(why);
    let mut writes = cloud.writes(before);
    writes.retain(|line| !is_read(line));
    assert_eq!(writes, Vec::<String>::new());
    refused
}

#[test]
fn another_owner_or_subscription_never_makes_a_second_cluster() {
    let cloud = Cloud::start();
    let base = format!("{}{AKS}", provider("a/one", ""));
    let workspace = Workspace::new(&cloud, &base);
    workspace.apply().succeeds();
    let renamed = format!("{}{AKS}", provider("a/two", ""));
    let refused = check_refused(&cloud, &workspace, &renamed, "(PM191)");
    for follows in ["PM010", "PM120"] {
        assert!(!refused.output.contains(follows), "{refused}");
    }
    let elsewhere = format!(
        "azure = {{ subscription_id = \"{}\" }}",
        of(&cloud, "subscription_ids", 1)
    );
    check_protected(
        &cloud,
        &workspace,
        &format!("{}{AKS}", provider("a/one", &elsewhere)),
    );
    workspace.configure(&base);
    workspace.plans_nothing();
    // Another spelling of the same place is no change of place.
    let here = of(&cloud, "subscription_ids", 0);
    let spelled = AKS.replace(
        "azure              = {}",
        &format!("azure = {{ subscription_id = \"{here}\" }}"),
    );
    workspace.configure(&format!("{}{spelled}", provider("a/one", "")));
    let plan = workspace.plan();
    assert!(!plan.text().contains("must be replaced"), "{plan}");
}

#[test]
fn what_is_in_state_keeps_its_owner() {
    let cloud = Cloud::start();
    let open = |text: &str| text.replace("google ", "deletion_protection = false\n  google ");
    let base = format!("{}{}", provider("a/one", ""), open(GKE));
    let workspace = Workspace::new(&cloud, &base);
    workspace.apply().succeeds();
    let renamed = format!("{}{}", provider("a/two", ""), open(GKE));
    check_refused(&cloud, &workspace, &renamed, "(PM191)");
    workspace.configure(&base);
    workspace.plans_nothing();
    workspace.destroy().succeeds();
    workspace.configure(&renamed);
    workspace.apply().succeeds();
    workspace.plans_nothing();
}

#[test]
fn another_project_never_makes_a_second_cluster() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &format!("{}{GKE}", provider("a/one", "")));
    workspace.apply().succeeds();
    let elsewhere = format!(
        "google = {{ project = \"{}\" }}",
        of(&cloud, "google_projects", 1)
    );
    check_protected(
        &cloud,
        &workspace,
        &format!("{}{GKE}", provider("a/one", &elsewhere)),
    );
}

#[test]
fn a_lookup_that_finds_nothing_says_which_group_nobody_named() {
    let cloud = Cloud::start();
    let lookup = |azure: &str| {
        format!(
            "data \"paymesh_cluster\" \"it\" {{\n  name = \"nothing\"\n  region = \"westeurope\"\n  azure = {azure}\n}}\n"
        )
    };
    let assumed = "the one that Paymesh makes for owner \"acceptance/one\"";
    let workspace = Workspace::new(&cloud, &lookup("{}"));
    workspace.plan().fails_with("(PM133)").says(assumed);
    workspace.configure(&lookup("{ resource_group = \"shared\" }"));
    let named = workspace.plan().fails_with("(PM133)");
    assert!(!named.text().contains(assumed), "{named}");
}

/// Looks a cluster up from a second configuration, by name and by id.
fn check_lookup(resource: &str, place: &str) {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, resource);
    workspace.apply().succeeds();
    let made = workspace.attributes("paymesh_cluster.one");
    let id = made["id"].as_str().expect("a cluster has an id");
    let lookups = format!(
        "data \"paymesh_cluster\" \"id\" {{\n  cluster_id = \"{id}\"\n}}\n\
         data \"paymesh_cluster\" \"name\" {{\n  name = \"pay-one\"\n  {place}\n}}\n"
    );
    let second = Workspace::new(&cloud, &lookups);
    second.apply().succeeds();
    for data in ["data.paymesh_cluster.id", "data.paymesh_cluster.name"] {
        let found = second.attributes(data);
        for attribute in ["id", "uid", "endpoint", "ca_certificate", "status"] {
            let case = |value: &Value| Value::String(value.to_string().to_lowercase());
            assert_eq!(
                case(&found[attribute]),
                case(&made[attribute]),
                "{data} {attribute}"
            );
        }
    }
    second.configure(&lookups.replace("\"pay-one\"", "\"pay-none\""));
    second.run(&["plan"]).fails_with("cluster cannot be found");
    second.configure("data \"paymesh_cluster\" \"x\" {\n  name = \"pay-one\"\n}\n");
    second
        .run(&["plan"])
        .fails_with("`name`, `region`, and one of `azure` and `google`");
}

#[test]
fn an_aks_cluster_is_looked_up_by_id_and_by_name() {
    check_lookup(AKS, "region = \"westeurope\"\n  azure = {}");
}

#[test]
fn a_gke_cluster_is_looked_up_by_id_and_by_name() {
    check_lookup(GKE, "region = \"europe-west1\"\n  google = {}");
}

/// Credentials reach a postcondition, and no file that the client keeps.
fn check_credentials(resource: &str) {
    let cloud = Cloud::start();
    let ephemeral = r#"
ephemeral "paymesh_cluster_credentials" "one" {
  cluster_id = paymesh_cluster.one.id
  lifecycle {
    postcondition {
      condition     = length(self.token) > 20 && startswith(self.endpoint, "https://")
      error_message = "no credentials"
    }
  }
}
"#;
    let workspace = Workspace::new(&cloud, &format!("{resource}{ephemeral}"));
    workspace.apply().succeeds();
    workspace.plans_nothing();
    for (path, bytes) in workspace.kept() {
        let text = String::from_utf8_lossy(&bytes);
        let secret = text
            .split(|letter: char| !letter.is_ascii_alphanumeric() && !"._-".contains(letter))
            .find(|word| {
                word.starts_with("ya29.")
                    || word.matches('.').count() == 2 && word.starts_with("eyJ")
            });
        assert_eq!(secret, None, "{}", path.display());
    }
}

#[test]
fn credentials_of_an_aks_cluster_are_ephemeral() {
    check_credentials(AKS);
}

#[test]
fn credentials_of_a_gke_cluster_are_ephemeral() {
    check_credentials(GKE);
}

/// Makes a cluster, forgets it, and hands its id to `again`.
fn forgotten<'a>(cloud: &'a Cloud, resource: &str) -> (Workspace<'a>, String) {
    let workspace = Workspace::new(cloud, resource);
    workspace.apply().succeeds();
    let id = workspace.attributes("paymesh_cluster.one")["id"]
        .as_str()
        .expect("a cluster has an id")
        .to_owned();
    workspace
        .run(&["state", "rm", "paymesh_cluster.one"])
        .succeeds();
    (workspace, id)
}

/// Imports by `key`, with generated configuration; the plan after it must be empty.
fn check_import(resource: &str, key: &str) {
    let cloud = Cloud::start();
    let (workspace, id) = forgotten(&cloud, resource);
    let value = if key == "id" {
        format!("\"{id}\"")
    } else {
        format!("{{ id = \"{id}\" }}")
    };
    let import = format!("import {{\n  to = paymesh_cluster.one\n  {key} = {value}\n}}\n");
    workspace.configure(&import);
    workspace
        .run(&[
            "plan",
            "-generate-config-out=generated.tf",
            "-out=import.plan",
        ])
        .succeeds()
        .says("1 to import, 0 to add, 0 to change");
    workspace.run(&["apply", "import.plan"]).succeeds();
    workspace.plans_nothing();
}

#[test]
fn an_aks_cluster_is_imported_by_id_with_generated_configuration() {
    check_import(AKS, "id");
}

#[test]
fn a_gke_cluster_is_imported_by_id_with_generated_configuration() {
    check_import(GKE, "id");
}

#[test]
fn a_cluster_is_imported_by_identity() {
    let client = Client::here();
    if client.is_opentofu() || !client.at_least(1, 12) {
        return;
    }
    check_import(AKS, "identity");
    check_import(GKE, "identity");
}

/// Takes a cluster over from `foreign_type`, whose state is written by hand.
fn check_moved(resource: &str, provider_name: &str, foreign_type: &str) {
    let cloud = Cloud::start();
    let (workspace, id) = forgotten(&cloud, resource);
    workspace.configure(&format!(
        "import {{\n  to = paymesh_cluster.one\n  id = \"{id}\"\n}}\n"
    ));
    workspace
        .run(&["plan", "-generate-config-out=generated.tf"])
        .succeeds();

    let file = workspace.module().join("terraform.tfstate");
    let made = fs::read(&file).expect("there is a state");
    let mut state: Value = serde_json::from_slice(&made).expect("a state is JSON");
    state["serial"] = (state["serial"].as_u64().unwrap_or(0) + 1).into();
    state["resources"] = json!([{
        "mode": "managed",
        "type": foreign_type,
        "name": "old",
        "provider": format!("provider[\"{}/hashicorp/{provider_name}\"]", Client::here().registry()),
        "instances": [{
            "schema_version": 2,
            "attributes": { "id": id, "name": "pay-one", "unknown_to_us": [1, 2] },
            "sensitive_attributes": [],
        }],
    }]);
    fs::write(&file, state.to_string()).expect("the state can be written");
    workspace.offer_as(&format!("hashicorp/{provider_name}"));
    workspace.configure(&format!(
        "moved {{\n  from = {foreign_type}.old\n  to = paymesh_cluster.one\n}}\n"
    ));
    workspace.run(&["init"]).succeeds();
    let before = cloud.last_request();
    workspace
        .apply()
        .succeeds()
        .says("0 added, 0 changed, 0 destroyed");
    let mut writes = cloud.writes(before);
    writes.retain(|line| !is_read(line));
    assert_eq!(writes, Vec::<String>::new());
    workspace.plans_nothing();
}

#[test]
fn an_aks_cluster_moves_here_from_azurerm() {
    check_moved(AKS, "azurerm", "azurerm_kubernetes_cluster");
}

#[test]
fn a_gke_cluster_moves_here_from_google() {
    check_moved(GKE, "google", "google_container_cluster");
}
