//! `/v1/webhook_endpoints`: where events are sent.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use paymesh_contracts::{
    Code, EndpointId, ErrorBody, Scope,
    http::{
        CreateWebhookEndpoint, EndpointList, ListedEndpoint, RotateSecret, WebhookEndpoint,
        time_text,
    },
    persistence::{
        CreateWebhookEndpointRequest, ListWebhookEndpointsRequest, RemoveWebhookEndpointRequest,
        RotateWebhookSecretRequest,
    },
};
use url::{Host, Url};

use crate::{
    app::App,
    auth::authorize,
    error::Problem,
    input::{Address, Body, Clean},
};

/// The longest time that two secrets are in use.
const OVERLAP_SECONDS_MAX: u32 = 7 * 24 * 3_600;

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
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(fields): Body<CreateWebhookEndpoint>,
) -> Result<(StatusCode, Json<WebhookEndpoint>), Problem> {
    let tenant_id = authorize(&app, &headers, Scope::WebhooksWrite).await?;
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

/// Lists the addresses in use.
#[utoipa::path(
    get, path = "/v1/webhook_endpoints", tag = "webhooks",
    responses(
        (status = 200, body = EndpointList, description = "The addresses in use."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 422, body = ErrorBody, description = "Something looks like a card number."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    _: Clean,
) -> Result<Json<EndpointList>, Problem> {
    let tenant_id = authorize(&app, &headers, Scope::WebhooksRead).await?;
    let request = ListWebhookEndpointsRequest {
        tenant_id: tenant_id.bytes(),
    };
    let found = app.payments().list_webhook_endpoints(request).await?;
    let endpoints = found.into_inner().endpoints.into_iter().map(|endpoint| {
        let id = EndpointId::from_bytes(&endpoint.endpoint_id).map_err(|_| Code::Internal)?;
        let until_ms = endpoint.rotating_until_ms;
        Ok(ListedEndpoint {
            id: id.to_string(),
            url: endpoint.url,
            rotating_until: (until_ms > 0).then(|| time_text(until_ms)),
        })
    });
    Ok(Json(EndpointList {
        data: endpoints.collect::<Result<_, Code>>()?,
    }))
}

/// Gives an address a new secret.
///
/// Deliveries are signed with both until the overlap is over. Asked twice within it, the secret
/// from before the first time goes on: a lost answer locks nobody out.
#[utoipa::path(
    post, path = "/v1/webhook_endpoints/{id}/rotate", tag = "webhooks", request_body = RotateSecret,
    params(("id" = String, Path, description = "Its id", pattern = "^hook_[a-p]{32}$")),
    responses(
        (status = 200, body = WebhookEndpoint, description = "The new secret."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such address."),
        (status = 413, body = ErrorBody, description = "The body is too large."),
        (status = 422, body = ErrorBody, description = "A value is not allowed."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn rotate(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Address(id): Address<String>,
    Body(fields): Body<RotateSecret>,
) -> Result<Json<WebhookEndpoint>, Problem> {
    let tenant_id = authorize(&app, &headers, Scope::WebhooksWrite).await?;
    let endpoint_id: EndpointId = id.parse().map_err(|_| Problem::from(Code::NotFound))?;
    if fields.overlap_seconds > OVERLAP_SECONDS_MAX {
        return Err(Problem::about(Code::FieldInvalid, "overlap_seconds")
            .because("it is at most 604800, a week"));
    }
    let request = RotateWebhookSecretRequest {
        tenant_id: tenant_id.bytes(),
        endpoint_id: endpoint_id.bytes(),
        overlap_seconds: fields.overlap_seconds,
    };
    let rotated = app.payments().rotate_webhook_secret(request).await?;
    let rotated = rotated.into_inner();
    Ok(Json(WebhookEndpoint {
        id: endpoint_id.to_string(),
        url: rotated.url,
        secret: rotated.secret,
    }))
}

/// Removes an address: nothing is sent there any more, also nothing that was to be tried again.
#[utoipa::path(
    delete, path = "/v1/webhook_endpoints/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "Its id", pattern = "^hook_[a-p]{32}$")),
    responses(
        (status = 204, description = "It is gone."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such address in use."),
        (status = 422, body = ErrorBody, description = "Something looks like a card number."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    _: Clean,
    Address(id): Address<String>,
) -> Result<StatusCode, Problem> {
    let tenant_id = authorize(&app, &headers, Scope::WebhooksWrite).await?;
    let endpoint_id: EndpointId = id.parse().map_err(|_| Problem::from(Code::NotFound))?;
    let request = RemoveWebhookEndpointRequest {
        tenant_id: tenant_id.bytes(),
        endpoint_id: endpoint_id.bytes(),
    };
    app.payments().remove_webhook_endpoint(request).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn is_allowed(text: &str) -> bool {
    // Urls are read without some of them, and PostgreSQL keeps no text with a NUL.
    if text.chars().any(char::is_control) {
        return false;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_to_https_or_to_this_machine_and_the_address_is_kept_as_it_was_given() {
        for url in [
            "https://shop.example/paymesh",
            "https://10.0.0.1:8443/",
            "http://127.0.0.1:9/hook?a=b",
            "http://[::1]/",
        ] {
            assert!(is_allowed(url), "{url}");
        }
        for url in [
            "",
            "/paymesh",
            "http://shop.example/",
            "http://localhost/",
            "ftp://127.0.0.1/",
            "https://me@shop.example/",
            "https://me:secret@shop.example/",
            "https://shop.example/\0",
            "https://shop.exa\tmple/",
            "https://shop.example/\n",
            "https://shop.example/\u{85}",
        ] {
            assert!(!is_allowed(url), "{url:?}");
        }
    }
}
