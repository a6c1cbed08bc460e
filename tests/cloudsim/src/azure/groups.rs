//! Subscriptions, resource groups, providers: what has no resource provider of its own.

use serde_json::{Value, json};

use super::{Arm, Outcome, catalogue, check_tags, error, operations, path::key, resource, seed};
use crate::core::{Answer, Operation, Status, World};

/// The type of resource groups.
pub(super) const TYPE: &str = "Microsoft.Resources/resourceGroups";

/// Refuses what needs a resource group that is not there, or that is going.
pub(super) fn must_exist(arm: &Arm<'_>) -> Result<(), Answer> {
    let group = resource::find(arm.world, &arm.target.group_id());
    let Some(group) = group else {
        return Err(if arm.call.method == "DELETE" {
            Answer::empty(204)
        } else {
            error::no_group(arm.target.group())
        });
    };
    if group["properties"]["provisioningState"] == "Deleting"
        && ["PUT", "PATCH", "POST"].contains(&arm.call.method.as_str())
    {
        return Err(error::gateway(
            409,
            "ResourceGroupBeingDeleted",
            &format!(
                "The resource group '{}' is in deprovisioning state and cannot perform this operation.",
                arm.target.group()
            ),
        ));
    }
    Ok(())
}

/// Answers what names no resource provider.
pub(super) fn answer(arm: &mut Arm<'_>) -> Outcome {
    let method = arm.call.method.clone();
    let tail = arm.target.tail.clone();
    let segments: Vec<String> = arm
        .call
        .segments
        .iter()
        .map(|part| part.to_ascii_lowercase())
        .collect();
    match segments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["subscriptions"] => {
            let all: Vec<Value> = seed::SUBSCRIPTIONS
                .iter()
                .map(|id| subscription(id))
                .collect();
            Ok(Answer::json(
                200,
                &json!({ "value": all, "count": { "type": "Total", "value": all.len() } }),
            ))
        }
        ["tenants"] => Ok(Answer::json(
            200,
            &json!({ "value": [{ "id": format!("/tenants/{}", super::entra::TENANT), "tenantId": super::entra::TENANT, "displayName": "Paymesh" }] }),
        )),
        ["subscriptions", id] => Ok(Answer::json(200, &subscription(id))),
        ["subscriptions", id, "locations"] => Ok(Answer::json(200, &locations(id))),
        ["subscriptions", _, "providers", ..] => Ok(Answer::json(
            200,
            &json!({ "registrationState": "Registered" }),
        )),
        ["subscriptions", _, "resourcegroups"] => {
            let prefix = format!("/subscriptions/{}/", key(arm.target.subscription()));
            let all: Vec<Value> = resource::of_type(arm.world, TYPE)
                .filter(|(id, _)| id.starts_with(&prefix))
                .filter(|(_, group)| passes(arm.call.query("$filter").unwrap_or_default(), group))
                .map(|(_, group)| resource::bare(group))
                .collect();
            Ok(Answer::json(200, &json!({ "value": all })))
        }
        ["subscriptions", _, "resources"] => Ok(contents(
            arm,
            &format!("/subscriptions/{}", arm.target.subscription()),
        )),
        ["subscriptions", _, "resourcegroups", _] => one(arm, &method),
        ["subscriptions", _, "resourcegroups", _, "resources"] if tail.is_some() => {
            must_exist(arm)?;
            Ok(contents(arm, &arm.target.group_id()))
        }
        _ => Err(error::gateway(
            404,
            "InvalidResourceType",
            "The resource type could not be found.",
        )),
    }
}

fn subscription(id: &str) -> Value {
    json!({
        "id": format!("/subscriptions/{id}"), "subscriptionId": id, "tenantId": super::entra::TENANT, "displayName": "Paymesh simulated",
        "state": "Enabled", "authorizationSource": "RoleBased",
        "subscriptionPolicies": { "locationPlacementId": "Public_2014-09-01", "quotaId": "PayAsYouGo_2014-09-01", "spendingLimit": "Off" },
    })
}

fn locations(id: &str) -> Value {
    let all: Vec<Value> = catalogue::REGIONS
        .iter()
        .map(|region| {
            let mut shown = json!({
                "id": format!("/subscriptions/{id}/locations/{}", region.0), "name": region.0, "type": "Region",
                "displayName": region.1, "regionalDisplayName": region.1,
                "metadata": { "regionType": "Physical", "regionCategory": "Recommended", "pairedRegion": [{ "name": region.3, "id": format!("/subscriptions/{id}/locations/{}", region.3) }] },
            });
            if region.2 {
                shown["availabilityZoneMappings"] = ["1", "2", "3"]
                    .iter()
                    .map(|zone| json!({ "logicalZone": zone, "physicalZone": format!("{}-az{zone}", region.0) }))
                    .collect();
            }
            shown
        })
        .collect();
    json!({ "value": all })
}

/// Whether a body satisfies `$filter`: `tagName eq 'n' and tagValue eq 'v'`, `resourceType eq 't'`.
fn passes(filter: &str, body: &Value) -> bool {
    let mut tag = None;
    filter.split(" and ").all(|term| {
        let Some((name, value)) = term.split_once(" eq ") else {
            return true;
        };
        let value = value.trim().trim_matches('\'');
        match name.trim() {
            "tagName" => {
                tag = resource::get_nocase(&body["tags"], value).and_then(Value::as_str);
                tag.is_some()
            }
            "tagValue" => tag == Some(value),
            "resourceType" => body["type"]
                .as_str()
                .is_some_and(|kind| kind.eq_ignore_ascii_case(value)),
            _ => true,
        }
    })
}

/// The top-level resources below a scope.
fn contents(arm: &Arm<'_>, scope: &str) -> Answer {
    let filter = arm.call.query("$filter").unwrap_or_default();
    let all: Vec<Value> = resource::below(arm.world, scope)
        .filter(|(id, body)| body["type"] != TYPE && id.split("/providers/").last().is_some_and(|rest| rest.split('/').count() == 3))
        .filter(|(_, body)| body["type"] != super::gate::ASSIGNMENT && body["type"] != super::gate::DEFINITION)
        .filter(|(_, body)| passes(filter, body))
        .map(|(_, body)| json!({ "id": body["id"], "name": body["name"], "type": body["type"], "location": body["location"], "tags": body["tags"] }))
        .collect();
    Answer::json(200, &json!({ "value": all }))
}

fn one(arm: &mut Arm<'_>, method: &str) -> Outcome {
    let id = arm.target.group_id();
    let name = arm.target.group().to_owned();
    let existing = resource::find(arm.world, &id).cloned();
    match (method, existing) {
        ("HEAD", existing) => Ok(Answer::empty(if existing.is_some() { 204 } else { 404 })),
        ("GET", Some(group)) => {
            arm.world.poll_target("azure", &key(&id));
            Ok(Answer::json(200, &resource::bare(&group)))
        }
        ("PUT", existing) => put(arm, &id, &name, existing),
        ("PATCH", Some(_)) => {
            let body = arm.object()?;
            check_tags(&body["tags"])?;
            if !body["tags"].is_null() {
                resource::change(arm.world, &id, |group| group["tags"] = body["tags"].clone());
            }
            Ok(Answer::json(
                200,
                &resource::shown(arm.world, &id).unwrap_or_default(),
            ))
        }
        ("DELETE", Some(_)) => Ok(delete(arm, &id)),
        (_, None) => Err(error::no_group(&name)),
        _ => Err(Answer::empty(405)),
    }
}

fn put(arm: &mut Arm<'_>, id: &str, name: &str, existing: Option<Value>) -> Outcome {
    let body = arm.object()?;
    let good = !name.is_empty()
        && name.len() <= 90
        && !name.ends_with('.')
        && name
            .chars()
            .all(|letter| letter.is_alphanumeric() || "_-.()".contains(letter));
    if !good {
        return Err(error::gateway(
            400,
            "InvalidResourceGroupName",
            &format!(
                "The provided resource group name '{name}' has these invalid characters or is too long: at most 90 letters, digits, '_', '-', '.', '(' and ')', not ending in '.'."
            ),
        ));
    }
    let Some(region) = body["location"].as_str().and_then(catalogue::region) else {
        return Err(error::gateway(
            400,
            "LocationNotAvailableForResourceGroup",
            &format!(
                "The provided location '{}' is not available for resource group.",
                body["location"].as_str().unwrap_or_default()
            ),
        ));
    };
    check_tags(&body["tags"])?;
    if let Some(old) = &existing {
        must_exist(arm)?;
        if old["location"] != region.0 {
            return Err(error::gateway(
                409,
                "InvalidResourceGroupLocation",
                &format!(
                    "Invalid resource group location '{}'. The Resource group already exists in location '{}'.",
                    region.0,
                    old["location"].as_str().unwrap_or_default()
                ),
            ));
        }
    }
    if arm.world.faults.lost_region("azure", region.0) {
        return Err(error::gateway(
            503,
            "ServiceUnavailable",
            &format!(
                "The service in region '{}' is unavailable. Please try again later.",
                region.0
            ),
        ));
    }
    let status = if existing.is_some() { 200 } else { 201 };
    let mut group = existing
        .unwrap_or_else(|| json!({ "id": id, "name": name, "type": TYPE, "location": region.0 }));
    if body["tags"].is_null() {
        if let Some(group) = group.as_object_mut() {
            group.shift_remove("tags");
        }
    } else {
        group["tags"] = body["tags"].clone();
    }
    if !body["managedBy"].is_null() {
        group["managedBy"] = body["managedBy"].clone();
    }
    group["properties"] = json!({ "provisioningState": "Succeeded" });
    resource::put(arm.world, id, group);
    Ok(Answer::json(
        status,
        &resource::shown(arm.world, id).unwrap_or_default(),
    ))
}

fn delete(arm: &mut Arm<'_>, id: &str) -> Answer {
    resource::change(arm.world, id, |group| {
        group["properties"]["provisioningState"] = "Deleting".into();
    });
    let full = resource::below(arm.world, id).next().is_some();
    let seconds = if full { 300 } else { 30 };
    let detail = json!({ "action": "delete group", "retry_after": 15 });
    let operation = arm
        .world
        .start_operation("azure", "Deleting", &key(id), seconds, detail);
    let url = operations::result_url(arm.world, arm.target.subscription(), "", "", &operation);
    arm.remember_result(operation, &url);
    Answer::empty(202)
        .with("location", url)
        .with("retry-after", "15")
}

/// Completes the deletion of a group: everything in it goes, and the node groups of its clusters.
pub(super) fn complete(world: &mut World, operation: &Operation) {
    let id = operation.target.clone();
    if operation.status != Status::Succeeded {
        resource::change(world, &id, |group| {
            group["properties"]["provisioningState"] = "Succeeded".into();
        });
        return;
    }
    let subscription = id.split('/').nth(2).unwrap_or_default().to_owned();
    let node_groups: Vec<String> = resource::below(world, &id)
        .filter_map(|(_, body)| body["properties"]["nodeResourceGroup"].as_str())
        .map(|group| format!("/subscriptions/{subscription}/resourceGroups/{group}"))
        .collect();
    for group in node_groups {
        resource::remove(world, &group);
    }
    for running in world.running_on("azure", &id) {
        world.cancel_operation(&running.id);
    }
    resource::remove(world, &id);
}
