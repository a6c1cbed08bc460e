//! Every optional attribute is set, applied, and then left out. What happens is known at plan: a
//! replacement, a refusal, or a change in place; and a change in place leaves the cloud as if the
//! attribute had never been set. Which attributes there are says the schema.

use std::collections::{BTreeMap, BTreeSet};

use expect_test::{Expect, expect};
use paymesh_acceptance::{
    Cloud, Finding, Workspace,
    hcl::{ClusterBlock, Provider, configuration},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::attributes::{self, clusters, optional};

/// What is of one incarnation, or of the moment.
const FLEETING: [&str; 26] = [
    // What AKS does to a young cluster by itself.
    "provisioningstate",
    "extensionmanager",
    // GKE: of the first pool, and of the pools that the cluster was made with.
    "nodeconfig",
    "initialnodecount",
    "etag",
    "fingerprint",
    "resourceuid",
    "resourceversion",
    "principalid",
    "clientid",
    "objectid",
    "fqdn",
    "privatefqdn",
    "azureportalfqdn",
    "issuerurl",
    "createtime",
    "starttime",
    "endpoint",
    "publicendpoint",
    "privateendpoint",
    "clustercacertificate",
    "paymesh-holder",
    "id",
    "labelfingerprint",
    "systemdata",
    "instancegroupurls",
];

/// What the plan says when an attribute is left out.
fn outcomes(workspace: &Workspace<'_>, blocks: &[ClusterBlock]) -> Vec<(String, String)> {
    let mut left = shares(&optional(&workspace.schema()), blocks);
    let mut all = Vec::new();
    while left.iter().any(|paths| !paths.is_empty()) {
        let round: BTreeMap<usize, String> = left
            .iter_mut()
            .enumerate()
            .filter_map(|(number, paths)| Some((number, paths.pop()?)))
            .collect();
        all.extend(outcomes_of(workspace, blocks, &round));
    }
    all.sort();
    all
}

/// What is left out of each cluster: what several set alike of that with the least to do.
fn shares(schema: &BTreeSet<String>, blocks: &[ClusterBlock]) -> Vec<Vec<String>> {
    let mut setters: BTreeMap<(String, Option<String>), Vec<usize>> = BTreeMap::new();
    for (number, block) in blocks.iter().enumerate() {
        for path in block.removable(schema) {
            let value = block.value(&path);
            setters.entry((path, value)).or_default().push(number);
        }
    }
    let mut setters: Vec<_> = setters.into_iter().collect();
    setters.sort_by_key(|(_, numbers)| numbers.len());
    let mut shares = vec![Vec::new(); blocks.len()];
    for ((path, _), numbers) in setters {
        let idlest = numbers.into_iter().min_by_key(|it| shares[*it].len());
        shares[idlest.expect("somebody sets it")].push(path);
    }
    shares
}

/// What the plan says when one attribute of each cluster is left out.
fn outcomes_of(
    workspace: &Workspace<'_>,
    blocks: &[ClusterBlock],
    round: &BTreeMap<usize, String>,
) -> Vec<(String, String)> {
    let mut outcomes: BTreeMap<usize, String> = BTreeMap::new();
    let configured = |refused: &BTreeMap<usize, String>| {
        let blocks = blocks.iter().enumerate().map(|(number, block)| {
            let path = round
                .get(&number)
                .filter(|_| !refused.contains_key(&number));
            path.map_or_else(|| block.clone(), |path| block.clone().without(path))
        });
        let blocks: Vec<ClusterBlock> = blocks.collect();
        workspace.configure(&configuration(&blocks));
    };
    // Once more without what is refused, because a plan with errors says nothing of the rest.
    loop {
        let before = outcomes.len();
        configured(&outcomes);
        let run = workspace.run(&["plan", "-json", "-refresh=false", "-out=planned"]);
        let mut errors: Vec<Finding> = run.findings();
        errors.retain(|finding| finding.is_error);
        for finding in &errors {
            let number = blocks.iter().position(|it| it.address() == finding.address);
            let number = number.unwrap_or_else(|| panic!("{finding}"));
            let code = finding.code().unwrap_or("no code");
            outcomes.insert(number, format!("refused {code}"));
        }
        if errors.is_empty() {
            break;
        }
        assert!(
            outcomes.len() > before,
            "refused though nothing is left out: {run}"
        );
    }
    let plan = workspace.shown_plan();
    for change in plan["resource_changes"].as_array().into_iter().flatten() {
        let number = blocks
            .iter()
            .position(|it| it.address() == change["address"]);
        let number = number.expect("only the clusters are planned");
        let what = match change["change"]["actions"].to_string().as_str() {
            r#"["no-op"]"# => "is the default",
            r#"["update"]"# => "in place",
            _ => "replaced",
        };
        outcomes.entry(number).or_insert_with(|| what.to_owned());
    }
    round
        .iter()
        .map(|(number, path)| {
            let address = blocks[*number].address();
            let label = address.rsplit('.').next().unwrap_or_default();
            (format!("{label} {path}"), outcomes[number].clone())
        })
        .collect()
}

/// The clusters as their cloud tells them, without what is fleeting: JSON pointers and values.
fn seen(cloud: &Cloud, workspace: &Workspace<'_>, blocks: &[ClusterBlock]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for block in blocks {
        let id = workspace.attributes(&block.address())["id"].clone();
        let id = id.as_str().expect("a cluster has an id");
        let bodies = if id.starts_with("/subscriptions") {
            let azure = cloud.azure();
            ["", "/agentPools", "/maintenanceConfigurations"]
                .map(|below| azure.get(&format!("{id}{below}")))
                .to_vec()
        } else {
            vec![cloud.google().get(&format!("/v1/{id}"))]
        };
        for body in &bodies {
            flatten(body, &block.address(), &mut all);
        }
    }
    all.extend(cloud.inventory());
    all
}

fn flatten(value: &Value, at: &str, all: &mut BTreeSet<String>) {
    match value {
        // What is switched off may remember how it was switched on.
        Value::Object(fields) if fields.get("enabled") == Some(&Value::Bool(false)) => {}
        Value::Object(fields) => {
            for (key, value) in fields {
                if !FLEETING.contains(&key.to_lowercase().as_str()) {
                    flatten(value, &format!("{at}/{key}"), all);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let name = item["name"].as_str().or(item["key"].as_str());
                flatten(item, &format!("{at}/{}", name.unwrap_or("*")), all);
            }
        }
        // What is off, empty or left out is the same.
        Value::Null | Value::Bool(false) => {}
        other => {
            all.insert(format!("{at} = {other}"));
        }
    }
}

/// Sets everything, leaves out what can go in place, and compares with what never had it.
#[track_caller]
fn check(cloud: &Cloud, twin: &Cloud, blocks: &[ClusterBlock], expected: &Expect) {
    let workspace = Workspace::new(cloud, &configuration(blocks));
    workspace.apply().succeeds();
    let outcomes = outcomes(&workspace, blocks);
    let lines: Vec<String> = outcomes
        .iter()
        .map(|(path, outcome)| format!("{path}: {outcome}"))
        .collect();
    expected.assert_eq(&lines.join("\n"));

    let stripped: Vec<ClusterBlock> = blocks
        .iter()
        .map(|block| {
            let address = block.address();
            let label = address.rsplit('.').next().unwrap_or_default();
            let gone = outcomes.iter().filter(|(_, outcome)| outcome == "in place");
            let gone = gone.filter_map(|(path, _)| path.strip_prefix(label)?.strip_prefix(' '));
            let gone: Vec<&str> = gone.collect();
            let inside = |path: &str| gone.iter().any(|it| path.starts_with(&format!("{it}.")));
            let outermost = gone.iter().filter(|path| !inside(path));
            outermost.fold(block.clone(), |block, path| block.without(path))
        })
        .collect();
    workspace.configure(&configuration(&stripped));
    workspace.apply().succeeds();
    workspace.plans_nothing();

    let never = Workspace::new(twin, &configuration(&stripped));
    never.apply().succeeds();
    let (now, never) = (
        seen(cloud, &workspace, &stripped),
        seen(twin, &never, &stripped),
    );
    let left: Vec<&String> = now.difference(&never).collect();
    let lost: Vec<&String> = never.difference(&now).collect();
    assert!(
        left.is_empty() && lost.is_empty(),
        "left behind: {left:#?}\nnot there: {lost:#?}"
    );
}

/// A cloud with what the tables of AKS name.
fn azure() -> Cloud {
    let cloud = Cloud::start();
    let azure = cloud.azure();
    for name in ["plane", "nodes"] {
        let shared = cloud.shared();
        let path = format!("{shared}/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
        let body = json!({ "location": "westeurope" });
        azure.act(&Method::PUT, &path, Some(&body));
    }
    cloud
}

/// A cloud with what the tables of GKE name.
fn google() -> Cloud {
    let cloud = Cloud::start();
    let account = json!({ "accountId": "gke-nodes", "serviceAccount": { "displayName": "nodes" } });
    cloud
        .google()
        .ask("/v1/projects/paymesh-spoke/serviceAccounts", &account);
    cloud.pass(300);
    cloud
}

fn unprotected(blocks: Vec<ClusterBlock>) -> Vec<ClusterBlock> {
    let blocks = blocks.into_iter();
    blocks
        .map(|block| block.with("deletion_protection = false"))
        .collect()
}

#[test]
fn an_attribute_of_aks_that_is_left_out_leaves_nothing_behind() {
    let (cloud, twin) = (azure(), azure());
    let blocks = unprotected(clusters(&cloud, Provider::Aks, &attributes::AKS));
    check(
        &cloud,
        &twin,
        &blocks,
        &expect![[r#"
            labelled labels: in place
            labelled node_image_channel: in place
            labelled power: in place
            labelled timeouts: in place
            labelled timeouts.create: in place
            labelled timeouts.delete: in place
            labelled timeouts.read: in place
            labelled timeouts.update: in place
            labelled upgrade_channel: in place
            networked api_access: replaced
            networked azure: refused PM006
            networked azure.pods_cidr: replaced
            networked azure.services_cidr: replaced
            networked network: replaced
            peopled admins: in place
            peopled deployer_admin: in place
            peopled node_pools.system.vcpu: refused PM082
            peopled profile: in place
            peopled registries: in place
            plain azure: refused PM006
            plain azure.resource_group: replaced
            plain azure.subscription_id: replaced
            plain features: in place
            plain features.cilium: in place
            pooled azure: refused PM006
            pooled azure.control_plane_identity_id: refused PM062
            pooled azure.kubelet_identity_id: replaced
            pooled kms_key_id: in place
            pooled node_pools.cheap.memory_gb: refused PM082
            pooled node_pools.cheap.spot: in place
            pooled node_pools.cheap.vcpu: refused PM082
            pooled node_pools.work.disk_gb: in place
            pooled node_pools.work.disk_type: in place
            pooled node_pools.work.labels: in place
            pooled node_pools.work.machine_type: refused PM082
            pooled node_pools.work.max_pods: in place
            pooled node_pools.work.surge: in place
            pooled node_pools.work.taints: in place
            pooled node_pools.work.zones: in place
            spread azure: refused PM006
            spread deletion_protection: in place
            spread node_pools.system.mode: refused PM077
            spread node_pools.work.memory_gb: refused PM082
            spread profile: is the default
            standing node_pools.system.memory_gb: refused PM082
            standing node_pools.work.vcpu: refused PM082
            standing role: in place
            standing standby: in place
            timed maintenance: in place
            timed maintenance.exclusions: in place
            timed maintenance.window: refused PM162
            timed maintenance.window.hours: in place
            watched features: in place
            watched features.cost_allocation: in place
            watched features.dataplane_metrics: in place
            watched features.dns_cache: in place
            watched features.vertical_pod_autoscaling: in place
            watched features.workload_identity: in place
            watched logs: in place
            watched logs.workspace_id: in place"#]],
    );
}

#[test]
fn an_attribute_of_gke_that_is_left_out_leaves_nothing_behind() {
    let (cloud, twin) = (google(), google());
    let blocks = unprotected(clusters(&cloud, Provider::Gke, &attributes::GKE));
    check(
        &cloud,
        &twin,
        &blocks,
        &expect![[r#"
            labelled admins: in place
            labelled labels: in place
            labelled network: refused PM047
            labelled power: in place
            labelled timeouts: in place
            labelled timeouts.create: in place
            labelled timeouts.delete: in place
            labelled timeouts.read: in place
            labelled timeouts.update: in place
            labelled upgrade_channel: in place
            networked google: refused PM006
            networked google.control_plane_cidr: replaced
            networked google.node_service_account: replaced
            networked google.project: replaced
            networked network: refused PM047
            networked network.pods_range: refused PM050
            networked network.services_range: refused PM050
            plain features: replaced
            plain features.cilium: replaced
            plain features.workload_identity: in place
            plain network: refused PM047
            plain node_pools.system.memory_gb: refused PM082
            plain registries: in place
            pooled network: refused PM047
            pooled node_pools.cheap.memory_gb: refused PM082
            pooled node_pools.cheap.spot: in place
            pooled node_pools.cheap.vcpu: refused PM082
            pooled node_pools.work.disk_gb: in place
            pooled node_pools.work.disk_type: in place
            pooled node_pools.work.labels: in place
            pooled node_pools.work.machine_type: refused PM082
            pooled node_pools.work.max_pods: in place
            pooled node_pools.work.surge: in place
            pooled node_pools.work.taints: in place
            pooled node_pools.work.zones: in place
            spread api_access: in place
            spread google: refused PM006
            spread network: refused PM047
            spread network.services_range: refused PM050
            spread node_pools.system.mode: refused PM077
            spread node_pools.work.vcpu: refused PM082
            spread profile: is the default
            standing network: refused PM047
            standing network.pods_range: refused PM050
            standing node_pools.system.vcpu: refused PM082
            standing node_pools.work.memory_gb: refused PM082
            standing profile: in place
            standing role: in place
            standing standby: in place
            timed deletion_protection: in place
            timed maintenance: in place
            timed maintenance.exclusions: in place
            timed maintenance.window: in place
            timed maintenance.window.hours: in place
            timed network: refused PM047
            watched features: in place
            watched features.cost_allocation: in place
            watched features.dataplane_metrics: in place
            watched features.dns_cache: in place
            watched features.gateway_api: in place
            watched features.vertical_pod_autoscaling: in place
            watched kms_key_id: in place
            watched network: refused PM047"#]],
    );
}
