//! Role assignments and definitions: extension resources at any scope.
//!
//! A fresh identity is not known to the directory at once, and a fresh role is not effective at
//! once. In the mode for stable request counts both are, because such delays are races.

use serde_json::{Value, json};

use super::{
    Arm, Outcome, entra, error,
    gate::{ASSIGNMENT, DEFINITION, ROLES, shown_role},
    path::key,
    resource,
};
use crate::core::{Answer, World};

/// How long the directory does not know a new identity, in milliseconds.
const REPLICATION: i64 = 30_000;

fn scope_of(arm: &Arm<'_>) -> String {
    arm.target.scope.clone().unwrap_or_default()
}

/// Answers everything of Microsoft.Authorization.
pub(super) fn answer(arm: &mut Arm<'_>) -> Outcome {
    let method = arm.call.method.clone();
    match (
        method.as_str(),
        arm.target.kind().as_str(),
        arm.target.tail.is_some(),
    ) {
        ("GET", "roledefinitions", true) => Ok(definitions(arm)),
        ("GET", "roledefinitions", false) => {
            let name = arm.target.name(0);
            if let Some(role) = ROLES.iter().find(|role| role.0.eq_ignore_ascii_case(name)) {
                return Ok(Answer::json(
                    200,
                    &shown_role(arm.target.subscription(), role),
                ));
            }
            let found = resource::of_type(arm.world, DEFINITION)
                .find(|(_, role)| role["name"] == name)
                .map(|(_, role)| resource::bare(role));
            found.map(|role| Answer::json(200, &role)).ok_or_else(|| {
                error::wrapped(
                    404,
                    "RoleDefinitionDoesNotExist",
                    &format!("The specified role definition with ID '{name}' does not exist."),
                )
            })
        }
        ("PUT", "roledefinitions", false) => {
            let body = arm.object()?;
            let name = arm.target.name(0).to_owned();
            let id = format!(
                "/subscriptions/{}/providers/{DEFINITION}/{name}",
                arm.target.subscription()
            );
            let mut properties = body["properties"].clone();
            properties["type"] = "CustomRole".into();
            resource::put(
                arm.world,
                &id,
                json!({ "id": id, "name": name, "type": DEFINITION, "properties": properties }),
            );
            Ok(Answer::json(
                201,
                &resource::shown(arm.world, &id).unwrap_or_default(),
            ))
        }
        ("DELETE", "roledefinitions", false) => {
            let id = format!(
                "/subscriptions/{}/providers/{DEFINITION}/{}",
                arm.target.subscription(),
                arm.target.name(0)
            );
            let gone = resource::shown(arm.world, &id);
            resource::remove(arm.world, &id);
            Ok(gone.map_or_else(|| Answer::empty(204), |role| Answer::json(200, &role)))
        }
        ("GET", "roleassignments", true) => Ok(assignments(arm)),
        ("GET", "roleassignments", false) => {
            let id = assignment_id(arm);
            let name = arm.target.name(0);
            resource::shown(arm.world, &id)
                .map(|body| Answer::json(200, &body))
                .ok_or_else(|| {
                    error::wrapped(
                        404,
                        "RoleAssignmentNotFound",
                        &format!("The role assignment '{name}' is not found."),
                    )
                })
        }
        ("PUT", "roleassignments", false) => assign(arm),
        ("DELETE", "roleassignments", false) => {
            let id = assignment_id(arm);
            let gone = resource::shown(arm.world, &id);
            resource::remove(arm.world, &id);
            Ok(gone.map_or_else(|| Answer::empty(204), |body| Answer::json(200, &body)))
        }
        ("GET", "locks" | "policyassignments" | "denyassignments", _) => {
            Ok(Answer::json(200, &json!({ "value": [] })))
        }
        ("GET", "permissions", _) => Ok(Answer::json(
            200,
            &json!({ "value": [{ "actions": ["*"], "notActions": [] }] }),
        )),
        _ => Err(error::gateway(
            404,
            "InvalidResourceType",
            "The resource type could not be found in the namespace 'Microsoft.Authorization'.",
        )),
    }
}

fn assignment_id(arm: &Arm<'_>) -> String {
    let scope = scope_of(arm);
    format!(
        "{}/providers/{ASSIGNMENT}/{}",
        scope.trim_end_matches('/'),
        arm.target.name(0)
    )
}

fn definitions(arm: &Arm<'_>) -> Answer {
    let wanted = arm
        .call
        .query("$filter")
        .and_then(|filter| filter.split('\'').nth(1))
        .map(str::to_owned);
    let mut all: Vec<Value> = ROLES
        .iter()
        .map(|role| shown_role(arm.target.subscription(), role))
        .collect();
    all.extend(resource::of_type(arm.world, DEFINITION).map(|(_, role)| resource::bare(role)));
    all.retain(|role| {
        wanted
            .as_deref()
            .is_none_or(|wanted| role["properties"]["roleName"] == wanted || role["name"] == wanted)
    });
    Answer::json(200, &json!({ "value": all }))
}

fn assignments(arm: &Arm<'_>) -> Answer {
    let scope = key(&scope_of(arm));
    let filter = arm.call.query("$filter").unwrap_or_default();
    let principal = filter.split('\'').nth(1).map(str::to_owned);
    let at_scope = filter.contains("atScope()");
    let found: Vec<Value> = resource::of_type(arm.world, ASSIGNMENT)
        .filter(|(_, body)| {
            let at = key(body["properties"]["scope"].as_str().unwrap_or_default());
            let above = at.is_empty() || scope == at || scope.starts_with(&format!("{at}/"));
            above || (!at_scope && at.starts_with(&format!("{scope}/")))
        })
        .filter(|(_, body)| {
            principal
                .as_deref()
                .is_none_or(|wanted| body["properties"]["principalId"] == wanted)
        })
        .map(|(_, body)| resource::bare(body))
        .collect();
    Answer::json(200, &json!({ "value": found }))
}

/// Where a principal stands in the directory.
enum Known {
    Yes(&'static str),
    NotYet,
    No,
}

fn look_up(world: &World, principal: &str) -> Known {
    if entra::SEEDED
        .iter()
        .any(|seeded| seeded.object.eq_ignore_ascii_case(principal))
    {
        return Known::Yes("ServicePrincipal");
    }
    let identity = resource::all(world).find(|(_, body)| {
        body["properties"]["principalId"] == principal && body["type"] != ASSIGNMENT
            || body["identity"]["principalId"] == principal
    });
    match identity {
        Some((_, body)) => {
            let born = resource::kept(body, "born").as_i64().unwrap_or(0);
            if world.has_settled(born, REPLICATION) {
                Known::Yes("ServicePrincipal")
            } else {
                Known::NotYet
            }
        }
        None => Known::No,
    }
}

fn assign(arm: &mut Arm<'_>) -> Outcome {
    let id = assignment_id(arm);
    let scope = scope_of(arm);
    let name = arm.target.name(0).to_owned();
    if uuid::Uuid::parse_str(&name).is_err() {
        return Err(error::wrapped(
            400,
            "InvalidRoleAssignmentId",
            &format!(
                "The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID."
            ),
        ));
    }
    let on_resource = scope.to_ascii_lowercase().contains("/resourcegroups/");
    if on_resource && resource::find(arm.world, &scope).is_none() {
        return Err(error::gateway(
            404,
            "ResourceNotFound",
            &format!(
                "The Resource '{scope}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
            ),
        ));
    }
    let sent = arm.object()?;
    let properties = &sent["properties"];
    let text = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
    let (principal, role) = (text("principalId"), text("roleDefinitionId"));
    let role_name = role.rsplit('/').next().unwrap_or_default().to_owned();
    let known_role = ROLES
        .iter()
        .any(|role| role.0.eq_ignore_ascii_case(&role_name))
        || resource::of_type(arm.world, DEFINITION).any(|(_, role)| role["name"] == role_name);
    if !known_role {
        return Err(error::wrapped(
            404,
            "RoleDefinitionDoesNotExist",
            &format!("The specified role definition with ID '{role_name}' does not exist."),
        ));
    }
    if uuid::Uuid::parse_str(&principal).is_err() {
        return Err(error::wrapped(
            400,
            "InvalidPrincipalId",
            &format!(
                "A valid principal ID must be provided for role assignment, not '{principal}'."
            ),
        ));
    }
    if let Some(old) = resource::find(arm.world, &id) {
        let same = old["properties"]["principalId"] == principal.as_str()
            && old["properties"]["roleDefinitionId"]
                .as_str()
                .is_some_and(|old| {
                    old.to_ascii_lowercase()
                        .ends_with(&role_name.to_ascii_lowercase())
                });
        return if same {
            Ok(Answer::json(200, &resource::bare(old)))
        } else {
            Err(error::wrapped(
                409,
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
            ))
        };
    }
    let twin = resource::of_type(arm.world, ASSIGNMENT).find(|(_, other)| {
        other["properties"]["principalId"] == principal.as_str()
            && key(other["properties"]["scope"].as_str().unwrap_or_default()) == key(&scope)
            && other["properties"]["roleDefinitionId"]
                .as_str()
                .is_some_and(|other| {
                    other
                        .to_ascii_lowercase()
                        .ends_with(&role_name.to_ascii_lowercase())
                })
    });
    if let Some((_, twin)) = twin {
        let name = twin["name"].as_str().unwrap_or_default().replace('-', "");
        return Err(error::wrapped(
            409,
            "RoleAssignmentExists",
            &format!(
                "The role assignment already exists. The ID of the existing role assignment is {name}."
            ),
        ));
    }
    let declared = properties["principalType"].as_str();
    let kind = match (look_up(arm.world, &principal), declared) {
        (Known::Yes(kind), None) | (_, Some(kind)) => kind.to_owned(),
        (Known::NotYet | Known::No, None) => {
            return Err(error::wrapped(
                400,
                "PrincipalNotFound",
                &format!(
                    "Principal {} does not exist in the directory {}. Check that you have the correct principal ID. If you are creating this principal and then immediately assigning a role, this error might be related to a replication delay. In this case, set the role assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See https://aka.ms/docs-principaltype",
                    principal.replace('-', ""),
                    entra::TENANT
                ),
            ));
        }
    };
    put(
        arm.world,
        &id,
        &name,
        &scope,
        &principal,
        &role,
        &kind,
        &properties["description"],
    );
    Ok(Answer::json(
        201,
        &resource::shown(arm.world, &id).unwrap_or_default(),
    ))
}

#[expect(
    clippy::too_many_arguments,
    reason = "they are the properties of a role assignment"
)]
fn put(
    world: &mut World,
    id: &str,
    name: &str,
    scope: &str,
    principal: &str,
    role: &str,
    kind: &str,
    description: &Value,
) {
    let now = world.clock.text();
    let mut body = json!({
        "id": id, "name": name, "type": ASSIGNMENT,
        "properties": {
            "roleDefinitionId": role, "principalId": principal, "principalType": kind, "scope": scope, "condition": null,
            "conditionVersion": null, "createdOn": now, "updatedOn": now, "delegatedManagedIdentityResourceId": null,
            "description": description,
        },
    });
    resource::keep(&mut body, "assigned", json!(world.clock.now()));
    resource::put(world, id, body);
}
