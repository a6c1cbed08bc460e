//! Bad configurations, refused while planning: each at its attribute, with what to do, and without
//! one request that writes.
//!
//! Once apply has begun, what the cloud itself says decides.
//!
//! A case is one line of a table: the change to a plain cluster, the code, the attribute, and a
//! word of the mend. All cases of a table are planned in one run, which must report exactly them.

mod alone;
mod case;
mod existing;
mod live;
mod together;

use std::{collections::BTreeSet, fs};

use case::{Case, Kind, check_refused};
use paymesh_acceptance::{
    Cloud, Finding, Run, Workspace,
    hcl::{ClusterBlock, Provider, configuration},
    samples::{AKS, GKE},
};
use reqwest::Method;
use serde_json::json;

#[test]
fn what_a_configuration_alone_gets_wrong_is_reported_all_at_once() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, "");
    check_refused(&cloud, &workspace, "", &alone::CASES);
}

#[test]
fn what_the_cloud_knows_better_is_reported_while_planning() {
    let cloud = Cloud::start();
    what_others_made(&cloud);
    let workspace = Workspace::new(&cloud, "");
    check_refused(&cloud, &workspace, "", &live::CASES);
}

#[test]
fn what_two_clusters_must_not_share_is_reported_at_one_of_them() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, "");
    check_refused(&cloud, &workspace, "", &together::CASES);
}

#[test]
fn what_an_existing_cluster_cannot_become_is_reported_while_planning() {
    let cloud = Cloud::start();
    let made: Vec<ClusterBlock> = existing::CASES
        .iter()
        .enumerate()
        .map(|(number, case)| case.block(&cloud, number).with(existing::MADE))
        .collect();
    let workspace = Workspace::new(&cloud, &configuration(&made));
    workspace.apply().succeeds();
    check_refused(&cloud, &workspace, existing::MADE, &existing::CASES);
}

#[test]
fn a_channel_that_has_not_the_version_that_runs_is_refused_while_planning() {
    let cloud = Cloud::start();
    let made = ClusterBlock::plain(Provider::Gke, "pay")
        .with(r#"kubernetes_version = "1.35"; upgrade_channel = "regular""#);
    let workspace = Workspace::new(&cloud, &made.to_string());
    workspace.apply().succeeds();
    let back = made.with(r#"kubernetes_version = "1.34"; upgrade_channel = "stable""#);
    workspace.configure(&back.to_string());
    workspace
        .plan()
        .fails_with("which the channel STABLE does not have")
        .says("(PM251 at upgrade_channel)");
}

#[test]
fn a_login_that_is_refused_is_told_once_for_each_cloud() {
    let cloud = Cloud::start();
    let made = format!("{AKS}{GKE}");
    let workspace = Workspace::new(&cloud, &made);
    workspace.apply().succeeds();
    let more = made
        .replace("\"aks\" {", "\"more_aks\" {")
        .replace("\"gke\" {", "\"more_gke\" {")
        .replace("pay-", "more-")
        .replace("europe-west1", "us-east1")
        .replace(
            "azure               = {}",
            r#"azure = { pods_cidr = "10.245.0.0/16" }"#,
        );
    workspace.configure(&format!("{made}{more}"));
    for (file, rotten) in [
        ("client_secret_file", json!("an older secret")),
        (
            "google_credentials_file",
            json!({ "type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c" }),
        ),
    ] {
        let file = cloud.card()[file].as_str().expect("it is in a file");
        let text = rotten
            .as_str()
            .map_or_else(|| rotten.to_string(), str::to_owned);
        fs::write(file, text).expect("the file can be written");
    }
    let mut errors = workspace.plan_json().findings();
    errors.retain(|finding| finding.is_error);
    let codes: Vec<_> = errors.iter().map(Finding::code).collect();
    let said: String = errors.iter().map(ToString::to_string).collect();
    assert_eq!(codes, [Some("PM165"); 2], "{said}");
}

#[test]
fn what_is_no_mistake_is_a_warning() {
    let cloud = Cloud::start();
    let clusters = format!("{AKS}{GKE}")
        .replace("\"gke\" {", "\"gke\" {\n  upgrade_channel = \"rapid\"")
        .replace("europe-west1", "us-west2");
    let workspace = Workspace::new(&cloud, &clusters.replace("1.34", "1.35"));
    workspace.apply().succeeds();

    let [system, work] = ["system = { mode = \"system\", ", "work   = { "].map(|pool| {
        let sized = format!("{pool}vcpu = 4, memory_gb = 16");
        (sized, format!("{pool}machine_type = \"n2d-standard-4\""))
    });
    let (before, google) = clusters
        .split_once("\"gke\" {")
        .expect("the second is on GKE");
    let google = google
        .replace(&system.0, &system.1)
        .replace(&work.0, &work.1);
    workspace.configure(&format!("{before}\"gke\" {{{google}"));
    let run = workspace.plan_json();
    assert!(run.status.success(), "{run}");
    let findings = run.findings();
    let said: Vec<_> = findings
        .iter()
        .map(|it| {
            let [code, path] = [it.code(), it.path()].map(Option::unwrap_or_default);
            (it.address.as_str(), code, path)
        })
        .collect();
    let expected = [
        ("paymesh_cluster.aks", "PM116", "kubernetes_version"),
        ("paymesh_cluster.gke", "PM116", "kubernetes_version"),
        (
            "paymesh_cluster.gke",
            "PM254",
            r#"node_pools["system"].zones"#,
        ),
        (
            "paymesh_cluster.gke",
            "PM254",
            r#"node_pools["work"].zones"#,
        ),
        // The machines change, so the pools are rotated.
        ("paymesh_cluster.gke", "PM121", ""),
    ];
    for wanted in expected {
        assert!(said.contains(&wanted), "no {wanted:?} in {said:?}");
    }
    assert_eq!(said.len(), expected.len(), "{said:?}");
}

#[test]
fn the_tables_are_as_broad_as_promised() {
    let tables: [&[Case]; 4] = [
        &alone::CASES,
        &live::CASES,
        &together::CASES,
        &existing::CASES,
    ];
    let pairs = |kind: Option<Kind>| {
        let cases = tables.iter().flat_map(|table| table.iter());
        cases
            .filter(|case| kind.is_none_or(|kind| case.kind == kind))
            .map(|case| (case.attribute(), case.code))
            .collect::<BTreeSet<_>>()
            .len()
    };
    let counted = [
        (pairs(None), 60),
        (pairs(Some(Kind::Live)), 20),
        (pairs(Some(Kind::Pair)), 10),
        (pairs(Some(Kind::Clusters)), 4),
    ];
    assert!(
        counted.iter().all(|(are, least)| are >= least),
        "pairs of attribute and rule, and how many there must be: {counted:?}"
    );
}

/// A cluster under a name that the configuration wants, and subnets that no cluster can use.
fn what_others_made(cloud: &Cloud) {
    let azure = cloud.azure();
    let shared = cloud.shared();
    let cluster = json!({
        "location": "westeurope",
        "identity": { "type": "SystemAssigned" },
        "properties": {
            "dnsPrefix": "theirs",
            "agentPoolProfiles": [{ "name": "system", "mode": "System", "count": 1, "vmSize": "Standard_D2s_v5" }],
        },
    });
    let path = format!("{shared}/Microsoft.ContainerService/managedClusters/theirs");
    azure.act(&Method::PUT, &path, Some(&cluster));
    let cluster = json!({ "cluster": { "name": "theirs", "initialNodeCount": 1 } });
    let path = "/v1/projects/paymesh-hub/locations/asia-east1/clusters";
    cloud.google().act(&Method::POST, path, Some(&cluster));
    let network = format!("{shared}/Microsoft.Network/virtualNetworks/tight");
    let space = json!({ "addressSpace": { "addressPrefixes": ["10.30.0.0/16"] } });
    azure.act(
        &Method::PUT,
        &network,
        Some(&json!({ "location": "westeurope", "properties": space })),
    );
    let small = json!({ "properties": { "addressPrefix": "10.30.0.0/29" } });
    azure.act(
        &Method::PUT,
        &format!("{network}/subnets/small"),
        Some(&small),
    );
    let reserved = json!({ "properties": {
        "addressPrefix": "10.30.1.0/24",
        "delegations": [{ "name": "sql", "properties": { "serviceName": "Microsoft.DBforPostgreSQL/flexibleServers" } }],
    } });
    azure.act(
        &Method::PUT,
        &format!("{network}/subnets/reserved"),
        Some(&reserved),
    );
}

/// Uses up a quota between a plan and its apply, for a cluster whose turn comes when another one has
/// been made. A new plan refuses it by `code`; the apply asks the cloud, and tells its `words`.
#[track_caller]
fn check_the_cloud_decides(provider: Provider, large: &str, code: &str, words: &str) {
    let cloud = Cloud::start();
    let small = ClusterBlock::plain(provider, "small");
    let large = |label: &str| ClusterBlock::plain(provider, label).with(large);
    let waits = large("large").with("depends_on = [paymesh_cluster.small]");
    let workspace = Workspace::new(&cloud, &configuration([&small, &waits]));
    workspace.planned(&[]);
    let others = Workspace::new(&cloud, &large("theirs").to_string());
    others.apply().succeeds();
    check_said(&workspace.plan_json(), code, "");

    let run = workspace.run(&["apply", "-json", "planned"]);
    check_said(&run.succeeds(), "PM148", words);
    let standing = |address: &str| workspace.attributes(address)["status"].clone();
    assert_eq!(standing("paymesh_cluster.small"), "Ready");
    assert_eq!(standing("paymesh_cluster.large"), "Incomplete");
}

/// A run must say this of the cluster `large`, and nothing else.
#[track_caller]
fn check_said(run: &Run, code: &str, words: &str) {
    let found = run.findings();
    let [finding] = found.as_slice() else {
        panic!("{run}");
    };
    assert_eq!(finding.address, "paymesh_cluster.large", "{finding}");
    assert_eq!(finding.code(), Some(code), "{finding}");
    assert!(finding.text.contains(words), "{finding}");
}

#[test]
fn once_apply_has_begun_a_quota_of_azure_is_refused_by_azure_alone() {
    check_the_cloud_decides(
        Provider::Aks,
        r#"region = "uksouth"; node_pools.work = { machine_type = "Standard_D8s_v5", min_nodes = 40, max_nodes = 50 }"#,
        "PM215",
        "Insufficient vcpu quota requested 320",
    );
}

#[test]
fn once_apply_has_begun_a_quota_of_google_is_refused_by_google_alone() {
    check_the_cloud_decides(
        Provider::Gke,
        r#"region = "us-central1"; network.subnet_id = "projects/paymesh-hub/regions/us-central1/subnetworks/default"; node_pools.work = { machine_type = "n2-standard-8", min_nodes = 40, max_nodes = 60 }"#,
        "PM256",
        "Insufficient regional quota to satisfy request",
    );
}

#[test]
fn what_an_apply_makes_meanwhile_is_not_counted_against_the_plan_of_another_cluster() {
    let work = |nodes: u32| {
        format!(
            r#"region = "uksouth"; node_pools.work = {{ machine_type = "Standard_D8s_v5", min_nodes = {nodes}, max_nodes = 50 }}"#
        )
    };
    let cloud = Cloud::start();
    let one = ClusterBlock::plain(Provider::Aks, "one").with(&work(30));
    let two = ClusterBlock::plain(Provider::Aks, "two")
        .with(&work(20))
        .with(r#"registries = ["$SHARED/Microsoft.ContainerRegistry/registries/images"]; azure = { pods_cidr = "10.245.0.0/16" }"#);
    let both = cloud.seeded(&configuration([&one, &two]));
    let workspace = Workspace::new(&cloud, &both);
    workspace.planned(&[]);

    let registry = cloud.hold("GET", "*/registries/images", 1, "before_effect");
    let apply = workspace.start(&["apply", "-no-color", "planned"]);
    registry.wait();
    apply.wait_for("paymesh_cluster.one: Creation complete");
    registry.release();
    apply.end().succeeds().says("2 added");
    workspace.plans_nothing();
}

/// A cluster that fits into a quota once, and not twice, must be gone on with after a kill at
/// `write`, and be replaced by `-replace` and when it is tainted: what it has is not counted again.
#[track_caller]
fn check_own_machines_count_once(provider: Provider, large: &str, method: &str, write: &str) {
    let cloud = Cloud::start();
    let block = ClusterBlock::plain(provider, "large").with(large);
    let workspace = Workspace::new(&cloud, &cloud.seeded(&block.to_string()));
    let made = cloud.hold(method, write, 1, "after_effect");
    let apply = workspace.start_apply();
    made.wait();
    apply.kill();
    made.release();
    assert!(workspace.state().is_empty(), "the state knows nothing");
    workspace.apply().succeeds().says("1 added");

    let replace = format!("-replace={}", block.address());
    let plan = workspace.run(&["plan", &replace]).succeeds();
    assert!(!plan.output.contains("quota"), "{plan}");
    workspace.run(&["taint", &block.address()]).succeeds();
    workspace
        .apply()
        .succeeds()
        .says("1 added, 0 changed, 1 destroyed");
    workspace.plans_nothing();
}

#[test]
fn the_machines_of_a_killed_or_replaced_aks_cluster_are_not_counted_against_it() {
    check_own_machines_count_once(
        Provider::Aks,
        r#"region = "uksouth"; node_pools.work = { machine_type = "Standard_D8s_v5", min_nodes = 40, max_nodes = 50 }"#,
        "PUT",
        "*/managedclusters/large/agentpools/*",
    );
}

#[test]
fn the_machines_of_a_killed_or_replaced_gke_cluster_are_not_counted_against_it() {
    check_own_machines_count_once(
        Provider::Gke,
        r#"region = "us-central1"; network.subnet_id = "$GOOGLE/us-central1/subnetworks/default"; node_pools.work = { machine_type = "n2-standard-8", min_nodes = 40, max_nodes = 60 }"#,
        "POST",
        "*/locations/us-central1/clusters",
    );
}
