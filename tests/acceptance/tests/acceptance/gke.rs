//! GKE clusters and the project around them: identities, grants in a policy that others write
//! too, and what only GKE stops and starts by counting nodes.

use paymesh_acceptance::{Cloud, Workspace};
use serde_json::{Value, json};

const PROJECT: &str = "/v1/projects/paymesh-hub";
const IMAGES: &str = "/v1/projects/paymesh-hub/locations/europe-west1/repositories/images";

fn cluster(name: &str, pods: u32, more: &str) -> String {
    let suffix = if pods == 1 { "" } else { "-2" };
    format!(
        r#"
resource "paymesh_cluster" "{name}" {{
  name                = "{name}"
  region              = "europe-west1"
  kubernetes_version  = "1.34"
  google              = {{}}
  deletion_protection = false
  network = {{
    subnet_id      = "projects/paymesh-hub/regions/europe-west1/subnetworks/default"
    pods_range     = "pods{suffix}"
    services_range = "services{suffix}"
  }}
  node_pools = {{
    system = {{ mode = "system", vcpu = 2, memory_gb = 8, min_nodes = 3, max_nodes = 3 }}
    work   = {{ vcpu = 2, memory_gb = 8, min_nodes = 3, max_nodes = 6 }}
  }}
  {more}
}}
"#
    )
}

/// The bindings of a policy, sorted, as text.
fn bindings(policy: &Value) -> Vec<String> {
    let list = policy["bindings"].as_array().into_iter().flatten();
    let mut lines: Vec<String> = list.map(ToString::to_string).collect();
    lines.sort();
    lines
}

fn project_policy(cloud: &Cloud) -> Value {
    let options = json!({ "options": { "requestedPolicyVersion": 3 } });
    cloud
        .google()
        .ask(&format!("{PROJECT}:getIamPolicy"), &options)
}

fn grants_to(policy: &Value, words: &str) -> usize {
    let list = policy["bindings"].as_array().into_iter().flatten();
    list.filter(|binding| binding["members"].to_string().contains(words))
        .count()
}

const ACCESS: &str = r#"admins = [{ google_email = "Payments@paymesh.example" }]
  registries = ["projects/paymesh-hub/locations/europe-west1/repositories/images"]"#;

#[test]
fn two_clusters_in_one_project_keep_their_grants_and_leave_no_trace() {
    let cloud = Cloud::start();
    let before = project_policy(&cloud);
    let both = format!(
        "{}{}",
        cluster("pay-one", 1, ACCESS),
        cluster("pay-two", 2, ACCESS)
    );
    let workspace = Workspace::new(&cloud, &both);
    workspace
        .run(&["apply", "-auto-approve", "-parallelism=40"])
        .succeeds();
    workspace.plans_nothing();
    let policy = project_policy(&cloud);
    assert_eq!(
        grants_to(&policy, "group:payments@paymesh.example"),
        2,
        "{policy}"
    );
    assert_eq!(
        grants_to(&policy, "serviceAccount:pm-pay-one-"),
        1,
        "{policy}"
    );
    assert_eq!(
        grants_to(&policy, "serviceAccount:pm-pay-two-"),
        1,
        "{policy}"
    );
    let images = cloud.google().get(&format!("{IMAGES}:getIamPolicy"));
    assert_eq!(grants_to(&images, "pm-pay-one-"), 1, "{images}");
    assert_eq!(grants_to(&images, "pm-pay-two-"), 1, "{images}");

    workspace.destroy().succeeds();
    assert_eq!(
        bindings(&project_policy(&cloud)),
        bindings(&before),
        "what others wrote is as it was"
    );
    let images = cloud.google().get(&format!("{IMAGES}:getIamPolicy"));
    assert_eq!(bindings(&images), Vec::<String>::new());
    assert_eq!(cloud.all("ServiceAccount"), Vec::<String>::new());
}

/// Control of the CIS GKE Benchmark 1.9, what it asks for, and where the cluster says so. Not defaults:
/// 5.3.1 and 5.9 (own keys) need a key that only the user has, binary authorization a policy.
/// Passwords, client certificates, alpha features and the dashboard (5.8.1, 5.8.2, 5.10.1, 5.10.2) a
/// cluster has only if a field asks for them, and none does; 5.6.4 is the row of 5.6.3.
#[rustfmt::skip]
const CONTROLS: [(&str, &str, &str, &str); 19] = [
    ("5.7.1", "the control plane is logged too", "/loggingConfig/componentConfig/enableComponents", r#"["SYSTEM_COMPONENTS","WORKLOADS","APISERVER","SCHEDULER","CONTROLLER_MANAGER"]"#),
    ("5.8.3", "roles alone decide", "/legacyAbac", "{}"),
    ("5.2.2", "workloads sign in by identities of their own", "/workloadIdentityConfig/workloadPool", "\"paymesh-hub.svc.id.goog\""),
    ("5.4.1", "no pod asks the metadata server of its node", "/nodePools/0/config/workloadMetadataConfig/mode", "\"GKE_METADATA\""),
    ("5.5.1", "nodes run Google's own system", "/nodePools/0/config/imageType", "\"COS_CONTAINERD\""),
    ("5.5.2", "sick nodes are repaired", "/nodePools/0/management/autoRepair", "true"),
    ("5.5.3", "nodes are upgraded", "/nodePools/0/management/autoUpgrade", "true"),
    ("5.5.4", "versions follow a channel", "/releaseChannel/channel", "\"STABLE\""),
    ("5.5.5", "nodes are shielded", "/shieldedNodes/enabled", "true"),
    ("5.5.6", "they notice a changed boot", "/nodePools/0/config/shieldedInstanceConfig/enableIntegrityMonitoring", "true"),
    ("5.5.7", "they start what is signed", "/nodePools/0/config/shieldedInstanceConfig/enableSecureBoot", "true"),
    ("5.6.2", "pods have addresses of the network", "/ipAllocationPolicy/useIpAliases", "true"),
    ("5.6.3", "the API server has no public address", "/controlPlaneEndpointsConfig/ipEndpointsConfig/enablePublicEndpoint", "false"),
    ("5.6.5", "nor has a node", "/nodePools/0/networkConfig/enablePrivateNodes", "true"),
    ("4.3.1", "network policies are enforced", "/networkConfig/datapathProvider", "\"ADVANCED_DATAPATH\""),
    ("5.6.1", "nodes see each other's traffic logged", "/networkConfig/enableIntraNodeVisibility", "true"),
    ("4.1.8", "nobody unknown is bound to a role", "/rbacBindingConfig/enableInsecureBindingSystemUnauthenticated", "false"),
    ("4.1.9", "nor is everybody", "/rbacBindingConfig/enableInsecureBindingSystemAuthenticated", "false"),
    ("5.10.4", "the posture is watched", "/securityPostureConfig/mode", "\"BASIC\""),
];

#[test]
fn a_default_cluster_satisfies_the_controls() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &cluster("pay-one", 1, ""));
    workspace.apply().succeeds();
    let path = format!("{PROJECT}/locations/europe-west1/clusters/pay-one");
    let body = cloud.google().get(&path);
    let broken: Vec<String> = CONTROLS
        .iter()
        .filter(|(_, _, at, expected)| {
            body.pointer(at).map(Value::to_string).as_deref() != Some(*expected)
        })
        .map(|(control, asks, at, expected)| format!("{control} {asks}: {at} is not {expected}"))
        .collect();
    assert_eq!(broken.join("\n"), "", "{body:#}");
    // 5.2.1: not the project's own account, which may do everything.
    let account = body.pointer("/nodePools/0/config/serviceAccount");
    let account = account.and_then(Value::as_str).unwrap_or_default();
    assert!(account.starts_with("pm-pay-one-"), "{account}");
}

#[test]
fn who_no_longer_administers_loses_the_role_and_others_keep_theirs() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &cluster("pay-one", 1, ACCESS));
    workspace.apply().succeeds();
    let mut policy = project_policy(&cloud);
    let theirs =
        json!({ "role": "roles/container.admin", "members": ["group:theirs@paymesh.example"] });
    policy["bindings"].as_array_mut().unwrap().push(theirs);
    cloud.google().ask(
        &format!("{PROJECT}:setIamPolicy"),
        &json!({ "policy": policy }),
    );
    workspace.plans_nothing();
    workspace.configure(&cluster("pay-one", 1, ""));
    workspace.apply().succeeds();
    workspace.plans_nothing();
    let policy = project_policy(&cloud);
    assert_eq!(
        grants_to(&policy, "group:payments@paymesh.example"),
        0,
        "{policy}"
    );
    assert_eq!(
        grants_to(&policy, "group:theirs@paymesh.example"),
        1,
        "{policy}"
    );
    let images = cloud.google().get(&format!("{IMAGES}:getIamPolicy"));
    assert_eq!(grants_to(&images, "pm-pay-one-"), 0, "{images}");
}

#[test]
fn a_stopped_cluster_has_no_nodes_changes_nothing_and_starts_with_what_it_had() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &cluster("pay-one", 1, ""));
    let nodes = || {
        let path = format!("{PROJECT}/locations/europe-west1/clusters/pay-one");
        cloud.google().get(&path)["currentNodeCount"].as_u64()
    };
    workspace.apply().succeeds();
    assert_eq!(nodes(), Some(6));
    workspace.configure(&cluster("pay-one", 1, r#"power = "off""#));
    workspace.apply().succeeds();
    workspace.plans_nothing();
    assert_eq!(nodes(), None);
    workspace.configure(&cluster(
        "pay-one",
        1,
        "power = \"off\"\n  labels = { a = \"b\" }",
    ));
    workspace
        .plan()
        .fails_with("A stopped cluster cannot be changed");
    workspace.configure(&cluster(
        "pay-one",
        1,
        "power = \"on\"\n  labels = { a = \"b\" }",
    ));
    workspace.apply().succeeds();
    workspace.plans_nothing();
    assert_eq!(nodes(), Some(6));
}
