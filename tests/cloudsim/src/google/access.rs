//! Who asks, and what they may do: tokens, roles, policies.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    iam,
    json::{sorted, text},
    jwt,
    names::{fingerprint, project_number, secret_hash},
    project::PROJECTS,
    refusal::Refusal,
};
use crate::core::{Call, Millis, World};

/// The table of policies, by full resource name.
const POLICIES: &str = "google.policies";
/// How long a new policy takes to count, in milliseconds.
const PROPAGATION: Millis = 7000;
/// The table of tokens, by hash.
pub(crate) const TOKENS: &str = "google.tokens";

/// What each role holds; `*` stands for the rest of a name, or for the part before the last word.
const ROLES: &[(&str, &[&str])] = &[
    ("roles/owner", &["*"]),
    ("roles/viewer", &["*.get", "*.list", "*.getIamPolicy"]),
    (
        "roles/browser",
        &[
            "resourcemanager.projects.get",
            "resourcemanager.projects.getIamPolicy",
        ],
    ),
    (
        "roles/container.admin",
        &["container.*", "resourcemanager.projects.get"],
    ),
    (
        "roles/container.clusterAdmin",
        &[
            "container.clusters.create",
            "container.clusters.delete",
            "container.clusters.get",
            "container.clusters.list",
            "container.clusters.update",
            "container.operations.get",
            "container.operations.list",
            "resourcemanager.projects.get",
        ],
    ),
    (
        "roles/container.clusterViewer",
        &[
            "container.clusters.get",
            "container.clusters.list",
            "resourcemanager.projects.get",
        ],
    ),
    (
        "roles/container.viewer",
        &[
            "container.clusters.get",
            "container.clusters.list",
            "container.operations.get",
            "container.operations.list",
            "resourcemanager.projects.get",
        ],
    ),
    (
        "roles/compute.viewer",
        &[
            "compute.*.get",
            "compute.*.list",
            "resourcemanager.projects.get",
        ],
    ),
    (
        "roles/compute.networkUser",
        &[
            "compute.networks.get",
            "compute.networks.list",
            "compute.subnetworks.get",
            "compute.subnetworks.list",
            "compute.subnetworks.use",
        ],
    ),
    (
        "roles/iam.serviceAccountUser",
        &[
            "iam.serviceAccounts.actAs",
            "iam.serviceAccounts.get",
            "iam.serviceAccounts.list",
        ],
    ),
    (
        "roles/iam.serviceAccountAdmin",
        &[
            "iam.serviceAccounts.create",
            "iam.serviceAccounts.delete",
            "iam.serviceAccounts.get",
            "iam.serviceAccounts.list",
            "iam.serviceAccounts.update",
            "iam.serviceAccounts.getIamPolicy",
            "iam.serviceAccounts.setIamPolicy",
        ],
    ),
    (
        "roles/resourcemanager.projectIamAdmin",
        &[
            "resourcemanager.projects.get",
            "resourcemanager.projects.getIamPolicy",
            "resourcemanager.projects.setIamPolicy",
        ],
    ),
    (
        "roles/iam.serviceAccountTokenCreator",
        &[
            "iam.serviceAccounts.getAccessToken",
            "iam.serviceAccounts.signJwt",
        ],
    ),
    (
        "roles/iam.serviceAccountKeyAdmin",
        &[
            "iam.serviceAccountKeys.create",
            "iam.serviceAccountKeys.get",
            "iam.serviceAccountKeys.list",
        ],
    ),
    (
        "roles/cloudkms.viewer",
        &["cloudkms.*.get", "cloudkms.*.list"],
    ),
    (
        "roles/serviceusage.serviceUsageViewer",
        &["serviceusage.services.get", "serviceusage.services.list"],
    ),
];

/// Roles of the platform engineer whose credentials the simulator hands out.
const ENGINEER: [&str; 9] = [
    "roles/container.admin",
    "roles/compute.viewer",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountKeyAdmin",
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountUser",
    "roles/resourcemanager.projectIamAdmin",
    "roles/cloudkms.viewer",
    "roles/serviceusage.serviceUsageViewer",
];

/// The one who builds.
pub(crate) const ENGINEER_MEMBER: &str = "user:engineer@paymesh.example";
/// The one who may only look.
pub(crate) const AUDITOR_MEMBER: &str = "user:auditor@paymesh.example";

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// As policies name them.
    pub(crate) member: String,
    roles: BTreeMap<String, Vec<String>>,
}

impl Caller {
    /// Finds out who sent `call`.
    pub(crate) fn of(world: &World, call: &Call) -> Result<Self, Refusal> {
        let token = call
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default();
        let revoked = |issued: i64| world.expired_before.is_some_and(|moment| issued < moment);
        if let Some((email, issued)) = jwt::signer(world, token) {
            if revoked(issued) {
                return Err(Refusal::unauthenticated());
            }
            return Ok(Self::new(world, &format!("serviceAccount:{email}")));
        }
        let known = world
            .store
            .find(TOKENS, &secret_hash(token))
            .ok_or_else(Refusal::unauthenticated)?;
        let now = world.clock.client_now();
        let issued = known["issued"].as_i64().unwrap_or_default();
        let expired = known["expires"]
            .as_i64()
            .is_none_or(|expires| expires <= now);
        if expired || revoked(issued) {
            return Err(Refusal::unauthenticated());
        }
        Ok(Self::new(world, text(known, "/member")))
    }

    /// `member`, with the roles that policies give them now.
    pub(crate) fn new(world: &World, member: &str) -> Self {
        let mut roles = BTreeMap::new();
        for project in PROJECTS {
            let bindings = effective(world, &format!("projects/{project}"));
            let held = bindings
                .as_array()
                .into_iter()
                .flatten()
                .filter(|binding| {
                    binding["members"]
                        .as_array()
                        .is_some_and(|members| members.iter().any(|one| one == member))
                })
                .map(|binding| text(binding, "/role").to_owned())
                .collect();
            roles.insert(project.to_owned(), held);
        }
        Self {
            member: member.into(),
            roles,
        }
    }

    /// Whether the caller holds `permission` in `project`.
    pub(crate) fn may(&self, permission: &str, project: &str) -> bool {
        self.roles.get(project).into_iter().flatten().any(|role| {
            ROLES
                .iter()
                .filter(|(name, _)| name == role)
                .flat_map(|(_, patterns)| *patterns)
                .any(|pattern| covers(pattern, permission))
        })
    }

    /// Refuses a caller without `permission` on `resource` (`projects/…`).
    pub(crate) fn needs(&self, permission: &str, resource: &str) -> Result<(), Refusal> {
        let project = resource.split('/').nth(1).unwrap_or_default();
        if self.may(permission, project) {
            Ok(())
        } else {
            Err(Refusal::denied(permission, resource))
        }
    }

    /// Refuses nodes under a service account that is not there, or that the caller may not use.
    pub(crate) fn may_run_nodes_as(
        &self,
        world: &World,
        account: &str,
        project: &str,
    ) -> Result<(), Refusal> {
        if !iam::known(world, account) {
            return Err(Refusal::invalid(format!(
                "Service account \"{account}\" does not exist."
            )));
        }
        let own = effective(world, &iam::resource_of(account));
        let on_account = own.as_array().into_iter().flatten().any(|binding| {
            binding["role"] == "roles/iam.serviceAccountUser"
                && binding["members"]
                    .as_array()
                    .is_some_and(|members| members.iter().any(|one| *one == self.member))
        });
        if on_account || self.may("iam.serviceAccounts.actAs", project) {
            return Ok(());
        }
        let shown = if account.ends_with("-compute@developer.gserviceaccount.com") {
            "default"
        } else {
            account
        };
        Err(Refusal::invalid(format!(
            "The user does not have access to service account \"{shown}\". Ask a project owner to grant you the \
             iam.serviceAccountUser role on the service account."
        )))
    }
}

fn covers(pattern: &str, permission: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == permission,
        Some((before, after)) => permission.starts_with(before) && permission.ends_with(after),
    }
}

/// Makes the policies that projects start with.
pub(crate) fn seed(world: &mut World) {
    for project in PROJECTS {
        let resource = format!("projects/{project}");
        if world.store.find(POLICIES, &resource).is_some() {
            continue;
        }
        let number = project_number(project);
        let mut bindings: Vec<Value> = ENGINEER
            .iter()
            .map(|role| json!({ "role": role, "members": [ENGINEER_MEMBER, format!("serviceAccount:{}", jwt::ACCOUNT)] }))
            .collect();
        bindings.push(json!({
            "role": "roles/container.serviceAgent",
            "members": [format!("serviceAccount:service-{number}@container-engine-robot.iam.gserviceaccount.com")],
        }));
        bindings.push(json!({ "role": "roles/viewer", "members": [AUDITOR_MEMBER] }));
        bindings.push(json!({ "role": "roles/owner", "members": ["user:owner@paymesh.example"] }));
        world.store.put(
            POLICIES,
            &resource,
            json!({ "version": 1, "bindings": bindings }),
        );
    }
}

/// The policy of a resource, with its etag.
pub(crate) fn policy(world: &World, resource: &str) -> Value {
    let mut policy = world
        .store
        .find(POLICIES, resource)
        .cloned()
        .unwrap_or_else(|| json!({ "version": 1 }));
    for inner in ["before", "since"] {
        super::json::set(&mut policy, inner, Value::Null);
    }
    policy["etag"] = json!(etag(&policy));
    policy
}

/// The bindings in force: a new policy counts only after some seconds.
fn effective(world: &World, resource: &str) -> Value {
    let Some(stored) = world.store.find(POLICIES, resource) else {
        return Value::Null;
    };
    let fresh = stored["since"]
        .as_i64()
        .is_some_and(|since| world.clock.now() - since < PROPAGATION);
    stored[if fresh { "before" } else { "bindings" }].clone()
}

fn etag(policy: &Value) -> String {
    let mut content = policy.clone();
    super::json::set(&mut content, "etag", Value::Null);
    format!("Bw{}=", &fingerprint(&sorted(&content).to_string())[..9])
}

/// Replaces the policy of a resource, if the etag (when given) is the current one.
pub(crate) fn set_policy(
    world: &mut World,
    resource: &str,
    wanted: &Value,
) -> Result<Value, Refusal> {
    let current = policy(world, resource);
    let given = text(wanted, "/etag");
    if !given.is_empty() && given != text(&current, "/etag") {
        return Err(Refusal::aborted(
            "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff.",
        ));
    }
    let bindings = wanted["bindings"].as_array().cloned().unwrap_or_default();
    for binding in &bindings {
        for member in binding["members"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            check_member(world, member)?;
        }
    }
    let before = effective(world, resource);
    let since = world.clock.now();
    world.store.put(
        POLICIES,
        resource,
        json!({ "version": 1, "bindings": bindings, "before": before, "since": since }),
    );
    Ok(policy(world, resource))
}

fn check_member(world: &World, member: &str) -> Result<(), Refusal> {
    let kinds = [
        "user:",
        "group:",
        "serviceAccount:",
        "domain:",
        "principal:",
        "principalSet:",
        "deleted:",
    ];
    if !kinds.iter().any(|kind| member.starts_with(kind)) {
        return Err(Refusal::invalid(format!("Invalid member: {member}")));
    }
    let account = member.strip_prefix("serviceAccount:").unwrap_or_default();
    if PROJECTS
        .iter()
        .any(|project| account.ends_with(&format!("@{project}.iam.gserviceaccount.com")))
        && !iam::known(world, account)
    {
        return Err(Refusal::invalid(format!(
            "Service account {account} does not exist."
        )));
    }
    Ok(())
}

/// Forgets the policy of a resource that is gone.
pub(crate) fn forget_policy(world: &mut World, resource: &str) {
    world.store.remove(POLICIES, resource);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_stretch_of_a_permission() {
        assert!(covers("compute.*.get", "compute.machineTypes.get"));
        assert!(covers("*.list", "container.clusters.list"));
        assert!(!covers("compute.*.get", "compute.machineTypes.list"));
        assert!(!covers(
            "container.clusters.get",
            "container.clusters.getCredentials"
        ));
    }
}
