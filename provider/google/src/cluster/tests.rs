//! What a cluster's comparison and its first request say, without a cloud.

use std::{collections::BTreeMap, sync::Arc};

use expect_test::{Expect, expect};
use paymesh_clock::Clock;
use paymesh_cloud::{FixedToken, TokenSource};
use paymesh_engine::{
    After, Context, Difference, Holder, Mark, Object, Observation, Observations, Seen, StopToken,
};
use serde_json::{Value, json};

use super::{
    Access, Channel, Cluster, ClusterWant, Encryption, Exclusion, Features, Maintenance,
    NetworkWant, body,
};
use crate::{
    ClusterName, Endpoints, Google, Wording,
    pool::{Disk, NodePool, PoolWant, Size},
};

fn google() -> Arc<Google> {
    let tokens: Arc<dyn TokenSource> = Arc::new(FixedToken("t".into()));
    let endpoints = Endpoints::at("http://127.0.0.1:1");
    Arc::new(Google::new(&endpoints, &Clock::real(), &tokens).unwrap())
}

fn context(cluster: &Value) -> Context {
    let mut observations = Observations::default();
    observations.insert(
        Cluster::id_of(&name()),
        Observation::Present(Seen::new(cluster.clone())),
    );
    Context {
        mark: mark(),
        holder: Holder::found("h1"),
        clock: Clock::real(),
        stop: StopToken::new(),
        observations: Arc::new(observations),
        remarks: Vec::new(),
    }
}

fn mark() -> Mark {
    Mark::new("payments/prod", "main")
}

fn name() -> ClusterName {
    ClusterName::parse("projects/pay/locations/europe-west1/clusters/main").unwrap()
}

fn pool() -> PoolWant {
    PoolWant {
        name: name().pool("system-1a2"),
        version: "1.34".parse().ok(),
        machine_type: "e2-standard-4".into(),
        disk: Disk {
            kind: "pd-balanced".into(),
            size_gb: 100,
        },
        spot: false,
        pods_max: 110,
        zones: Vec::new(),
        size: Size::Autoscaled {
            total_min: 3,
            total_max: 5,
            initial_per_zone: 1,
        },
        may_sleep: false,
        workload_identity: true,
        labels: BTreeMap::new(),
        taints: Vec::new(),
        surge_max: 1,
        service_account: None,
        attribute: None,
        wording: Wording::default(),
    }
}

fn want() -> ClusterWant {
    ClusterWant {
        name: name(),
        version: "1.34".parse().ok(),
        channel: Channel::Regular,
        network: NetworkWant {
            subnetwork: "projects/pay/regions/europe-west1/subnetworks/main".into(),
            pods_range: "pods".into(),
            services_range: "services".into(),
        },
        labels: BTreeMap::from([("team".into(), "payments".into())]),
        access: Access::Private,
        features: Features {
            workload_identity: true,
            dataplane_v2: true,
            dataplane_metrics: true,
            dns_cache: true,
            cost_allocation: true,
            vertical_pod_autoscaling: true,
            gateway_api: true,
        },
        encryption: Encryption::AsItIs,
        autoscaling_profile: "BALANCED".into(),
        control_plane_cidr: None,
        maintenance: None,
        pools: vec![pool()],
        needs: Vec::new(),
        wording: Wording::default(),
    }
}

/// The cluster that the cloud shows after it made `want()`, with fields that nobody set.
fn made() -> Value {
    let mut cluster = body::create(&want(), "n", &mark(), &Holder::found("h1"))["cluster"].take();
    cluster["currentMasterVersion"] = json!("1.34.1-gke.100");
    cluster["networkConfig"]["subnetwork"] =
        json!("projects/pay/regions/europe-west1/subnetworks/main");
    cluster["nodePools"][0]["version"] = json!("1.34.1-gke.100");
    cluster["resourceLabels"]["cost-center"] = json!("set-by-others");
    cluster["addonsConfig"]["gcePersistentDiskCsiDriverConfig"] = json!({ "enabled": true });
    cluster["status"] = json!("RUNNING");
    cluster
}

fn check_difference(want: ClusterWant, cluster: &Value, expected: &Expect) {
    let differs =
        Cluster::new(google(), want).differ(&context(cluster), &Seen::new(cluster.clone()));
    expected.assert_eq(&text(&differs));
}

fn text(difference: &Difference) -> String {
    match difference {
        Difference::Same => "same".into(),
        Difference::Replace(reasons) => format!(
            "replace\n{}",
            reasons
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("\n")
        ),
        Difference::Change(change) => {
            let mut lines: Vec<String> =
                change.steps.iter().map(|step| step.title.clone()).collect();
            match &change.after {
                After::These(others) => lines.extend(others.iter().map(|id| format!("after {id}"))),
                After::Everything => lines.push("after everything".to_owned()),
            }
            lines.join("\n")
        }
    }
}

#[test]
fn what_was_made_as_wanted_differs_in_nothing() {
    check_difference(want(), &made(), &expect!["same"]);
    let pool = NodePool::new(google(), pool());
    let body = made()["nodePools"][0].clone();
    assert_eq!(
        pool.differ(&context(&made()), &Seen::new(body)),
        Difference::Same
    );
}

#[test]
fn each_changed_setting_is_one_request() {
    let mut changed = want();
    changed.channel = Channel::Stable;
    changed.features.gateway_api = false;
    changed.labels.insert("team".into(), "ledger".into());
    changed.access = Access::AuthorizedCidrs(vec!["192.0.2.0/24".into()]);
    check_difference(
        changed,
        &made(),
        &expect![[r#"
            update cluster main: labels
            update cluster main: release channel
            update cluster main: gateway api
            update cluster main: api access"#]],
    );
}

#[test]
fn a_control_plane_goes_up_one_minor_at_a_time_and_waits_for_pools_that_lag() {
    let mut old = made();
    old["currentMasterVersion"] = json!("1.32.9-gke.1");
    old["nodePools"][0]["version"] = json!("1.30.5-gke.1");
    check_difference(
        want(),
        &old,
        &expect![[r#"
            control plane 1.32 -> 1.33
            control plane 1.33 -> 1.34
            after GKE node pool projects/pay/locations/europe-west1/clusters/main/nodePools/system-1a2"#]],
    );
}

#[test]
fn a_channel_ahead_of_the_wanted_version_is_no_difference() {
    let mut newer = made();
    newer["currentMasterVersion"] = json!("1.35.0-gke.7");
    check_difference(want(), &newer, &expect!["same"]);
}

#[test]
fn another_subnetwork_needs_another_cluster() {
    let mut moved = want();
    moved.network.subnetwork = "projects/pay/regions/europe-west1/subnetworks/other".into();
    check_difference(
        moved,
        &made(),
        &expect![[r#"
            replace
            subnetwork: GKE cannot change it on a cluster (it is "projects/pay/regions/europe-west1/subnetworks/main", wanted is "projects/pay/regions/europe-west1/subnetworks/other")"#]],
    );
}

#[test]
fn legacy_abac_is_switched_off() {
    let mut cluster = made();
    cluster["legacyAbac"] = json!({ "enabled": true });
    check_difference(
        want(),
        &cluster,
        &expect!["update cluster main: legacy abac"],
    );
}

#[test]
fn labels_that_others_set_stay_and_those_no_longer_wanted_go() {
    let mut fewer = want();
    fewer.labels.clear();
    check_difference(fewer.clone(), &made(), &expect!["same"]);
    let made = made();
    let dropping = Cluster::new(google(), fewer)
        .dropping(&["team".to_owned()].into())
        .unwrap();
    let differs = dropping.differ(&context(&made), &Seen::new(made.clone()));
    expect!["update cluster main: labels"].assert_eq(&text(&differs));
}

#[test]
fn the_first_request_carries_the_mark() {
    let body = body::create(&want(), "n", &mark(), &Holder::found("h1"));
    let labels = &body["cluster"]["resourceLabels"];
    assert_eq!(labels["paymesh-holder"], "h1");
    assert_eq!(labels["paymesh-owner"].as_str().map(str::len), Some(32));
    assert_eq!(
        body["cluster"]["nodePools"][0]["config"]["resourceLabels"]["paymesh-owner"],
        labels["paymesh-owner"],
    );
}

/// What a cloud shows that leaves out the first word of an enumeration.
#[test]
fn an_exclusion_that_names_no_scope_holds_off_every_upgrade() {
    let exclusion = Exclusion {
        start: "2026-12-20T00:00:00Z".into(),
        end: "2026-12-31T23:59:59Z".into(),
        scope: "NO_UPGRADES".into(),
    };
    let mut wanted = want();
    wanted.maintenance = Some(Maintenance {
        window: None,
        exclusions: BTreeMap::from([("xmas".to_owned(), exclusion)]),
    });
    let mut cluster = made();
    check_difference(
        wanted.clone(),
        &cluster,
        &expect!["update cluster main: maintenance window"],
    );
    cluster["maintenancePolicy"]["window"]["maintenanceExclusions"]["xmas"] = json!({
        "startTime": "2026-12-20T00:00:00Z",
        "endTime": "2026-12-31T23:59:59Z",
        "maintenanceExclusionOptions": {},
    });
    check_difference(wanted.clone(), &cluster, &expect!["same"]);
    wanted.maintenance = Some(Maintenance::default());
    check_difference(
        wanted,
        &cluster,
        &expect!["update cluster main: maintenance window"],
    );
}

#[test]
fn a_floor_with_a_patch_asks_for_the_newest_patch_of_its_minor() {
    let mut wanted = want();
    wanted.version = "1.34.2".parse().ok();
    check_difference(
        wanted,
        &made(),
        &expect!["control plane 1.34.1-gke.100 -> 1.34"],
    );
}

#[test]
fn nodes_leave_workload_identity_before_the_cluster_does() {
    let mut wanted = want();
    wanted.features.workload_identity = false;
    check_difference(
        wanted,
        &made(),
        &expect![[r#"
            update cluster main: workload identity
            after GKE node pool projects/pay/locations/europe-west1/clusters/main/nodePools/system-1a2"#]],
    );
}

/// The steps of a pool in a cluster whose groups have these sizes.
fn check_pool(want: PoolWant, change: impl FnOnce(&mut Value), expected: &Expect) {
    let mut cluster = made();
    change(&mut cluster["nodePools"][0]);
    let body = cluster["nodePools"][0].clone();
    let differs = NodePool::new(google(), want).differ(&context(&cluster), &Seen::new(body));
    expected.assert_eq(&text(&differs));
}

#[test]
fn a_pool_wakes_with_its_nodes_before_its_autoscaler() {
    let stopped = |pool: &mut Value| {
        pool["autoscaling"] = json!({});
        pool["instanceGroupSizes"] = json!([0, 0, 0]);
    };
    check_pool(
        pool(),
        stopped,
        &expect![[r#"
            update node pool system-1a2: nodes
            update node pool system-1a2: autoscaling"#]],
    );
    let mut sleeps = pool();
    sleeps.may_sleep = true;
    check_pool(sleeps, stopped, &expect!["same"]);
    let mut off = pool();
    off.size = Size::Fixed { per_zone: 0 };
    check_pool(
        off,
        |pool| pool["instanceGroupSizes"] = json!([1, 1, 1]),
        &expect![[r#"
            update node pool system-1a2: autoscaling
            node pool system-1a2 to no nodes"#]],
    );
}
