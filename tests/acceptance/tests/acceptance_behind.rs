//! What happens to clusters without Terraform: what a cloud or a person may do is no difference
//! and survives an update of something else; what a person broke is planned and repaired.

use paymesh_acceptance::{
    Cloud, Run, Workspace,
    hcl::{ClusterBlock, Provider},
};
use reqwest::Method;
use serde_json::{Value, json};

const DAY_SECONDS: u32 = 86_400;

/// One plain cluster that was applied, with the clock standing still.
struct Bed<'a> {
    cloud: &'a Cloud,
    block: ClusterBlock,
    workspace: Workspace<'a>,
    /// Where the cluster is in its cloud's API.
    path: String,
}

impl<'a> Bed<'a> {
    fn new(cloud: &'a Cloud, provider: Provider, changes: &str) -> Self {
        let block = ClusterBlock::plain(provider, "pay").with(changes);
        let workspace = Workspace::new(cloud, &block.to_string());
        workspace.apply().succeeds();
        cloud.ask(Method::POST, "clock", Some(&json!({ "freeze": true })));
        let id = workspace.attributes(&block.address())["id"].clone();
        let id = id.as_str().expect("the cluster has an id");
        let path = match provider {
            Provider::Aks => id.to_owned(),
            Provider::Gke => format!("/v1/{id}"),
        };
        Self {
            cloud,
            block,
            workspace,
            path,
        }
    }

    /// Lets simulated time pass, then lets operations that began in it end.
    fn wait(&self, seconds: u32) {
        self.cloud.pass(seconds);
        self.cloud.rest();
    }

    /// The path of the only pool whose name begins with the key.
    fn pool(&self, body: &Value, key: &str) -> String {
        let pools = body["nodePools"]
            .as_array()
            .or_else(|| body["properties"]["agentPoolProfiles"].as_array());
        let name = pools
            .into_iter()
            .flatten()
            .filter_map(|pool| pool["name"].as_str())
            .find(|name| name.starts_with(key))
            .unwrap_or_else(|| panic!("no pool {key} in {body}"));
        let kind = if body["nodePools"].is_array() {
            "nodePools"
        } else {
            "agentPools"
        };
        format!("{}/{kind}/{name}", self.path)
    }

    /// Applies the cluster with changes of something else.
    fn update(&self, changes: &str) -> Run {
        let block = self.block.clone().with(changes);
        self.workspace.configure(&block.to_string());
        self.workspace.apply().succeeds()
    }
}

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
        body["properties"]["alsoNew"] = true.into();
    });
    // An extension ten minutes after birth, then an upgrade by the channel.
    bed.wait(15 * 60);
    bed.wait(8 * DAY_SECONDS);
    // The autoscaler.
    azure.change(&pool, |body| body["properties"]["count"] = 3.into());
    bed.workspace.plans_nothing();

    bed.update(r#"labels = { team = "payments" }; node_pools.work.labels = { team = "payments" }"#);
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
    let pool = bed.pool(&body, "work");
    let theirs = json!({ "labels": { "labels": { "theirs": "yes" } } });
    google.act(&Method::PUT, &pool, Some(&theirs));
    bed.wait(15 * DAY_SECONDS);
    google.act(
        &Method::POST,
        &format!("{pool}:setSize"),
        Some(&json!({ "nodeCount": 2 })),
    );
    bed.workspace.plans_nothing();

    bed.update(r#"labels = { team = "payments" }; node_pools.work.labels = { team = "payments" }"#);
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
    check_value(&pool, "/config/labels/theirs", &json!("yes"));
    check_value(&pool, "/config/labels/team", &json!("payments"));
}

#[test]
fn a_cluster_that_others_stopped_stays_stopped_until_it_is_told_to_start() {
    let cloud = Cloud::start();
    let bed = Bed::new(&cloud, Provider::Aks, "");
    let azure = cloud.azure();
    azure.act(&Method::POST, &format!("{}/stop", bed.path), None);
    bed.workspace.plans_nothing();
    let power = "/properties/powerState/code";
    check_value(&azure.get(&bed.path), power, &json!("Stopped"));

    let changed = bed.block.clone().with(r#"labels = { team = "payments" }"#);
    bed.workspace.configure(&changed.to_string());
    let before = cloud.last_request();
    bed.workspace
        .plan()
        .fails_with("A stopped cluster cannot be changed");
    assert_eq!(cloud.writes(before), Vec::<String>::new());

    bed.update(r#"labels = { team = "payments" }; power = "on""#);
    bed.workspace.plans_nothing();
    let body = azure.get(&bed.path);
    check_value(&body, power, &json!("Running"));
    check_value(&body, "/tags/team", &json!("payments"));
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

#[test]
fn what_others_changed_on_aks_is_repaired() {
    #[rustfmt::skip]
    let changes: &[(&str, &str, Value)] = &[
        ("", "/tags/team", json!("theirs")),
        ("", "/properties/apiServerAccessProfile/authorizedIPRanges", json!(["198.51.100.0/24"])),
        ("", "/properties/autoUpgradeProfile/upgradeChannel", json!("none")),
        ("", "/properties/autoUpgradeProfile/nodeOSUpgradeChannel", json!("None")),
        ("", "/properties/workloadAutoScalerProfile/verticalPodAutoscaler/enabled", json!(false)),
        ("work", "/properties/maxCount", json!(9)),
        ("work", "/properties/nodeLabels/team", json!("theirs")),
        ("work", "/properties/nodeTaints", json!([])),
        ("work", "/properties/upgradeSettings/maxSurge", json!("1")),
    ];
    let cloud = Cloud::start();
    let bed = Bed::new(
        &cloud,
        Provider::Aks,
        r#"labels = { team = "ours" }; api_access = { authorized_cidrs = ["203.0.113.0/24"] }; features = { vertical_pod_autoscaling = true }; node_pools.work.labels = { team = "ours" }; node_pools.work.taints = [{ key = "batch" }]; node_pools.work.surge = 3"#,
    );
    let azure = cloud.azure();
    let pool = bed.pool(&azure.get(&bed.path), "work");
    let place = |key: &str| if key.is_empty() { &bed.path } else { &pool };
    let mut ours = Vec::new();
    for (key, at, theirs) in changes {
        let before = azure
            .get(place(key))
            .pointer(at)
            .cloned()
            .unwrap_or_default();
        assert_ne!(before, *theirs, "{at} must be changed");
        azure.change(place(key), |body| {
            *body.pointer_mut(at).expect("it is there") = theirs.clone();
        });
        ours.push(before);
    }
    bed.workspace.plans_something();
    bed.workspace.apply().succeeds();
    for ((key, at, _), ours) in changes.iter().zip(&ours) {
        check_value(&azure.get(place(key)), at, ours);
    }
    bed.workspace.plans_nothing();
}

#[track_caller]
fn check_value(body: &Value, at: &str, expected: &Value) {
    let found = body.pointer(at).cloned().unwrap_or_default();
    assert_eq!(found, *expected, "{at} in {body:#}");
}
