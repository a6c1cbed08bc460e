//! `OpenEphemeralResource`, `RenewEphemeralResource`, `CloseEphemeralResource`.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use prost_types::Timestamp;

use crate::{
    erased::AnyEphemeral,
    findings::Findings,
    provider::Provider,
    server::{Server, no_such, unreadable},
    wire::{
        diagnostic, dynamic,
        tfplugin6::{close_ephemeral_resource, open_ephemeral_resource, renew_ephemeral_resource},
    },
};

pub(in crate::server) async fn open<P: Provider>(
    server: Arc<Server<P>>,
    request: open_ephemeral_resource::Request,
) -> open_ephemeral_resource::Response {
    opened(&server, &request)
        .await
        .unwrap_or_else(|found| open_ephemeral_resource::Response {
            diagnostics: diagnostic::all(&found),
            ..Default::default()
        })
}

async fn opened<P: Provider>(
    server: &Server<P>,
    request: &open_ephemeral_resource::Request,
) -> Result<open_ephemeral_resource::Response, Findings> {
    let ephemeral = find(server, &request.type_name)?;
    let kind = ephemeral.schema().object_type();
    let config = dynamic::decode(request.config.as_ref(), &kind)
        .map_err(|error| unreadable("configuration", &error))?;
    let answer = ephemeral.open(server.call()?, config).await;
    Ok(open_ephemeral_resource::Response {
        result: Some(
            dynamic::encode(&answer.value, &kind).map_err(|error| unreadable("object", &error))?,
        ),
        renew_at: answer.lease.renew_at.and_then(timestamp),
        private: Some(answer.lease.private),
        diagnostics: diagnostic::all(&answer.found),
        deferred: None,
    })
}

pub(in crate::server) async fn renew<P: Provider>(
    server: Arc<Server<P>>,
    request: renew_ephemeral_resource::Request,
) -> renew_ephemeral_resource::Response {
    let ready = find(&server, &request.type_name).and_then(|found| Ok((found, server.call()?)));
    match ready {
        Ok((ephemeral, call)) => {
            let answer = ephemeral
                .renew(call, request.private.unwrap_or_default())
                .await;
            renew_ephemeral_resource::Response {
                renew_at: answer.lease.renew_at.and_then(timestamp),
                private: Some(answer.lease.private),
                diagnostics: diagnostic::all(&answer.found),
            }
        }
        Err(found) => renew_ephemeral_resource::Response {
            renew_at: None,
            private: request.private,
            diagnostics: diagnostic::all(&found),
        },
    }
}

pub(in crate::server) async fn close<P: Provider>(
    server: Arc<Server<P>>,
    request: close_ephemeral_resource::Request,
) -> close_ephemeral_resource::Response {
    let ready = find(&server, &request.type_name).and_then(|found| Ok((found, server.call()?)));
    let found = match ready {
        Ok((ephemeral, call)) => {
            ephemeral
                .close(call, request.private.unwrap_or_default())
                .await
        }
        Err(found) => found,
    };
    close_ephemeral_resource::Response {
        diagnostics: diagnostic::all(&found),
    }
}

fn find<P: Provider>(
    server: &Server<P>,
    name: &str,
) -> Result<Arc<dyn AnyEphemeral<P::Session>>, Findings> {
    let found = server.parts.ephemerals.get(name).cloned();
    found.ok_or_else(|| no_such("ephemeral resource", name))
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp {
        seconds: since.as_secs().try_into().ok()?,
        nanos: since.subsec_nanos().try_into().ok()?,
    })
}
