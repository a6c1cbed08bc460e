//! Clusters that are stopped: by others, by a run that was cut, and what is changed meanwhile.

use paymesh_acceptance::{Cloud, hcl::Provider};
use reqwest::Method;
use serde_json::json;

use super::bed::{Bed, check_value};

/// Where GKE tells how many nodes a cluster has; it leaves out a zero.
const NODES: &str = "/currentNodeCount";

#[test]
fn a_cluster_that_others_stopped_stays_stopped_until_it_is_told_to_start() {
    let cloud = Cloud::start();
    let bed = Bed::new(&cloud, Provider::Aks, "");
    let azure = cloud.azure();
    azure.act(&Method::POST, &format!("{}/stop", bed.path), None);
    let power = "/properties/powerState/code";
    check_stays_stopped(&bed, || {
        check_value(&azure.get(&bed.path), power, &json!("Stopped"));
    });
    let body = azure.get(&bed.path);
    check_value(&body, power, &json!("Running"));
    check_value(&body, "/tags/team", &json!("payments"));
}

#[test]
fn what_others_changed_on_a_stopped_cluster_waits_until_it_runs() {
    let cloud = Cloud::start();
    let bed = Bed::new(&cloud, Provider::Aks, "deletion_protection = true");
    let azure = cloud.azure();
    let channel = "/properties/autoUpgradeProfile/upgradeChannel";
    let ours = azure.get(&bed.path).pointer(channel).cloned();
    azure.change(&bed.path, |body| {
        body["tags"]["team"] = "theirs".into();
        body["properties"]["autoUpgradeProfile"]["upgradeChannel"] = "none".into();
    });
    azure.act(&Method::POST, &format!("{}/stop", bed.path), None);
    let plan = bed.workspace.plan();
    assert_eq!(plan.status.code(), Some(0), "{plan}");
    let plan = plan
        .says("was changed outside Terraform")
        .says("It is stopped");
    drop(plan);

    // Somebody else's change is no reason to keep a cluster that is to go.
    let freed = bed.block.clone().with("deletion_protection = false");
    bed.workspace.configure(&freed.to_string());
    let before = cloud.last_request();
    bed.workspace.apply().succeeds().says("1 changed");
    assert_eq!(cloud.writes(before), Vec::<String>::new());
    let plan = bed.workspace.run(&["plan", "-destroy"]);
    plan.succeeds().says("1 to destroy");

    // What was changed is undone by the apply that starts it.
    bed.workspace
        .configure(&freed.with(r#"power = "on""#).to_string());
    bed.workspace.apply().succeeds().says("1 changed");
    let body = azure.get(&bed.path);
    assert_eq!(body.pointer(channel).cloned(), ours, "{body:#}");
    bed.workspace.plans_nothing();
    bed.workspace.destroy().succeeds().says("1 destroyed");
}

#[test]
fn a_cluster_whose_pools_others_emptied_stays_empty_until_it_is_told_to_start() {
    let cloud = Cloud::start();
    let bed = Bed::new(&cloud, Provider::Gke, "");
    let google = cloud.google();
    empty(&bed);
    check_stays_stopped(&bed, || {
        assert_eq!(google.get(&bed.path).pointer(NODES), None);
    });
    let body = google.get(&bed.path);
    check_value(&body, NODES, &json!(6));
    check_value(&body, "/resourceLabels/team", &json!("payments"));
    for key in ["system", "work"] {
        let pool = google.get(&bed.pool(&body, key));
        check_value(&pool, "/autoscaling/totalMinNodeCount", &json!(3));
        check_value(&pool, "/autoscaling/totalMaxNodeCount", &json!(6));
    }
}

/// That a cluster stopped by others is no difference, that a change of something else is refused
/// without a write and leaves it stopped, and that it is made once the cluster is told to start.
fn check_stays_stopped(bed: &Bed<'_>, is_stopped: impl Fn()) {
    bed.workspace.plans_nothing();
    is_stopped();
    let changed = bed.block.clone().with(r#"labels = { team = "payments" }"#);
    bed.workspace.configure(&changed.to_string());
    let before = bed.cloud.last_request();
    bed.workspace
        .plan()
        .fails_with("A stopped cluster cannot be changed");
    assert_eq!(bed.cloud.writes(before), Vec::<String>::new());
    is_stopped();
    bed.update(r#"labels = { team = "payments" }; power = "on""#);
    bed.workspace.plans_nothing();
}

/// A stop that was cut looks like one by others: the rest of its apply is still wanted.
#[test]
fn what_is_wanted_together_with_a_stop_that_has_happened_already_is_no_change_of_a_stopped_cluster()
{
    let cloud = Cloud::start();
    let bed = Bed::new(&cloud, Provider::Gke, "");
    empty(&bed);
    bed.update(r#"power = "off"; node_pools.work.max_nodes = 9; labels = { team = "payments" }"#);
    bed.workspace.plans_nothing();
    let google = cloud.google();
    let body = google.get(&bed.path);
    assert_eq!(body.pointer(NODES), None, "{body:#}");
    check_value(&body, "/resourceLabels/team", &json!("payments"));
    bed.update(r#"power = "on"; node_pools.work.max_nodes = 9; labels = { team = "payments" }"#);
    let pool = google.get(&bed.pool(&body, "work"));
    check_value(&pool, "/autoscaling/totalMaxNodeCount", &json!(9));
}

/// A run that was killed once AKS had stopped had done all the rest; the state before it said that
/// the cluster runs.
#[test]
fn a_stop_of_aks_that_the_state_does_not_know_is_no_reason_to_refuse_the_rest() {
    let cloud = Cloud::start();
    let bed = Bed::new(&cloud, Provider::Aks, r#"power = "on""#);
    let azure = cloud.azure();
    let body = azure.get(&bed.path);
    for key in ["system", "work"] {
        azure.change(&bed.pool(&body, key), |pool| {
            pool["properties"]["tags"]["team"] = "payments".into();
        });
    }
    azure.change(&bed.path, |body| {
        body["tags"]["team"] = "payments".into();
    });
    azure.act(&Method::POST, &format!("{}/stop", bed.path), None);
    bed.update(r#"power = "off"; labels = { team = "payments" }"#);
    bed.workspace.plans_nothing();
    let body = azure.get(&bed.path);
    check_value(&body, "/properties/powerState/code", &json!("Stopped"));
    check_value(&body, "/tags/team", &json!("payments"));
}

#[test]
fn a_stopped_cluster_that_becomes_nobodys_business_stays_stopped() {
    for provider in [Provider::Aks, Provider::Gke] {
        let cloud = Cloud::start();
        let bed = Bed::new(&cloud, provider, r#"power = "off""#);
        let since = cloud.last_request();
        bed.update(r#"power = "unmanaged""#);
        bed.workspace.plans_nothing();
        assert_eq!(cloud.writes(since), Vec::<String>::new());
    }
}

/// AKS refuses any change while it is stopped, and says how that ends.
#[test]
fn what_aks_does_not_take_while_others_have_stopped_it_is_said_by_the_apply() {
    let cloud = Cloud::start();
    let bed = Bed::new(&cloud, Provider::Aks, "");
    cloud
        .azure()
        .act(&Method::POST, &format!("{}/stop", bed.path), None);
    let wanted = r#"power = "off"; node_pools.work.max_nodes = 9; labels = { team = "payments" }"#;
    let off = bed.block.clone().with(wanted);
    bed.workspace.configure(&off.to_string());
    bed.workspace
        .apply()
        .fails_with("Start the cluster before performing this operation");
    bed.update(r#"power = "on"; labels = { team = "payments" }"#);
    bed.workspace.plans_nothing();
    let body = cloud.azure().get(&bed.path);
    check_value(&body, "/tags/team", &json!("payments"));
}

/// Somebody takes the nodes of every pool of a GKE cluster.
fn empty(bed: &Bed<'_>) {
    let google = bed.cloud.google();
    let body = google.get(&bed.path);
    for key in ["system", "work"] {
        let pool = bed.pool(&body, key);
        let orders = [
            (
                "setAutoscaling",
                json!({ "autoscaling": { "enabled": false } }),
            ),
            ("setSize", json!({ "nodeCount": 0 })),
        ];
        for (verb, order) in orders {
            google.act(&Method::POST, &format!("{pool}:{verb}"), Some(&order));
        }
    }
}
