//! Who a GKE cluster's nodes are, what they may do, and who administers the cluster.
//!
//! A cluster has a service account of its own, unless the configuration names an existing one:
//! then no role is assigned to it. Administrators get their role on this cluster alone.

use std::sync::Arc;

use paymesh_engine::{Graph, ObjectId, Observations};
use paymesh_google::{
    ClusterName, Google,
    access::{AccountWant, Grants, GrantsWant, Scope, ServiceAccount, admins_in},
};

use crate::{
    cluster::{
        Prior, naming,
        spec::{Admin, AdminKind, ClusterSpec},
    },
    session::Session,
};

/// How a name made by [`naming::account_name`] begins.
const OWN: &str = "pm-";

/// The account of the cluster's own, whether or not it is used.
pub(super) fn own_account(
    session: &Session,
    prior: Option<&Prior>,
    name: &ClusterName,
) -> AccountWant {
    let project = &name.place.project;
    // The account that serves is state: another owner in the provider block renames nothing.
    let before = prior
        .and_then(|prior| prior.status.node_identity.as_deref())
        .and_then(|email| email.strip_suffix(&format!("@{project}.iam.gserviceaccount.com")))
        .filter(|account| account.starts_with(OWN));
    AccountWant {
        project: project.clone(),
        name: before.map_or_else(
            || naming::account_name(session.owner(), &name.cluster, &name.to_string()),
            str::to_owned,
        ),
        purpose: format!("Nodes of {} in {}", name.cluster, name.place.location),
    }
}

/// Adds the account and the grants to `graph`; returns the account's address and what a new
/// cluster has to wait for.
pub(super) fn add(
    session: &Session,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    name: &ClusterName,
    google: &Arc<Google>,
    graph: &mut Graph,
) -> (Option<String>, Vec<ObjectId>) {
    let given = spec
        .google
        .as_ref()
        .and_then(|own| own.node_service_account.clone());
    let account = given.is_none().then(|| own_account(session, prior, name));
    let mut needs = Vec::new();
    if let Some(account) = &account {
        needs.push(graph.present(ServiceAccount::new(google.clone(), account.clone())));
    }
    let grants = |scope: Scope, admins: Vec<String>| {
        let want = GrantsWant {
            cluster: name.clone(),
            scope,
            account: account.clone(),
            admins,
        };
        Grants::new(google.clone(), want)
    };
    let project = Scope::Project(name.place.project.clone());
    let admins = members(&spec.admins);
    if account.is_some() || !admins.is_empty() {
        needs.push(graph.present(grants(project, admins)));
    }
    for registry in &spec.registries {
        graph.present(grants(repository(registry), Vec::new()));
    }
    let email = given.or_else(|| account.as_ref().map(AccountWant::email));
    (email, needs)
}

/// A repository by its path, without the service in front of it.
fn repository(id: &str) -> Scope {
    Scope::Repository(id[id.find("projects/").unwrap_or(0)..].to_owned())
}

/// Takes out of `spec` who lost a role that `spelling` asks for.
pub(super) fn people(
    spelling: &ClusterSpec,
    spec: &mut ClusterSpec,
    name: &ClusterName,
    seen: &Observations,
) {
    let grants = |scope: Scope| {
        let want = GrantsWant {
            cluster: name.clone(),
            scope,
            account: None,
            admins: Vec::new(),
        };
        want.object_id()
    };
    let policy = seen.seen(&grants(Scope::Project(name.place.project.clone())));
    let members = policy.map_or_else(Vec::new, |it| admins_in(&it.body, name));
    spec.admins.clone_from(&spelling.admins);
    spec.admins.retain(|admin| {
        let member = self::members(std::slice::from_ref(admin));
        member.iter().all(|member| members.contains(member))
    });
    spec.registries.clone_from(&spelling.registries);
    spec.registries
        .retain(|registry| seen.seen(&grants(repository(registry))).is_some());
    spec.deployer_admin = spelling.deployer_admin;
}

/// The administrators of an existing cluster, as far as an owner of it made them.
pub(super) async fn administrators(google: &Google, name: &ClusterName) -> Vec<Admin> {
    // Who may not read the policy imports a cluster without administrators.
    let members = google.admins(name).await.unwrap_or_default();
    let admin = |member: &String| {
        let (kind, email) = member.split_once(':')?;
        Some(Admin {
            kind: match kind {
                "group" => AdminKind::Group,
                "user" => AdminKind::User,
                _ => AdminKind::ServicePrincipal,
            },
            entra_object_id: None,
            google_email: Some(email.to_owned()),
        })
    };
    members.iter().filter_map(admin).collect()
}

/// The administrators as policies name them. IAM keeps addresses in lower case.
fn members(admins: &[Admin]) -> Vec<String> {
    let member = |admin: &Admin| {
        let kind = match admin.kind {
            AdminKind::Group => "group",
            AdminKind::User => "user",
            AdminKind::ServicePrincipal => "serviceAccount",
        };
        let email = admin.google_email.as_ref()?.to_lowercase();
        Some(format!("{kind}:{email}"))
    };
    admins.iter().filter_map(member).collect()
}
