//! `ReadResource`.

use std::sync::Arc;

use crate::{
    erased::Stored,
    findings::Findings,
    path::Path,
    provider::Provider,
    server::{Server, private, unreadable},
    wire::{
        diagnostic, dynamic,
        tfplugin6::read_resource::{Request, Response},
    },
};

use super::identity;

pub(in crate::server) async fn answer<P: Provider>(
    server: Arc<Server<P>>,
    request: Request,
) -> Response {
    read(&server, &request)
        .await
        .unwrap_or_else(|found| Response {
            new_state: request.current_state,
            private: request.private,
            new_identity: request.current_identity,
            diagnostics: diagnostic::all(&found),
            ..Default::default()
        })
}

async fn read<P: Provider>(server: &Server<P>, request: &Request) -> Result<Response, Findings> {
    let resource = server.resource(&request.type_name)?;
    let kind = resource.schema().object_type();
    let prior = dynamic::decode(request.current_state.as_ref(), &kind)
        .map_err(|error| unreadable("state", &error))?;
    let stored = Stored {
        value: prior,
        private: private::unwrap(&request.private),
    };
    let mut answer = resource.read(server.call()?, stored).await;
    if !answer.state.is_wholly_known() {
        answer
            .found
            .error(
                Path::root(),
                "The provider read an object without knowing all of it",
            )
            .hint("this is a defect of the provider: please report it");
        return Err(answer.found);
    }
    let private = if answer.state.is_null() {
        Vec::new()
    } else {
        private::wrap(&answer.private)
    };
    Ok(Response {
        new_state: Some(
            dynamic::encode(&answer.state, &kind).map_err(|error| unreadable("object", &error))?,
        ),
        new_identity: identity::of_state(resource.identity_schema().as_ref(), &answer.state),
        private,
        diagnostics: diagnostic::all(&answer.found),
        ..Default::default()
    })
}
