//! `PlanResourceChange`.

use std::sync::Arc;

use crate::{
    erased::{AnyResource, PlanAsk, Stored},
    findings::{Findings, codes},
    provider::Provider,
    resource::{PlanReason, Replacement},
    rules,
    server::{Server, private, unreadable},
    value::Value,
    wire::{
        diagnostic, dynamic,
        tfplugin6::plan_resource_change::{Request, Response},
    },
};

use super::identity;

pub(in crate::server) async fn answer<P: Provider>(
    server: Arc<Server<P>>,
    request: Request,
) -> Response {
    plan(&server, &request)
        .await
        .unwrap_or_else(|found| Response {
            planned_state: request.prior_state,
            planned_private: request.prior_private,
            diagnostics: diagnostic::all(&found),
            ..Default::default()
        })
}

async fn plan<P: Provider>(server: &Server<P>, request: &Request) -> Result<Response, Findings> {
    let resource = server.resource(&request.type_name)?;
    let schema = resource.schema();
    let kind = schema.object_type();
    let read =
        |field, what| dynamic::decode(field, &kind).map_err(|error| unreadable(what, &error));
    let prior = read(request.prior_state.as_ref(), "prior state")?;
    let proposed = read(request.proposed_new_state.as_ref(), "proposed state")?;
    let config = read(request.config.as_ref(), "configuration")?;
    let private_before = private::unwrap(&request.prior_private);
    if proposed.is_null() {
        return destroy(
            server,
            resource,
            Stored {
                value: prior,
                private: private_before,
            },
        )
        .await;
    }

    let reason = match (prior.is_null(), request.prior_private.is_empty()) {
        (false, _) => PlanReason::Update,
        (true, true) => PlanReason::Create,
        (true, false) => PlanReason::Replacement,
    };
    let ask = PlanAsk {
        reason,
        config: config.clone(),
        prior: prior.clone(),
        private: private_before,
    };
    let mut answer = resource.plan(server.call()?, ask).await;
    if !answer.found.has_errors() {
        answer
            .found
            .extend(rules::check_plan(&schema, &prior, &config, &answer.planned));
    }
    announce(&answer.title, &answer.replace, &mut answer.found);
    let planned_identity = identity::of_state(resource.identity_schema().as_ref(), &answer.planned);
    Ok(Response {
        planned_state: Some(
            dynamic::encode(&answer.planned, &kind).map_err(|error| unreadable("plan", &error))?,
        ),
        requires_replace: answer
            .replace
            .iter()
            .map(|replacement| diagnostic::path(&replacement.path))
            .collect(),
        planned_private: private::wrap(&answer.private),
        planned_identity,
        diagnostics: diagnostic::all(&answer.found),
        ..Default::default()
    })
}

async fn destroy<P: Provider>(
    server: &Server<P>,
    resource: &dyn AnyResource<P::Session>,
    prior: Stored,
) -> Result<Response, Findings> {
    let kind = resource.schema().object_type();
    let answer = resource.plan_destroy(server.call()?, prior).await;
    Ok(Response {
        planned_state: Some(
            dynamic::encode(&Value::Null, &kind).map_err(|error| unreadable("plan", &error))?,
        ),
        planned_private: private::wrap(&answer.private),
        diagnostics: diagnostic::all(&answer.found),
        ..Default::default()
    })
}

/// Says why the object is replaced where the author gave a reason.
fn announce(title: &str, replace: &[Replacement], found: &mut Findings) {
    for replacement in replace {
        if let Some(why) = &replacement.why {
            let path = &replacement.path;
            found
                .warning(path.clone(), format!("A change of {path} replaces {title}"))
                .code(codes::REPLACED)
                .detail(why.clone())
                .hint("undo the change if the object must stay");
        }
    }
}
