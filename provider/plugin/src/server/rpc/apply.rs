//! `ApplyResourceChange`.

use std::sync::Arc;

use crate::{
    erased::{ApplyAsk, StateAnswer, Stored},
    findings::Findings,
    path::Path,
    provider::Provider,
    rules,
    server::{Server, private, unreadable},
    value::Value,
    wire::{
        diagnostic, dynamic,
        tfplugin6::apply_resource_change::{Request, Response},
    },
};

use super::identity;

pub(in crate::server) async fn answer<P: Provider>(
    server: Arc<Server<P>>,
    request: Request,
) -> Response {
    apply(&server, &request)
        .await
        .unwrap_or_else(|found| Response {
            new_state: request.prior_state,
            private: request.planned_private,
            diagnostics: diagnostic::all(&found),
            ..Default::default()
        })
}

async fn apply<P: Provider>(server: &Server<P>, request: &Request) -> Result<Response, Findings> {
    let resource = server.resource(&request.type_name)?;
    let schema = resource.schema();
    let kind = schema.object_type();
    let read =
        |field, what| dynamic::decode(field, &kind).map_err(|error| unreadable(what, &error));
    let prior = read(request.prior_state.as_ref(), "prior state")?;
    let planned = read(request.planned_state.as_ref(), "plan")?;
    let config = read(request.config.as_ref(), "configuration")?;
    let planned_private = private::unwrap(&request.planned_private);
    let call = server.call()?;

    let mut answer = if planned.is_null() {
        resource
            .delete(
                call,
                Stored {
                    value: prior,
                    private: planned_private,
                },
            )
            .await
    } else {
        let ask = ApplyAsk {
            config,
            planned: planned.clone(),
            prior: prior.clone(),
            private: planned_private,
        };
        let mut answer = resource.apply(call, ask).await;
        settle(&prior, &mut answer);
        if !answer.found.has_errors() {
            answer
                .found
                .extend(rules::check_applied(&schema, &planned, &answer.state));
        }
        answer
    };
    answer.state = known(answer.state);
    let private = if answer.state.is_null() {
        Vec::new()
    } else {
        private::wrap(&answer.private)
    };
    Ok(Response {
        new_state: Some(
            dynamic::encode(&answer.state, &kind).map_err(|error| unreadable("result", &error))?,
        ),
        new_identity: identity::of_state(resource.identity_schema().as_ref(), &answer.state),
        private,
        diagnostics: diagnostic::all(&answer.found),
        ..Default::default()
    })
}

/// A failed update keeps what was; nothing at all without an error is a defect.
fn settle(prior: &Value, answer: &mut StateAnswer) {
    if !answer.state.is_null() {
        return;
    }
    if !answer.found.has_errors() {
        answer
            .found
            .error(
                Path::root(),
                "The provider made nothing and does not say why",
            )
            .hint("this is a defect of the provider: please report it");
    }
    answer.state = prior.clone();
}

/// The value with null for each unknown: core refuses unknowns in a state, also beside an error.
fn known(value: Value) -> Value {
    match value {
        Value::Unknown => Value::Null,
        Value::List(elements) => Value::list(elements.into_iter().map(known)),
        Value::Map(entries) => {
            Value::map(entries.into_iter().map(|(key, value)| (key, known(value))))
        }
        value => value,
    }
}
