//! `/v1/payments/{id}/...`: what is done with a payment. Each answers with the payment.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use paymesh_contracts::{
    Code, ErrorBody, Money, PaymentId, Scope, TenantId,
    http::{AttemptKind, Nothing, Payment, Share},
    persistence::ActRequest,
};
use uuid::Uuid;

use crate::{
    answer::{Request, answer},
    app::App,
    auth::authorize,
    error::Problem,
    headers::Keyed,
    input::{Address, Body, fingerprint, idempotency_key},
};

/// Takes what was reserved, or a part of it.
///
/// The rest is let go. Possible once, while the payment is `requires_capture`.
#[utoipa::path(
    post, path = "/v1/payments/{id}/capture", tag = "payments", request_body = Share,
    params(
        ("id" = String, Path, description = "Its id", pattern = "^pay_[a-p]{32}$"),
        Keyed,
    ),
    responses(
        (status = 200, body = Payment, description = "The acquirer answered; the last attempt says what."),
        (status = 202, body = Payment, description = "It is still on its way."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such payment."),
        (status = 409, body = ErrorBody, description = "The first request with this key is not committed yet."),
        (status = 413, body = ErrorBody, description = "The body is too large."),
        (status = 422, body = ErrorBody, description = "It cannot be done now, a value is not allowed, or the key was used with another body."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Send it again with the same key."),
    ),
)]
pub(crate) async fn capture(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Address(id): Address<String>,
    Body(fields): Body<Share>,
) -> Result<Response, Problem> {
    act(&app, &headers, &id, AttemptKind::Capture, fields.amount).await
}

/// Lets go what was reserved.
///
/// Possible while the payment is `requires_capture`; what is not captured in time is canceled too.
#[utoipa::path(
    post, path = "/v1/payments/{id}/cancel", tag = "payments", request_body = Nothing,
    params(
        ("id" = String, Path, description = "Its id", pattern = "^pay_[a-p]{32}$"),
        Keyed,
    ),
    responses(
        (status = 200, body = Payment, description = "The acquirer answered; the last attempt says what."),
        (status = 202, body = Payment, description = "It is still on its way."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such payment."),
        (status = 409, body = ErrorBody, description = "The first request with this key is not committed yet."),
        (status = 413, body = ErrorBody, description = "The body is too large."),
        (status = 422, body = ErrorBody, description = "It cannot be done now, a value is not allowed, or the key was used with another body."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Send it again with the same key."),
    ),
)]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Address(id): Address<String>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, Problem> {
    act(&app, &headers, &id, AttemptKind::Void, None).await
}

/// Gives back what was taken, or a part of it.
///
/// Possible as often as you like until all is given back. Your balance has to cover it; the fee
/// stays.
#[utoipa::path(
    post, path = "/v1/payments/{id}/refunds", tag = "payments", request_body = Share,
    params(
        ("id" = String, Path, description = "Its id", pattern = "^pay_[a-p]{32}$"),
        Keyed,
    ),
    responses(
        (status = 200, body = Payment, description = "The acquirer answered; the last attempt says what."),
        (status = 202, body = Payment, description = "It is still on its way."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such payment."),
        (status = 409, body = ErrorBody, description = "The first request with this key is not committed yet."),
        (status = 413, body = ErrorBody, description = "The body is too large."),
        (status = 422, body = ErrorBody, description = "It cannot be done now, a value is not allowed, or the key was used with another body."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Send it again with the same key."),
    ),
)]
pub(crate) async fn refund(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Address(id): Address<String>,
    Body(fields): Body<Share>,
) -> Result<Response, Problem> {
    act(&app, &headers, &id, AttemptKind::Refund, fields.amount).await
}

async fn act(
    app: &App,
    headers: &HeaderMap,
    id: &str,
    kind: AttemptKind,
    amount: Option<Money>,
) -> Result<Response, Problem> {
    let (tenant_id, payment_id, key) = actor(app, headers, id).await?;
    if amount.is_some_and(|amount| !(1..=Money::AMOUNT_MINOR_MAX).contains(&amount.amount_minor)) {
        return Err(Problem::about(Code::FieldInvalid, "amount.amount")
            .because("it is between 1 and 999999999999"));
    }
    let request = ActRequest {
        tenant_id: tenant_id.bytes(),
        idempotency_key: key.clone(),
        fingerprint: fingerprint(kind.word(), &(payment_id, amount)),
        request_id: Uuid::new_v4().as_bytes().to_vec(),
        payment_id: payment_id.bytes(),
        kind: kind.word().to_owned(),
        amount: amount.map(Into::into),
        ..ActRequest::default()
    };
    answer(app, headers, tenant_id, key, Request::Act(request)).await
}

/// Who does something, with which payment, under which key.
pub(crate) async fn actor(
    app: &App,
    headers: &HeaderMap,
    id: &str,
) -> Result<(TenantId, PaymentId, String), Problem> {
    let tenant_id = authorize(app, headers, Scope::PaymentsWrite).await?;
    let payment_id = id.parse().map_err(|_| Problem::from(Code::NotFound))?;
    Ok((tenant_id, payment_id, idempotency_key(headers)?))
}
