//! Ctrl-C: once, Terraform stops soon and keeps what was begun; twice, it stops at once. Whatever
//! follows, the next apply or destroy ends what is left. So it does with what is left of a cluster
//! that somebody deleted.

use std::time::{Duration, Instant};

use paymesh_acceptance::{
    Cloud, Run, Workspace,
    samples::{AKS, BOTH, GKE, LARGER, SMALLER, both},
};
use reqwest::Method;
use serde_json::json;

/// The longest between the end of the running request and the end of Terraform.
const STOP_SECONDS_MAX: u64 = 2;

/// The requests that begin the long operation, on both clouds.
const CREATE: [(&str, &str); 2] = [
    ("PUT", "*/managedclusters/pay-aks"),
    ("POST", "*/locations/europe-west1/clusters"),
];
const ROTATION: [(&str, &str); 2] = [
    ("PUT", "*/managedclusters/pay-aks/agentpools/work*"),
    ("POST", "*/clusters/pay-gke/nodePools"),
];
const DESTROY: [(&str, &str); 2] = [
    ("DELETE", "*/managedclusters/pay-aks"),
    ("DELETE", "*/clusters/pay-gke"),
];

/// Runs `word` until the two requests are on their way, and presses Ctrl-C. The operations that
/// they begin would run for many minutes of real time.
fn stopped(
    cloud: &Cloud,
    workspace: &Workspace<'_>,
    word: &str,
    requests: [(&str, &str); 2],
) -> Run {
    let faults = requests.map(|(method, path)| cloud.hold(method, path, 1, "before_effect"));
    let running = workspace.start(&[word, "-auto-approve"]);
    for fault in &faults {
        fault.wait();
    }
    cloud.clock(&json!({ "rate": 1.0, "operation_polls": null }));
    running.interrupt();
    let since = Instant::now();
    for fault in faults {
        fault.release();
    }
    let run = running.end();
    let took = since.elapsed();
    assert!(!run.status.success(), "{run}");
    assert!(
        took < Duration::from_secs(STOP_SECONDS_MAX),
        "stopped after {took:?}: {run}"
    );
    cloud.clock(&json!({ "rate": 600.0 }));
    run
}

#[track_caller]
fn check_incomplete(workspace: &Workspace<'_>, stopped: &Run) {
    let state = workspace.state();
    assert_eq!(
        state,
        BOTH.map(|address| (address.to_owned(), false)),
        "{stopped}"
    );
    for address in BOTH {
        assert_eq!(
            workspace.attributes(address)["status"],
            "Incomplete",
            "{address}: {stopped}"
        );
    }
}

/// Stops between two configurations; then goes on, or destroys.
fn check_stop(before: Option<&str>, after: Option<&str>, requests: [(&str, &str); 2]) {
    let (word, nexts): (_, &[_]) = match after {
        Some(_) => ("apply", &["apply", "destroy"]),
        None => ("destroy", &["destroy"]),
    };
    for next in nexts {
        let cloud = Cloud::start();
        let workspace = Workspace::new(&cloud, &both());
        if let Some(before) = before {
            workspace.configure(before);
            workspace.apply().succeeds();
        }
        if let Some(after) = after {
            workspace.configure(after);
        }
        let run = stopped(&cloud, &workspace, word, requests);
        let run = run.says(&format!("Run `terraform {word}` again: it resumes there"));
        assert!(!run.output.contains(": observe"), "{run}");
        check_incomplete(&workspace, &run);
        if *next == "apply" {
            workspace
                .plans_something()
                .says("Apply will finish what is not whole: paymesh_cluster pay-gke");
            workspace.apply().succeeds();
            assert_eq!(cloud.all("managedClusters").len(), 1);
            assert_eq!(cloud.all("Cluster").len(), 1);
            workspace.plans_nothing();
        }
        workspace.destroy().succeeds();
        assert_eq!(cloud.inventory(), Vec::<String>::new());
        assert_eq!(workspace.state(), []);
    }
}

#[test]
fn ctrl_c_stops_a_create_which_can_be_resumed_or_destroyed() {
    check_stop(None, Some(&both()), CREATE);
}

#[test]
fn ctrl_c_stops_an_update_which_can_be_resumed_or_destroyed() {
    let larger = both().replace(SMALLER, LARGER);
    check_stop(Some(&both()), Some(&larger), ROTATION);
}

#[test]
fn ctrl_c_stops_a_destroy_which_can_be_resumed() {
    check_stop(Some(&both()), None, DESTROY);
}

#[test]
fn an_apply_while_the_cloud_still_deletes_makes_other_clusters_and_says_so() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &both());
    workspace.apply().succeeds();
    let uids = || BOTH.map(|address| workspace.attributes(address)["uid"].clone());
    let old = uids();
    stopped(&cloud, &workspace, "destroy", DESTROY);
    cloud.clock(&json!({ "freeze": true }));
    workspace
        .plans_something()
        .says("The cloud is deleting what apply would make anew: paymesh_cluster pay-aks")
        .says("The cloud is deleting what apply would make anew: paymesh_cluster pay-gke");
    cloud.clock(&json!({ "freeze": false }));
    workspace.apply().succeeds();
    let new = uids();
    for (old, new) in old.iter().zip(&new) {
        assert_ne!(old, new);
    }
    workspace
        .run(&["apply", "-refresh-only", "-auto-approve"])
        .succeeds();
    assert_eq!(uids(), new);
    workspace.plans_nothing();
}

/// Ctrl-C while the very first write of a create is on its way: destroy finds what it made.
fn check_first_write(configuration: &str, method: &str, path: &str) {
    for site in ["before_effect", "after_effect"] {
        let cloud = Cloud::start();
        let workspace = Workspace::new(&cloud, configuration);
        let fault = cloud.hold(method, path, 1, site);
        let running = workspace.start_apply();
        fault.wait();
        running.interrupt();
        running.wait_for("Interrupt received");
        fault.release();
        let run = running.end();
        assert!(!run.status.success(), "{site}: {run}");
        workspace.destroy().succeeds();
        assert_eq!(cloud.inventory(), Vec::<String>::new(), "{site}: {run}");
    }
}

#[test]
fn what_ctrl_c_left_before_an_aks_cluster_was_begun_is_destroyed() {
    check_first_write(AKS, "PUT", "*/resourcegroups/*westeurope");
}

#[test]
fn what_ctrl_c_left_before_a_gke_cluster_was_begun_is_destroyed() {
    check_first_write(GKE, "POST", "*/serviceAccounts");
}

#[test]
fn ctrl_c_twice_stops_at_once_and_the_next_apply_recovers() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &both());
    let faults = CREATE.map(|(method, path)| cloud.hold(method, path, 1, "after_effect"));
    let running = workspace.start_apply();
    for fault in &faults {
        fault.wait();
    }
    running.interrupt();
    running.wait_for("Interrupt received");
    running.interrupt();
    let run = running.end();
    assert!(!run.status.success(), "{run}");
    for fault in faults {
        fault.cut();
    }
    workspace.unlock();
    workspace.apply().succeeds();
    assert_eq!(cloud.all("managedClusters").len(), 1);
    assert_eq!(cloud.all("Cluster").len(), 1);
    workspace.plans_nothing();
}

#[test]
fn what_a_deleted_cluster_leaves_is_made_whole_or_destroyed() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &both());
    workspace.apply().succeeds();
    // What the cloud does by itself to a young cluster shall not meet what the test does.
    cloud.clock(&json!({ "freeze": true }));
    cloud.rest();
    let deleted = || {
        let [aks, gke] = BOTH.map(|address| {
            let id = workspace.attributes(address)["id"].clone();
            id.as_str().expect("a cluster has an id").to_owned()
        });
        cloud.azure().act(&Method::DELETE, &aks, None);
        cloud
            .google()
            .act(&Method::DELETE, &format!("/v1/{gke}"), None);
        workspace
            .plans_something()
            .says("A cluster is gone, its parts are not: paymesh_cluster pay-aks")
            .says("A cluster is gone, its parts are not: paymesh_cluster pay-gke");
    };
    deleted();
    workspace.apply().succeeds();
    workspace.plans_nothing();
    deleted();
    workspace.destroy().succeeds();
    assert_eq!(cloud.inventory(), Vec::<String>::new());
    assert_eq!(workspace.state(), []);
}
