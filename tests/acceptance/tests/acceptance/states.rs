//! What a released provider wrote into a state is read by this one. `states/` holds what version 1
//! of the schema wrote, frozen: a file there is never rewritten.
//!
//! Attributes may be added to a version: an older state has null there. One that goes, or that
//! changes its type, takes a new version, its states and the way from the old one.

use std::{collections::BTreeMap, fs, path::PathBuf};

use paymesh_acceptance::{
    Client, Cloud, Workspace,
    samples::{AKS, GKE},
};
use serde_json::{Value, json};

/// The version that `states/` speaks of.
const VERSION: u64 = 1;

fn frozen(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/acceptance/states");
    let path = folder.join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The configuration that the frozen states were made from.
fn configuration() -> String {
    let more = r#"deletion_protection = false
  labels              = { team = "payments" }
  admins              = [{ entra_object_id = "00000000-0000-0000-0000-000000000001", google_email = "platform@example.com" }]
  api_access          = { authorized_cidrs = ["203.0.113.0/24"] }
  features            = { vertical_pod_autoscaling = true }
  timeouts            = { create = "3h" }
  maintenance = {
    window     = { day = "sunday", start = "22:30", hours = 12 }
    exclusions = { peak = { first_day = "2027-11-20", last_day = "2027-12-02" } }
  }
"#;
    format!("{AKS}{GKE}").replace("deletion_protection = false", more)
}

#[test]
fn a_state_of_the_first_version_plans_nothing() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &configuration());
    let resources = ["aks", "gke"].map(|name| {
        let text = frozen(&format!("{name}-{VERSION}.json"));
        let instance: Value = serde_json::from_str(&text).expect("a frozen state is JSON");
        json!({
            "mode": "managed",
            "type": "paymesh_cluster",
            "name": name,
            "provider": format!("provider[\"{}/paymesh/paymesh\"]", Client::here().registry()),
            "instances": [instance],
        })
    });
    let state = json!({
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": 1,
        "lineage": "7f2c54f4-52f5-4a9c-8a50-6dfc8b0c3f3e",
        "outputs": {},
        "resources": resources,
    });
    let file = workspace.module().join("terraform.tfstate");
    fs::write(file, state.to_string()).expect("the state can be written");
    let before = cloud.last_request();
    // The clusters are nowhere: what is read is the state.
    let run = workspace.run(&["plan", "-detailed-exitcode", "-refresh=false"]);
    assert_eq!(run.status.code(), Some(0), "{run}");
    assert_eq!(cloud.last_request(), before, "{run}");
}

#[test]
fn the_schema_keeps_what_its_version_promised() {
    let cloud = Cloud::start();
    let schema = Workspace::new(&cloud, "").schema();
    let providers = schema["provider_schemas"].as_object();
    let provider = providers.and_then(|it| it.values().next());
    let resource = &provider.expect("there is a provider")["resource_schemas"]["paymesh_cluster"];
    assert_eq!(
        resource["version"], VERSION,
        "a new version: freeze its states beside those of the old one, and test both"
    );
    let mut today = BTreeMap::new();
    types(&resource["block"]["attributes"], "", &mut today);
    let frozen = frozen(&format!("schema-{VERSION}.txt"));
    let broken: Vec<&str> = frozen
        .lines()
        .filter(|line| {
            let (path, kind) = line.split_once(": ").expect("a line is `path: type`");
            today.get(path).is_none_or(|today| today != kind)
        })
        .collect();
    assert_eq!(
        broken,
        Vec::<&str>::new(),
        "older states cannot be read: keep these attributes, or raise the version in `#[spec(...)]`"
    );
}

/// The type of every attribute, by its path.
fn types(attributes: &Value, below: &str, all: &mut BTreeMap<String, String>) {
    for (name, attribute) in attributes.as_object().into_iter().flatten() {
        let path = format!("{below}{name}");
        let nested = &attribute["nested_type"];
        let kind = match (nested["nesting_mode"].as_str(), attribute["type"].as_str()) {
            (Some(mode), _) => mode.to_owned(),
            (None, Some(word)) => word.to_owned(),
            (None, None) => attribute["type"].to_string(),
        };
        let step = if kind == "single" { "." } else { ".*." };
        if nested.is_object() {
            types(&nested["attributes"], &format!("{path}{step}"), all);
        }
        all.insert(path, kind);
    }
}
