//! Changes that meet in one apply, and have to wait for each other.

use paymesh_acceptance::{
    Cloud, Workspace,
    hcl::{ClusterBlock, Provider},
};
use serde_json::json;

/// Applies `before`, if there is one, and then `after`, which must be reached in one apply and have so
/// many pools.
#[track_caller]
fn check_reached(before: Option<&ClusterBlock>, after: &ClusterBlock, pools: usize) {
    let cloud = Cloud::start();
    let first = before.unwrap_or(after);
    let workspace = Workspace::new(&cloud, &first.to_string());
    workspace.apply().succeeds();
    if before.is_some() {
        workspace.configure(&after.to_string());
        workspace.apply().succeeds();
    }
    workspace.plans_nothing();
    let attributes = workspace.attributes(&after.address());
    let served = attributes["pools"].as_object().map(serde_json::Map::len);
    assert_eq!(served, Some(pools), "{attributes:#}");
}

fn aks() -> ClusterBlock {
    ClusterBlock::plain(Provider::Aks, "pay")
}

const LARGER: &str = "node_pools.work.vcpu = 8; node_pools.work.memory_gb = 32";

#[test]
fn a_cluster_that_is_made_switched_off_has_its_pools() {
    check_reached(None, &aks().with(r#"power = "off""#), 2);
}

#[test]
fn pools_come_and_go_before_their_cluster_is_switched_off() {
    let off = aks().with(r#"power = "off""#);
    let without = "node_pools.work = absent";
    check_reached(Some(&aks()), &off.clone().with(LARGER), 2);
    check_reached(Some(&aks().with(without)), &off, 2);
    check_reached(Some(&aks()), &off.with(without), 1);
}

#[test]
fn a_pool_is_replaced_while_its_cluster_climbs_several_versions() {
    let gke = ClusterBlock::plain(Provider::Gke, "pay");
    let cases = [
        (aks(), "1.33", ""),
        (gke, "1.32", r#"; upgrade_channel = "regular""#),
    ];
    for (block, from, channel) in cases {
        let at = |version| {
            let change = format!("kubernetes_version = \"{version}\"");
            block.clone().with(&change)
        };
        let after = at("1.35").with(&format!("{LARGER}{channel}"));
        check_reached(Some(&at(from)), &after, 2);
    }
}

#[test]
fn a_system_pool_is_demoted_while_its_cluster_climbs_two_versions() {
    let at = |version| aks().with(&format!("kubernetes_version = \"{version}\""));
    let main = r#"{ mode = "system", vcpu = 2, memory_gb = 8, min_nodes = 1, max_nodes = 3 }"#;
    let change = format!("node_pools.system.mode = \"user\"; node_pools.main = {main}");
    check_reached(Some(&at("1.33")), &at("1.35").with(&change), 3);
}

/// The run that stops the cluster is killed while it stops; the next one finds it stopped.
#[test]
fn a_run_that_is_killed_while_the_cluster_stops_is_finished_by_the_next() {
    let off = aks().with(r#"power = "off""#);
    for before in [None, Some(aks().with("node_pools.work = absent"))] {
        let cloud = Cloud::start();
        let workspace = Workspace::new(&cloud, "");
        if let Some(before) = before {
            workspace.configure(&before.to_string());
            workspace.apply().succeeds();
        }
        workspace.configure(&off.to_string());
        let stop = cloud.hold("POST", "*/managedclusters/pay/stop", 1, "after_effect");
        let running = workspace.start_apply();
        stop.wait();
        running.kill();
        stop.cut();
        workspace.unlock();
        workspace.apply().succeeds();
        workspace.plans_nothing();
        workspace.destroy().succeeds();
        assert_eq!(cloud.inventory(), Vec::<String>::new());
    }
}

/// The pool was replaced, and then something else failed: the state keeps the disk of before, and the
/// pool that had it.
#[test]
fn a_pool_that_a_failed_run_replaced_is_not_replaced_again_without_a_refresh() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &aks().to_string());
    workspace.apply().succeeds();
    let off = r#"power = "off"; node_pools.work.disk_gb = 200"#;
    workspace.configure(&aks().with(off).to_string());
    let error = json!({ "code": "OperationNotAllowed", "message": "not now" });
    let action = json!({ "kind": "answer", "status": 400, "body": { "error": error } });
    let path = "*/managedclusters/pay/stop";
    cloud.fault(&json!({ "method": "POST", "path": path, "times": 1, "action": action }));
    workspace.apply().fails_with("not now");
    let since = cloud.last_request();
    workspace
        .run(&["apply", "-auto-approve", "-refresh=false"])
        .succeeds();
    let writes = cloud.writes(since);
    assert!(
        !writes.iter().any(|it| it.contains("agentPools")),
        "{writes:#?}"
    );
    workspace.plans_nothing();
}

/// One pool has its successor, and the next run reads while the other one goes: the cluster before
/// the pool, or the pool before the cluster.
#[test]
fn pools_that_a_killed_run_replaced_are_not_replaced_again_while_one_of_them_goes() {
    for is_cluster_first in [true, false] {
        let cloud = Cloud::start();
        let gke = ClusterBlock::plain(Provider::Gke, "pay");
        let workspace = Workspace::new(&cloud, &gke.to_string());
        workspace.apply().succeeds();
        let larger = "node_pools.system.disk_gb = 200; node_pools.work.disk_gb = 200";
        workspace.configure(&gke.with(larger).to_string());
        let since = cloud.last_request();
        let second = cloud.hold("DELETE", "*/nodePools/*", 2, "after_effect");
        let running = workspace.start_apply();
        second.wait();
        running.kill();
        second.cut();
        workspace.unlock();

        let going = cloud.deleted(since).pop().expect("a pool goes");
        let reads = ["*/clusters/pay", going.as_str()];
        let [first, then] = if is_cluster_first {
            reads
        } else {
            [reads[1], reads[0]]
        };
        let read = cloud.hold("GET", first, 1, "after_effect");
        let late = cloud.hold("GET", then, 1, "before_effect");
        let running = workspace.start_apply();
        read.wait();
        late.wait();
        late.release();
        read.release();
        running.end().succeeds();
        workspace.plans_nothing();
        let made = cloud.writes(since);
        let made = made
            .iter()
            .filter(|it| it.starts_with("POST ") && it.ends_with("/nodePools"));
        assert_eq!(made.count(), 2, "cluster first: {is_cluster_first}");
    }
}

/// The state was lost, the configuration changed, and the run that adopts the cluster cannot finish:
/// the plan promised what is not there yet, for which core would taint the cluster.
#[test]
fn an_adopted_cluster_is_not_tainted_by_a_run_that_stops_half_way() {
    let gke = ClusterBlock::plain(Provider::Gke, "pay");
    let (disk, label) = (
        "node_pools.work.disk_gb = 200",
        r#"labels = { team = "cards" }"#,
    );
    let cases = [
        (aks(), disk, "PUT", "*/agentpools/*", json!("Refused")),
        (
            aks(),
            label,
            "PUT",
            "*/managedclusters/pay",
            json!("Refused"),
        ),
        (gke, disk, "POST", "*/nodePools", json!(400)),
    ];
    for (block, change, method, path, code) in cases {
        let cloud = Cloud::start();
        let workspace = Workspace::new(&cloud, &block.to_string());
        workspace.apply().succeeds();
        workspace.run(&["state", "rm", &block.address()]).succeeds();
        let block = block.with(change);
        workspace.configure(&block.to_string());
        let error = json!({ "code": code, "message": "not now", "status": "FAILED_PRECONDITION" });
        let action = json!({ "kind": "answer", "status": 400, "body": { "error": error } });
        cloud.fault(&json!({ "method": method, "path": path, "times": 1, "action": action }));
        let since = cloud.last_request();
        workspace.apply().succeeds().says("not now");
        assert_eq!(workspace.state(), [(block.address(), false)], "{change}");
        workspace.apply().succeeds();
        workspace.plans_nothing();
        let deleted = cloud.deleted(since);
        let is_pool = |it: &String| it.to_lowercase().contains("pools/");
        assert!(deleted.iter().all(is_pool), "{deleted:#?}");
    }
}

/// Nobody knows the old pool but the cloud: it is emptied when the new one is there, all the same.
#[test]
fn a_pool_that_an_adoption_replaces_serves_until_the_new_one_is_there() {
    let gke = ClusterBlock::plain(Provider::Gke, "pay");
    for (block, made) in [(aks(), "put "), (gke, "post ")] {
        let cloud = Cloud::start();
        let workspace = Workspace::new(&cloud, &block.to_string());
        workspace.apply().succeeds();
        workspace.run(&["state", "rm", &block.address()]).succeeds();
        let old: Vec<_> = cloud
            .inventory()
            .iter()
            .map(|it| it.to_lowercase())
            .collect();
        let since = cloud.last_request();
        workspace.configure(&block.with(LARGER).to_string());
        workspace
            .plans_something()
            .says("The cluster exists already, and apply takes it over");
        workspace.apply().succeeds();
        let writes: Vec<_> = cloud
            .writes(since)
            .iter()
            .map(|it| it.to_lowercase())
            .collect();
        let mut to_pools = writes.iter().filter(|it| it.contains("pools"));
        let first = to_pools.next().expect("a pool is replaced");
        assert!(first.starts_with(made), "{writes:#?}");
        assert!(!old.iter().any(|it| first.ends_with(it)), "{writes:#?}");
        let last = to_pools.next_back().expect("the old one goes");
        assert!(last.starts_with("delete"), "{writes:#?}");
    }
}

/// The old pool was being emptied when the change was taken back: it takes pods again.
#[test]
fn a_pool_that_was_half_emptied_serves_again_when_its_rotation_is_taken_back() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &aks().to_string());
    workspace.apply().succeeds();
    let pools = cloud.all("agentPools");
    workspace.configure(&aks().with("node_pools.work.disk_gb = 200").to_string());
    let emptying = cloud.hold("PUT", "*/agentpools/*", 2, "after_effect");
    let running = workspace.start_apply();
    emptying.wait();
    running.kill();
    emptying.cut();
    workspace.unlock();
    workspace.configure(&aks().to_string());
    workspace.apply().succeeds();
    workspace.plans_nothing();
    assert_eq!(cloud.all("agentPools"), pools);
    for pool in pools {
        let taints = &cloud.azure().get(&pool)["properties"]["nodeTaints"];
        assert!(!taints.to_string().contains("retiring"), "{pool}: {taints}");
    }
}
