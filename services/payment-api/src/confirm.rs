//! `POST /v1/payments/{id}/confirm`: the customer did what was required of them.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use paymesh_contracts::{
    AttemptId, Code, ErrorBody, PaymentId, Scope,
    http::Payment,
    persistence::{ConfirmRequest, ReadPaymentRequest},
};
use tokio::time::Instant;

use crate::{
    answer::{hear, wait_of},
    app::App,
    auth::authorize,
    error::Problem,
    headers::Patient,
    input::{Address, Clean},
    waiting::Told,
};

/// Goes on with a payment whose customer did what was required.
///
/// Whether they did is the acquirer's word, so no idempotency key is needed: asking twice does
/// nothing twice. A payment that requires nothing is answered as it is.
#[utoipa::path(
    post, path = "/v1/payments/{id}/confirm", tag = "payments",
    params(
        ("id" = String, Path, description = "Its id", pattern = "^pay_[a-p]{32}$"),
        Patient,
    ),
    responses(
        (status = 200, body = Payment, description = "Nothing of it is on its way."),
        (status = 202, body = Payment, description = "It is still on its way."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such payment."),
        (status = 422, body = ErrorBody, description = "Something looks like a card number."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    _: Clean,
    Address(id): Address<String>,
) -> Result<(StatusCode, Json<Payment>), Problem> {
    let tenant_id = authorize(&app, &headers, Scope::PaymentsWrite).await?;
    let payment_id: PaymentId = id.parse().map_err(|_| Problem::from(Code::NotFound))?;
    let until = Instant::now() + wait_of(&headers);
    let request = ConfirmRequest {
        tenant_id: tenant_id.bytes(),
        payment_id: payment_id.bytes(),
    };
    let reply = app.payments().confirm(request).await?.into_inner();
    let attempt_id = AttemptId::from_bytes(&reply.attempt_id).map_err(|_| Code::Internal)?;
    let mut waiter = app.waiting.register(attempt_id);
    let mut is_too_late = false;
    loop {
        let request = ReadPaymentRequest {
            tenant_id: tenant_id.bytes(),
            payment_id: payment_id.bytes(),
        };
        let payment = app.payments().read_payment(request).await?.into_inner();
        let payment = Payment::try_from(payment)?;
        if payment.status.is_settled() {
            return Ok((StatusCode::OK, Json(payment)));
        }
        if is_too_late {
            return Ok((StatusCode::ACCEPTED, Json(payment)));
        }
        is_too_late = matches!(hear(&mut waiter, until).await, Told::TooLate);
    }
}
