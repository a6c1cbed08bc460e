//! `MoveResourceState`: a `moved` block from another resource type.

use std::sync::Arc;

use crate::{
    findings::Findings,
    path::Path,
    provider::Provider,
    resource::ForeignState,
    server::{Server, private, unreadable},
    wire::{
        diagnostic, dynamic,
        tfplugin6::move_resource_state::{Request, Response},
    },
};

use super::identity;

pub(in crate::server) async fn answer<P: Provider>(
    server: Arc<Server<P>>,
    request: Request,
) -> Response {
    moved(&server, &request).unwrap_or_else(|found| Response {
        diagnostics: diagnostic::all(&found),
        ..Default::default()
    })
}

fn moved<P: Provider>(server: &Server<P>, request: &Request) -> Result<Response, Findings> {
    let resource = server.resource(&request.target_type_name)?;
    let raw = request
        .source_state
        .as_ref()
        .map(|state| state.json.as_slice())
        .unwrap_or_default();
    let mut found = Findings::new();
    let Ok(state) = serde_json::from_slice(raw) else {
        found
            .error(
                Path::root(),
                "The state of the other resource cannot be read",
            )
            .detail(format!(
                "The state of {} is not JSON",
                request.source_type_name
            ))
            .hint("run `terraform refresh` with the other provider first");
        return Err(found);
    };
    let foreign = ForeignState {
        provider: request.source_provider_address.clone(),
        type_name: request.source_type_name.clone(),
        version: request.source_schema_version,
        state,
    };
    let state = resource.move_from(&foreign, &mut found);
    let Some(state) = state.filter(|_| !found.has_errors()) else {
        if !found.has_errors() {
            found
                .error(Path::root(), "There is no way from that resource type")
                .detail(format!(
                    "{} cannot take over a {} of {}",
                    request.target_type_name, request.source_type_name, request.source_provider_address
                ))
                .hint("use a `removed` block for the old address and an `import` block for the new one");
        }
        return Err(found);
    };
    let kind = resource.schema().object_type();
    Ok(Response {
        target_identity: identity::of_state(resource.identity_schema().as_ref(), &state),
        target_state: Some(
            dynamic::encode(&state, &kind).map_err(|error| unreadable("object", &error))?,
        ),
        target_private: private::wrap(&[]),
        diagnostics: diagnostic::all(&found),
    })
}
