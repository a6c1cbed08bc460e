//! `ReadDataSource`.

use std::sync::Arc;

use crate::{
    findings::Findings,
    provider::Provider,
    server::{Server, no_such, unreadable},
    wire::{
        diagnostic, dynamic,
        tfplugin6::read_data_source::{Request, Response},
    },
};

pub(in crate::server) async fn answer<P: Provider>(
    server: Arc<Server<P>>,
    request: Request,
) -> Response {
    read(&server, &request)
        .await
        .unwrap_or_else(|found| Response {
            diagnostics: diagnostic::all(&found),
            ..Default::default()
        })
}

async fn read<P: Provider>(server: &Server<P>, request: &Request) -> Result<Response, Findings> {
    let data_source = server
        .parts
        .data_sources
        .get(&request.type_name)
        .ok_or_else(|| no_such("data source", &request.type_name))?;
    let kind = data_source.schema().object_type();
    let config = dynamic::decode(request.config.as_ref(), &kind)
        .map_err(|error| unreadable("configuration", &error))?;
    let answer = data_source.read(server.call()?, config).await;
    Ok(Response {
        state: Some(
            dynamic::encode(&answer.value, &kind).map_err(|error| unreadable("object", &error))?,
        ),
        diagnostics: diagnostic::all(&answer.found),
        deferred: None,
    })
}
