//! `/v1/webhook_endpoints`.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap, http::StatusCode};
use paymesh_contracts::{
    Code, EndpointId, ErrorBody,
    http::{CreateWebhookEndpoint, WebhookEndpoint},
    persistence::CreateWebhookEndpointRequest,
};
use url::{Host, Url};

use crate::{app::App, auth::authorize, error::Problem, input::Body};

/// Adds an address where events are sent.
#[utoipa::path(
    post, path = "/v1/webhook_endpoints", tag = "webhooks", request_body = CreateWebhookEndpoint,
    responses(
        (status = 201, body = WebhookEndpoint, description = "Events go there from now on."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 413, body = ErrorBody, description = "The body is too large."),
        (status = 422, body = ErrorBody, description = "The address is not allowed."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(fields): Body<CreateWebhookEndpoint>,
) -> Result<(StatusCode, Json<WebhookEndpoint>), Problem> {
    let tenant_id = authorize(&app, &headers, "webhooks:write").await?;
    if fields.url.len() > 2_048 || !is_allowed(&fields.url) {
        return Err(Problem::about(Code::FieldInvalid, "url")
            .because("it is an https address without a password; http only on loopback"));
    }
    let request = CreateWebhookEndpointRequest {
        tenant_id: tenant_id.bytes(),
        url: fields.url,
    };
    let made = app
        .payments()
        .create_webhook_endpoint(request)
        .await?
        .into_inner();
    let id = EndpointId::from_bytes(&made.endpoint_id).map_err(|_| Code::Internal)?;
    let endpoint = WebhookEndpoint {
        id: id.to_string(),
        url: made.url,
        secret: made.secret,
    };
    Ok((StatusCode::CREATED, Json(endpoint)))
}

fn is_allowed(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    };
    let has_password = !url.username().is_empty() || url.password().is_some();
    !has_password && (url.scheme() == "https" || url.scheme() == "http" && is_loopback)
}
