//! Who may use what: the identities of a cluster, and the rights that they and the caller need.

use serde_json::{Value, json};

use super::guid;
use crate::{
    azure::{
        Arm, entra,
        error::{flat, invalid},
        gate,
        path::key,
        resource,
    },
    core::{Answer, World},
};

pub(super) fn plan_identity(
    world: &World,
    id: &str,
    existing: Option<&Value>,
    wanted: &Value,
) -> Result<Value, Answer> {
    if wanted.is_null() {
        return Ok(existing.map_or(Value::Null, |old| old["identity"].clone()));
    }
    let kind = wanted["type"].as_str().unwrap_or_default();
    if kind.eq_ignore_ascii_case("SystemAssigned") {
        return Ok(
            json!({ "type": "SystemAssigned", "principalId": guid(&format!("{}/identity", key(id))), "tenantId": entra::TENANT }),
        );
    }
    if kind.eq_ignore_ascii_case("None") {
        return Ok(Value::Null);
    }
    if !kind.eq_ignore_ascii_case("UserAssigned") {
        return Err(invalid(
            "identity.type",
            &format!("'{kind}' is no identity type"),
        ));
    }
    let mut filled = json!({});
    for reference in wanted["userAssignedIdentities"]
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys())
    {
        let Some(identity) = resource::find(world, reference) else {
            return Err(flat(
                400,
                "ResourceNotFound",
                &format!("The user-assigned identity '{reference}' was not found."),
            ));
        };
        filled[reference] = json!({ "clientId": identity["properties"]["clientId"], "principalId": identity["properties"]["principalId"] });
    }
    if filled.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(invalid(
            "identity.userAssignedIdentities",
            "a user-assigned identity must be named",
        ));
    }
    Ok(json!({ "type": "UserAssigned", "userAssignedIdentities": filled }))
}

/// The object id under which the cluster acts; none for a cluster with a system-assigned identity,
/// to which the service itself grants what it needs.
fn actor(cluster: &Value) -> Option<&str> {
    cluster["identity"]["userAssignedIdentities"]
        .as_object()?
        .values()
        .next()?["principalId"]
        .as_str()
}

fn no_permission(principal: &str, scope: &str, permission: &str) -> Answer {
    flat(
        400,
        "ResourceMissingPermissionError",
        &format!(
            "The cluster using user-assigned managed identity must be granted '{permission}' on the resource. The identity with object id '{principal}' lacks it on '{scope}'. If the role was granted recently, allow some time for it to take effect."
        ),
    )
}

/// The cluster's own identity must be allowed to join the subnet.
pub(in crate::azure) fn check_subnet_rights(
    world: &World,
    cluster: &Value,
    pool: &Value,
) -> Result<(), Answer> {
    const JOIN: &str = "Microsoft.Network/virtualNetworks/subnets/join/action";
    let (Some(principal), Some(subnet)) = (actor(cluster), pool["vnetSubnetID"].as_str()) else {
        return Ok(());
    };
    if gate::may(world, principal, JOIN, subnet) {
        Ok(())
    } else {
        Err(no_permission(principal, subnet, JOIN))
    }
}

/// The caller must be allowed to hand the cluster its identities and subnets.
pub(super) fn check_links(
    arm: &Arm<'_>,
    id: &str,
    cluster: &Value,
    pools: &[(String, Value)],
) -> Result<(), Answer> {
    const ASSIGN: &str = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action";
    const JOIN: &str = "Microsoft.Network/virtualNetworks/subnets/join/action";
    let identities = cluster["identity"]["userAssignedIdentities"].as_object();
    let identities = identities
        .into_iter()
        .flat_map(|all| all.keys().map(String::as_str));
    let subnets = pools
        .iter()
        .filter_map(|(_, pool)| pool["vnetSubnetID"].as_str());
    let links = identities
        .map(|link| (ASSIGN, link))
        .chain(subnets.map(|link| (JOIN, link)));
    for (action, link) in links {
        gate::authorize_link(arm.world, &arm.principal, action, link, id)?;
    }
    Ok(())
}

pub(super) fn check_private_zone(world: &World, cluster: &Value) -> Result<(), Answer> {
    const WRITE: &str = "Microsoft.Network/privateDnsZones/write";
    let zone = cluster["properties"]["apiServerAccessProfile"]["privateDNSZone"]
        .as_str()
        .filter(|zone| zone.starts_with('/'));
    let Some(zone) = zone else { return Ok(()) };
    if resource::find(world, zone).is_none() {
        return Err(invalid(
            "apiServerAccessProfile.privateDNSZone",
            &format!("the private DNS zone '{zone}' was not found"),
        ));
    }
    let Some(principal) = actor(cluster) else {
        return Err(invalid(
            "identity",
            "a custom private DNS zone needs a user-assigned identity",
        ));
    };
    if gate::may(world, principal, WRITE, zone) {
        Ok(())
    } else {
        Err(no_permission(principal, zone, WRITE))
    }
}
