//! What autoscalers make of pods that find no node: a pool grows within its limits and that is no
//! difference, and a standby cluster has no node for them until it is woken.

use paymesh_acceptance::{
    Cloud, Workspace,
    hcl::{ClusterBlock, Provider},
};
use reqwest::Method;
use serde_json::{Value, json};

const HOUR_SECONDS: u32 = 3600;

/// How many nodes the pools have whose name begins with the key, as the cloud counts them.
fn nodes(cloud: &Cloud, key: &str) -> u64 {
    let inventory = cloud.ask(Method::GET, "inventory", None);
    let objects = inventory.as_object().into_iter().flatten();
    objects
        .filter_map(|(_, objects)| objects.as_array())
        .flatten()
        .filter(|it| {
            it["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(key))
        })
        .filter_map(|it| it["nodes"].as_u64())
        .sum()
}

/// Pools may have from `least` to `most` nodes.
fn check_pending_pods(provider: Provider, least: u64, most: u64) {
    let cloud = Cloud::start();
    let awake = ClusterBlock::plain(provider, "pay");
    let asleep = awake.clone().with("standby = true");
    let workspace = Workspace::new(&cloud, &awake.to_string());
    workspace.apply().succeeds();
    cloud.ask(Method::POST, "clock", Some(&json!({ "freeze": true })));
    let wait = || {
        cloud.pass(HOUR_SECONDS);
        cloud.rest();
        workspace.plans_nothing();
        ["system", "work"].map(|key| nodes(&cloud, key))
    };
    assert_eq!(wait(), [least, least], "nothing asks for more nodes");
    let pods: Value = json!({ "action": { "kind": "pending_pods", "cluster": "pay" } });
    cloud.fault(&pods);
    assert_eq!(wait(), [most, most], "pods wait, and pools may grow");

    workspace.configure(&asleep.to_string());
    workspace.apply().succeeds();
    assert_eq!(wait(), [most, 0], "pods wait, and nothing wakes it");

    workspace.configure(&awake.to_string());
    workspace.apply().succeeds();
    let woken = nodes(&cloud, "work");
    assert!(woken >= least, "{woken} nodes");
    assert_eq!(wait(), [most, most], "pods wait, and pools may grow again");
}

#[test]
fn pods_that_wait_make_an_aks_pool_grow_and_wake_no_standby_cluster() {
    check_pending_pods(Provider::Aks, 1, 3);
}

#[test]
fn pods_that_wait_make_a_gke_pool_grow_and_wake_no_standby_cluster() {
    check_pending_pods(Provider::Gke, 3, 6);
}
