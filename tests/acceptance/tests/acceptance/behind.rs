//! What happens to clusters without Terraform: what a cloud or a person may do is no difference
//! and survives an update of something else; what a person broke is planned and repaired.

use std::fs;

use paymesh_acceptance::{
    Cloud, OWNER, Workspace,
    hcl::Provider,
    samples::{AKS, BOTH, GKE},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::bed::{Bed, check_value};

const DAY_SECONDS: u32 = 86_400;

#[test]
fn what_azure_and_others_add_is_no_difference_and_survives_an_update() {
    let cloud = Cloud::start();
    let bed = Bed::new(
        &cloud,
        Provider::Aks,
        r#"kubernetes_version = "1.33"; upgrade_channel = "rapid""#,
    );
    let azure = cloud.azure();
    azure.change(&bed.path, |body| {
        body["tags"]["cost-center"] = "42".into();
        body["properties"]["somethingNew"] = json!({ "level": 3 });
    });
    let pool = bed.pool(&azure.get(&bed.path), "work");
    azure.change(&pool, |body| {
        body["properties"]["nodeLabels"]["theirs"] = "yes".into();
        body["properties"]["nodeTaints"] = json!(["theirs=yes:PreferNoSchedule"]);
        body["properties"]["alsoNew"] = true.into();
    });
    // An extension ten minutes after birth, then an upgrade by the channel.
    bed.wait(15 * 60);
    bed.wait(8 * DAY_SECONDS);
    // The autoscaler.
    azure.change(&pool, |body| body["properties"]["count"] = 3.into());
    bed.workspace.plans_nothing();

    bed.update(r#"labels = { team = "payments" }; node_pools.work.labels = { team = "payments" }; node_pools.work.taints = [{ key = "ours" }]"#);
    bed.workspace.plans_nothing();
    let (cluster, pool) = (azure.get(&bed.path), azure.get(&pool));
    check_value(&cluster, "/tags/cost-center", &json!("42"));
    check_value(&cluster, "/tags/team", &json!("payments"));
    check_value(&cluster, "/properties/somethingNew/level", &json!(3));
    check_value(
        &cluster,
        "/properties/addonProfiles/extensionManager/enabled",
        &json!(true),
    );
    check_value(
        &cluster,
        "/properties/currentKubernetesVersion",
        &json!("1.34.5"),
    );
    check_value(&pool, "/properties/nodeLabels/theirs", &json!("yes"));
    check_value(&pool, "/properties/nodeLabels/team", &json!("payments"));
    let taints = json!(["theirs=yes:PreferNoSchedule", "ours=:NoSchedule"]);
    check_list(&pool, "/properties/nodeTaints", &taints);
    check_value(&pool, "/properties/alsoNew", &json!(true));
    check_value(&pool, "/properties/count", &json!(3));
}

#[test]
fn what_google_and_others_add_is_no_difference_and_survives_an_update() {
    let cloud = Cloud::start();
    let bed = Bed::new(
        &cloud,
        Provider::Gke,
        r#"kubernetes_version = "1.33"; upgrade_channel = "regular""#,
    );
    let google = cloud.google();
    let body = google.get(&bed.path);
    let mut labels = body["resourceLabels"].clone();
    labels["cost-center"] = "42".into();
    let labels = json!({ "resourceLabels": labels, "labelFingerprint": body["labelFingerprint"] });
    google.act(
        &Method::POST,
        &format!("{}:setResourceLabels", bed.path),
        Some(&labels),
    );
    // A field that Paymesh does not know, beside one that it writes.
    let known_to_others = json!({ "ipEndpointsConfig": { "globalAccess": true } });
    let update = json!({ "update": { "desiredControlPlaneEndpointsConfig": known_to_others } });
    google.act(&Method::PUT, &bed.path, Some(&update));
    let pool = bed.pool(&body, "work");
    let theirs = json!({ "labels": { "labels": { "theirs": "yes" } } });
    google.act(&Method::PUT, &pool, Some(&theirs));
    let taint = json!({ "key": "theirs", "value": "yes", "effect": "PREFER_NO_SCHEDULE" });
    let theirs = json!({ "taints": { "taints": [taint] } });
    google.act(&Method::PUT, &pool, Some(&theirs));
    bed.wait(15 * DAY_SECONDS);
    google.act(
        &Method::POST,
        &format!("{pool}:setSize"),
        Some(&json!({ "nodeCount": 2 })),
    );
    bed.workspace.plans_nothing();

    bed.update(r#"labels = { team = "payments" }; api_access = { authorized_cidrs = ["203.0.113.0/24"] }; node_pools.work.labels = { team = "payments" }; node_pools.work.taints = [{ key = "ours" }]"#);
    bed.workspace.plans_nothing();
    let (cluster, pool) = (google.get(&bed.path), google.get(&pool));
    check_value(&cluster, "/resourceLabels/cost-center", &json!("42"));
    check_value(&cluster, "/resourceLabels/team", &json!("payments"));
    check_value(
        &cluster,
        "/currentMasterVersion",
        &json!("1.34.6-gke.1068000"),
    );
    check_value(&cluster, "/currentNodeCount", &json!(9));
    let endpoints = "/controlPlaneEndpointsConfig/ipEndpointsConfig";
    check_value(&cluster, &format!("{endpoints}/globalAccess"), &json!(true));
    check_value(
        &cluster,
        &format!("{endpoints}/enablePublicEndpoint"),
        &json!(true),
    );
    check_value(&pool, "/config/labels/theirs", &json!("yes"));
    check_value(&pool, "/config/labels/team", &json!("payments"));
    let keys = pool["config"]["taints"].as_array().into_iter().flatten();
    let keys: Vec<&Value> = keys.map(|taint| &taint["key"]).collect();
    assert_eq!(keys, ["ours", "theirs"], "{pool:#}");
}

#[test]
fn a_pool_deleted_by_others_is_planned_and_comes_back() {
    for provider in [Provider::Aks, Provider::Gke] {
        let cloud = Cloud::start();
        let bed = Bed::new(&cloud, provider, "");
        let somebody = match provider {
            Provider::Aks => cloud.azure(),
            Provider::Gke => cloud.google(),
        };
        let pool = bed.pool(&somebody.get(&bed.path), "work");
        somebody.act(&Method::DELETE, &pool, None);
        let plan = bed.workspace.planned(&[]);
        let change = &plan["resource_changes"][0]["change"];
        assert_eq!(change["actions"], json!(["update"]), "{change}");
        assert!(change["before"]["node_pools"]["work"].is_null(), "{change}");
        assert!(
            change["after"]["node_pools"]["work"].is_object(),
            "{change}"
        );
        bed.workspace.apply().succeeds();
        assert_eq!(bed.pool(&somebody.get(&bed.path), "work"), pool);
        bed.workspace.plans_nothing();
    }
}

/// Somebody deletes a pool and makes another one under its name, with other machines.
#[test]
fn a_pool_that_others_made_again_with_other_machines_is_replaced_by_a_new_one() {
    for provider in [Provider::Aks, Provider::Gke] {
        let cloud = Cloud::start();
        let bed = Bed::new(&cloud, provider, "");
        let somebody = match provider {
            Provider::Aks => cloud.azure(),
            Provider::Gke => cloud.google(),
        };
        let theirs = bed.pool(&somebody.get(&bed.path), "work");
        let mut body = somebody.get(&theirs);
        somebody.act(&Method::DELETE, &theirs, None);
        let machine = match provider {
            Provider::Aks => {
                let machine = "Standard_D8ds_v5";
                body["properties"]["vmSize"] = machine.into();
                let fresh = [
                    "count",
                    "mode",
                    "vmSize",
                    "enableAutoScaling",
                    "minCount",
                    "maxCount",
                ]
                .map(|key| (key, body["properties"][key].clone()));
                let body = json!({ "properties": serde_json::Map::from_iter(fresh.map(|(key, value)| (key.to_owned(), value))) });
                somebody.act(&Method::PUT, &theirs, Some(&body));
                machine
            }
            Provider::Gke => {
                let machine = "n2-standard-8";
                let pool = json!({ "nodePool": { "name": body["name"], "initialNodeCount": 1, "config": { "machineType": machine } } });
                somebody.act(
                    &Method::POST,
                    &format!("{}/nodePools", bed.path),
                    Some(&pool),
                );
                machine
            }
        };

        let plan = bed.workspace.planned(&[]);
        let change = &plan["resource_changes"][0]["change"];
        assert_eq!(change["actions"], json!(["update"]), "{change:#}");
        check_value(
            change,
            "/before/node_pools/work/machine_type",
            &json!(machine),
        );
        check_value(
            change,
            "/before/pools/work/running_machine_type",
            &json!(machine),
        );
        let told = bed.workspace.plans_something();
        let told = told
            .says("Another takes its place")
            .says("Apply will disturb what runs: paymesh_cluster pay");
        assert!(!told.output.contains("-replace"), "{told}");

        // Other changes come with it.
        let before = bed.workspace.run(&["state", "pull"]).succeeds();
        fs::write(bed.workspace.module().join("before"), &before.output)
            .expect("the state can be kept");
        bed.update(r#"labels = { team = "payments" }"#);
        bed.workspace.plans_nothing();
        let ours = bed.pool(&somebody.get(&bed.path), "work");
        assert_ne!(ours, theirs);

        // A run that is killed before it writes its state leaves the one before.
        let since = bed.cloud.last_request();
        let push = ["state", "push", "-force", "before"];
        bed.workspace.run(&push).succeeds();
        bed.workspace.apply().succeeds();
        assert_eq!(bed.cloud.writes(since), [] as [String; 0]);
        assert_eq!(bed.pool(&somebody.get(&bed.path), "work"), ours);
        bed.workspace.plans_nothing();
        let labels = match provider {
            Provider::Aks => "/tags/team",
            Provider::Gke => "/resourceLabels/team",
        };
        check_value(&somebody.get(&bed.path), labels, &json!("payments"));
    }
}

/// The plan must show each of these attributes (JSON pointers) as a change, and what the apply makes
/// of it must plan nothing.
#[track_caller]
fn check_shown_and_repaired<'a>(
    workspace: &Workspace<'_>,
    attributes: impl IntoIterator<Item = &'a str>,
) {
    let plan = workspace.planned(&[]);
    let change = &plan["resource_changes"][0]["change"];
    assert_eq!(change["actions"], json!(["update"]), "{change:#}");
    for attribute in attributes {
        let [before, after] = ["before", "after"].map(|it| change[it].pointer(attribute).cloned());
        assert_ne!(before, after, "{attribute} in {change:#}");
    }
    workspace.apply().succeeds();
    workspace.plans_nothing();
}

#[test]
fn what_others_changed_on_aks_is_shown_and_repaired() {
    const WINDOW: &str = "/maintenanceConfigurations/aksManagedAutoUpgradeSchedule";
    #[rustfmt::skip]
    let changes: &[(&str, &str, Value, &str)] = &[
        ("", "/tags/team", json!("theirs"), "/labels/team"),
        ("", "/tags/paymesh-role", json!("hub"), "/role"),
        ("", "/sku/tier", json!("Standard"), "/profile"),
        ("", "/properties/apiServerAccessProfile/authorizedIPRanges", json!(["198.51.100.0/24"]), "/api_access/authorized_cidrs"),
        ("", "/properties/autoUpgradeProfile/upgradeChannel", json!("none"), "/upgrade_channel"),
        ("", "/properties/autoUpgradeProfile/nodeOSUpgradeChannel", json!("None"), "/node_image_channel"),
        ("", "/properties/workloadAutoScalerProfile/verticalPodAutoscaler/enabled", json!(false), "/features/vertical_pod_autoscaling"),
        ("", "/properties/aadProfile/adminGroupObjectIDs", json!(["00000000-0000-0000-0000-000000000009"]), "/admins"),
        (WINDOW, "/properties/maintenanceWindow/durationHours", json!(9), "/maintenance/window/hours"),
        ("work", "/properties/maxCount", json!(9), "/node_pools/work/max_nodes"),
        ("work", "/properties/nodeLabels/team", json!("theirs"), "/node_pools/work/labels/team"),
        ("work", "/properties/nodeTaints", json!([]), "/node_pools/work/taints"),
        ("work", "/properties/upgradeSettings/maxSurge", json!("1"), "/node_pools/work/surge"),
    ];
    let cloud = Cloud::start();
    let bed = Bed::new(
        &cloud,
        Provider::Aks,
        r#"labels = { team = "ours" }; admins = [{ entra_object_id = "00000000-0000-0000-0000-000000000001" }]; api_access = { authorized_cidrs = ["203.0.113.0/24"] }; features = { vertical_pod_autoscaling = true }; maintenance = { window = { day = "sunday", start = "22:30", hours = 6 } }; node_pools.work.labels = { team = "ours" }; node_pools.work.taints = [{ key = "batch" }]; node_pools.work.surge = 3"#,
    );
    let azure = cloud.azure();
    let pool = bed.pool(&azure.get(&bed.path), "work");
    let place = |key: &str| match key {
        "work" => pool.clone(),
        below => format!("{}{below}", bed.path),
    };
    let mut ours = Vec::new();
    for (key, at, theirs, _) in changes {
        let before = azure
            .get(&place(key))
            .pointer(at)
            .cloned()
            .unwrap_or_default();
        assert_ne!(before, *theirs, "{at} must be changed");
        azure.change(&place(key), |body| {
            *body.pointer_mut(at).expect("it is there") = theirs.clone();
        });
        ours.push(before);
    }
    azure.change(&bed.path, |body| {
        let tags = body["tags"].as_object_mut().expect("it has tags");
        tags.remove("paymesh-owner").expect("it bears our mark");
    });
    check_shown_and_repaired(&bed.workspace, changes.iter().map(|(.., shown)| *shown));
    for ((key, at, ..), ours) in changes.iter().zip(&ours) {
        check_value(&azure.get(&place(key)), at, ours);
    }
    check_value(&azure.get(&bed.path), "/tags/paymesh-owner", &json!(OWNER));
}

#[test]
fn what_others_changed_on_gke_is_shown_and_repaired() {
    let update = |field: &str, value: Value| json!({ "update": { field: value } });
    let theirs = json!({ "team": "theirs" });
    #[rustfmt::skip]
    let changes: &[(&str, &str, Value, &str)] = &[
        ("", "", update("desiredReleaseChannel", json!({ "channel": "RAPID" })), "/upgrade_channel"),
        ("", "", update("desiredClusterAutoscaling", json!({ "autoscalingProfile": "BALANCED" })), "/profile"),
        ("", "", update("desiredControlPlaneEndpointsConfig", json!({ "ipEndpointsConfig": { "authorizedNetworksConfig": { "enabled": true, "cidrBlocks": [{ "cidrBlock": "198.51.100.0/24" }] } } })), "/api_access/authorized_cidrs"),
        ("", "", update("desiredVerticalPodAutoscaling", json!({ "enabled": false })), "/features/vertical_pod_autoscaling"),
        ("", "", update("desiredCostManagementConfig", json!({ "enabled": false })), "/features/cost_allocation"),
        ("", "", update("desiredAddonsConfig", json!({ "dnsCacheConfig": { "enabled": false } })), "/features/dns_cache"),
        ("", ":setLegacyAbac", json!({ "enabled": true }), "/status"),
        ("", ":setMaintenancePolicy", json!({ "maintenancePolicy": { "window": {} } }), "/maintenance"),
        ("work", ":setAutoscaling", json!({ "autoscaling": { "enabled": true, "totalMinNodeCount": 3, "totalMaxNodeCount": 9 } }), "/node_pools/work/max_nodes"),
        ("work", "", json!({ "labels": { "labels": theirs } }), "/node_pools/work/labels/team"),
        ("work", "", json!({ "taints": { "taints": [] } }), "/node_pools/work/taints"),
        ("work", "", json!({ "upgradeSettings": { "strategy": "SURGE", "maxSurge": 1 } }), "/node_pools/work/surge"),
    ];
    let cloud = Cloud::start();
    let bed = Bed::new(
        &cloud,
        Provider::Gke,
        r#"labels = { team = "ours" }; api_access = { authorized_cidrs = ["203.0.113.0/24"] }; features = { vertical_pod_autoscaling = true }; maintenance = { window = { day = "sunday", start = "22:30", hours = 12 } }; node_pools.work.labels = { team = "ours" }; node_pools.work.taints = [{ key = "batch" }]; node_pools.work.surge = 3"#,
    );
    let google = cloud.google();
    let body = google.get(&bed.path);
    let pool = bed.pool(&body, "work");
    let mut labels = body["resourceLabels"].clone();
    labels["team"] = "theirs".into();
    labels["paymesh-role"] = "hub".into();
    let labels = json!({ "resourceLabels": labels, "labelFingerprint": body["labelFingerprint"] });
    let at = format!("{}:setResourceLabels", bed.path);
    google.act(&Method::POST, &at, Some(&labels));
    for (key, verb, change, _) in changes {
        let place = if key.is_empty() { &bed.path } else { &pool };
        let (method, mut change) = match *verb {
            "" => (Method::PUT, change.clone()),
            _ => (Method::POST, change.clone()),
        };
        if *verb == ":setMaintenancePolicy" {
            let version = google.get(&bed.path)["maintenancePolicy"]["resourceVersion"].clone();
            change["maintenancePolicy"]["resourceVersion"] = version;
        }
        google.act(&method, &format!("{place}{verb}"), Some(&change));
    }
    let shown = changes.iter().map(|(.., shown)| *shown);
    check_shown_and_repaired(&bed.workspace, shown.chain(["/labels/team", "/role"]));
    check_value(&google.get(&bed.path), "/legacyAbac", &json!({}));
}

/// Somebody labels a pool between our read and our write.
#[test]
fn what_changes_between_read_and_write_is_not_overwritten_on_gke() {
    let cloud = Cloud::start();
    let bed = Bed::new(&cloud, Provider::Gke, "");
    let google = cloud.google();
    let pool = bed.pool(&google.get(&bed.path), "work");
    let changed = bed
        .block
        .clone()
        .with(r#"node_pools.work.labels = { team = "ours" }"#);
    bed.workspace.configure(&changed.to_string());
    let write = cloud.hold("PUT", "*/nodepools/work*", 1, "before_effect");
    let running = bed.workspace.start_apply();
    write.wait();
    let theirs = json!({ "labels": { "labels": { "theirs": "yes" } } });
    google.act(&Method::PUT, &pool, Some(&theirs));
    write.release();
    running.end().succeeds();
    let labels = google.get(&pool)["config"]["labels"].clone();
    assert_eq!(labels["theirs"], "yes", "{labels}");
    assert_eq!(labels["team"], "ours", "{labels}");
    bed.workspace.plans_nothing();
}

/// Nodes are stopped, the control plane of GKE is not: it is not left open.
#[test]
fn what_others_changed_on_a_gke_cluster_that_is_off_is_undone() {
    let cloud = Cloud::start();
    let bed = Bed::new(&cloud, Provider::Gke, r#"power = "off""#);
    let google = cloud.google();
    let open = json!({ "ipEndpointsConfig": { "enablePublicEndpoint": true, "authorizedNetworksConfig": { "enabled": true, "cidrBlocks": [{ "cidrBlock": "0.0.0.0/0" }] } } });
    let update = json!({ "update": { "desiredControlPlaneEndpointsConfig": open } });
    google.act(&Method::PUT, &bed.path, Some(&update));
    check_shown_and_repaired(&bed.workspace, ["/api_access"]);
    let open = "/controlPlaneEndpointsConfig/ipEndpointsConfig/enablePublicEndpoint";
    assert_ne!(google.get(&bed.path).pointer(open), Some(&json!(true)));
}

#[test]
fn other_default_labels_are_a_change_of_the_users_own() {
    let with = |labels: &str| {
        format!(
            "provider \"paymesh\" {{\n  owner = \"acceptance/one\"\n  simulator = true\n  default_labels = {labels}\n}}\n{AKS}{GKE}"
        )
    };
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &with(r#"{ team = "payments", tier = "one" }"#));
    workspace.apply().succeeds();
    workspace.configure(&with(r#"{ team = "ledger" }"#));
    let plan = workspace.plans_something();
    assert!(!plan.output.contains("Warning"), "{plan}");
    check_only_labels_change(&workspace, &json!({ "team": "payments", "tier": "one" }));
    workspace.apply().succeeds();
    workspace.plans_nothing();
    let body = |address: &str| {
        let id = workspace.attributes(address)["id"].clone();
        let id = id.as_str().expect("the cluster has an id").to_owned();
        match id.strip_prefix("projects/") {
            Some(_) => cloud.google().get(&format!("/v1/{id}"))["resourceLabels"].clone(),
            None => cloud.azure().get(&id)["tags"].clone(),
        }
    };
    for address in BOTH {
        let labels = body(address);
        check_value(&labels, "/team", &json!("ledger"));
        check_value(&labels, "/tier", &Value::Null);
    }
}

/// A plan must change the labels of every cluster from these, and nothing else.
#[track_caller]
fn check_only_labels_change(workspace: &Workspace<'_>, before: &Value) {
    let plan = workspace.planned(&[]);
    for address in BOTH {
        let mut planned = plan["resource_changes"].as_array().into_iter().flatten();
        let cluster = planned.find(|it| it["address"] == *address);
        let change = &cluster.expect("the cluster is planned")["change"];
        let after = change["after"].as_object().into_iter().flatten();
        let changed: Vec<&String> = after
            .filter(|(name, after)| change["before"][*name] != **after)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(changed, ["effective_labels"], "{change:#}");
        assert_eq!(change["before"]["effective_labels"], *before);
    }
}

/// A list must hold these, in any order.
#[track_caller]
fn check_list(body: &Value, at: &str, expected: &Value) {
    let sorted = |list: &Value| {
        let mut all: Vec<String> = list
            .as_array()
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        all.sort();
        all
    };
    let found = body.pointer(at).cloned().unwrap_or_default();
    assert_eq!(sorted(&found), sorted(expected), "{at} in {body:#}");
}
