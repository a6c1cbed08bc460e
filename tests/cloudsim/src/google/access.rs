//! Who asks, and what they may do: tokens and roles.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    iam, json::text, jwt, names::secret_hash, policy, project::PROJECTS, refusal::Refusal,
};
use crate::core::{Call, World};

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
            "iam.serviceAccounts.undelete",
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
    // What nodes need, and no more.
    (
        "roles/container.defaultNodeServiceAccount",
        &[
            "autoscaling.sites.writeMetrics",
            "logging.logEntries.create",
            "monitoring.metricDescriptors.create",
            "monitoring.timeSeries.create",
        ],
    ),
    (
        "roles/artifactregistry.reader",
        &[
            "artifactregistry.repositories.get",
            "artifactregistry.repositories.list",
            "artifactregistry.repositories.downloadArtifacts",
        ],
    ),
    ("roles/artifactregistry.admin", &["artifactregistry.*"]),
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
pub(crate) const ENGINEER: [&str; 10] = [
    "roles/artifactregistry.admin",
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
    grants: BTreeMap<String, Vec<Grant>>,
}

/// A role that someone holds in a project, and on what.
#[derive(Clone, Debug)]
struct Grant {
    role: String,
    condition: Option<String>,
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
        let mut grants = BTreeMap::new();
        for project in PROJECTS {
            let bindings = policy::effective(world, &format!("projects/{project}"));
            let held = bindings
                .as_array()
                .into_iter()
                .flatten()
                .filter(|binding| names(binding, member))
                .map(|binding| Grant {
                    role: text(binding, "/role").to_owned(),
                    condition: binding
                        .pointer("/condition/expression")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                })
                .collect();
            grants.insert(project.to_owned(), held);
        }
        Self {
            member: member.into(),
            grants,
        }
    }

    /// Whether the caller holds `permission` on `resource` (`projects/…`).
    pub(crate) fn may(&self, permission: &str, resource: &str) -> bool {
        let project = resource.split('/').nth(1).unwrap_or_default();
        self.grants.get(project).into_iter().flatten().any(|grant| {
            let counts = grant
                .condition
                .as_deref()
                .is_none_or(|expression| policy::holds(expression, resource));
            counts
                && ROLES
                    .iter()
                    .filter(|(name, _)| name == &grant.role)
                    .flat_map(|(_, patterns)| *patterns)
                    .any(|pattern| covers(pattern, permission))
        })
    }

    /// Refuses a caller without `permission` on `resource` (`projects/…`).
    pub(crate) fn needs(&self, permission: &str, resource: &str) -> Result<(), Refusal> {
        if self.may(permission, resource) {
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
        let own = policy::effective(world, &iam::resource_of(account));
        let on_account = own.as_array().into_iter().flatten().any(|binding| {
            binding["role"] == "roles/iam.serviceAccountUser" && names(binding, &self.member)
        });
        let project = format!("projects/{project}");
        if on_account || self.may("iam.serviceAccounts.actAs", &project) {
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

/// Whether `binding` is given to `member`.
fn names(binding: &Value, member: &str) -> bool {
    binding["members"]
        .as_array()
        .is_some_and(|members| members.iter().any(|one| one == member))
}

fn covers(pattern: &str, permission: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == permission,
        Some((before, after)) => permission.starts_with(before) && permission.ends_with(after),
    }
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
