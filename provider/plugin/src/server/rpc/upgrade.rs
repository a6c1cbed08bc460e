//! `UpgradeResourceState`: called before every read, also when nothing is to be upgraded.

use std::sync::Arc;

use crate::{
    findings::Findings,
    path::Path,
    provider::Provider,
    server::{Server, unreadable},
    wire::{
        diagnostic, dynamic, json,
        tfplugin6::{
            DynamicValue,
            upgrade_resource_state::{Request, Response},
        },
    },
};

pub(in crate::server) async fn answer<P: Provider>(
    server: Arc<Server<P>>,
    request: Request,
) -> Response {
    match upgraded(&server, &request) {
        Ok((state, found)) => Response {
            upgraded_state: Some(state),
            diagnostics: diagnostic::all(&found),
        },
        Err(found) => Response {
            upgraded_state: None,
            diagnostics: diagnostic::all(&found),
        },
    }
}

fn upgraded<P: Provider>(
    server: &Server<P>,
    request: &Request,
) -> Result<(DynamicValue, Findings), Findings> {
    let resource = server.resource(&request.type_name)?;
    let schema = resource.schema();
    let mut found = Findings::new();
    let stored = u64::try_from(request.version).unwrap_or(0);
    if stored > schema.version {
        found
            .error(
                Path::root(),
                "The state was written by a newer version of the provider",
            )
            .detail(format!(
                "The state has version {stored} of {}, and this provider knows versions up to {}",
                request.type_name, schema.version
            ))
            .hint("use the provider version that wrote the state, or a newer one");
        return Err(found);
    }
    let raw = request
        .raw_state
        .as_ref()
        .map(|raw| raw.json.as_slice())
        .unwrap_or_default();
    let mut state: serde_json::Value = serde_json::from_slice(raw).map_err(|error| {
        let mut found = Findings::new();
        found
            .error(Path::root(), "The state cannot be read")
            .detail(format!(
                "The state of {} is not JSON: {error}",
                request.type_name
            ))
            .hint("restore the state from a backup, or import the object anew");
        found
    })?;
    if stored < schema.version {
        state = match resource.upgrade(stored, state, &mut found) {
            Some(state) if !found.has_errors() => state,
            _ => {
                if !found.has_errors() {
                    found
                        .error(Path::root(), "The state is too old")
                        .detail(format!(
                            "There is no way from version {stored} of {} to version {}",
                            request.type_name, schema.version
                        ))
                        .hint("upgrade the provider in smaller steps");
                }
                return Err(found);
            }
        };
    }
    let kind = schema.object_type();
    let state = json::decode(&state, &kind).map_err(|error| unreadable("stored state", &error))?;
    let state =
        dynamic::encode(&state, &kind).map_err(|error| unreadable("stored state", &error))?;
    Ok((state, found))
}
