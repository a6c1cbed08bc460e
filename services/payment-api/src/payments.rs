//! `/v1/payments`.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body as AnswerBody,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use paymesh_contracts::{
    Code, ErrorBody, Money, PaymentId, TenantId,
    http::{CreatePayment, Payment, PaymentPage, PaymentStatus},
    persistence::{
        Answer, CreatePaymentRequest, ListPaymentsRequest, ReadPaymentRequest, SettleAnswerRequest,
        create_payment_reply::Outcome,
    },
};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::{
    app::App,
    auth::authorize,
    error::Problem,
    input::{Body, Clean, fingerprint, idempotency_key},
    waiting::{Told, Waiter},
};

/// How long a request waits for the end of its payment, unless it says otherwise.
const WAIT: Duration = Duration::from_secs(2);
/// The longest a request may wait.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How often a request to db-controller is tried before its outcome is called unknown.
const TRIES_MAX: u32 = 3;

/// Makes a payment.
///
/// Answers 201 when it came to its end, and 202 when it has not within `Prefer: wait=<seconds>`
/// (2 unless said otherwise). The first answer to an idempotency key is final: the same request
/// gets the same bytes again, with `Idempotency-Replayed: true`. `GET` reads the current state.
#[utoipa::path(
    post, path = "/v1/payments", tag = "payments", request_body = CreatePayment,
    params(
        ("Idempotency-Key" = String, Header, description = "1 to 255 printable ASCII characters", min_length = 1, max_length = 255),
        ("Prefer" = Option<String>, Header, description = "`wait=<seconds>`, 0 to 30", pattern = "^wait=[0-9]+$"),
    ),
    responses(
        (status = 201, body = Payment, description = "It came to its end."),
        (status = 202, body = Payment, description = "It is still on its way."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 409, body = ErrorBody, description = "The first request with this key is not committed yet."),
        (status = 413, body = ErrorBody, description = "The body is too large."),
        (status = 422, body = ErrorBody, description = "A value is not allowed, or the key was used with another body."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Send it again with the same key."),
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(fields): Body<CreatePayment>,
) -> Result<Response, Problem> {
    let tenant_id = authorize(&app, &headers, "payments:write").await?;
    let key = idempotency_key(&headers)?;
    check(&fields)?;
    let until = Instant::now() + wait_of(&headers);
    let payment_id = PaymentId(Uuid::now_v7());
    let mut waiter = app.waiting.register(payment_id);
    let request = CreatePaymentRequest {
        tenant_id: tenant_id.bytes(),
        idempotency_key: key.clone(),
        fingerprint: fingerprint("create payment", &fields),
        request_id: Uuid::new_v4().as_bytes().to_vec(),
        payment_id: payment_id.bytes(),
        amount: Some(fields.amount.into()),
        payment_method: fields.payment_method,
        reference: fields.reference.unwrap_or_default(),
    };
    let reply = submit(&app, request).await?;
    let is_replay = match reply.outcome() {
        Outcome::Created => false,
        Outcome::Replayed => true,
        Outcome::InFlight => return Err(Problem::about(Code::KeyInFlight, "idempotency-key")),
        Outcome::Recovering => return Err(Code::Recovering.into()),
        Outcome::ChangedBody => return Err(Problem::about(Code::KeyReused, "idempotency-key")),
        Outcome::Unspecified => return Err(Code::Internal.into()),
    };
    if let Some(answer) = reply.answer {
        return Ok(kept(answer, is_replay));
    }
    let made = PaymentId::from_bytes(&reply.payment_id).map_err(|_| Code::Internal)?;
    // Somebody else's payment may have ended before we listened for it.
    let mut told = Told::LookAgain;
    if made == payment_id {
        told = hear(&mut waiter, until).await;
    } else {
        waiter = app.waiting.register(made);
    }
    loop {
        match told {
            Told::Ended(answer) => return Ok(kept(answer, is_replay)),
            Told::LookAgain if is_final(&app, tenant_id, made).await => break,
            Told::LookAgain => {}
            Told::TooLate => break,
        }
        told = hear(&mut waiter, until).await;
    }
    let request = SettleAnswerRequest {
        tenant_id: tenant_id.bytes(),
        idempotency_key: key,
    };
    let answer = app.payments().settle_answer(request).await?.into_inner();
    Ok(kept(answer, is_replay))
}

async fn hear(waiter: &mut Waiter, until: Instant) -> Told {
    timeout_at(until, waiter.told())
        .await
        .unwrap_or(Told::TooLate)
}

/// Sends it again when no answer came: db-controller knows it by its request id.
async fn submit(
    app: &App,
    request: CreatePaymentRequest,
) -> Result<paymesh_contracts::persistence::CreatePaymentReply, Problem> {
    let mut tries = 0;
    loop {
        tries += 1;
        match app.payments().create_payment(request.clone()).await {
            Ok(reply) => return Ok(reply.into_inner()),
            Err(status)
                if matches!(
                    status.code(),
                    tonic::Code::Unavailable | tonic::Code::Unknown
                ) && tries < TRIES_MAX =>
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(status) => return Err(status.into()),
        }
    }
}

async fn is_final(app: &App, tenant_id: TenantId, payment_id: PaymentId) -> bool {
    let request = ReadPaymentRequest {
        tenant_id: tenant_id.bytes(),
        payment_id: payment_id.bytes(),
    };
    app.payments()
        .read_payment(request)
        .await
        .ok()
        .and_then(|payment| PaymentStatus::from_word(&payment.into_inner().status))
        .is_some_and(PaymentStatus::is_final)
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

fn wait_of(headers: &HeaderMap) -> Duration {
    headers
        .get("prefer")
        .and_then(|value| value.to_str().ok())
        .into_iter()
        .flat_map(|value| value.split(','))
        .find_map(|word| word.trim().strip_prefix("wait=")?.parse().ok())
        .map_or(WAIT, Duration::from_secs)
        .min(WAIT_MAX)
}

/// The kept answer, byte for byte.
fn kept(answer: Answer, is_replay: bool) -> Response {
    let status = u16::try_from(answer.status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .unwrap_or(StatusCode::OK);
    let mut response = Response::new(AnswerBody::from(answer.body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if is_replay {
        headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}

/// Reads a payment as it is now.
#[utoipa::path(
    get, path = "/v1/payments/{id}", tag = "payments",
    params(("id" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = Payment, description = "The payment."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such payment."),
        (status = 422, body = ErrorBody, description = "Something looks like a card number."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    _: Clean,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let tenant_id = authorize(&app, &headers, "payments:read").await?;
    let payment_id: PaymentId = id.parse().map_err(|_| Problem::from(Code::NotFound))?;
    let request = ReadPaymentRequest {
        tenant_id: tenant_id.bytes(),
        payment_id: payment_id.bytes(),
    };
    let payment = app.payments().read_payment(request).await?.into_inner();
    Ok(Json(Payment::try_from(payment)?).into_response())
}

/// Which payments a page shows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// How many, 1 to 100.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// Older than this payment.
    after: Option<String>,
    /// Newer than this payment.
    before: Option<String>,
}

/// Lists payments, newest first.
#[utoipa::path(
    get, path = "/v1/payments", tag = "payments", params(Page),
    responses(
        (status = 200, body = PaymentPage, description = "Some payments."),
        (status = 400, body = ErrorBody, description = "The request cannot be read."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 422, body = ErrorBody, description = "A value is not allowed."),
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
    let tenant_id = authorize(&app, &headers, "payments:read").await?;
    let Query(page) = page.map_err(|_| Problem::about(Code::FieldInvalid, "limit"))?;
    let limit = page.limit.unwrap_or(20);
    if !(1..=100).contains(&limit) {
        return Err(Problem::about(Code::FieldInvalid, "limit").because("it is between 1 and 100"));
    }
    let cursor = |name: &str, text: Option<&String>| match text {
        None => Ok(Vec::new()),
        Some(text) => text
            .parse()
            .map(PaymentId::bytes)
            .map_err(|_| Problem::about(Code::FieldInvalid, name)),
    };
    let (after, before) = (
        cursor("after", page.after.as_ref())?,
        cursor("before", page.before.as_ref())?,
    );
    if !after.is_empty() && !before.is_empty() {
        return Err(Problem::about(Code::FieldInvalid, "before").because("not together with after"));
    }
    let request = ListPaymentsRequest {
        tenant_id: tenant_id.bytes(),
        limit,
        after,
        before,
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
