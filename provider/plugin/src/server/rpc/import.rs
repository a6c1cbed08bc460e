//! `ImportResourceState`.

use std::sync::Arc;

use crate::{
    findings::Findings,
    path::Path,
    provider::Provider,
    resource::ImportBy,
    server::{Server, private, unreadable},
    wire::{
        diagnostic, dynamic,
        tfplugin6::import_resource_state::{ImportedResource, Request, Response},
    },
};

use super::identity;

pub(in crate::server) async fn answer<P: Provider>(
    server: Arc<Server<P>>,
    request: Request,
) -> Response {
    import(&server, &request)
        .await
        .unwrap_or_else(|found| Response {
            diagnostics: diagnostic::all(&found),
            ..Default::default()
        })
}

async fn import<P: Provider>(server: &Server<P>, request: &Request) -> Result<Response, Findings> {
    let resource = server.resource(&request.type_name)?;
    let named = request
        .identity
        .as_ref()
        .and_then(|identity| identity.identity_data.as_ref());
    let by = match (named, resource.identity_schema()) {
        (Some(identity), Some(schema)) if request.id.is_empty() => ImportBy::Identity(
            dynamic::decode(Some(identity), &schema.object_type())
                .map_err(|error| unreadable("identity", &error))?,
        ),
        _ => ImportBy::Id(request.id.clone()),
    };
    let mut answer = resource.import(server.call()?, by.clone()).await;
    if answer.state.is_null() {
        if !answer.found.has_errors() {
            answer
                .found
                .error(Path::root(), "There is nothing to import")
                .detail(format!("No {} answers to {by}", request.type_name))
                .hint("check the name, and that the provider block has access to it");
        }
        return Err(answer.found);
    }
    let kind = resource.schema().object_type();
    let state =
        dynamic::encode(&answer.state, &kind).map_err(|error| unreadable("object", &error))?;
    // An import by identity must answer with that very identity.
    let identity = identity::of_state(resource.identity_schema().as_ref(), &answer.state)
        .or_else(|| request.identity.clone());
    Ok(Response {
        imported_resources: vec![ImportedResource {
            type_name: request.type_name.clone(),
            state: Some(state),
            private: private::wrap(&answer.private),
            identity,
        }],
        diagnostics: diagnostic::all(&answer.found),
        deferred: None,
    })
}
