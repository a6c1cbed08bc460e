//! What a policy looks like after a change, without a cloud.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use paymesh_engine::Mark;
use serde_json::{Value, json};

use super::policy::{Grant, Sign, bears_another_owner, changed, marks, ours};

use crate::ClusterName;

const CLUSTER: &str = "projects/pay/locations/europe-west1/clusters/main";

fn sign(cluster: &str) -> Sign {
    sign_of("payments/prod", cluster)
}

fn sign_of(owner: &str, cluster: &str) -> Sign {
    let account = Some("pm-main@pay.iam.gserviceaccount.com".to_owned());
    Sign::new(&Mark::new(owner, "cluster/main"), cluster, account)
}

fn nodes() -> Grant {
    Grant {
        role: "roles/nodes".into(),
        member: "serviceAccount:pm-main@pay.iam.gserviceaccount.com".into(),
        of_cluster: false,
    }
}

fn admin(member: &str) -> Grant {
    Grant {
        role: "roles/container.admin".into(),
        member: member.into(),
        of_cluster: true,
    }
}

fn grants(list: &[Grant]) -> BTreeSet<Grant> {
    list.iter().cloned().collect()
}

/// The bindings of `policy`, one in a line.
#[expect(
    clippy::needless_pass_by_value,
    reason = "goldens read better by value"
)]
fn check(policy: &Value, expected: Expect) {
    let lines = policy["bindings"].as_array().into_iter().flatten();
    let lines: Vec<String> = lines
        .map(|binding| {
            let when = binding["condition"]["expression"]
                .as_str()
                .unwrap_or("always");
            format!("{} {} {when}", binding["role"], binding["members"])
        })
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

fn foreign() -> Value {
    json!({ "etag": "Bw1", "auditConfigs": [1], "bindings": [
        { "role": "roles/nodes", "members": ["serviceAccount:other@pay.iam.gserviceaccount.com"] },
        { "role": "roles/container.admin", "members": ["group:theirs@example.com"] },
        { "role": "roles/container.admin", "members": ["group:ours@example.com"],
          "condition": { "title": "theirs", "expression": "request.time < timestamp(\"2030-01-01T00:00:00Z\")" } },
    ]})
}

#[test]
fn grants_join_the_binding_of_their_terms_and_leave_others_alone() {
    let wanted = grants(&[nodes(), admin("group:ours@example.com")]);
    let policy = changed(&foreign(), &sign(CLUSTER), &BTreeSet::new(), &wanted);
    check(
        &policy,
        expect![[r#"
        "roles/nodes" ["serviceAccount:other@pay.iam.gserviceaccount.com","serviceAccount:pm-main@pay.iam.gserviceaccount.com"] always
        "roles/container.admin" ["group:theirs@example.com"] always
        "roles/container.admin" ["group:ours@example.com"] request.time < timestamp("2030-01-01T00:00:00Z")
        "roles/container.admin" ["group:ours@example.com"] resource.name == "projects/pay/locations/europe-west1/clusters/main""#]],
    );
    assert_eq!(
        (&policy["version"], &policy["etag"]),
        (&json!(3), &json!("Bw1"))
    );
    assert_eq!(policy["auditConfigs"], json!([1]));
    assert_eq!(ours(&policy, &sign(CLUSTER)), wanted);
}

#[test]
fn what_was_granted_can_be_taken_back_without_a_trace() {
    let wanted = grants(&[nodes(), admin("group:ours@example.com")]);
    let policy = changed(&foreign(), &sign(CLUSTER), &BTreeSet::new(), &wanted);
    let policy = changed(&policy, &sign(CLUSTER), &wanted, &BTreeSet::new());
    assert_eq!(policy["bindings"], foreign()["bindings"]);
}

#[test]
fn grants_of_an_earlier_owner_of_the_cluster_are_taken_over() {
    let theirs = grants(&[
        admin("group:theirs@example.com"),
        admin("group:ours@example.com"),
    ]);
    let before = sign_of("payments/before", CLUSTER);
    let policy = changed(&foreign(), &before, &BTreeSet::new(), &theirs);
    assert_eq!(ours(&policy, &sign(CLUSTER)), theirs);
    assert!(bears_another_owner(&policy, &sign(CLUSTER)));

    let wanted = grants(&[admin("group:ours@example.com")]);
    let policy = changed(&policy, &sign(CLUSTER), &theirs, &wanted);
    assert_eq!(ours(&policy, &sign(CLUSTER)), wanted);
    assert!(!bears_another_owner(&policy, &sign(CLUSTER)));
    let policy = changed(&policy, &sign(CLUSTER), &wanted, &BTreeSet::new());
    assert_eq!(policy["bindings"], foreign()["bindings"]);
}

#[test]
fn a_policy_tells_the_marks_in_it_with_their_clusters() {
    let wanted = grants(&[nodes(), admin("group:ours@example.com")]);
    let policy = changed(&foreign(), &sign(CLUSTER), &BTreeSet::new(), &wanted);
    let [(_, owner), (_, name)] = Mark::new("payments/prod", "cluster/main").digests();
    let cluster = ClusterName::parse(CLUSTER).unwrap();
    assert_eq!(marks(&policy), [([&*owner, &*name], cluster)].into());
    assert_eq!(marks(&foreign()), BTreeSet::new());
}

#[test]
fn a_cluster_of_the_same_name_elsewhere_has_grants_of_its_own() {
    let wanted = grants(&[admin("group:ours@example.com")]);
    let policy = changed(&foreign(), &sign(CLUSTER), &BTreeSet::new(), &wanted);
    let elsewhere = sign("projects/pay/locations/europe-west4/clusters/main");
    assert_eq!(ours(&policy, &elsewhere), BTreeSet::new());
}

#[test]
fn what_an_earlier_account_of_the_name_left_behind_goes_with_the_next_write() {
    let mut policy = foreign();
    let shadow = "deleted:serviceAccount:pm-main@pay.iam.gserviceaccount.com?uid=1";
    policy["bindings"][0]["members"] = json!([shadow]);
    let policy = changed(
        &policy,
        &sign(CLUSTER),
        &BTreeSet::new(),
        &grants(&[nodes()]),
    );
    check(
        &policy,
        expect![[r#"
        "roles/container.admin" ["group:theirs@example.com"] always
        "roles/container.admin" ["group:ours@example.com"] request.time < timestamp("2030-01-01T00:00:00Z")
        "roles/nodes" ["serviceAccount:pm-main@pay.iam.gserviceaccount.com"] always"#]],
    );
}
