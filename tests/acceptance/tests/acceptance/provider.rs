//! The provider block under a real client: settings that are not known yet, two blocks in one
//! process, places that are not the cloud's own, and a simulated cloud that is not there.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Command, Stdio},
};

use paymesh_acceptance::{
    Client, Cloud, Run, Workspace, programs,
    samples::{AKS, BOTH, GKE},
};
use serde_json::json;

/// The findings of a run, as `PM112 at google.endpoint`, each once: a client asks for some twice.
fn said(run: &Run) -> Vec<String> {
    let mut all: Vec<String> = run
        .findings()
        .iter()
        .map(|finding| {
            let kind = if finding.is_error { "error" } else { "warning" };
            let code = finding.code().unwrap_or(&finding.title);
            match finding.path() {
                Some(path) => format!("{kind} {code} at {path}"),
                None => format!("{kind} {code}"),
            }
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn while_its_settings_are_unknown_nothing_is_asked_and_what_is_in_state_stays() {
    const UNKNOWN: &str = r#"
resource "terraform_data" "owner" {
  input = "acceptance/one"
}

provider "paymesh" {
  owner     = terraform_data.owner.output
  simulator = true
}
"#;
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &format!("{AKS}{GKE}"));
    workspace.apply().succeeds();
    let labelled = GKE.replace("google ", "labels = { team = \"payments\" }\n  google ");
    workspace.configure(&format!("{UNKNOWN}{AKS}{labelled}"));

    let before = cloud.last_request();
    assert_eq!(said(&workspace.plan_json()), ["warning PM113"]);
    let plan = workspace.planned(&[]);
    let changes = plan["resource_changes"].as_array().into_iter().flatten();
    let change =
        |address: &str| &changes.clone().find(|it| it["address"] == address).unwrap()["change"];
    let [aks, gke] = BOTH.map(change);
    assert_eq!(aks["actions"], json!(["no-op"]), "{aks:#}");
    assert_eq!(aks["before"], aks["after"]);
    assert_eq!(gke["actions"], json!(["update"]), "{gke:#}");
    for kept in ["id", "endpoint", "pools"] {
        assert_eq!(gke["before"][kept], gke["after"][kept], "{gke:#}");
    }
    assert_eq!(cloud.last_request(), before, "{:?}", cloud.journal(before));

    workspace
        .apply()
        .succeeds()
        .says("1 added, 1 changed, 0 destroyed");
    workspace.plans_nothing();
    let labels = &workspace.attributes("paymesh_cluster.gke")["effective_labels"];
    assert_eq!(*labels, json!({ "team": "payments" }));
}

/// A provider that a person started to attach to it; it ends when this is dropped.
struct Started {
    process: Child,
    /// Open until it ends: it goes on printing.
    _printed: Lines<BufReader<ChildStdout>>,
    /// What it says `TF_REATTACH_PROVIDERS` is to be.
    attach: String,
}

impl Started {
    fn new(cloud: &Cloud) -> Self {
        let mut process = Command::new(programs::provider())
            .arg("-debug")
            .env("PAYMESH_SIMULATOR", cloud.file())
            .env("SSL_CERT_FILE", cloud.authority())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the provider starts");
        let printed = process.stdout.take().expect("it prints into a pipe");
        let mut printed = BufReader::new(printed).lines();
        let attach = printed.find_map(|line| {
            let line = line.ok()?;
            let value = line.trim().strip_prefix("export TF_REATTACH_PROVIDERS='")?;
            let value = value.strip_suffix('\'')?;
            Some(value.replace("registry.terraform.io", Client::here().registry()))
        });
        Self {
            process,
            _printed: printed,
            attach: attach.expect("it prints how to attach"),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_process_that_serves_two_configurations_refuses_the_second() {
    let cloud = Cloud::start();
    let started = Started::new(&cloud);
    let block = |owner: &str, alias: &str| {
        format!(
            "provider \"paymesh\" {{\n  owner = \"{owner}\"\n  simulator = true\n  {alias}\n}}\n"
        )
    };
    let theirs = GKE.replace("google ", "provider = paymesh.theirs\n  google ");
    let two = |owner: &str| {
        let theirs_block = block(owner, "alias = \"theirs\"");
        format!("{}{theirs_block}{AKS}{theirs}", block("a/one", ""))
    };
    let environment = [("TF_REATTACH_PROVIDERS".to_owned(), started.attach.clone())];
    // Two blocks that say the same are one configuration.
    let workspace = Workspace::with_environment(&cloud, &two("a/one"), &environment);
    workspace.plans_something().says("2 to add");
    workspace.configure(&two("a/two"));
    let plan = workspace.plan_json();
    assert_eq!(said(&plan), ["error PM117"]);
    let address = &plan.findings()[0].address;
    assert!(address.ends_with(".theirs"), "{plan}");
}

#[test]
fn a_place_that_is_not_the_clouds_own_is_used_and_warned_of() {
    let cloud = Cloud::start();
    let word = |key: &str| {
        cloud.card()[key]
            .as_str()
            .expect("the card says")
            .to_owned()
    };
    let provider = format!(
        "provider \"paymesh\" {{\n  owner = \"acceptance/one\"\n  azure = {{ endpoint = \"{}\", ca_file = \"{}\" }}\n  google = {{ endpoint = \"{}\", ca_file = \"{}\", project = \"paymesh-hub\" }}\n}}\n",
        word("azure"),
        word("ca"),
        word("google"),
        word("ca")
    );
    let credentials = (
        "GOOGLE_APPLICATION_CREDENTIALS".to_owned(),
        word("google_credentials_file"),
    );
    let workspace =
        Workspace::with_environment(&cloud, &format!("{provider}{GKE}"), &[credentials]);
    let before = cloud.last_request();
    let plan = workspace.plan_json().succeeds();
    assert_eq!(
        said(&plan),
        [
            "warning PM112 at azure.endpoint",
            "warning PM112 at google.endpoint",
            "warning PM118 at azure.ca_file",
            "warning PM118 at google.ca_file",
        ]
    );
    assert!(cloud.last_request() > before, "{plan}");
}

#[test]
fn a_subscription_or_project_that_nobody_names_is_refused_by_the_plan() {
    let cloud = Cloud::start();
    let word = |key: &str| cloud.card()[key].as_str().expect("the card says");
    let block = format!(
        "provider \"paymesh\" {{\n  owner = \"acceptance/one\"\n  azure = {{ endpoint = \"{}\", ca_file = \"{ca}\" }}\n  google = {{ endpoint = \"{}\", ca_file = \"{ca}\" }}\n}}\n",
        word("azure"),
        word("google"),
        ca = word("ca"),
    );
    // What is set to nothing is not set.
    let nothing = [
        "ARM_SUBSCRIPTION_ID",
        "AZURE_SUBSCRIPTION_ID",
        "GOOGLE_PROJECT",
        "GOOGLE_CLOUD_PROJECT",
        "GCLOUD_PROJECT",
        "CLOUDSDK_CORE_PROJECT",
    ]
    .map(|name| (name.to_owned(), String::new()));
    let workspace = Workspace::with_environment(&cloud, &format!("{block}{AKS}{GKE}"), &nothing);
    let before = cloud.last_request();
    let mut errors = said(&workspace.plan_json());
    errors.retain(|line| line.starts_with("error"));
    let missing = [
        "error PM131 at azure.subscription_id",
        "error PM134 at google.project",
    ];
    assert_eq!(errors, missing);
    assert_eq!(cloud.last_request(), before);
}

#[test]
fn a_simulated_cloud_that_was_not_started_is_told_by_its_command() {
    let cloud = Cloud::start();
    let nowhere = cloud.file().with_file_name("nothing.json");
    let nowhere = (
        "PAYMESH_SIMULATOR".to_owned(),
        nowhere.display().to_string(),
    );
    let workspace = Workspace::with_environment(&cloud, &format!("{AKS}{GKE}"), &[nowhere]);
    let before = cloud.last_request();
    workspace
        .plan()
        .fails_with("Start it with `paymesh sim up`");
    assert_eq!(said(&workspace.plan_json()), ["error PM114 at simulator"]);
    assert_eq!(cloud.last_request(), before);
}
