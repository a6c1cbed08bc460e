//! `/v1/payments`: reading.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
    response::{IntoResponse, Response},
};
use paymesh_contracts::{
    Code, ErrorBody, PaymentId, Scope,
    http::{Payment, PaymentPage},
    persistence::{ListPaymentsRequest, ReadPaymentRequest},
};

use crate::{
    app::App,
    auth::authorize,
    error::Problem,
    input::{Address, Clean},
    paging::{Cut, Page},
};

/// Reads a payment as it is now.
#[utoipa::path(
    get, path = "/v1/payments/{id}", tag = "payments",
    params(("id" = String, Path, description = "Its id", pattern = "^pay_[a-p]{32}$")),
    responses(
        (status = 200, body = Payment, description = "The payment."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such payment."),
        (status = 422, body = ErrorBody, description = "Something looks like a card number."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    _: Clean,
    Address(id): Address<String>,
) -> Result<Response, Problem> {
    let tenant_id = authorize(&app, &headers, Scope::PaymentsRead).await?;
    let payment_id: PaymentId = id.parse().map_err(|_| Problem::from(Code::NotFound))?;
    let request = ReadPaymentRequest {
        tenant_id: tenant_id.bytes(),
        payment_id: payment_id.bytes(),
    };
    let payment = app.payments().read_payment(request).await?.into_inner();
    Ok(Json(Payment::try_from(payment)?).into_response())
}

/// Lists payments, newest first.
#[utoipa::path(
    get, path = "/v1/payments", tag = "payments",
    params(
        ("limit" = Option<u32>, Query, description = "How many, 1 to 100.", minimum = 1, maximum = 100),
        ("after" = Option<String>, Query, description = "Older than this one.", pattern = "^pay_[a-p]{32}$"),
        ("before" = Option<String>, Query, description = "Newer than this one; not together with `after`.", pattern = "^pay_[a-p]{32}$"),
    ),
    responses(
        (status = 200, body = PaymentPage, description = "Some payments."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 422, body = ErrorBody, description = "A value is not allowed."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    _: Clean,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Response, Problem> {
    let tenant_id = authorize(&app, &headers, Scope::PaymentsRead).await?;
    let cut = Cut::of(page, |text| text.parse().map(PaymentId::bytes))?;
    let request = ListPaymentsRequest {
        tenant_id: tenant_id.bytes(),
        limit: cut.limit,
        after: cut.after,
        before: cut.before,
    };
    let found = app.payments().list_payments(request).await?.into_inner();
    let data = found
        .payments
        .into_iter()
        .map(Payment::try_from)
        .collect::<Result<Vec<_>, _>>()?;
    let id = |payment: Option<&Payment>| payment.map(|payment| payment.id.to_string());
    Ok(Json(PaymentPage {
        next: found.older.then(|| id(data.last())).flatten(),
        previous: found.newer.then(|| id(data.first())).flatten(),
        data,
    })
    .into_response())
}
