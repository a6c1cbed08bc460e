//! One cluster's life under a real client: made, left alone, stopped half-way, killed, destroyed.

use paymesh_acceptance::{Cloud, Workspace};
use serde_json::json;

/// One AKS cluster with one pool.
const AKS: &str = r#"
resource "paymesh_cluster" "one" {
  name                = "pay-one"
  region              = "westeurope"
  kubernetes_version  = "1.34"
  azure               = {}
  deletion_protection = false
  node_pools = {
    system = { mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 5 }
  }
}
"#;

/// The request that creates the cluster.
const CLUSTER: &str = "*/managedclusters/pay-one";

#[track_caller]
fn check_one_of_each(cloud: &Cloud) {
    assert_eq!(cloud.all("managedClusters").len(), 1, "clusters");
    assert_eq!(cloud.all("agentPools").len(), 1, "pools");
}

#[track_caller]
fn check_untainted(workspace: &Workspace<'_>) {
    let state = workspace.state();
    assert_eq!(state, [("paymesh_cluster.one".to_owned(), false)]);
}

#[test]
fn a_cluster_is_made_once_and_destroyed_whole() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, AKS);
    workspace.apply().succeeds();
    check_one_of_each(&cloud);
    assert_eq!(
        workspace.attributes("paymesh_cluster.one")["status"],
        "Ready"
    );

    let before = cloud.last_request();
    workspace.plans_nothing();
    assert_eq!(
        cloud.writes(before),
        Vec::<String>::new(),
        "a plan writes nothing"
    );

    workspace.destroy().succeeds();
    assert_eq!(cloud.all("managedClusters"), Vec::<String>::new());
    assert_eq!(workspace.state(), []);
}

#[test]
fn a_killed_create_is_finished_by_the_next_apply() {
    for site in ["before_effect", "after_effect", "after_answer"] {
        let cloud = Cloud::start();
        let workspace = Workspace::new(&cloud, AKS);
        let fault = cloud.hold("PUT", CLUSTER, 1, site);
        let running = workspace.start_apply();
        fault.wait();
        running.kill();
        fault.cut();
        workspace.apply().succeeds();
        check_one_of_each(&cloud);
        workspace.plans_nothing();
        check_untainted(&workspace);
    }
}

#[test]
fn a_provider_whose_client_was_killed_leaves_nothing_twice() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, AKS);
    let fault = cloud.hold("PUT", CLUSTER, 1, "before_effect");
    let running = workspace.start_apply();
    fault.wait();
    running.kill_client_only();
    fault.release();
    workspace.apply().succeeds();
    check_one_of_each(&cloud);
    workspace.plans_nothing();
}

#[test]
fn ctrl_c_once_keeps_what_was_made_and_the_next_apply_goes_on() {
    let cloud = Cloud::start();
    cloud.fault(&json!({
        "id": "hang", "api": "azure", "method": "PUT", "path": CLUSTER,
        "action": { "kind": "operation", "end": "hang" },
    }));
    let workspace = Workspace::new(&cloud, AKS);
    let fault = cloud.hold("PUT", CLUSTER, 1, "after_effect");
    let running = workspace.start_apply();
    fault.wait();
    running.interrupt();
    fault.release();
    let stopped = running.end();
    assert!(!stopped.status.success(), "{stopped}");
    check_untainted(&workspace);
}
