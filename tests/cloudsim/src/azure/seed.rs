//! What exists before the first request: subscriptions, service principals, and shared things that
//! clusters refer to. It is not in the inventory.

use serde_json::{Map, Value, json};

use super::{entra, gate::ASSIGNMENT, gate::ROLES, groups, issuer, resource};
use crate::core::{World, layout};

/// The subscriptions.
pub(super) const SUBSCRIPTIONS: [&str; 2] = [
    "5ab1d6f0-3c64-4c1e-8f59-0a1b2c3d4e51",
    "5ab1d6f0-3c64-4c1e-8f59-0a1b2c3d4e52",
];

/// The resource group that holds what is shared.
const SHARED: &str = "shared";

/// Makes what is missing; the lines for the simulator file.
pub(super) fn sow(world: &mut World) -> Result<Map<String, Value>, String> {
    let dir = world.place.state_dir.join("azure");
    layout::make_private_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut card = Map::new();
    let mut principals = Map::new();
    for seeded in &entra::SEEDED {
        let file = dir.join(format!("{}.secret", seeded.name));
        let secret = layout::read_or_make(&file, entra::random_secret)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        entra::keep_secret(world, seeded.client, secret.trim());
        if seeded.name == "deployer" {
            card.insert("client_id".into(), seeded.client.into());
            card.insert("client_secret_file".into(), json!(file));
        }
        principals.insert(seeded.name.into(), json!({ "client_id": seeded.client, "object_id": seeded.object, "client_secret_file": file }));
        let role = seeded
            .role
            .and_then(|name| ROLES.iter().find(|role| role.1 == name));
        if let Some(role) = role {
            for subscription in SUBSCRIPTIONS {
                assign(world, subscription, seeded.object, role.0);
            }
        }
    }
    let file = dir.join("ci-job.token");
    let token = layout::read_or_make(&file, entra::random_secret)
        .map_err(|error| format!("{}: {error}", file.display()))?;
    issuer::keep_job_token(world, &token);
    card.insert("azure_ci".into(), issuer::card(world, &file));
    for subscription in SUBSCRIPTIONS {
        share(world, subscription);
    }
    card.insert("tenant_id".into(), entra::TENANT.into());
    card.insert("subscription_ids".into(), json!(SUBSCRIPTIONS));
    card.insert("azure_principals".into(), Value::Object(principals));
    Ok(card)
}

fn keep(world: &mut World, id: &str, mut body: Value) {
    if resource::find(world, id).is_none() {
        body["id"] = id.into();
        resource::keep(&mut body, "seeded", true.into());
        resource::put(world, id, body);
    }
}

fn assign(world: &mut World, subscription: &str, object: &str, role: &str) {
    let scope = format!("/subscriptions/{subscription}");
    let name = super::cluster::guid(&format!("{scope}/{object}/{role}"));
    let id = format!("{scope}/providers/{ASSIGNMENT}/{name}");
    let definition = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{role}");
    keep(
        world,
        &id,
        json!({ "name": name, "type": ASSIGNMENT, "properties": { "scope": scope, "principalId": object, "principalType": "ServicePrincipal", "roleDefinitionId": definition } }),
    );
}

/// A network per region pair, a workspace, a vault, a registry and a private zone.
fn share(world: &mut World, subscription: &str) {
    let group = format!("/subscriptions/{subscription}/resourceGroups/{SHARED}");
    let done = json!({ "provisioningState": "Succeeded" });
    keep(
        world,
        &group,
        json!({ "name": SHARED, "type": groups::TYPE, "location": "westeurope", "properties": done.clone() }),
    );
    for (region, second) in [("westeurope", 10), ("northeurope", 20)] {
        let network = format!("{group}/providers/Microsoft.Network/virtualNetworks/{region}");
        keep(
            world,
            &network,
            json!({
                "name": region, "type": "Microsoft.Network/virtualNetworks", "location": region,
                "properties": { "provisioningState": "Succeeded", "addressSpace": { "addressPrefixes": [format!("10.{second}.0.0/16")] } },
            }),
        );
        for number in 1..=3 {
            let name = format!("aks-{number}");
            keep(
                world,
                &format!("{network}/subnets/{name}"),
                json!({
                    "name": name, "type": "Microsoft.Network/virtualNetworks/subnets",
                    "properties": { "provisioningState": "Succeeded", "addressPrefix": format!("10.{second}.{}.0/20", number * 16) },
                }),
            );
        }
        keep(
            world,
            &format!(
                "{group}/providers/Microsoft.Network/privateDnsZones/privatelink.{region}.azmk8s.io"
            ),
            json!({ "name": format!("privatelink.{region}.azmk8s.io"), "type": "Microsoft.Network/privateDnsZones", "location": "global", "properties": done.clone() }),
        );
    }
    for (kind, name) in [
        ("Microsoft.OperationalInsights/workspaces", "logs"),
        ("Microsoft.KeyVault/vaults", "keys"),
        ("Microsoft.ContainerRegistry/registries", "images"),
    ] {
        keep(
            world,
            &format!("{group}/providers/{kind}/{name}"),
            json!({ "name": name, "type": kind, "location": "westeurope", "properties": done.clone() }),
        );
    }
}
