//! What a cluster needs before the operator runs: the resource's definition, and what its account
//! may do. Both are files of the repository, made from here.

use k8s_openapi::{
    api::{
        core::v1::ServiceAccount,
        rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::CustomResourceExt as _;

use crate::crd::{Database, GROUP};

const NAME: &str = "paymesh-db-operator";
/// Where it runs, and what it looks after.
const NAMESPACE: &str = "payments";

/// What keeps Argo CD from deleting a thing that went from the repository: with the definition of a
/// resource all its objects go.
const KEPT: (&str, &str) = (
    "argocd.argoproj.io/sync-options",
    "Prune=false,Delete=false",
);

/// The definition of the resource.
pub fn definition() -> CustomResourceDefinition {
    let mut definition = Database::crd();
    let (key, value) = KEPT;
    let annotations = definition.metadata.annotations.get_or_insert_default();
    annotations.insert(key.to_owned(), value.to_owned());
    definition
}

/// The account of the operator, what it may do in its namespace, and that it may.
pub fn account() -> (ServiceAccount, Role, RoleBinding) {
    let metadata = || ObjectMeta {
        name: Some(NAME.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        ..ObjectMeta::default()
    };
    let allow = |group: &str, resources: &[&str], verbs: &[&str]| {
        let words = |list: &[&str]| list.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        PolicyRule {
            api_groups: Some(vec![group.to_owned()]),
            resources: Some(words(resources)),
            verbs: words(verbs),
            ..PolicyRule::default()
        }
    };
    let rules = vec![
        allow(GROUP, &["databases"], &["get", "list", "watch", "patch"]),
        allow(GROUP, &["databases/status"], &["update"]),
        // No list and no watch: a Secret is read by its name only.
        allow("", &["secrets"], &["get", "create", "update", "delete"]),
        allow(
            "coordination.k8s.io",
            &["leases"],
            &["get", "create", "update"],
        ),
        allow("events.k8s.io", &["events"], &["create", "patch"]),
    ];
    let role = Role {
        metadata: metadata(),
        rules: Some(rules),
    };
    let binding = RoleBinding {
        metadata: metadata(),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: NAME.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: NAME.to_owned(),
            namespace: Some(NAMESPACE.to_owned()),
            ..Subject::default()
        }]),
    };
    let account = ServiceAccount {
        metadata: metadata(),
        ..ServiceAccount::default()
    };
    (account, role, binding)
}
