//! What the identity that runs Terraform must be allowed, as `examples/permissions` and the docs
//! say it: enough for a whole life of a cluster with every kind of part, and nothing beyond.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use paymesh_acceptance::{
    Cloud, Workspace,
    hcl::{ClusterBlock, Provider},
};
use reqwest::Method;
use serde_json::{Value, json};

/// Actions that Azure asks for on what a request links to; no request of ours is of their kind.
/// The simulated cloud asks for the first two as well.
const LINKED: [&str; 3] = [
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
    // Diagnostic settings that send to a workspace (Azure Monitor, "Diagnostic settings").
    "Microsoft.OperationalInsights/workspaces/sharedKeys/action",
];

/// The permission that GKE asks for on the account of the nodes; no request of ours is of its kind.
const ACT_AS: &str = "iam.serviceAccounts.actAs";

/// Asked of a cluster on which something else runs, which is in no life here
/// (`guards::a_takeover_that_is_still_under_way_is_seen_by_the_plan`).
const WHO_RUNS: &str = "container.operations.list";

#[test]
fn the_custom_azure_role_suffices_for_a_life_and_has_nothing_that_no_request_needs() {
    let cloud = Cloud::start();
    let role: Value = serde_json::from_str(&example("azure-role.json")).expect("the role is JSON");
    let card = signed_in_with_azure_role(&cloud, &role);
    let before = cloud.last_request();
    live(
        &cloud,
        &card,
        &cluster(Provider::Aks, &cloud),
        ["power = \"off\"", "power = \"on\""],
    );

    let listed = words(&role["Actions"]);
    let mut needed: BTreeSet<String> = requests(&cloud, before, "azure")
        .filter_map(|(method, path)| azure_action(&method, &path))
        .collect();
    needed.extend(LINKED.map(str::to_owned));
    check_same(&listed, &needed);
}

#[test]
fn the_custom_google_role_lists_what_the_requests_of_a_life_need_and_nothing_else() {
    let cloud = Cloud::start();
    let before = cloud.last_request();
    let card = signed_in_with_google_roles(&cloud, &documented_google_roles());
    live(
        &cloud,
        &card,
        &cluster(Provider::Gke, &cloud),
        ["standby = true", "standby = false"],
    );

    let role = example("google-role.yaml");
    let listed = role
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .map(str::to_owned)
        .collect();
    let mut needed: BTreeSet<String> = requests(&cloud, before, "google")
        .filter_map(|(method, path)| google_permission(&method, &path))
        .collect();
    needed.extend([ACT_AS, WHO_RUNS].map(str::to_owned));
    check_same(&listed, &needed);
}

/// A cluster is made, looked up, signed in to, adopted by a state that lost it, stripped of its
/// parts, put to sleep, woken and destroyed.
fn live(cloud: &Cloud, card: &Path, full: &ClusterBlock, sleep: [&str; 2]) {
    let variable = ("PAYMESH_SIMULATOR".to_owned(), card.display().to_string());
    let workspace = Workspace::with_environment(cloud, &full.to_string(), &[variable]);
    workspace.apply().succeeds();
    let address = full.address();
    let seen = format!(
        "\ndata \"paymesh_cluster\" \"seen\" {{\n  cluster_id = {address}.id\n}}\n\
         ephemeral \"paymesh_cluster_credentials\" \"seen\" {{\n  cluster_id = {address}.id\n}}\n"
    );
    workspace.configure(&format!("{full}{seen}"));
    workspace.apply().succeeds();
    workspace.configure(&full.to_string());
    workspace.run(&["state", "rm", &address]).succeeds();
    workspace.apply().succeeds();
    let bare = full.clone().with(
        "admins = absent; registries = absent; logs = absent; maintenance = absent; \
         labels = { team = \"payments\" }; node_pools.work.vcpu = 4; node_pools.work.memory_gb = 16",
    );
    let [asleep, awake] = sleep.map(|change| bare.clone().with(change));
    for block in [&bare, &asleep, &awake] {
        workspace.configure(&block.to_string());
        workspace.apply().succeeds();
    }
    workspace.destroy().succeeds();
}

fn cluster(provider: Provider, cloud: &Cloud) -> ClusterBlock {
    let changes = match provider {
        Provider::Aks => {
            r#"network = { subnet_id = "$NETWORKS/westeurope/subnets/aks-1" }; admins = [{ entra_object_id = "00000000-0000-0000-0000-000000000001" }]; registries = ["$SHARED/Microsoft.ContainerRegistry/registries/images"]; logs = { workspace_id = "$SHARED/Microsoft.OperationalInsights/workspaces/logs" }; maintenance = { window = { day = "sunday", start = "22:30", hours = 6 } }"#
        }
        Provider::Gke => {
            r#"admins = [{ google_email = "platform@example.com" }]; registries = ["projects/paymesh-hub/locations/europe-west1/repositories/images"]; kms_key_id = "projects/paymesh-hub/locations/europe-west1/keyRings/paymesh/cryptoKeys/clusters"; maintenance = { window = { day = "sunday", start = "22:30", hours = 12 } }"#
        }
    };
    ClusterBlock::plain(provider, "pay").with(&cloud.seeded(changes))
}

/// Gives the principal that has no role the role alone; the simulator file that signs in as it.
fn signed_in_with_azure_role(cloud: &Cloud, role: &Value) -> PathBuf {
    let nobody = cloud.card()["azure_principals"]["nobody"].clone();
    let scope = format!("/subscriptions/{}", cloud.subscription());
    let provider = format!("{scope}/providers/Microsoft.Authorization");
    let definition = format!("{provider}/roleDefinitions/6f0c8f5e-54a2-4b3b-8f6a-1d1a4c1f0a01");
    let azure = cloud.azure();
    let properties = json!({
        "roleName": role["Name"], "description": role["Description"], "type": "CustomRole",
        "assignableScopes": [scope],
        "permissions": [{ "actions": role["Actions"], "notActions": role["NotActions"] }],
    });
    azure.act(
        &Method::PUT,
        &format!("{definition}?api-version=2022-04-01"),
        Some(&json!({ "properties": properties })),
    );
    let properties = json!({
        "roleDefinitionId": definition, "principalId": nobody["object_id"],
        "principalType": "ServicePrincipal",
    });
    let assignment = "roleAssignments/6f0c8f5e-54a2-4b3b-8f6a-1d1a4c1f0a02?api-version=2022-04-01";
    azure.act(
        &Method::PUT,
        &format!("{provider}/{assignment}"),
        Some(&json!({ "properties": properties })),
    );
    // A new assignment counts everywhere only after some time.
    cloud.pass(600);
    cloud.file_with(&[
        ("client_id", &nobody["client_id"]),
        ("client_secret_file", &nobody["client_secret_file"]),
    ])
}

/// Gives the auditor these roles and no other; the simulator file that signs in as it.
fn signed_in_with_google_roles(cloud: &Cloud, roles: &BTreeSet<String>) -> PathBuf {
    const AUDITOR: &str = "user:auditor@paymesh.example";
    let project = "/v1/projects/paymesh-hub";
    let google = cloud.google();
    let mut policy = google.ask(&format!("{project}:getIamPolicy"), &json!({}));
    let bindings = policy["bindings"]
        .as_array_mut()
        .expect("a policy has bindings");
    bindings.retain(|binding| binding["members"] != json!([AUDITOR]));
    bindings.extend(
        roles
            .iter()
            .map(|role| json!({ "role": role, "members": [AUDITOR] })),
    );
    google.ask(
        &format!("{project}:setIamPolicy"),
        &json!({ "policy": policy }),
    );
    cloud.pass(600);
    let file = &cloud.card()["google_auditor_credentials_file"];
    cloud.file_with(&[("google_credentials_file", file)])
}

fn documented_google_roles() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("docs/index.md")).expect("the page can be read");
    let (_, table) = page
        .split_once("## Permissions")
        .expect("the page has a section about permissions");
    table
        .split('`')
        .filter(|word| word.starts_with("roles/"))
        .map(str::to_owned)
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn example(name: &str) -> String {
    fs::read_to_string(root().join("examples/permissions").join(name))
        .expect("the example can be read")
}

fn words(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The same words, whatever their case.
#[track_caller]
fn check_same(listed: &BTreeSet<String>, needed: &BTreeSet<String>) {
    let folded = |words: &BTreeSet<String>| -> BTreeSet<String> {
        words.iter().map(|word| word.to_lowercase()).collect()
    };
    let (known, used) = (folded(listed), folded(needed));
    let without = |words: &BTreeSet<String>, known: &BTreeSet<String>| -> Vec<String> {
        let mut words: Vec<_> = words
            .iter()
            .filter(|word| !known.contains(&word.to_lowercase()))
            .cloned()
            .collect();
        words.sort();
        words
    };
    let (missing, needless) = (without(needed, &known), without(listed, &used));
    assert!(
        missing.is_empty() && needless.is_empty(),
        "the role lacks {missing:#?}\nand lists without need {needless:#?}"
    );
}

/// The requests to a cloud after `since`, as verb and path.
fn requests(cloud: &Cloud, since: u64, api: &str) -> impl Iterator<Item = (String, String)> {
    let entries = cloud.journal(since).into_iter();
    let api = api.to_owned();
    entries
        .filter(move |entry| entry["api"] == api.as_str())
        .map(|entry| {
            let word = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
            (word("method"), word("path"))
        })
}

/// The action of Azure that a request needs, as role definitions name it.
fn azure_action(method: &str, path: &str) -> Option<String> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let lower: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
    if lower.first().map(String::as_str) != Some("subscriptions") {
        return None; // Tokens.
    }
    // Without a provider: subscriptions and groups, and what is listed in them.
    let providers = lower.iter().rposition(|part| part == "providers");
    let (name, below) = providers.map_or(("Microsoft.Resources", &parts[..]), |at| {
        (parts[at + 1], &parts[at + 2..])
    });
    let kinds: Vec<&str> = below.iter().step_by(2).copied().collect();
    let kind = format!("{name}/{}", kinds.join("/"));
    let is_act = providers.is_some() && !below.len().is_multiple_of(2);
    Some(match method {
        "GET" => format!("{kind}/read"),
        "DELETE" => format!("{kind}/delete"),
        "POST" if is_act => format!("{kind}/action"),
        _ => format!("{kind}/write"),
    })
}

/// The permission of Google Cloud that a request needs.
fn google_permission(method: &str, path: &str) -> Option<String> {
    let path = path.trim_start_matches('/');
    let (path, custom) = path.split_once(':').unwrap_or((path, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let act = match (method, custom) {
        (_, "getIamPolicy" | "setIamPolicy") => custom,
        ("GET", _) => "get",
        ("DELETE", _) => "delete",
        ("POST", "") => "create",
        _ => "update",
    };
    let below: Vec<&str> = parts
        .iter()
        .skip_while(|part| **part != "projects")
        .copied()
        .collect();
    let kinds: Vec<&str> = below.iter().step_by(2).copied().collect();
    let named = below.len().is_multiple_of(2);
    let act = if act == "get" && !named { "list" } else { act };
    let kind = *kinds.last()?;
    Some(match kind {
        _ if parts[0] == "compute" => format!("compute.{kind}.{act}"),
        // GKE asks for the rights on the cluster, also for its pools.
        "nodePools" => "container.clusters.update".to_owned(),
        "serverConfig" => "container.clusters.list".to_owned(),
        "clusters" | "operations" => format!("container.{kind}.{act}"),
        "serviceAccounts" => format!("iam.{kind}.{act}"),
        "repositories" => format!("artifactregistry.{kind}.{act}"),
        "keyRings" | "cryptoKeys" => format!("cloudkms.{kind}.{act}"),
        "projects" => format!("resourcemanager.{kind}.{act}"),
        other => other.to_owned(),
    })
}
