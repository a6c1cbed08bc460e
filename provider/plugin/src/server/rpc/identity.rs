//! `GetResourceIdentitySchemas`, `UpgradeResourceIdentity`, and the identity inside other answers.

use std::sync::Arc;

use crate::{
    findings::Findings,
    provider::Provider,
    schema::IdentitySchema,
    server::{Server, no_such, unreadable},
    value::Value,
    wire::{
        diagnostic, dynamic, json, schema,
        tfplugin6::{
            ResourceIdentityData, get_resource_identity_schemas, upgrade_resource_identity,
        },
    },
};

pub(in crate::server) async fn schemas<P: Provider>(
    server: Arc<Server<P>>,
    _: get_resource_identity_schemas::Request,
) -> get_resource_identity_schemas::Response {
    let identity_schemas = server
        .parts
        .resources
        .iter()
        .filter_map(|(name, resource)| {
            Some((name.clone(), schema::identity(&resource.identity_schema()?)))
        })
        .collect();
    get_resource_identity_schemas::Response {
        identity_schemas,
        diagnostics: Vec::new(),
    }
}

pub(in crate::server) async fn upgrade<P: Provider>(
    server: Arc<Server<P>>,
    request: upgrade_resource_identity::Request,
) -> upgrade_resource_identity::Response {
    match upgraded(&server, &request) {
        Ok(identity) => upgrade_resource_identity::Response {
            upgraded_identity: Some(identity),
            diagnostics: Vec::new(),
        },
        Err(found) => upgrade_resource_identity::Response {
            upgraded_identity: None,
            diagnostics: diagnostic::all(&found),
        },
    }
}

fn upgraded<P: Provider>(
    server: &Server<P>,
    request: &upgrade_resource_identity::Request,
) -> Result<ResourceIdentityData, Findings> {
    let none = || no_such("resource identity", &request.type_name);
    let resource = server
        .parts
        .resources
        .get(&request.type_name)
        .ok_or_else(none)?;
    let schema = resource.identity_schema().ok_or_else(none)?;
    let kind = schema.object_type();
    let raw = request
        .raw_identity
        .as_ref()
        .map(|raw| raw.json.as_slice())
        .unwrap_or_default();
    let stored = serde_json::from_slice(raw).unwrap_or(serde_json::Value::Null);
    let identity = json::decode(&stored, &kind).map_err(|error| unreadable("identity", &error))?;
    let data = dynamic::encode(&identity, &kind).map_err(|error| unreadable("identity", &error))?;
    Ok(ResourceIdentityData {
        identity_data: Some(data),
    })
}

/// The identity inside a state; none while a part of it is null, which core would refuse.
pub(super) fn of_state(
    schema: Option<&IdentitySchema>,
    state: &Value,
) -> Option<ResourceIdentityData> {
    let schema = schema.filter(|_| state.as_map().is_some())?;
    let required = schema
        .attributes
        .iter()
        .filter(|attribute| !attribute.optional_for_import);
    // OpenTofu 1.12 cannot keep a planned identity that has an unknown part ("value is not
    // known"), so there is none until all of it is known.
    let missing = |name: &str| {
        let part = state.entry(name);
        part.is_null() || !part.is_wholly_known()
    };
    if required.clone().any(|attribute| missing(&attribute.name)) {
        return None;
    }
    let identity = Value::map(
        schema
            .attributes
            .iter()
            .map(|attribute| (attribute.name.clone(), state.entry(&attribute.name).clone())),
    );
    let data = dynamic::encode(&identity, &schema.object_type()).ok()?;
    Some(ResourceIdentityData {
        identity_data: Some(data),
    })
}
