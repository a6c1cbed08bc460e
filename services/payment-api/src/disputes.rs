//! `/v1/payments/{id}/disputes/{dispute}/...`: answering what a customer took back by way of their
//! bank. Each answers with the payment.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use paymesh_contracts::{
    Code, DisputeId, ErrorBody,
    dispute::Evidence,
    http::{AttemptKind, Nothing, Payment},
    persistence::ActRequest,
};
use uuid::Uuid;

use crate::{
    acts::actor,
    answer::{Request, answer},
    app::App,
    error::Problem,
    headers::Keyed,
    input::{Address, Body, fingerprint},
};

/// The longest explanation, in characters.
const EXPLANATION_MAX: usize = 4_000;

/// Refuses a dispute, with evidence.
///
/// Possible once, while it is `needs_response` and before its `respond_by`. The customer's bank then
/// decides: an event says when it is won or lost.
#[utoipa::path(
    post, path = "/v1/payments/{id}/disputes/{dispute}/contest", tag = "payments", request_body = Evidence,
    params(
        ("id" = String, Path, description = "The payment", pattern = "^pay_[a-p]{32}$"),
        ("dispute" = String, Path, description = "Its dispute", pattern = "^dsp_[a-p]{32}$"),
        Keyed,
    ),
    responses(
        (status = 200, body = Payment, description = "The acquirer answered; the last attempt says what."),
        (status = 202, body = Payment, description = "It is still on its way."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such payment or dispute."),
        (status = 409, body = ErrorBody, description = "The first request with this key is not committed yet."),
        (status = 413, body = ErrorBody, description = "The body is too large."),
        (status = 422, body = ErrorBody, description = "It cannot be answered now, a value is not allowed, or the key was used with another body."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Send it again with the same key."),
    ),
)]
pub(crate) async fn contest(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Address((id, dispute)): Address<(String, String)>,
    Body(evidence): Body<Evidence>,
) -> Result<Response, Problem> {
    let text = &evidence.explanation;
    let is_plain = !text
        .chars()
        .any(|letter| letter.is_control() && letter != '\n');
    if !(1..=EXPLANATION_MAX).contains(&text.chars().count()) || !is_plain {
        return Err(Problem::about(Code::FieldInvalid, "explanation").because(
            "it has 1 to 4000 characters, and no control characters but the ends of lines",
        ));
    }
    let kind = AttemptKind::Contest;
    respond(&app, &headers, (&id, &dispute), kind, evidence.explanation).await
}

/// Leaves the money of a dispute to the customer.
///
/// Possible while it is `needs_response`; it is `lost` then.
#[utoipa::path(
    post, path = "/v1/payments/{id}/disputes/{dispute}/accept", tag = "payments", request_body = Nothing,
    params(
        ("id" = String, Path, description = "The payment", pattern = "^pay_[a-p]{32}$"),
        ("dispute" = String, Path, description = "Its dispute", pattern = "^dsp_[a-p]{32}$"),
        Keyed,
    ),
    responses(
        (status = 200, body = Payment, description = "The acquirer answered; the last attempt says what."),
        (status = 202, body = Payment, description = "It is still on its way."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such payment or dispute."),
        (status = 409, body = ErrorBody, description = "The first request with this key is not committed yet."),
        (status = 413, body = ErrorBody, description = "The body is too large."),
        (status = 422, body = ErrorBody, description = "It cannot be answered now, a value is not allowed, or the key was used with another body."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Send it again with the same key."),
    ),
)]
pub(crate) async fn accept(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Address((id, dispute)): Address<(String, String)>,
    Body(Nothing {}): Body<Nothing>,
) -> Result<Response, Problem> {
    let kind = AttemptKind::Accept;
    respond(&app, &headers, (&id, &dispute), kind, String::new()).await
}

async fn respond(
    app: &App,
    headers: &HeaderMap,
    (id, dispute): (&str, &str),
    kind: AttemptKind,
    explanation: String,
) -> Result<Response, Problem> {
    let (tenant_id, payment_id, key) = actor(app, headers, id).await?;
    let dispute_id: DisputeId = dispute.parse().map_err(|_| Problem::from(Code::NotFound))?;
    let asked = (payment_id, dispute_id, &explanation);
    let request = ActRequest {
        tenant_id: tenant_id.bytes(),
        idempotency_key: key.clone(),
        fingerprint: fingerprint(kind.word(), &asked),
        request_id: Uuid::new_v4().as_bytes().to_vec(),
        payment_id: payment_id.bytes(),
        kind: kind.word().to_owned(),
        amount: None,
        dispute_id: dispute_id.bytes(),
        explanation,
    };
    answer(app, headers, tenant_id, key, Request::Act(request)).await
}
