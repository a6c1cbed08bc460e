//! What is healthy is never deleted: replacements, taint, deposed objects, renames, and two states
//! that say they own the same thing.

use paymesh_acceptance::{Cloud, Workspace};
use serde_json::Value;

fn cluster(resource: &str, more: &str) -> String {
    format!(
        r#"
resource "paymesh_cluster" "{resource}" {{
  name                = "pay-one"
  region              = "westeurope"
  kubernetes_version  = "1.34"
  azure               = {{}}
  deletion_protection = false
  node_pools = {{
    system = {{ mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 5 }}
  }}
  {more}
}}
"#
    )
}

const CREATE_FIRST: &str = "lifecycle {\n    create_before_destroy = true\n  }";

/// The cloud's id of the one cluster's incarnation, and its holder.
fn incarnation(cloud: &Cloud, workspace: &Workspace<'_>) -> (Value, Value) {
    assert_eq!(cloud.all("managedClusters").len(), 1, "clusters");
    let attributes = workspace.attributes("paymesh_cluster.one");
    (attributes["uid"].clone(), attributes["holder"].clone())
}

#[track_caller]
fn check_healthy(cloud: &Cloud, workspace: &Workspace<'_>) {
    assert_eq!(cloud.all("managedClusters").len(), 1, "clusters");
    assert_eq!(cloud.all("agentPools").len(), 1, "pools");
    workspace.plans_nothing();
}

#[test]
fn a_forced_replacement_makes_one_new_cluster() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &cluster("one", ""));
    workspace.apply().succeeds();
    let (uid, holder) = incarnation(&cloud, &workspace);
    assert!(holder.is_string(), "{holder}");
    workspace
        .run(&["apply", "-auto-approve", "-replace=paymesh_cluster.one"])
        .succeeds();
    let (new_uid, new_holder) = incarnation(&cloud, &workspace);
    assert_ne!(new_uid, uid, "it is another cluster");
    assert_ne!(new_holder, holder);
    check_healthy(&cloud, &workspace);
}

#[test]
fn a_tainted_cluster_is_replaced() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &cluster("one", ""));
    workspace.apply().succeeds();
    let (uid, _) = incarnation(&cloud, &workspace);
    workspace.run(&["taint", "paymesh_cluster.one"]).succeeds();
    workspace.apply().succeeds();
    assert_ne!(incarnation(&cloud, &workspace).0, uid);
    check_healthy(&cloud, &workspace);
}

#[test]
fn a_tainted_entry_whose_cluster_is_anothers_now_deletes_nothing() {
    let cloud = Cloud::start();
    let first = Workspace::new(&cloud, &cluster("one", ""));
    first.apply().succeeds();
    let second = Workspace::new(&cloud, &cluster("one", ""));
    second.apply().succeeds();
    let healthy = incarnation(&cloud, &second);
    first.run(&["taint", "paymesh_cluster.one"]).succeeds();
    first.run(&["destroy", "-auto-approve"]).succeeds();
    assert_eq!(incarnation(&cloud, &second), healthy);
    check_healthy(&cloud, &second);
}

#[test]
fn creating_first_under_the_same_name_adopts_and_deletes_nothing() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &cluster("one", CREATE_FIRST));
    workspace.apply().succeeds();
    let (uid, holder) = incarnation(&cloud, &workspace);
    workspace.run(&["apply", "-auto-approve", "-replace=paymesh_cluster.one"]);
    let (uid_after, holder_after) = incarnation(&cloud, &workspace);
    assert_eq!(uid_after, uid, "the healthy cluster stays");
    assert_ne!(holder_after, holder, "the new entry holds it");
    check_healthy(&cloud, &workspace);
}

#[test]
fn a_rename_without_moved_is_refused_and_the_printed_block_helps() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &cluster("one", ""));
    workspace.apply().succeeds();
    let before = cloud.last_request();
    workspace.configure(&cluster("two", ""));
    workspace
        .run(&["apply", "-auto-approve"])
        .fails_with("moved { from = paymesh_cluster.");
    assert_eq!(cloud.writes(before), Vec::<String>::new());
    workspace.configure(&format!(
        "{}\nmoved {{\n  from = paymesh_cluster.one\n  to = paymesh_cluster.two\n}}\n",
        cluster("two", "")
    ));
    workspace.apply().succeeds();
    check_healthy(&cloud, &workspace);
}

#[test]
fn a_duplicate_address_is_refused() {
    let cloud = Cloud::start();
    let both = format!("{}{}", cluster("one", ""), cluster("two", ""));
    let workspace = Workspace::new(&cloud, &both);
    workspace
        .apply()
        .fails_with("two resources of this configuration have the same name");
    assert_eq!(cloud.all("managedClusters"), Vec::<String>::new());
}

#[test]
fn of_two_states_with_one_owner_and_name_the_older_only_forgets() {
    let cloud = Cloud::start();
    let first = Workspace::new(&cloud, &cluster("one", ""));
    first.apply().succeeds();
    let second = Workspace::new(&cloud, &cluster("one", ""));
    second.apply().succeeds();
    let healthy = incarnation(&cloud, &second);

    let plan = first.plan();
    assert!(
        plan.text().contains("no longer owns"),
        "the older state is told: {plan}"
    );
    first.apply().fails_with("Another state owns");
    first.destroy().succeeds();
    assert_eq!(incarnation(&cloud, &second), healthy);
    check_healthy(&cloud, &second);
}

#[test]
fn deletion_protection_holds_against_replacement_and_taint() {
    let cloud = Cloud::start();
    let guarded = cluster("one", "").replace("deletion_protection = false", "");
    let workspace = Workspace::new(&cloud, &guarded);
    workspace.apply().succeeds();
    let healthy = incarnation(&cloud, &workspace);
    workspace
        .run(&["apply", "-auto-approve", "-replace=paymesh_cluster.one"])
        .fails_with("Deletion protection forbids the replacement");
    workspace
        .destroy()
        .fails_with("Deletion protection forbids the destruction");
    workspace.run(&["taint", "paymesh_cluster.one"]).succeeds();
    workspace
        .apply()
        .fails_with("terraform untaint paymesh_cluster.");
    workspace
        .run(&["untaint", "paymesh_cluster.one"])
        .succeeds();
    assert_eq!(incarnation(&cloud, &workspace), healthy);
    check_healthy(&cloud, &workspace);
}

#[test]
fn what_a_stopped_create_left_is_destroyed() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &cluster("one", ""));
    let fault = cloud.hold("PUT", "*/resourcegroups/*", 1, "after_effect");
    let running = workspace.start_apply();
    fault.wait();
    running.interrupt();
    fault.release();
    running.end();
    assert_eq!(
        workspace.attributes("paymesh_cluster.one")["status"],
        "Incomplete"
    );
    workspace.destroy().succeeds();
    for kind in ["resourceGroups", "userAssignedIdentities"] {
        assert_eq!(cloud.all(kind), Vec::<String>::new(), "{kind}");
    }
}
