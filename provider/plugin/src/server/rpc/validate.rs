//! `ValidateResourceConfig`, `ValidateDataResourceConfig`, `ValidateEphemeralResourceConfig`.

use std::sync::Arc;

use crate::{
    findings::Findings,
    path::Path,
    provider::Provider,
    rules,
    schema::Schema,
    server::{Server, no_such, unreadable},
    value::Value,
    wire::{
        diagnostic, dynamic,
        tfplugin6::{
            DynamicValue, validate_data_resource_config, validate_ephemeral_resource_config,
            validate_resource_config,
        },
    },
};

pub(in crate::server) async fn resource<P: Provider>(
    server: Arc<Server<P>>,
    request: validate_resource_config::Request,
) -> validate_resource_config::Response {
    let found = match server.parts.resources.get(&request.type_name) {
        Some(resource) => {
            let schema = resource.schema();
            let stores_secrets = !request
                .client_capabilities
                .is_some_and(|client| client.write_only_attributes_allowed);
            check(&schema, request.config.as_ref(), |config| {
                let mut found = resource.check(config);
                if stores_secrets {
                    found.extend(refuse_secrets(&schema, config));
                }
                found
            })
        }
        None => no_such("resource", &request.type_name),
    };
    validate_resource_config::Response {
        diagnostics: diagnostic::all(&found),
    }
}

pub(in crate::server) async fn data_source<P: Provider>(
    server: Arc<Server<P>>,
    request: validate_data_resource_config::Request,
) -> validate_data_resource_config::Response {
    let found = match server.parts.data_sources.get(&request.type_name) {
        Some(data_source) => check(&data_source.schema(), request.config.as_ref(), |config| {
            data_source.check(config)
        }),
        None => no_such("data source", &request.type_name),
    };
    validate_data_resource_config::Response {
        diagnostics: diagnostic::all(&found),
    }
}

pub(in crate::server) async fn ephemeral<P: Provider>(
    server: Arc<Server<P>>,
    request: validate_ephemeral_resource_config::Request,
) -> validate_ephemeral_resource_config::Response {
    let found = match server.parts.ephemerals.get(&request.type_name) {
        Some(ephemeral) => check(&ephemeral.schema(), request.config.as_ref(), |config| {
            ephemeral.check(config)
        }),
        None => no_such("ephemeral resource", &request.type_name),
    };
    validate_ephemeral_resource_config::Response {
        diagnostics: diagnostic::all(&found),
    }
}

fn check(
    schema: &Schema,
    config: Option<&DynamicValue>,
    check: impl FnOnce(&Value) -> Findings,
) -> Findings {
    match dynamic::decode(config, &schema.object_type()) {
        Ok(config) => check(&config),
        Err(error) => unreadable("configuration", &error),
    }
}

/// A client that does not know write-only attributes would store them.
fn refuse_secrets(schema: &Schema, config: &Value) -> Findings {
    let mut found = Findings::new();
    for path in rules::write_only_paths(&schema.attributes, &Path::root(), config) {
        found
            .error(path.clone(), "This client would store a secret")
            .detail(format!(
                "{path} is write-only, which this version of the client does not know"
            ))
            .hint("use Terraform 1.11 or later, or OpenTofu 1.11 or later");
    }
    found
}
