//! `paymesh orphans`: what no state has is found by its mark, and deleted when its owner is named.

use std::{fs, thread};

use paymesh_acceptance::{
    Cloud, OWNER, Workspace,
    hcl::{ClusterBlock, Provider, configuration},
    samples::{BOTH, both},
};
use reqwest::Method;
use serde_json::json;

const ACR_PULL: &str = "7f951dda-4ed3-4680-a7ca-43fe172d538d";
const REGISTRY: &str = "$SHARED/Microsoft.ContainerRegistry/registries/images";

/// Deletes what bears the owner's mark, whatever runs.
const LOST: [&str; 5] = ["--owner", OWNER, "--delete", "--yes", "--without-state"];

/// Runs the command; what it printed.
#[track_caller]
fn orphans(cloud: &Cloud, words: &[&str], succeeds: bool) -> String {
    let (has_succeeded, text) = paymesh_acceptance::orphans(&cloud.file(), words);
    assert_eq!(has_succeeded, succeeds, "{words:?}: {text}");
    text
}

/// An apply is killed at these requests, once the clouds have begun with them, and its state is lost.
#[track_caller]
fn check_killed_at(requests: &[(&str, &str)]) {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &both());
    let hold = |(method, path): &(&str, &str)| cloud.hold(method, path, 1, "after_effect");
    let faults: Vec<_> = requests.iter().map(hold).collect();
    let running = workspace.start_apply();
    for fault in &faults {
        fault.wait();
    }
    running.kill();
    for fault in faults {
        fault.cut();
    }
    assert!(!cloud.inventory().is_empty());

    let deleted = orphans(&cloud, &LOST, true);
    assert_eq!(cloud.inventory(), Vec::<String>::new(), "{deleted}");
}

#[test]
fn what_a_killed_apply_made_is_deleted_while_the_clouds_still_work_on_it() {
    check_killed_at(&[
        ("PUT", "*/managedclusters/pay-aks"),
        ("POST", "*/locations/europe-west1/clusters"),
    ]);
    // A pool at work does not show on its cluster.
    check_killed_at(&[("PUT", "*/managedclusters/pay-aks/agentpools/*")]);
}

#[test]
fn what_a_state_has_is_no_orphan_until_the_state_is_lost() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &both());
    workspace.apply().succeeds();
    let before = cloud.inventory();
    let state = workspace.path("pulled.tfstate");
    let pulled = workspace.run(&["state", "pull"]).succeeds();
    fs::write(&state, &pulled.output).expect("a file can be written");
    let state = state.to_str().expect("it is a word");

    let delete = ["--owner", OWNER, "--delete"];
    let kept = orphans(&cloud, &[&delete[..], &["--yes", state]].concat(), true);
    assert!(kept.starts_with("No orphans"), "{kept}");
    let others = ["--owner", "somebody/else", "--delete", "--yes", state];
    let none = orphans(&cloud, &others, true);
    assert!(none.starts_with("No orphans"), "{none}");
    assert!(none.contains(&format!("Owners found: {OWNER}.")), "{none}");
    let listed = orphans(&cloud, &[], true);
    for kind in [
        "managed cluster",
        "managed identity",
        "GKE cluster",
        "service account",
    ] {
        assert!(listed.contains(kind), "{kind}: {listed}");
    }
    for line in listed.lines().filter(|line| line.starts_with("  ")) {
        assert!(line.contains(&format!("(owner {OWNER}")), "{line}");
    }
    assert!(!listed.contains("Delete them with"), "{listed}");
    let failed = orphans(&cloud, &["--fail-if-any"], false);
    assert!(failed.contains("objects are listed"), "{failed}");
    orphans(&cloud, &["--fail-if-any", state], true);
    let ownerless = orphans(&cloud, &["--delete", "--yes"], false);
    assert!(ownerless.contains("--without-state"), "{ownerless}");
    let unasked = orphans(&cloud, &[&delete[..], &["--without-state"]].concat(), false);
    assert!(unasked.contains("say --yes"), "{unasked}");
    assert_eq!(cloud.inventory(), before);

    let deleted = orphans(&cloud, &LOST, true);
    assert_eq!(cloud.inventory(), Vec::<String>::new(), "{deleted}");
}

#[test]
fn a_lost_namesake_of_another_region_is_an_orphan() {
    let cloud = Cloud::start();
    let main = both();
    let workspace = Workspace::new(&cloud, &main);
    workspace.apply().succeeds();
    let before = cloud.inventory();
    let recovery = main
        .replace("\"aks\" {", "\"lost_aks\" {")
        .replace("\"gke\" {", "\"lost_gke\" {")
        .replace("westeurope", "northeurope")
        .replace("europe-west1", "us-east1");
    let recovery = &recovery[recovery.find("resource").expect("it has clusters")..];
    workspace.configure(&format!("{main}{recovery}"));
    workspace.apply().succeeds();
    let lost = BOTH.map(|address| address.replace('.', ".lost_"));
    workspace
        .run(&["state", "rm", &lost[0], &lost[1]])
        .succeeds();
    let state = workspace.path("pulled.tfstate");
    let pulled = workspace.run(&["state", "pull"]).succeeds();
    fs::write(&state, &pulled.output).expect("a file can be written");
    let state = state.to_str().expect("it is a word");

    let delete = ["--owner", OWNER, "--delete", "--yes", state];
    let deleted = orphans(&cloud, &delete, true);
    assert_eq!(cloud.inventory(), before, "{deleted}");
    workspace.configure(&main);
    workspace.plans_nothing();
}

#[test]
fn no_state_and_one_that_could_not_be_pulled_delete_nothing() {
    let cloud = Cloud::start();
    let block = |name| ClusterBlock::plain(Provider::Aks, name).to_string();
    let workspace = Workspace::new(&cloud, &block("one"));
    workspace.apply().succeeds();
    let elsewhere = Workspace::new(
        &cloud,
        &format!(
            "provider \"paymesh\" {{\n  owner = \"acceptance/two\"\n  simulator = true\n}}\n{}",
            block("two")
        ),
    );
    elsewhere.apply().succeeds();
    let before = cloud.inventory();

    let delete = ["--owner", OWNER, "--delete", "--yes"];
    let given = |name: &str, text: &str| {
        let path = workspace.path(name);
        fs::write(&path, text).expect("a file can be written");
        path.to_str().expect("it is a word").to_owned()
    };
    let others = elsewhere.run(&["state", "pull"]).succeeds();
    for (text, why) in [
        ("", "holds no resource of Paymesh"),
        (
            r#"{ "format_version": "1.0" }"#,
            "holds no resource of Paymesh",
        ),
        ("Error: no state", "this is no state"),
        (&others.output, "have none of it"),
    ] {
        let state = given("given.tfstate", text);
        let refused = orphans(&cloud, &[&delete[..], &[&state]].concat(), false);
        assert!(refused.contains(why), "{refused}");
    }
    let refused = orphans(&cloud, &delete, false);
    assert!(refused.contains("say --without-state"), "{refused}");
    assert_eq!(cloud.inventory(), before);
}

/// An identity that others made, with a role that others gave it.
struct Given {
    /// The identity's id.
    id: String,
    /// Where the role is asked for.
    role: String,
}

impl Given {
    fn new(cloud: &Cloud, name: &str, number: u32) -> Self {
        let azure = cloud.azure();
        let shared = cloud.shared();
        let id = format!("{shared}/Microsoft.ManagedIdentity/userAssignedIdentities/{name}");
        let at = format!("{id}?api-version=2024-11-30");
        azure.act(
            &Method::PUT,
            &at,
            Some(&json!({ "location": "westeurope" })),
        );
        let principal = azure.get(&at)["properties"]["principalId"].take();
        let role = format!(
            "{}/providers/Microsoft.Authorization/roleAssignments/22222222-2222-4222-8222-22222222222{number}?api-version=2022-04-01",
            cloud.seeded(REGISTRY)
        );
        let definition = format!(
            "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/{ACR_PULL}",
            cloud.subscription()
        );
        let properties = json!({
            "roleDefinitionId": definition,
            "principalId": principal,
            "principalType": "ServicePrincipal",
        });
        azure.act(
            &Method::PUT,
            &role,
            Some(&json!({ "properties": properties })),
        );
        Self { id, role }
    }
}

#[test]
fn an_identity_that_others_brought_keeps_the_roles_that_others_gave_it() {
    let cloud = Cloud::start();
    let [plane, nodes] =
        [("plane", 1), ("nodes", 2)].map(|(name, number)| Given::new(&cloud, name, number));
    let before = cloud.inventory();
    let with_given = ClusterBlock::plain(Provider::Aks, "given").with(&format!(
        r#"azure = {{ control_plane_identity_id = "{}", kubelet_identity_id = "{}" }}"#,
        plane.id, nodes.id
    ));
    let with_own =
        ClusterBlock::plain(Provider::Aks, "own").with(&format!(r#"registries = ["{REGISTRY}"]"#));
    let both = cloud.seeded(&configuration([&with_given, &with_own]));
    let workspace = Workspace::new(&cloud, &both);
    workspace.apply().succeeds();

    let deleted = orphans(&cloud, &LOST, true);
    // What the owner gave to identities of its own went with them.
    assert_eq!(cloud.inventory(), before, "{deleted}");
    for given in [plane, nodes] {
        cloud.azure().get(&given.role);
    }
}

/// The project's bindings that bear an owner's mark.
fn marked_bindings(cloud: &Cloud) -> usize {
    let options = json!({ "options": { "requestedPolicyVersion": 3 } });
    let policy = "/v1/projects/paymesh-hub:getIamPolicy";
    let policy = cloud.google().ask(policy, &options).to_string();
    policy.matches("paymesh-owner=").count()
}

#[test]
fn a_refused_removal_is_repeated_and_one_wrong_answer_is_not_believed() {
    let cloud = Cloud::start();
    let granted = ClusterBlock::plain(Provider::Gke, "granted")
        .with(r#"admins = [{ google_email = "Payments@paymesh.example" }]"#);
    let plain = ClusterBlock::plain(Provider::Aks, "plain");
    let workspace = Workspace::new(&cloud, &configuration([&granted, &plain]));
    workspace.apply().succeeds();
    assert_eq!(marked_bindings(&cloud), 1);
    let answer = |method: &str, path: &str, nth: u32, status: u16, code: &str| {
        let body = json!({ "error": { "code": code, "status": code, "message": "no" } });
        let action = json!({ "kind": "answer", "status": status, "body": body });
        cloud.fault(&json!({
            "method": method, "path": path, "nth": nth, "times": 1, "action": action,
        }));
    };
    let setting = "*:setiampolicy";
    answer("POST", setting, 1, 409, "ABORTED");
    answer("POST", setting, 2, 403, "PERMISSION_DENIED");
    answer("GET", "*/managedclusters/plain", 1, 404, "ResourceNotFound");
    let refused = orphans(&cloud, &LOST, false);
    assert!(refused.contains("FAILED   GKE cluster"), "{refused}");
    let clusters: Vec<String> = cloud.all("managedClusters");
    assert_eq!(clusters, Vec::<String>::new(), "{refused}");
    assert_eq!(marked_bindings(&cloud), 1, "{refused}");
    let deleted = orphans(&cloud, &LOST, true);
    assert_eq!(marked_bindings(&cloud), 0, "{deleted}");
    assert_eq!(cloud.inventory(), Vec::<String>::new(), "{deleted}");
}

#[test]
fn what_the_cloud_will_not_delete_keeps_what_it_has() {
    let cloud = Cloud::start();
    let granted = ClusterBlock::plain(Provider::Gke, "granted")
        .with(r#"admins = [{ google_email = "Payments@paymesh.example" }]"#);
    let plain = ClusterBlock::plain(Provider::Aks, "plain");
    let workspace = Workspace::new(&cloud, &configuration([&granted, &plain]));
    workspace.apply().succeeds();
    let before = cloud.inventory();
    for path in ["*/managedclusters/plain", "*/clusters/granted"] {
        let error =
            json!({ "code": "ScopeLocked", "status": "PERMISSION_DENIED", "message": "no" });
        let action = json!({ "kind": "answer", "status": 403, "body": { "error": error } });
        cloud.fault(&json!({ "method": "DELETE", "path": path, "action": action }));
    }
    let refused = orphans(&cloud, &LOST, false);
    assert_eq!(refused.matches("FAILED").count(), 2, "{refused}");
    assert_eq!(cloud.inventory(), before, "{refused}");
    assert_eq!(marked_bindings(&cloud), 1, "{refused}");
    workspace.plans_nothing();
}

#[test]
fn what_is_taken_over_after_it_was_listed_is_kept_with_what_it_uses() {
    let cloud = Cloud::start();
    let workspace = Workspace::new(&cloud, &both());
    workspace.apply().succeeds();
    let before = cloud.inventory();
    let [aks, gke] = BOTH.map(|address| workspace.attributes(address)["id"].clone());
    let [aks, gke] = [&aks, &gke].map(|id| id.as_str().expect("a cluster has an id"));

    let last = cloud.hold("GET", "*/projects/*/serviceaccounts", 1, "before_effect");
    let kept = thread::scope(|scope| {
        let run = scope.spawn(|| orphans(&cloud, &LOST, true));
        last.wait();
        cloud.azure().change(aks, |body| {
            body["tags"]["paymesh-owner"] = "somebody/else".into();
            body["tags"]["paymesh-holder"] = "another".into();
        });
        let google = cloud.google();
        let body = google.get(&format!("/v1/{gke}"));
        let mut labels = body["resourceLabels"].clone();
        labels["paymesh-holder"] = "another".into();
        let order =
            json!({ "resourceLabels": labels, "labelFingerprint": body["labelFingerprint"] });
        google.act(
            &Method::POST,
            &format!("/v1/{gke}:setResourceLabels"),
            Some(&order),
        );
        last.release();
        run.join().expect("it ends")
    });
    assert_eq!(
        kept.matches("it was taken over meanwhile").count(),
        2,
        "{kept}"
    );
    assert_eq!(cloud.inventory(), before, "{kept}");
}
