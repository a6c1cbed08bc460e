//! A cluster's life under a real client, on each cloud: made, left alone, scaled, destroyed.

use std::collections::BTreeSet;

use paymesh_acceptance::{
    Cloud, Workspace,
    samples::{AKS, GKE},
};

fn check_life(configuration: &str, address: &str, kind: &str, pools: &str) {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, configuration);
    workspace.apply().succeeds();
    assert_eq!(cloud.all(kind).len(), 1);
    assert_eq!(cloud.all(pools).len(), 2);
    let made = workspace.attributes(address);
    assert_eq!(made["status"], "Ready");

    let before = cloud.last_request();
    workspace.plans_nothing();
    assert_eq!(
        cloud.writes(before),
        Vec::<String>::new(),
        "a plan writes nothing"
    );
    let mut read = BTreeSet::new();
    for entry in cloud.journal(before) {
        let path = entry["path"].as_str().unwrap_or_default().to_owned();
        let is_of_clouds = entry["method"] == "GET" && entry["api"] != "terraform";
        assert!(
            !is_of_clouds || read.insert(path.clone()),
            "{path} is read twice"
        );
    }
    assert!(!read.is_empty(), "a plan reads what exists");

    workspace.configure(&configuration.replace("max_nodes = 6", "max_nodes = 9"));
    workspace
        .plans_something()
        .says("Plan: 0 to add, 1 to change, 0 to destroy");
    workspace.apply().succeeds();
    workspace.plans_nothing();
    let scaled = workspace.attributes(address);
    assert_eq!(scaled["uid"], made["uid"]);
    assert_eq!(scaled["pools"], made["pools"], "the same pools");
    assert_eq!(cloud.deleted(0), Vec::<String>::new());

    workspace.destroy().succeeds();
    assert_eq!(cloud.inventory(), Vec::<String>::new());
    assert_eq!(workspace.state(), []);
}

#[test]
fn an_aks_cluster_is_made_once_scaled_in_place_and_destroyed_whole() {
    check_life(AKS, "paymesh_cluster.aks", "managedClusters", "agentPools");
}

#[test]
fn a_gke_cluster_is_made_once_scaled_in_place_and_destroyed_whole() {
    check_life(GKE, "paymesh_cluster.gke", "Cluster", "NodePool");
}
