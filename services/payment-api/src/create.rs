//! `POST /v1/payments`.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use paymesh_contracts::{
    Code, ErrorBody, Money, PaymentId, Scope,
    http::{CreatePayment, Payment},
    persistence::CreatePaymentRequest,
};
use uuid::Uuid;

use crate::{
    answer::{Request, answer},
    app::App,
    auth::authorize,
    error::Problem,
    headers::Keyed,
    input::{Body, fingerprint, idempotency_key},
};

/// Makes a payment.
///
/// Answers 201 when nothing of it is on its way, and 202 when that is not so within `Prefer: wait=<seconds>`
/// (2 unless said otherwise). The first answer to an idempotency key is final: the same request
/// gets the same bytes again, with `Idempotency-Replayed: true`. `GET` reads the current state.
#[utoipa::path(
    post, path = "/v1/payments", tag = "payments", request_body = CreatePayment,
    params(Keyed),
    responses(
        (status = 201, body = Payment, description = "The next step, if there is one, is yours."),
        (status = 202, body = Payment, description = "It is still on its way."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 409, body = ErrorBody, description = "The first request with this key is not committed yet."),
        (status = 413, body = ErrorBody, description = "The body is too large."),
        (status = 422, body = ErrorBody, description = "A value is not allowed, or the key was used with another body."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Send it again with the same key."),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(fields): Body<CreatePayment>,
) -> Result<Response, Problem> {
    let tenant_id = authorize(&app, &headers, Scope::PaymentsWrite).await?;
    let key = idempotency_key(&headers)?;
    check(&fields)?;
    let request = CreatePaymentRequest {
        tenant_id: tenant_id.bytes(),
        idempotency_key: key.clone(),
        fingerprint: fingerprint("create payment", &fields),
        request_id: Uuid::new_v4().as_bytes().to_vec(),
        payment_id: PaymentId(Uuid::now_v7()).bytes(),
        amount: Some(fields.amount.into()),
        payment_method: fields.payment_method,
        reference: fields.reference.unwrap_or_default(),
        capture: fields.capture.word().to_owned(),
    };
    answer(&app, &headers, tenant_id, key, Request::Create(request)).await
}

fn check(fields: &CreatePayment) -> Result<(), Problem> {
    let is_token_letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if !(1..=Money::AMOUNT_MINOR_MAX).contains(&fields.amount.amount_minor) {
        return Err(Problem::about(Code::FieldInvalid, "amount.amount")
            .because("it is between 1 and 999999999999"));
    }
    let token = &fields.payment_method;
    if !(1..=64).contains(&token.len())
        || !token.starts_with(|letter: char| letter.is_ascii_lowercase())
        || !token.bytes().all(is_token_letter)
    {
        return Err(Problem::about(Code::FieldInvalid, "payment_method")
            .because("it is 1 to 64 of a-z, 0-9 and _, starting with a letter"));
    }
    let is_plain = |text: &String| {
        (1..=140).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    };
    if !fields.reference.as_ref().is_none_or(is_plain) {
        return Err(Problem::about(Code::FieldInvalid, "reference")
            .because("it has 1 to 140 characters, none of them a control character"));
    }
    Ok(())
}
