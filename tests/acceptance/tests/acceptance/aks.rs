//! What surrounds an AKS cluster: who may what, whose identity it has, and what happens to a pool
//! that goes.

use paymesh_acceptance::{
    Cloud, Workspace,
    hcl::{ClusterBlock, Provider},
};
use reqwest::Method;
use serde_json::{Value, json};

const REGISTRY: &str = "$SHARED/Microsoft.ContainerRegistry/registries/images";
const GROUP: &str = "0f5a3bb1-6d0b-4d33-9f13-7a1f5c1d2e01";
const ACR_PULL: &str = "7f951dda-4ed3-4680-a7ca-43fe172d538d";

fn plain() -> ClusterBlock {
    ClusterBlock::plain(Provider::Aks, "one")
}

fn configure(workspace: &Workspace<'_>, cloud: &Cloud, block: &ClusterBlock) {
    workspace.configure(&cloud.seeded(&block.to_string()));
    workspace.apply().succeeds();
    workspace.plans_nothing();
}

/// Who has which role, as `principal role`, in order. Neither machines nor people are named.
fn grants(cloud: &Cloud) -> Vec<String> {
    let mut all: Vec<_> = cloud
        .all("roleAssignments")
        .iter()
        .map(|id| {
            let body = cloud.azure().get(&format!("{id}?api-version=2022-04-01"));
            let word = |name: &str| {
                body["properties"][name]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned()
            };
            let role = word("roleDefinitionId");
            let role = match role.rsplit('/').next().unwrap_or_default() {
                ACR_PULL => "pulls images",
                "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b" => "administers the cluster",
                other => other,
            };
            let who = match word("principalId") {
                id if id == GROUP => "the group",
                id if id == deployer(cloud) => "the deployer",
                _ => "the nodes",
            };
            format!("{who} {role}")
        })
        .collect();
    all.sort();
    all
}

fn deployer(cloud: &Cloud) -> String {
    let card = cloud.card();
    let id = card.pointer("/azure_principals/deployer/object_id");
    id.and_then(Value::as_str)
        .expect("the deployer is known")
        .to_owned()
}

/// The writes of a run, each with the last two parts of its path.
fn writes(cloud: &Cloud, since: u64) -> Vec<String> {
    cloud
        .writes(since)
        .iter()
        .map(|line| {
            let (verb, path) = line.split_once(' ').unwrap_or((line, ""));
            let parts: Vec<_> = path.rsplit('/').take(2).collect();
            format!("{verb} {}/{}", parts[1], parts[0])
        })
        .collect()
}

fn pool_name(workspace: &Workspace<'_>, key: &str) -> String {
    let pools = &workspace.attributes("paymesh_cluster.one")["pools"];
    pools[key]["cloud_name"]
        .as_str()
        .expect("the pool has a name")
        .to_owned()
}

#[test]
fn roles_come_and_go_with_the_configuration() {
    let cloud = Cloud::start();
    let wanted = plain().with(&format!(
        r#"admins = [{{ entra_object_id = "{GROUP}" }}]; registries = ["{REGISTRY}"]"#
    ));
    let workspace = Workspace::new(&cloud, &cloud.seeded(&wanted.to_string()));
    workspace.apply().succeeds();
    workspace.plans_nothing();
    assert_eq!(
        grants(&cloud),
        [
            "the deployer administers the cluster",
            "the group administers the cluster",
            "the nodes pulls images"
        ]
    );
    configure(&workspace, &cloud, &plain().with("deployer_admin = false"));
    assert_eq!(grants(&cloud), [] as [String; 0]);
    workspace.destroy().succeeds();
    assert_eq!(cloud.all("managedClusters"), Vec::<String>::new());
    assert_eq!(cloud.all("userAssignedIdentities"), Vec::<String>::new());
}

#[test]
fn an_assignment_made_by_hand_serves_and_survives() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &plain().with("deployer_admin = false").to_string());
    workspace.apply().succeeds();
    let cluster = cloud.all("managedClusters").remove(0);
    let body = cloud
        .azure()
        .get(&format!("{cluster}?api-version=2025-10-01"));
    let nodes = &body["properties"]["identityProfile"]["kubeletidentity"]["objectId"];
    let scope = cloud.seeded(REGISTRY);
    let path = format!(
        "{scope}/providers/Microsoft.Authorization/roleAssignments/5b1ec0de-0000-4000-8000-000000000001?api-version=2022-04-01"
    );
    let subscription = cloud.subscription();
    let role = json!({"properties": {
        "roleDefinitionId": format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{ACR_PULL}"),
        "principalId": nodes, "principalType": "ServicePrincipal",
    }});
    cloud.azure().act(&Method::PUT, &path, Some(&role));

    let wanted = plain().with(&format!(
        r#"deployer_admin = false; registries = ["{REGISTRY}"]"#
    ));
    let before = cloud.last_request();
    configure(&workspace, &cloud, &wanted);
    assert_eq!(writes(&cloud, before), [] as [String; 0]);
    configure(&workspace, &cloud, &plain().with("deployer_admin = false"));
    workspace.destroy().succeeds();
    assert_eq!(grants(&cloud), ["the nodes pulls images"]);
}

/// Who administers the cluster.
fn admins(cloud: &Cloud) -> Vec<String> {
    let mut all = grants(cloud);
    all.retain(|grant| grant.ends_with("administers the cluster"));
    all
}

#[test]
fn the_deployer_is_whoever_created_and_stays_it_when_another_one_applies() {
    const OWNER: &str = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635";
    let cloud = Cloud::start();
    let [creator, another] =
        ["deployer", "nobody"].map(|who| cloud.card()["azure_principals"][who].clone());
    let sign_in = |who: &Value| {
        let lines = ["client_id", "client_secret_file"].map(|line| (line, &who[line]));
        (
            "PAYMESH_SIMULATOR".to_owned(),
            cloud.file_with(&lines).display().to_string(),
        )
    };
    let workspace = Workspace::with_environment(&cloud, &plain().to_string(), &[sign_in(&creator)]);
    workspace.apply().succeeds();
    let subscription = format!("/subscriptions/{}", cloud.subscription());
    let authorization = "providers/Microsoft.Authorization";
    cloud.azure().act(
        &Method::PUT,
        &format!("{subscription}/{authorization}/roleAssignments/5b1ec0de-0000-4000-8000-000000000002?api-version=2022-04-01"),
        Some(&json!({"properties": {
            "roleDefinitionId": format!("{subscription}/{authorization}/roleDefinitions/{OWNER}"),
            "principalId": another["object_id"], "principalType": "ServicePrincipal",
        }})),
    );
    // A new assignment counts everywhere only after some time.
    cloud.pass(600);

    sign_in(&another);
    workspace.plans_nothing();
    let cluster = cloud.all("managedClusters").remove(0).to_lowercase();
    for id in cloud.all("roleAssignments") {
        if id.to_lowercase().starts_with(&cluster) {
            let path = format!("{id}?api-version=2022-04-01");
            cloud.azure().act(&Method::DELETE, &path, None);
        }
    }
    assert_eq!(admins(&cloud), [] as [String; 0]);
    workspace.apply().succeeds();
    assert_eq!(admins(&cloud), ["the deployer administers the cluster"]);

    // One assignment serves whoever is an admin anyway, and outlives that.
    let admin = deployer(&cloud);
    let wanted = plain().with(&format!(
        r#"admins = [{{ kind = "service_principal", entra_object_id = "{admin}" }}]"#
    ));
    configure(&workspace, &cloud, &wanted);
    configure(&workspace, &cloud, &plain());
    assert_eq!(admins(&cloud), ["the deployer administers the cluster"]);
}

#[test]
fn a_pool_stops_being_a_system_pool_only_after_another_is_one() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &plain().to_string());
    workspace.apply().succeeds();
    let [system, work] = ["system", "work"].map(|key| pool_name(&workspace, key));
    let before = cloud.last_request();
    let swapped = r#"node_pools.system.mode = "user"; node_pools.work.mode = "system""#;
    configure(&workspace, &cloud, &plain().with(swapped));
    assert_eq!(
        writes(&cloud, before),
        [
            format!("PUT agentPools/{work}"),
            format!("PUT agentPools/{system}"),
        ]
    );
}

#[test]
fn a_pool_is_emptied_before_it_goes() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &plain().to_string());
    workspace.apply().succeeds();
    let old = pool_name(&workspace, "work");
    let before = cloud.last_request();
    workspace.configure(&plain().with("node_pools.work.vcpu = 4").to_string());
    workspace
        .plans_something()
        .says(&format!("drain pool {old}"));
    workspace.apply().succeeds();
    let new = pool_name(&workspace, "work");
    assert_eq!(
        writes(&cloud, before),
        [
            format!("PUT agentPools/{new}"),
            format!("PUT agentPools/{old}"),
            format!("DELETE agentPools/{old}"),
        ]
    );
    workspace.plans_nothing();
}

#[test]
fn an_existing_identity_takes_over_in_place() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &plain().to_string());
    workspace.apply().succeeds();
    let identity = format!(
        "{}/Microsoft.ManagedIdentity/userAssignedIdentities/theirs",
        cloud.shared()
    );
    let address = format!("{identity}?api-version=2024-11-30");
    let body = json!({"location": "westeurope"});
    cloud.azure().act(&Method::PUT, &address, Some(&body));
    configure(
        &workspace,
        &cloud,
        &plain().with(&format!(
            r#"azure.control_plane_identity_id = "{identity}""#
        )),
    );
    assert_eq!(cloud.all("managedClusters").len(), 1);
    assert_eq!(grants(&cloud), [] as [String; 0]);
    let identities = cloud.all("userAssignedIdentities");
    assert!(
        identities
            .iter()
            .any(|it| it.eq_ignore_ascii_case(&identity)),
        "{identities:?}"
    );
    assert!(
        !identities.iter().any(|it| it.ends_with("-control-plane")),
        "{identities:?}"
    );
    configure(&workspace, &cloud, &plain());
    assert_eq!(grants(&cloud), ["the deployer administers the cluster"]);
    workspace.destroy().succeeds();
}

/// CIS AKS 2.1.1: who did what through the API server is kept, and who asked to sign in.
#[test]
fn the_audit_log_goes_to_the_workspace_that_is_named() {
    const LOGS: &str = "$SHARED/Microsoft.OperationalInsights/workspaces/logs";
    let cloud = Cloud::start();
    let workspace = cloud.seeded(LOGS);
    let block = plain().with(&format!("logs = {{ workspace_id = \"{workspace}\" }}"));
    Workspace::new(&cloud, &block.to_string())
        .apply()
        .succeeds();
    let cluster = cloud.all("managedClusters").remove(0);
    let setting = cloud.azure().get(&format!(
        "{cluster}/providers/Microsoft.Insights/diagnosticSettings/paymesh?api-version=2021-05-01-preview"
    ));
    let properties = &setting["properties"];
    assert_eq!(properties["workspaceId"], workspace.as_str(), "{setting:#}");
    let logs = properties["logs"].as_array().into_iter().flatten();
    let mut sent: Vec<&str> = logs
        .filter(|log| log["enabled"] == true)
        .filter_map(|log| log["category"].as_str())
        .collect();
    sent.sort_unstable();
    assert_eq!(
        sent,
        [
            "cluster-autoscaler",
            "guard",
            "kube-apiserver",
            "kube-audit-admin",
            "kube-controller-manager",
            "kube-scheduler"
        ]
    );
}

#[test]
fn a_stopped_cluster_has_no_nodes_changes_nothing_and_starts_with_what_it_had() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &plain().to_string());
    workspace.apply().succeeds();
    let path = cloud.all("managedClusters").remove(0);
    let body = || cloud.azure().get(&path);
    let power = || body()["properties"]["powerState"]["code"].clone();
    let usages = format!(
        "/subscriptions/{}/providers/Microsoft.Compute/locations/westeurope/usages",
        cloud.subscription()
    );
    let cores = || {
        let usages = cloud.azure().get(&usages);
        let mut lines = usages["value"].as_array().into_iter().flatten();
        let line = lines.find(|line| line["name"]["value"] == "cores");
        line.and_then(|line| line["currentValue"].as_u64())
    };
    let nodes = || {
        let body = body();
        let pools = body["properties"]["agentPoolProfiles"].as_array();
        let pools = pools.into_iter().flatten();
        let size =
            |pool: &Value| ["name", "minCount", "count", "maxCount"].map(|of| pool[of].clone());
        pools.map(size).collect::<Vec<_>>()
    };
    let before = nodes();
    assert_eq!(cores(), Some(4));

    let since = cloud.last_request();
    configure(&workspace, &cloud, &plain().with(r#"power = "off""#));
    assert_eq!(writes(&cloud, since), ["POST one/stop"]);
    assert_eq!((power(), cores()), (json!("Stopped"), Some(0)));

    let since = cloud.last_request();
    let labelled = plain().with(r#"labels = { a = "b" }"#);
    workspace.configure(&labelled.clone().with(r#"power = "off""#).to_string());
    workspace
        .plan()
        .fails_with("A stopped cluster cannot be changed");
    assert_eq!(writes(&cloud, since), [] as [String; 0]);

    configure(&workspace, &cloud, &labelled.with(r#"power = "on""#));
    assert_eq!((power(), cores()), (json!("Running"), Some(4)));
    assert_eq!(body()["tags"]["a"], "b");
    assert_eq!(nodes(), before);
}
