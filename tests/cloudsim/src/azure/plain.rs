//! Resources that are made at once and keep what they are given: identities, networks, zones,
//! vaults, workspaces, registries, maintenance configurations, diagnostic settings.

use serde_json::{Value, json};

use super::{Arm, Outcome, catalogue, check_tags, error, path::key, resource};
use crate::core::{Answer, World};

/// Lower-case provider/types and how answers spell them.
const TYPES: [(&str, &str); 14] = [
    (
        "microsoft.managedidentity/userassignedidentities",
        "Microsoft.ManagedIdentity/userAssignedIdentities",
    ),
    (
        "microsoft.managedidentity/userassignedidentities/federatedidentitycredentials",
        "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials",
    ),
    (
        "microsoft.network/virtualnetworks",
        "Microsoft.Network/virtualNetworks",
    ),
    (
        "microsoft.network/virtualnetworks/subnets",
        "Microsoft.Network/virtualNetworks/subnets",
    ),
    (
        "microsoft.network/networksecuritygroups",
        "Microsoft.Network/networkSecurityGroups",
    ),
    (
        "microsoft.network/routetables",
        "Microsoft.Network/routeTables",
    ),
    (
        "microsoft.network/natgateways",
        "Microsoft.Network/natGateways",
    ),
    (
        "microsoft.network/publicipaddresses",
        "Microsoft.Network/publicIPAddresses",
    ),
    (
        "microsoft.network/privatednszones",
        "Microsoft.Network/privateDnsZones",
    ),
    ("microsoft.keyvault/vaults", "Microsoft.KeyVault/vaults"),
    (
        "microsoft.operationalinsights/workspaces",
        "Microsoft.OperationalInsights/workspaces",
    ),
    (
        "microsoft.containerregistry/registries",
        "Microsoft.ContainerRegistry/registries",
    ),
    (
        "microsoft.containerservice/managedclusters/maintenanceconfigurations",
        "Microsoft.ContainerService/managedClusters/maintenanceConfigurations",
    ),
    (
        "microsoft.containerservice/managedclusters/providers/diagnosticsettings",
        "Microsoft.Insights/diagnosticSettings",
    ),
];

fn spelled(arm: &Arm<'_>) -> Option<(String, &'static str)> {
    let kind = format!(
        "{}/{}",
        arm.target.provider.as_deref().unwrap_or_default(),
        arm.target.kind()
    );
    TYPES
        .iter()
        .find(|(lower, _)| *lower == kind)
        .map(|(lower, spelled)| ((*lower).to_owned(), *spelled))
}

fn canonical(arm: &Arm<'_>, spelled: &str) -> String {
    let mut kinds = spelled.split('/');
    let provider = kinds.next().unwrap_or_default();
    if provider == "Microsoft.Insights" {
        return arm.id();
    }
    let mut id = format!("{}/providers/{provider}", arm.target.group_id());
    for (kind, (_, name)) in kinds.zip(&arm.target.parts) {
        id = format!("{id}/{kind}/{name}");
    }
    id
}

/// Answers a request for a plain resource or a list of them.
pub(super) fn answer(arm: &mut Arm<'_>) -> Outcome {
    let Some((lower, spelled)) = spelled(arm) else {
        return Err(error::gateway(
            404,
            "InvalidResourceType",
            &format!(
                "The resource type '{}' could not be found in the namespace '{}'.",
                arm.target.kind(),
                arm.target.provider.as_deref().unwrap_or_default()
            ),
        ));
    };
    if arm.target.tail.is_some() {
        return Ok(list(arm, spelled));
    }
    let id = canonical(arm, spelled);
    let name = arm
        .target
        .parts
        .last()
        .map_or("", |(_, name)| name)
        .to_owned();
    let child = arm.target.parts.len() > 1;
    match arm.call.method.as_str() {
        "GET" => resource::shown(arm.world, &id)
            .map(|body| Answer::json(200, &with_children(arm.world, body)))
            .ok_or_else(|| error::no_resource(spelled, &name, arm.target.group())),
        "PUT" => put(arm, &id, &name, spelled, child),
        "PATCH" => {
            let body = arm.object()?;
            check_tags(&body["tags"])?;
            let known = resource::change(arm.world, &id, |old| {
                if !body["tags"].is_null() {
                    old["tags"] = body["tags"].clone();
                }
            });
            if known {
                Ok(Answer::json(
                    200,
                    &resource::shown(arm.world, &id).unwrap_or_default(),
                ))
            } else {
                Err(error::no_resource(spelled, &name, arm.target.group()))
            }
        }
        "DELETE" => {
            refuse_in_use(arm.world, &id, &lower)?;
            let known = resource::find(arm.world, &id).is_some();
            resource::remove(arm.world, &id);
            Ok(Answer::empty(if known { 200 } else { 204 }))
        }
        _ => Err(Answer::empty(405)),
    }
}

fn with_children(world: &World, mut body: Value) -> Value {
    if body["type"] == "Microsoft.Network/virtualNetworks" {
        let id = body["id"].as_str().unwrap_or_default().to_owned();
        body["properties"]["subnets"] = resource::below(world, &id)
            .map(|(_, subnet)| resource::bare(subnet))
            .collect();
    }
    body
}

fn list(arm: &Arm<'_>, spelled: &str) -> Answer {
    let prefix = if arm.target.parts.is_empty() {
        if arm.target.group.is_some() {
            arm.target.group_id()
        } else {
            format!("/subscriptions/{}", arm.target.subscription())
        }
    } else {
        arm.id()
    };
    let prefix = format!("{}/", key(&prefix));
    let found: Vec<Value> = resource::of_type(arm.world, spelled)
        .filter(|(id, _)| id.starts_with(&prefix))
        .map(|(_, body)| with_children(arm.world, resource::bare(body)))
        .collect();
    Answer::json(200, &json!({ "value": found }))
}

fn put(arm: &mut Arm<'_>, id: &str, name: &str, spelled: &str, child: bool) -> Outcome {
    let sent = arm.object()?;
    check_tags(&sent["tags"])?;
    if child {
        let parent = id.rsplitn(3, '/').nth(2).unwrap_or_default();
        let extension = key(parent).find("/providers/microsoft.insights");
        let parent = &parent[..extension.unwrap_or(parent.len())];
        if resource::find(arm.world, parent).is_none() {
            return Err(error::gateway(
                404,
                "ParentResourceNotFound",
                &format!(
                    "Failed to perform 'write' on resource(s) of type '{spelled}', because the parent resource '{parent}' could not be found."
                ),
            ));
        }
    }
    let existing = resource::find(arm.world, id).cloned();
    let region = sent["location"].as_str().map(|text| {
        catalogue::region(text).map_or_else(|| text.to_owned(), |region| region.0.to_owned())
    });
    if !child && region.is_none() {
        return Err(error::gateway(
            400,
            "LocationRequired",
            "The location property is required for this definition.",
        ));
    }
    if let (Some(old), Some(new)) = (
        existing.as_ref().and_then(|old| old["location"].as_str()),
        &region,
    ) && old != new
    {
        return Err(error::gateway(
            409,
            "InvalidResourceLocation",
            &format!(
                "The resource '{name}' already exists in location '{old}'. A resource with the same name cannot be created in location '{new}'. Please select a new resource name."
            ),
        ));
    }
    let status = if existing.is_some() { 200 } else { 201 };
    if spelled == "Microsoft.ManagedIdentity/userAssignedIdentities" {
        if existing.is_some() {
            resource::change(arm.world, id, |old| old["tags"] = sent["tags"].clone());
        } else {
            make_identity(
                arm.world,
                id,
                name,
                &region.unwrap_or_default(),
                &sent["tags"],
            );
        }
        return Ok(Answer::json(
            status,
            &resource::shown(arm.world, id).unwrap_or_default(),
        ));
    }
    let mut body = sent;
    body["id"] = id.into();
    body["name"] = name.into();
    body["type"] = spelled.into();
    if let Some(region) = region {
        body["location"] = region.into();
    }
    if spelled.starts_with("Microsoft.Network/") {
        body["etag"] = format!("W/\"{}\"", uuid::Uuid::new_v4()).into();
        body["properties"]["provisioningState"] = "Succeeded".into();
    }
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    if spelled == "Microsoft.Network/virtualNetworks" {
        write_subnets(arm.world, id, &mut body);
    }
    if let Some(old) = existing {
        body["_kept"] = old["_kept"].clone();
    }
    resource::put(arm.world, id, body);
    let shown = resource::shown(arm.world, id).unwrap_or_default();
    Ok(Answer::json(status, &with_children(arm.world, shown)))
}

fn write_subnets(world: &mut World, id: &str, body: &mut Value) {
    let subnets = body["properties"]
        .as_object_mut()
        .and_then(|properties| properties.shift_remove("subnets"));
    for mut subnet in subnets
        .and_then(|subnets| subnets.as_array().cloned())
        .unwrap_or_default()
    {
        let subnet_id = format!(
            "{id}/subnets/{}",
            subnet["name"].as_str().unwrap_or_default()
        );
        subnet["id"] = subnet_id.clone().into();
        subnet["type"] = "Microsoft.Network/virtualNetworks/subnets".into();
        subnet["properties"]["provisioningState"] = "Succeeded".into();
        resource::put(world, &subnet_id, subnet);
    }
}

/// Makes a user-assigned identity; each incarnation has principals of its own.
pub(super) fn make_identity(world: &mut World, id: &str, name: &str, region: &str, tags: &Value) {
    let mut body = json!({
        "id": id, "name": name, "type": "Microsoft.ManagedIdentity/userAssignedIdentities", "location": region,
        "tags": if tags.is_null() { json!({}) } else { tags.clone() },
        "properties": {
            "tenantId": super::entra::TENANT,
            "principalId": uuid::Uuid::new_v4(), "clientId": uuid::Uuid::new_v4(),
        },
    });
    resource::keep(&mut body, "born", json!(world.clock.now()));
    resource::put(world, id, body);
}

/// A network that clusters stand on cannot go.
fn refuse_in_use(world: &World, id: &str, lower: &str) -> Result<(), Answer> {
    if !lower.starts_with("microsoft.network/virtualnetworks") {
        return Ok(());
    }
    let id = key(id);
    let user = resource::of_type(world, super::pool::TYPE).find(|(_, pool)| {
        pool["properties"]["vnetSubnetID"]
            .as_str()
            .map(key)
            .is_some_and(|subnet| subnet == id || subnet.starts_with(&format!("{id}/")))
    });
    match user {
        Some((user, _)) => Err(error::wrapped(
            400,
            "InUseSubnetCannotBeDeleted",
            &format!(
                "Subnet is in use by {user} and cannot be deleted. In order to delete the subnet, delete all the resources within the subnet. See aka.ms/deletesubnet."
            ),
        )),
        None => Ok(()),
    }
}
