//! Every remote call that the provider announces was made by a real client in one life of a
//! cluster; every other call of the protocol is listed with the reason why not.

use std::{collections::BTreeSet, fs};

use paymesh_acceptance::{
    Client, Cloud, Run, Workspace,
    hcl::{ClusterBlock, Provider},
    rpcs,
};
use serde_json::json;

/// The protocol, as the provider serves it.
const PROTOCOL: &str = include_str!("../../../../provider/plugin/proto/tfplugin6.proto");

/// Calls that no client has a reason to make of this provider.
const UNUSED: [(&str, &str); 20] = [
    (
        "GetMetadata",
        "no client calls it: the schema is asked for at once",
    ),
    (
        "GetFunctions",
        "there is no function; clients read them in the schema",
    ),
    ("CallFunction", "there is no function"),
    (
        "GetResourceIdentitySchemas",
        "Terraform before 1.12 knows no identity",
    ),
    (
        "UpgradeResourceIdentity",
        "there is one version of the identity",
    ),
    (
        "RenewEphemeralResource",
        "a token of the cloud ends by itself and is not renewed",
    ),
    ("ListResource", "there is no list resource"),
    ("ValidateListResourceConfig", "there is no list resource"),
    (
        "GenerateResourceConfig",
        "clients generate configurations by themselves",
    ),
    ("ValidateStateStoreConfig", "there is no state store"),
    ("ConfigureStateStore", "there is no state store"),
    ("ReadStateBytes", "there is no state store"),
    ("WriteStateBytes", "there is no state store"),
    ("LockState", "there is no state store"),
    ("UnlockState", "there is no state store"),
    ("GetStates", "there is no state store"),
    ("DeleteState", "there is no state store"),
    ("ValidateActionConfig", "there is no action"),
    ("PlanAction", "there is no action"),
    ("InvokeAction", "there is no action"),
];

#[test]
fn every_announced_call_is_made_by_a_real_client() {
    let cloud = Cloud::start();
    let block = ClusterBlock::plain(Provider::Aks, "pay");
    let workspace = Workspace::new(&cloud, &block.to_string());
    let mut called = BTreeSet::new();
    let mut note = |(_, log): (Run, String)| called.extend(rpcs::called(&log));

    // Stopped in the middle of its creation, then finished, refreshed and imported elsewhere.
    let fault = cloud.hold("PUT", "*/managedclusters/pay", 1, "before_effect");
    let running = workspace.start_trace(&["apply", "-auto-approve"]);
    fault.wait();
    running.interrupt();
    fault.release();
    note(workspace.end_trace(running));
    note(workspace.trace(&["apply", "-auto-approve"]));
    workspace.configure(&format!("{block}{}", looked_up(&block)));
    note(workspace.trace(&["plan"]));
    workspace.configure(&block.to_string());
    let id = workspace.attributes(&block.address())["id"].clone();
    let importer = Workspace::new(&cloud, &block.to_string());
    let address = block.address();
    note(importer.trace(&[
        "import",
        &address,
        id.as_str().expect("the cluster has an id"),
    ]));
    note(moved_from_another_provider(&cloud));
    note(workspace.trace(&["destroy", "-auto-approve"]));

    let announced = rpcs::announced(&workspace.schema());
    let missing: Vec<&str> = announced
        .iter()
        .filter(|call| !called.contains(**call))
        .copied()
        .collect();
    assert_eq!(
        missing,
        Vec::<&str>::new(),
        "announced and never called; called: {called:?}"
    );

    let unused: BTreeSet<&str> = UNUSED.iter().map(|(call, _)| *call).collect();
    let unexplained: Vec<&str> = protocol()
        .into_iter()
        .filter(|call| !announced.contains(call) && !unused.contains(call))
        .collect();
    assert_eq!(
        unexplained,
        Vec::<&str>::new(),
        "neither announced nor explained"
    );
}

#[test]
fn every_explained_call_is_one_of_the_protocol() {
    let all: BTreeSet<&str> = protocol().into_iter().collect();
    for (call, reason) in UNUSED {
        assert!(
            all.contains(call),
            "{call} ({reason}) is no call of the protocol"
        );
    }
}

/// The calls of the protocol, as clients log them.
fn protocol() -> Vec<&'static str> {
    PROTOCOL
        .lines()
        .filter_map(|line| line.trim().strip_prefix("rpc "))
        .filter_map(|rest| rest.split(['(', ' ']).next())
        .map(|name| if name == "StopProvider" { "Stop" } else { name })
        .collect()
}

/// The cluster looked up by its id, and its credentials.
fn looked_up(block: &ClusterBlock) -> String {
    let address = block.address();
    format!(
        "\ndata \"paymesh_cluster\" \"seen\" {{\n  cluster_id = {address}.id\n}}\n\
         ephemeral \"paymesh_cluster_credentials\" \"seen\" {{\n  cluster_id = {address}.id\n}}\n"
    )
}

/// A plan that moves a cluster of another provider's resource type.
fn moved_from_another_provider(cloud: &Cloud) -> (Run, String) {
    let block = ClusterBlock::plain(Provider::Aks, "moved");
    let workspace = Workspace::new(cloud, &block.to_string());
    workspace.offer_as("hashicorp/azurerm");
    let state = json!({
        "version": 4, "terraform_version": "1.8.0", "serial": 1, "lineage": "moved", "outputs": {},
        "resources": [{
            "mode": "managed", "type": "azurerm_kubernetes_cluster", "name": "old",
            "provider": format!("provider[\"{}/hashicorp/azurerm\"]", Client::here().registry()),
            "instances": [{ "schema_version": 2, "attributes": { "id": "old", "name": "old" } }],
        }],
    });
    fs::write(
        workspace.module().join("terraform.tfstate"),
        state.to_string(),
    )
    .expect("the state can be written");
    workspace.configure(&format!(
        "{block}\nmoved {{\n  from = azurerm_kubernetes_cluster.old\n  to   = {}\n}}\n",
        block.address()
    ));
    workspace.run(&["init"]).succeeds();
    workspace.trace(&["plan"])
}
