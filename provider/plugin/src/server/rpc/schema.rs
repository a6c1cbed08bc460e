//! `GetProviderSchema`, `GetMetadata`.

use std::sync::Arc;

use crate::{
    provider::Provider,
    server::Server,
    spec,
    wire::{
        schema,
        tfplugin6::{
            ServerCapabilities,
            get_metadata::{
                self, DataSourceMetadata, EphemeralResourceMetadata, FunctionMetadata,
                ResourceMetadata,
            },
            get_provider_schema,
        },
    },
};

/// What this server can do beyond the base protocol.
const CAPABILITIES: ServerCapabilities = ServerCapabilities {
    plan_destroy: true,
    get_provider_schema_optional: true,
    move_resource_state: true,
    generate_resource_config: false,
};

pub(in crate::server) async fn answer<P: Provider>(
    server: Arc<Server<P>>,
    _: get_provider_schema::Request,
) -> get_provider_schema::Response {
    let parts = &server.parts;
    get_provider_schema::Response {
        provider: Some(schema::schema(&spec::provider_schema::<P::Config>())),
        resource_schemas: parts
            .resources
            .iter()
            .map(|(name, resource)| (name.clone(), schema::schema(&resource.schema())))
            .collect(),
        data_source_schemas: parts
            .data_sources
            .iter()
            .map(|(name, data_source)| (name.clone(), schema::schema(&data_source.schema())))
            .collect(),
        ephemeral_resource_schemas: parts
            .ephemerals
            .iter()
            .map(|(name, ephemeral)| (name.clone(), schema::schema(&ephemeral.schema())))
            .collect(),
        functions: parts
            .functions
            .iter()
            .map(|(name, function)| (name.clone(), schema::function(&function.signature())))
            .collect(),
        server_capabilities: Some(CAPABILITIES),
        ..Default::default()
    }
}

pub(in crate::server) async fn metadata<P: Provider>(
    server: Arc<Server<P>>,
    _: get_metadata::Request,
) -> get_metadata::Response {
    let parts = &server.parts;
    let names = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>();
    get_metadata::Response {
        server_capabilities: Some(CAPABILITIES),
        resources: names(parts.resources.keys().collect())
            .into_iter()
            .map(|type_name| ResourceMetadata { type_name })
            .collect(),
        data_sources: names(parts.data_sources.keys().collect())
            .into_iter()
            .map(|type_name| DataSourceMetadata { type_name })
            .collect(),
        ephemeral_resources: names(parts.ephemerals.keys().collect())
            .into_iter()
            .map(|type_name| EphemeralResourceMetadata { type_name })
            .collect(),
        functions: names(parts.functions.keys().collect())
            .into_iter()
            .map(|name| FunctionMetadata { name })
            .collect(),
        ..Default::default()
    }
}
