//! What a slip of the user may never do: delete a healthy cluster.

use std::fs;

use paymesh_acceptance::{
    Cloud, Finding, OWNER, Workspace, orphans,
    samples::{AKS, BOTH, GKE},
};
use serde_json::{Value, json};

/// Both clusters, in a state of the workspace's own.
fn both() -> String {
    format!("{AKS}{GKE}")
}

/// The same, created before they are destroyed when they are replaced.
fn created_first() -> String {
    both().replace(
        "lifecycle {",
        "lifecycle {\n    create_before_destroy = true",
    )
}

/// The same, switched off.
fn off(text: &str) -> String {
    text.replace(
        "deletion_protection = false",
        "deletion_protection = false\n  power = \"off\"",
    )
}

fn protected() -> String {
    both().replace("deletion_protection = false", "deletion_protection = true")
}

fn incarnations(workspace: &Workspace<'_>) -> [Value; 2] {
    BOTH.map(|address| workspace.attributes(address)["uid"].clone())
}

#[track_caller]
fn check_one_of_each(cloud: &Cloud, workspace: &Workspace<'_>) {
    assert_eq!(cloud.all("managedClusters").len(), 1);
    assert_eq!(cloud.all("Cluster").len(), 1);
    assert_eq!(
        workspace.state(),
        BOTH.map(|address| (address.to_owned(), false))
    );
    workspace.plans_nothing();
}

/// A workspace in which `configuration` was applied.
fn applied<'a>(cloud: &'a Cloud, configuration: &str) -> Workspace<'a> {
    let workspace = Workspace::new(cloud, configuration);
    workspace.apply().succeeds();
    workspace
}

/// The run must be refused with `words` for each cloud, before any write.
#[track_caller]
fn check_refused(cloud: &Cloud, workspace: &Workspace<'_>, run: &[&str], words: &str) {
    let since = cloud.last_request();
    let refused = workspace.run(run).fails_with(words);
    assert_eq!(cloud.writes(since), Vec::<String>::new(), "{refused}");
}

#[test]
fn create_before_destroy_of_the_same_cluster_deletes_nothing() {
    let cloud = Cloud::start();
    let workspace = applied(&cloud, &created_first());
    let (since, before) = (cloud.last_request(), incarnations(&workspace));
    let replace = BOTH.map(|address| format!("-replace={address}"));
    workspace
        .run(&["apply", "-auto-approve", &replace[0], &replace[1]])
        .succeeds();
    check_one_of_each(&cloud, &workspace);
    for address in BOTH {
        workspace.run(&["taint", address]).succeeds();
    }
    workspace.apply().succeeds();
    check_one_of_each(&cloud, &workspace);
    assert_eq!(incarnations(&workspace), before);
    assert_eq!(cloud.deleted(since), Vec::<String>::new());
}

#[test]
fn create_before_destroy_of_another_cluster_with_the_same_name_is_refused() {
    let cloud = Cloud::start();
    let workspace = applied(&cloud, &created_first());
    let (since, before) = (cloud.last_request(), incarnations(&workspace));
    workspace.configure(
        &created_first()
            .replace(
                "azure               = {}",
                r#"azure = { pods_cidr = "10.245.0.0/16" }"#,
            )
            .replace(
                "google              = {}",
                r#"google = { control_plane_cidr = "172.16.9.0/28" }"#,
            ),
    );
    workspace.apply().fails_with("create_before_destroy");
    assert_eq!(cloud.deleted(since), Vec::<String>::new());
    workspace.configure(&created_first());
    check_one_of_each(&cloud, &workspace);
    assert_eq!(incarnations(&workspace), before);
}

#[test]
fn a_replacement_and_a_taint_replace_each_cluster_once() {
    let cloud = Cloud::start();
    let workspace = applied(&cloud, &both());
    let mut before = incarnations(&workspace);
    let replace = BOTH.map(|address| format!("-replace={address}"));
    let runs = [
        vec!["apply", "-auto-approve", &replace[0], &replace[1]],
        vec!["apply", "-auto-approve"],
    ];
    for run in runs {
        let since = cloud.last_request();
        workspace.run(&run).succeeds();
        check_one_of_each(&cloud, &workspace);
        let after = incarnations(&workspace);
        assert!(
            before
                .iter()
                .zip(&after)
                .all(|(before, after)| before != after)
        );
        let deleted = cloud.deleted(since);
        for name in ["managedclusters/pay-aks", "clusters/pay-gke"] {
            let times = deleted.iter().filter(|path| path.ends_with(name)).count();
            assert_eq!(times, 1, "{name} in {deleted:?}");
        }
        before = after;
        for address in BOTH {
            workspace.run(&["taint", address]).succeeds();
        }
    }
}

#[test]
fn a_replacement_killed_between_its_halves_is_finished() {
    let cloud = Cloud::start();
    let workspace = applied(&cloud, &both());
    let replace = BOTH.map(|address| format!("-replace={address}"));
    let faults = [
        cloud.hold("PUT", "*/managedclusters/pay-aks", 1, "before_effect"),
        cloud.hold(
            "POST",
            "*/locations/europe-west1/clusters",
            1,
            "before_effect",
        ),
    ];
    let running = workspace.start(&["apply", "-auto-approve", &replace[0], &replace[1]]);
    for fault in &faults {
        fault.wait();
    }
    running.kill();
    for fault in faults {
        fault.cut();
    }
    workspace.apply().succeeds();
    check_one_of_each(&cloud, &workspace);
}

#[test]
fn create_before_destroy_killed_between_its_halves_deletes_nothing() {
    let cloud = Cloud::start();
    let workspace = applied(&cloud, &created_first());
    let (since, before) = (cloud.last_request(), incarnations(&workspace));
    let replace = BOTH.map(|address| format!("-replace={address}"));
    let words = ["apply", "-auto-approve", &replace[0], &replace[1]];
    // The write that makes the cluster the new entry's.
    let faults = [
        cloud.hold("PATCH", "*/managedclusters/pay-aks", 1, "after_effect"),
        cloud.hold(
            "POST",
            "*/clusters/pay-gke:setResourceLabels",
            1,
            "after_effect",
        ),
    ];
    let running = workspace.start(&words);
    for fault in &faults {
        fault.wait();
    }
    let killed = running.kill();
    for fault in faults {
        fault.cut();
    }
    // The state holds only the entry before the adoption: it can prove nothing any more.
    workspace
        .apply()
        .fails_with("Remove this entry with `terraform state rm`");
    for address in BOTH {
        workspace.run(&["state", "rm", address]).succeeds();
    }
    workspace.apply().succeeds();
    check_one_of_each(&cloud, &workspace);
    assert_eq!(incarnations(&workspace), before, "{killed}");
    assert_eq!(cloud.deleted(since), Vec::<String>::new());
}

/// GKE shows the labels of before until the operation that sets them has ended.
#[test]
fn a_takeover_that_is_still_under_way_is_seen_by_the_plan() {
    let cloud = Cloud::start();
    let workspace = applied(&cloud, GKE);
    let google = cloud.google();
    let path = "/v1/projects/paymesh-hub/locations/europe-west1/clusters/pay-gke";
    let seen = google.get(path);
    let mut labels = seen["resourceLabels"].clone();
    labels["paymesh-holder"] = json!("another");
    let body = json!({ "resourceLabels": labels, "labelFingerprint": seen["labelFingerprint"] });
    let begun = google.ask(&format!("{path}:setResourceLabels"), &body);
    assert_eq!(begun["status"], "RUNNING");
    check_one_warning(&workspace, &[], 1);
    check_no_promise(&workspace);
}

/// What a plan with these words tells must be one warning for each entry that is another's now.
#[track_caller]
fn check_one_warning(workspace: &Workspace<'_>, words: &[&str], entries: usize) {
    let run = workspace.run(&[&["plan", "-json"], words].concat());
    let findings = run.findings();
    let codes: Vec<_> = findings.iter().map(Finding::code).collect();
    assert_eq!(codes, vec![Some("PM127"); entries], "{run}");
}

/// A plan must promise nothing of what is another's now.
#[track_caller]
fn check_no_promise(workspace: &Workspace<'_>) {
    let plan = workspace.planned(&[]);
    let changes = plan["resource_changes"].as_array().into_iter().flatten();
    for change in changes {
        assert_eq!(change["change"]["after_unknown"]["status"], true);
        let mut after = change["change"]["after"].clone();
        after["status"] = change["change"]["before"]["status"].clone();
        assert_eq!(after, change["change"]["before"], "{change:#}");
    }
}

#[test]
fn a_rename_without_moved_and_a_second_resource_of_the_same_name_are_refused() {
    let cloud = Cloud::start();
    let twice = both()
        + &both()
            .replace("\"aks\" {", "\"copy_of_aks\" {")
            .replace("\"gke\" {", "\"copy_of_gke\" {");
    let workspace = Workspace::new(&cloud, &twice);
    check_refused(
        &cloud,
        &workspace,
        &["plan"],
        "terraform state rm paymesh_cluster.",
    );

    workspace.configure(&both());
    workspace.apply().succeeds();
    workspace.configure(&twice);
    check_refused(
        &cloud,
        &workspace,
        &["plan"],
        "terraform import paymesh_cluster.",
    );

    let renamed = both()
        .replace("\"aks\" {", "\"first\" {")
        .replace("\"gke\" {", "\"second\" {");
    workspace.configure(&renamed);
    check_refused(
        &cloud,
        &workspace,
        &["plan"],
        "moved { from = paymesh_cluster.",
    );
    let moved = [("aks", "first"), ("gke", "second")].map(|(from, to)| {
        format!("moved {{\n  from = paymesh_cluster.{from}\n  to = paymesh_cluster.{to}\n}}\n")
    });
    workspace.configure(&format!("{renamed}{}", moved.concat()));
    let since = cloud.last_request();
    workspace.apply().succeeds();
    assert_eq!(cloud.writes(since), Vec::<String>::new());
    workspace.plans_nothing();
}

#[test]
fn of_two_states_with_one_owner_and_name_the_first_only_forgets() {
    let cloud = Cloud::start();
    let first = applied(&cloud, &both());
    let before = incarnations(&first);
    let second = applied(&cloud, &both());
    check_one_of_each(&cloud, &second);

    let since = cloud.last_request();
    check_one_warning(&first, &[], 2);
    check_no_promise(&first);
    first.configure(
        &both()
            .replace("max_nodes = 5", "max_nodes = 7")
            .replace("max_nodes = 6", "max_nodes = 9"),
    );
    check_one_warning(&first, &[], 2);
    check_one_warning(&first, &["-refresh=false"], 2);
    first
        .apply()
        .fails_with("terraform state rm paymesh_cluster.");
    first
        .destroy()
        .succeeds()
        .says("not deleted, only forgotten");
    assert_eq!(first.state(), []);
    assert_eq!(cloud.writes(since), Vec::<String>::new());
    check_one_of_each(&cloud, &second);
    assert_eq!(incarnations(&second), before);
}

/// A stopped AKS cluster takes no tag: whoever begins with it starts it, to be told apart.
#[test]
fn entries_of_stopped_clusters_are_told_apart_too() {
    let cloud = Cloud::start();
    let first = applied(&cloud, &off(&created_first()));
    let (since, before) = (cloud.last_request(), incarnations(&first));
    let replace = BOTH.map(|address| format!("-replace={address}"));
    first
        .run(&["apply", "-auto-approve", &replace[0], &replace[1]])
        .succeeds();
    check_one_of_each(&cloud, &first);
    let second = applied(&cloud, &off(&both()));
    check_one_of_each(&cloud, &second);
    first
        .destroy()
        .succeeds()
        .says("not deleted, only forgotten");
    check_one_of_each(&cloud, &second);
    assert_eq!(incarnations(&second), before);
    assert_eq!(cloud.deleted(since), Vec::<String>::new());
}

#[test]
fn a_tainted_entry_whose_cluster_is_anothers_now_deletes_nothing() {
    let cloud = Cloud::start();
    let first = applied(&cloud, &both());
    let second = applied(&cloud, &both());
    let (since, before) = (cloud.last_request(), incarnations(&second));
    for address in BOTH {
        first.run(&["taint", address]).succeeds();
    }
    first.destroy().succeeds();
    assert_eq!(first.state(), []);
    assert_eq!(cloud.writes(since), Vec::<String>::new());
    check_one_of_each(&cloud, &second);
    assert_eq!(incarnations(&second), before);
}

/// Terraform loses it with a provider that is killed, and the state of a killed run is the one before it.
#[test]
fn a_tainted_entry_without_private_data_leaves_what_a_killed_run_made() {
    let cloud = Cloud::start();
    let workspace = applied(&cloud, &both());
    for address in BOTH {
        workspace.run(&["taint", address]).succeeds();
    }
    let file = workspace.module().join("terraform.tfstate");
    let text = fs::read(&file).expect("there is a state");
    let mut state: Value = serde_json::from_slice(&text).expect("a state is JSON");
    for resource in state["resources"].as_array_mut().expect("two resources") {
        let entry = resource["instances"][0].as_object_mut();
        let private = entry.expect("an entry").remove("private");
        assert!(private.is_some(), "{resource}");
    }
    workspace.apply().succeeds();
    let (since, before) = (cloud.last_request(), incarnations(&workspace));
    fs::write(&file, state.to_string()).expect("the state can be written");
    workspace.apply().succeeds();
    check_one_of_each(&cloud, &workspace);
    assert_eq!(incarnations(&workspace), before);
    assert_eq!(cloud.deleted(since), Vec::<String>::new());
}

/// Terraform plans both as if there were nothing to destroy.
#[test]
fn what_is_tainted_or_gone_is_destroyed_by_the_line_that_a_refusal_names() {
    let cloud = Cloud::start();
    let workspace = applied(&cloud, &both());
    let refused = both().replace("\"1.34\"", "\"1.99\"");
    for address in BOTH {
        workspace.run(&["taint", address]).succeeds();
    }
    let way_out = "`terraform destroy -refresh=false`";
    let destroy = ["destroy", "-auto-approve"];
    workspace.configure(&refused);
    check_refused(&cloud, &workspace, &destroy, way_out);
    let unread = ["destroy", "-auto-approve", "-refresh=false"];
    workspace.run(&unread).succeeds();
    assert_eq!(cloud.inventory(), Vec::<String>::new());

    workspace.configure(&both());
    workspace.apply().succeeds();
    let words = ["--owner", OWNER, "--delete", "--yes", "--without-state"];
    let (all_deleted, text) = orphans(&cloud.file(), &words);
    assert!(all_deleted, "{text}");
    workspace.configure(&refused);
    check_refused(&cloud, &workspace, &destroy, way_out);
    workspace.run(&unread).succeeds();
    assert!(workspace.state().is_empty());
}

#[test]
fn a_protected_cluster_is_neither_destroyed_nor_replaced_and_the_plan_says_so() {
    let cloud = Cloud::start();
    let workspace = applied(&cloud, &protected());
    let replace = BOTH.map(|address| format!("-replace={address}"));
    check_refused(
        &cloud,
        &workspace,
        &["destroy", "-auto-approve"],
        "run `terraform apply` first, then destroy",
    );
    check_refused(
        &cloud,
        &workspace,
        &["plan", &replace[0], &replace[1]],
        "-replace would destroy it and create another",
    );
    workspace.configure(
        &protected()
            .replace("westeurope", "northeurope")
            .replace("europe-west1", "europe-west4"),
    );
    check_refused(&cloud, &workspace, &["plan"], "because of region");
    workspace.configure("");
    check_refused(&cloud, &workspace, &["plan"], "a `moved` block from");
    let renamed = protected()
        .replace("\"aks\" {", "\"first\" {")
        .replace("\"gke\" {", "\"second\" {");
    workspace.configure(&renamed);
    check_refused(
        &cloud,
        &workspace,
        &["plan"],
        "moved { from = paymesh_cluster.",
    );
    workspace.configure(&both());
    check_refused(
        &cloud,
        &workspace,
        &["plan", &replace[0], &replace[1]],
        "-replace would destroy it and create another",
    );
    workspace.apply().succeeds();
    workspace.configure(
        &protected()
            .replace("pay-aks", "pay-aks-2")
            .replace("pay-gke", "pay-gke-2"),
    );
    check_refused(&cloud, &workspace, &["plan"], "because of name");
    workspace.configure(&both());
    check_one_of_each(&cloud, &workspace);
}

#[test]
fn a_protected_cluster_that_is_tainted_is_kept_and_the_apply_says_how_to_untaint_it() {
    let cloud = Cloud::start();
    let workspace = applied(&cloud, &protected());
    for address in BOTH {
        workspace.run(&["taint", address]).succeeds();
    }
    check_refused(
        &cloud,
        &workspace,
        &["apply", "-auto-approve"],
        "Keep it with `terraform untaint paymesh_cluster.",
    );
    for address in BOTH {
        workspace.run(&["untaint", address]).succeeds();
    }
    check_one_of_each(&cloud, &workspace);
}
