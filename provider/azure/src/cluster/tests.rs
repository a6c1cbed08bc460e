//! What the comparisons of a cluster and of its pools say, and its first request, without a cloud.

use std::{collections::BTreeMap, sync::Arc};

use expect_test::{Expect, expect};
use paymesh_clock::Clock;
use paymesh_engine::{
    After, Context, Difference, Holder, Mark, Object, Observation, Observations, Seen, StopToken,
};
use serde_json::{Value, json};

use super::{Access, Cluster, ClusterWant, Features, NetworkWant, Power, cluster_object_id};
use crate::{
    ArmId, Azure, AzureSettings, Credential, Pool, PoolMode, PoolWant, Scale, Sovereign, Wording,
    pool_object_id,
};

fn azure() -> Azure {
    let settings = AzureSettings {
        sovereign: Sovereign::Public,
        endpoint: Some("http://127.0.0.1:1".to_owned()),
        authority: None,
        extra_ca: None,
        credential: Credential::Cli { tenant_id: None },
        clock: Clock::real(),
    };
    Azure::connect(settings).unwrap()
}

fn mark() -> Mark {
    Mark::new("payments/prod", "main")
}

fn context(cluster: &Value) -> Context {
    let mut observations = Observations::default();
    observations.insert(
        cluster_object_id(&id()),
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

fn id() -> ArmId {
    ArmId::group("s", "rg").cluster("main")
}

fn pool(name: &str) -> PoolWant {
    PoolWant {
        name: name.to_owned(),
        mode: PoolMode::System,
        vm_size: "Standard_D2ds_v5".to_owned(),
        scale: Scale::Auto { min: 1, max: 5 },
        zones: Vec::new(),
        os_disk_gb: 128,
        os_disk_type: "Ephemeral".to_owned(),
        subnet: None,
        max_pods: 110,
        labels: [("team".to_owned(), "pay".to_owned())].into(),
        gone_labels: Vec::new(),
        taints: Vec::new(),
        gone_taints: Vec::new(),
        tags: BTreeMap::new(),
        gone_tags: Vec::new(),
        spot: false,
        max_surge: None,
        drain_timeout_minutes: None,
        system_pools: Vec::new(),
        dns_cache: false,
        kubernetes_version: "1.33".to_owned(),
        attribute: None,
        wording: Wording::default(),
    }
}

fn want() -> ClusterWant {
    let identities = "Microsoft.ManagedIdentity/userAssignedIdentities";
    ClusterWant {
        id: id(),
        location: "westeurope".to_owned(),
        tags: [("team".to_owned(), "pay".to_owned())].into(),
        gone_tags: Vec::new(),
        tier: "Standard".to_owned(),
        kubernetes_version: "1.33".to_owned(),
        identity: ArmId::group("s", "rg").resource(identities, "main"),
        kubelet_identity: None,
        network: NetworkWant {
            pod_cidr: "10.244.0.0/16".to_owned(),
            service_cidr: "10.0.0.0/16".to_owned(),
            dns_service_ip: None,
        },
        access: Access::Private,
        admin_groups: Vec::new(),
        features: Features {
            workload_identity: true,
            cilium: true,
            network_metrics: true,
            cost_analysis: true,
            vertical_pod_autoscaler: true,
        },
        upgrade_channel: "stable".to_owned(),
        node_os_channel: "NodeImage".to_owned(),
        autoscaler: BTreeMap::new(),
        logs: None,
        kms: None,
        power: None,
        pools: vec![pool("sys")],
        needs: Vec::new(),
        wording: Wording::default(),
    }
}

/// The cluster that the cloud shows after it made `want()`, with fields that nobody set.
fn made() -> Value {
    let mut cluster = want().fresh(&mark(), &Holder::found("h1"));
    cluster["tags"]["theirs"] = "kept".into();
    let properties = &mut cluster["properties"];
    properties["newInPreview"] = json!({"a": 1});
    properties["provisioningState"] = "Succeeded".into();
    properties["powerState"] = json!({"code": "Running"});
    properties["currentKubernetesVersion"] = "1.33.4".into();
    properties["agentPoolProfiles"][0]["currentOrchestratorVersion"] = "1.33.4".into();
    cluster
}

/// A pool that the cloud shows after it made `pool(..)`.
fn made_pool() -> Value {
    let mut body = json!({"name": "sys", "properties": pool("sys").profile(&mark())});
    body["properties"]["provisioningState"] = "Succeeded".into();
    body["properties"]["currentOrchestratorVersion"] = "1.33.4".into();
    body
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

fn check_cluster(want: ClusterWant, cluster: &Value, expected: &Expect) {
    let differs =
        Cluster::new(&azure(), want).differ(&context(cluster), &Seen::new(cluster.clone()));
    expected.assert_eq(&text(&differs));
}

fn check_pool(want: PoolWant, body: &Value, cluster: &Value, expected: &Expect) {
    let pool = Pool::new(&azure(), &id(), want);
    let differs = pool.differ(&context(cluster), &Seen::new(body.clone()));
    expected.assert_eq(&text(&differs));
}

#[test]
fn what_was_made_as_wanted_differs_in_nothing() {
    check_cluster(want(), &made(), &expect!["same"]);
    check_pool(pool("sys"), &made_pool(), &made(), &expect!["same"]);
}

#[test]
fn the_first_request_carries_the_mark() {
    let body = want().fresh(&mark(), &Holder::found("h1"));
    assert_eq!(body["tags"]["paymesh-owner"], "payments/prod");
    assert_eq!(body["tags"]["paymesh-holder"], "h1");
    let profile = &body["properties"]["agentPoolProfiles"][0];
    assert_eq!(profile["tags"]["paymesh-owner"], "payments/prod");
}

#[test]
fn versions_go_up_one_minor_at_a_time_with_the_pools_behind() {
    let mut wanted = want();
    wanted.kubernetes_version = "1.35".to_owned();
    check_cluster(
        wanted.clone(),
        &made(),
        &expect![[r#"
        control plane 1.33.4 -> 1.34
        control plane 1.34 -> 1.35"#]],
    );
    let mut ahead = made();
    ahead["properties"]["currentKubernetesVersion"] = "1.34.2".into();
    check_cluster(
        wanted,
        &ahead,
        &expect![[r#"
        control plane 1.34.2 -> 1.35
        after agent pool /subscriptions/s/resourcegroups/rg/providers/microsoft.containerservice/managedclusters/main/agentpools/sys"#]],
    );
    // A lower minimum is no wish to go down.
    check_cluster(want(), &ahead, &expect!["same"]);
}

#[test]
fn a_pool_above_its_floor_follows_the_upgrade_channel_only() {
    let mut ahead = made();
    ahead["properties"]["currentKubernetesVersion"] = "1.34.2".into();
    check_pool(pool("sys"), &made_pool(), &ahead, &expect!["same"]);
    let mut wanted = pool("sys");
    wanted.kubernetes_version = "1.34".to_owned();
    check_pool(
        wanted,
        &made_pool(),
        &ahead,
        &expect!["pool sys 1.33.4 -> 1.34.2"],
    );
}

#[test]
fn what_changes_in_place_is_one_update() {
    let mut wanted = want();
    wanted.tier = "Premium".to_owned();
    wanted.tags = [("team".to_owned(), "ledger".to_owned())].into();
    wanted.features.vertical_pod_autoscaler = false;
    check_cluster(
        wanted,
        &made(),
        &expect![
            "update cluster main: tags.team, sku.tier, workloadAutoScalerProfile.verticalPodAutoscaler.enabled"
        ],
    );
    let mut wanted = pool("sys");
    wanted.scale = Scale::Auto { min: 1, max: 9 };
    check_pool(
        wanted,
        &made_pool(),
        &made(),
        &expect!["update pool sys: maxCount"],
    );
}

#[test]
fn what_only_a_new_one_can_have_is_refused_with_the_reason() {
    let mut wanted = want();
    wanted.access = Access::Public {
        authorized_cidrs: vec!["192.0.2.0/24".to_owned()],
    };
    check_cluster(
        wanted,
        &made(),
        &expect![[r#"
        replace
        apiServerAccessProfile.enablePrivateCluster: a private API server cannot become public, nor the other way round"#]],
    );
    let mut wanted = pool("sys");
    wanted.vm_size = "Standard_D8ds_v5".to_owned();
    check_pool(
        wanted,
        &made_pool(),
        &made(),
        &expect![[r#"
        replace
        vmSize: machines keep their size"#]],
    );
}

#[test]
fn a_cluster_stops_after_its_pools_and_starts_before_anything_else() {
    let power = |wanted: Power| ClusterWant {
        power: Some(wanted),
        tier: "Premium".to_owned(),
        ..want()
    };
    check_cluster(
        power(Power::Stopped),
        &made(),
        &expect![[r#"
        update cluster main: sku.tier
        stop cluster main"#]],
    );
    let mut stopped = made();
    stopped["properties"]["powerState"]["code"] = "Stopped".into();
    check_cluster(
        power(Power::Running),
        &stopped,
        &expect![[r#"
        start cluster main
        update cluster main: sku.tier"#]],
    );
    // Nobody's business: it stays as it is, also where its last start failed.
    check_cluster(want(), &stopped, &expect!["same"]);
    stopped["properties"]["provisioningState"] = "Failed".into();
    check_cluster(want(), &stopped, &expect!["same"]);
    let off = ClusterWant {
        power: Some(Power::Stopped),
        ..want()
    };
    check_cluster(off, &stopped, &expect!["same"]);
}

#[test]
fn what_ended_badly_is_sent_again() {
    let mut failed = made();
    failed["properties"]["provisioningState"] = "Failed".into();
    check_cluster(
        want(),
        &failed,
        &expect!["send cluster main again: its last operation ended as Failed"],
    );
    let mut canceled = made_pool();
    canceled["properties"]["provisioningState"] = "Canceled".into();
    check_pool(
        pool("sys"),
        &canceled,
        &made(),
        &expect!["send pool sys again: its last operation ended as Canceled"],
    );
}

#[test]
fn a_pool_stops_being_a_system_pool_only_after_the_others_are() {
    let mut wanted = pool("sys");
    wanted.mode = PoolMode::User;
    wanted.system_pools = vec![pool_object_id(&id(), "work")];
    check_pool(
        wanted,
        &made_pool(),
        &made(),
        &expect![[r#"
        update pool sys: mode
        after agent pool /subscriptions/s/resourcegroups/rg/providers/microsoft.containerservice/managedclusters/main/agentpools/work"#]],
    );
}
