//! The gateway in front of every resource provider: roles, budgets, headers.

use serde_json::{Value, json};

use super::{
    entra::Principal,
    error::gateway,
    path::{Target, key},
    resource,
};
use crate::core::{Answer, Budget, Call, World, glob};

/// A built-in role: id, name, actions, not-actions.
type Role = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// The built-in roles that clusters touch.
pub(super) const ROLES: [Role; 21] = [
    ("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner", &["*"], &[]),
    (
        "b24988ac-6180-42a0-ab88-20f7382dd24c",
        "Contributor",
        &["*"],
        &[
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ],
    ),
    (
        "acdd72a7-3385-48ef-bd42-f606fba81ae7",
        "Reader",
        &["*/read"],
        &[],
    ),
    (
        "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
        "User Access Administrator",
        &["*/read", "Microsoft.Authorization/*"],
        &[],
    ),
    (
        "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
        "Role Based Access Control Administrator",
        &[
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
        ],
        &[],
    ),
    (
        "4d97b98b-1d4f-4787-a291-c67834d212e7",
        "Network Contributor",
        &[
            "Microsoft.Authorization/*/read",
            "Microsoft.Network/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        &[],
    ),
    (
        "f1a07417-d97a-45cb-824c-7a7467783830",
        "Managed Identity Operator",
        &[
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/read",
            "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action",
        ],
        &[],
    ),
    (
        "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59",
        "Managed Identity Contributor",
        &[
            "Microsoft.ManagedIdentity/userAssignedIdentities/*",
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        &[],
    ),
    (
        "7f951dda-4ed3-4680-a7ca-43fe172d538d",
        "AcrPull",
        &["Microsoft.ContainerRegistry/registries/pull/read"],
        &[],
    ),
    (
        "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8",
        "Azure Kubernetes Service Contributor Role",
        &[
            "Microsoft.ContainerService/*",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        &[],
    ),
    (
        "0ab0b1a8-8aac-4efd-b8c2-3ee1fb270be8",
        "Azure Kubernetes Service Cluster Admin Role",
        &[
            "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action",
            "Microsoft.ContainerService/managedClusters/read",
        ],
        &[],
    ),
    (
        "4abbcc35-e782-43d8-92c5-2d3f1bd2253f",
        "Azure Kubernetes Service Cluster User Role",
        &[
            "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",
            "Microsoft.ContainerService/managedClusters/read",
        ],
        &[],
    ),
    (
        "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b",
        "Azure Kubernetes Service RBAC Cluster Admin",
        &["Microsoft.ContainerService/managedClusters/listClusterUserCredential/action"],
        &[],
    ),
    (
        "3498e952-d568-435e-9b2c-8d77e338d7f7",
        "Azure Kubernetes Service RBAC Admin",
        &["Microsoft.ContainerService/managedClusters/listClusterUserCredential/action"],
        &[],
    ),
    (
        "7f6c6a51-bcf8-42ba-9220-52d62157d7db",
        "Azure Kubernetes Service RBAC Reader",
        &["Microsoft.Authorization/*/read"],
        &[],
    ),
    (
        "a7ffa36f-339b-4b5c-8bdf-e2c188b2c0eb",
        "Azure Kubernetes Service RBAC Writer",
        &["Microsoft.Authorization/*/read"],
        &[],
    ),
    (
        "b12aa53e-6015-4669-85d0-8515ebb3ae7f",
        "Private DNS Zone Contributor",
        &[
            "Microsoft.Network/privateDnsZones/*",
            "Microsoft.Network/virtualNetworks/read",
            "Microsoft.Network/virtualNetworks/join/action",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
        ],
        &[],
    ),
    (
        "12338af0-0e69-4776-bea7-57ae8d297424",
        "Key Vault Crypto User",
        &[],
        &[],
    ),
    (
        "e147488a-f6f5-4113-8e2d-b22465e65bf6",
        "Key Vault Crypto Service Encryption User",
        &["Microsoft.KeyVault/vaults/read"],
        &[],
    ),
    (
        "3913510d-42f4-4e42-8a64-420c390055eb",
        "Monitoring Metrics Publisher",
        &[],
        &[],
    ),
    (
        "92aaf0da-9dab-42b6-94a3-d43ce8d16293",
        "Log Analytics Contributor",
        &[
            "*/read",
            "Microsoft.OperationalInsights/*",
            "Microsoft.Insights/diagnosticSettings/*",
        ],
        &[],
    ),
];

/// How long a new assignment has no effect, in milliseconds.
const EFFECT: i64 = 60_000;
/// The type of role assignments.
pub(super) const ASSIGNMENT: &str = "Microsoft.Authorization/roleAssignments";
/// The type of role definitions.
pub(super) const DEFINITION: &str = "Microsoft.Authorization/roleDefinitions";

/// The action that a call needs, as role definitions name it.
pub(super) fn action(call: &Call, target: &Target) -> String {
    let Some(provider) = &target.provider else {
        let kind = match &target.group {
            Some(_) => "Microsoft.Resources/subscriptions/resourceGroups",
            None => "Microsoft.Resources/subscriptions",
        };
        // `locations`, `resources` and the like have rights of their own.
        let below = target.kind();
        if !below.is_empty() {
            return format!("{kind}/{below}/{}", verb(call));
        }
        return format!("{kind}/{}", verb(call));
    };
    // What extends a resource of another provider needs a right of its own provider.
    let extension = target
        .parts
        .iter()
        .rposition(|(kind, _)| kind == "providers");
    let (provider, parts) = match extension {
        Some(at) => (&target.parts[at].1, &target.parts[at + 1..]),
        None => (provider, &target.parts[..]),
    };
    let mut kinds: Vec<&str> = parts.iter().map(|(kind, _)| kind.as_str()).collect();
    kinds.extend(target.tail.as_deref());
    let act = match (&target.tail, call.method.as_str()) {
        (Some(_), "POST") => "action",
        _ => verb(call),
    };
    format!("{provider}/{}/{act}", kinds.join("/"))
}

fn verb(call: &Call) -> &'static str {
    match call.method.as_str() {
        "GET" | "HEAD" => "read",
        "DELETE" => "delete",
        _ => "write",
    }
}

/// Whether `pattern` covers `action`, without case; `*` stands for any run, `/*/` also for `/`.
fn covers(pattern: &str, action: &str) -> bool {
    glob(pattern, action) || glob(&pattern.replace("/*/", "/"), action)
}

fn role_covers(world: &World, definition: &str, action: &str) -> bool {
    let id = definition.rsplit('/').next().unwrap_or_default();
    if let Some((.., actions, not)) = ROLES.iter().find(|role| role.0.eq_ignore_ascii_case(id)) {
        return actions.iter().any(|pattern| covers(pattern, action))
            && !not.iter().any(|pattern| covers(pattern, action));
    }
    resource::of_type(world, DEFINITION)
        .filter(|(_, role)| role["name"] == id)
        .any(|(_, role)| {
            role["properties"]["permissions"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|permission| {
                    let any = |list: &str| {
                        permission[list]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .filter_map(Value::as_str)
                            .any(|pattern| covers(pattern, action))
                    };
                    any("actions") && !any("notActions")
                })
        })
}

/// Whether the principal `object` may do `action` at `scope` now.
pub(super) fn may(world: &World, object: &str, action: &str, scope: &str) -> bool {
    let scope = key(scope);
    resource::of_type(world, ASSIGNMENT).any(|(_, assignment)| {
        let properties = &assignment["properties"];
        let at = key(properties["scope"].as_str().unwrap_or("/"));
        let reaches = at.is_empty() || scope == at || scope.starts_with(&format!("{at}/"));
        reaches
            && properties["principalId"]
                .as_str()
                .is_some_and(|id| id.eq_ignore_ascii_case(object))
            && resource::kept(assignment, "assigned")
                .as_i64()
                .is_none_or(|at| world.has_settled(at, EFFECT))
            && role_covers(
                world,
                properties["roleDefinitionId"].as_str().unwrap_or_default(),
                action,
            )
    })
}

/// Refuses what no role of the caller allows.
pub(super) fn authorize(
    world: &World,
    principal: &Principal,
    action: &str,
    scope: &str,
) -> Result<(), Answer> {
    if may(world, &principal.object, action, scope) {
        return Ok(());
    }
    Err(gateway(
        403,
        "AuthorizationFailed",
        &format!(
            "The client '{}' with object id '{}' does not have authorization to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
            principal.client, principal.object
        ),
    ))
}

/// Refuses a link to something that no role of the caller allows to link to.
pub(super) fn authorize_link(
    world: &World,
    principal: &Principal,
    action: &str,
    link: &str,
    scope: &str,
) -> Result<(), Answer> {
    if may(world, &principal.object, action, link) {
        return Ok(());
    }
    Err(gateway(
        403,
        "LinkedAuthorizationFailed",
        &format!(
            "The client '{}' with object id '{}' has permission to perform the action on scope '{scope}'; however, it does not have permission to perform action(s) '{action}' on the linked scope(s) '{link}' (respectively) or the linked scope(s) are invalid.",
            principal.client, principal.object
        ),
    ))
}

fn class(call: &Call) -> (&'static str, Budget) {
    match call.method.as_str() {
        "GET" | "HEAD" => (
            "reads",
            Budget {
                size: 250.0,
                per_second: 25.0,
            },
        ),
        "DELETE" => (
            "deletes",
            Budget {
                size: 200.0,
                per_second: 10.0,
            },
        ),
        _ => (
            "writes",
            Budget {
                size: 200.0,
                per_second: 10.0,
            },
        ),
    }
}

/// Takes the call out of the caller's budgets; what is left, for the headers.
pub(super) fn throttle(
    world: &mut World,
    call: &Call,
    target: &Target,
    principal: &Principal,
) -> Result<u32, Answer> {
    let (name, budget) = class(call);
    let bucket = format!("{}/{}/{name}", target.subscription(), principal.client);
    let left = world.take(&bucket, budget).map_err(|wait| {
        gateway(
            429,
            "SubscriptionRequestsThrottled",
            &format!("Number of '{name}' for subscription '{}' and service principal '{}' exceeded. Please try again after '{wait}' seconds.", target.subscription(), principal.client),
        )
        .with("retry-after", wait.to_string())
    })?;
    if target.provider.as_deref() == Some("microsoft.containerservice") {
        let kind = target.kind();
        let polls = kind.ends_with("operations") || kind.ends_with("operationresults");
        let (bucket, size, per_second) = match (call.method.as_str(), kind.as_str()) {
            _ if polls => ("polls", 200.0, 2.0),
            ("PUT", "managedclusters") => ("put cluster", 20.0, 1.0 / 60.0),
            ("PUT", "managedclusters/agentpools") => ("put pool", 20.0, 1.0 / 60.0),
            ("GET", "managedclusters") if target.tail.is_none() => ("get cluster", 60.0, 1.0),
            ("GET", "managedclusters") if target.group.is_none() => ("list", 500.0, 1.0),
            ("GET", "managedclusters") => ("list group", 60.0, 1.0),
            _ => ("other", 60.0, 1.0),
        };
        let bucket = format!("aks/{}/{bucket}", target.subscription());
        world.take(&bucket, Budget { size, per_second }).map_err(|wait| {
            super::error::flat(429, "TooManyRequests", &format!("The request was throttled by the resource provider; try again after {wait} seconds."))
                .with("retry-after", wait.to_string())
        })?;
    }
    Ok(left)
}

/// Adds the headers that every answer of Resource Manager bears.
pub(super) fn dress(mut answer: Answer, call: &Call, left: Option<u32>) -> Answer {
    if let Some(left) = left {
        let name = class(call).0;
        answer = answer.with(
            &format!("x-ms-ratelimit-remaining-subscription-{name}"),
            left.to_string(),
        );
    }
    if let Some(id) = call.header("x-ms-client-request-id") {
        answer = answer.with("x-ms-client-request-id", id);
    }
    answer
        .with("x-ms-request-id", uuid::Uuid::new_v4().to_string())
        .with("x-ms-correlation-request-id", call.correlation.clone())
        .with(
            "x-ms-routing-request-id",
            format!("WESTEUROPE:{}", call.correlation),
        )
        .with("cache-control", "no-cache")
        .with(
            "strict-transport-security",
            "max-age=31536000; includeSubDomains",
        )
        .with("x-content-type-options", "nosniff")
}

/// A built-in role as `roleDefinitions` shows it.
pub(super) fn shown_role(subscription: &str, role: &Role) -> Value {
    json!({
        "id": format!("/subscriptions/{subscription}/providers/{DEFINITION}/{}", role.0),
        "type": DEFINITION,
        "name": role.0,
        "properties": {
            "roleName": role.1, "type": "BuiltInRole", "description": "", "assignableScopes": ["/"],
            "permissions": [{ "actions": role.2, "notActions": role.3, "dataActions": [], "notDataActions": [] }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_may_stand_for_nothing() {
        let operator = "Microsoft.ManagedIdentity/userAssignedIdentities/*/assign/action";
        assert!(covers(
            operator,
            "microsoft.managedidentity/userassignedidentities/assign/action"
        ));
        assert!(covers("*/read", "Microsoft.Network/virtualNetworks/read"));
        assert!(!covers("*/read", "Microsoft.Network/virtualNetworks/write"));
    }
}
