//! Answering a request under an idempotency key: db-controller keeps the answer, we wait for it.

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use paymesh_contracts::{
    AttemptId, Code, PaymentId, TenantId,
    attempt::attempt_id,
    http::Payment,
    persistence::{
        ActRequest, Answer, CreatePaymentRequest, KeyedReply, ReadPaymentRequest,
        SettleAnswerRequest, keyed_reply::Outcome,
    },
};
use tokio::time::{Instant, timeout_at};

use crate::{
    app::App,
    error::Problem,
    waiting::{Told, Waiter},
};

/// How long a request waits until nothing is on its way, unless it says otherwise.
const WAIT: Duration = Duration::from_secs(2);
/// The longest a request may wait.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How often a request to db-controller is tried before its outcome is called unknown.
const TRIES_MAX: u32 = 3;

/// A request under an idempotency key.
#[derive(Clone)]
pub(crate) enum Request {
    /// Makes a payment.
    Create(CreatePaymentRequest),
    /// Does something with one.
    Act(ActRequest),
}

/// Has a request carried out, waits for what comes of it, and gives the answer that is kept.
pub(crate) async fn answer(
    app: &App,
    headers: &HeaderMap,
    tenant_id: TenantId,
    key: String,
    request: Request,
) -> Result<Response, Problem> {
    let until = Instant::now() + wait_of(headers);
    // What the key makes has an id that follows from it, so nothing is missed.
    let attempt_id = attempt_id(tenant_id, &key, 1);
    let mut waiter = app.waiting.register(attempt_id);
    let reply = submit(app, request).await?;
    let about_key = |code| Err(Problem::about(code, "idempotency-key"));
    let is_replay = match reply.outcome() {
        Outcome::Created => false,
        Outcome::Replayed => true,
        Outcome::InFlight => return about_key(Code::KeyInFlight),
        Outcome::ChangedBody => return about_key(Code::KeyReused),
        Outcome::Recovering => return Err(Code::Recovering.into()),
        Outcome::WrongState => return Err(Code::PaymentState.into()),
        Outcome::TooMuch => return Err(Problem::about(Code::AmountTooLarge, "amount")),
        Outcome::OverLimit => return Err(Code::BalanceInsufficient.into()),
        Outcome::Unspecified => return Err(Code::Internal.into()),
    };
    if let Some(answer) = reply.answer {
        return Ok(kept(answer, is_replay));
    }
    let payment_id = PaymentId::from_bytes(&reply.payment_id).map_err(|_| Code::Internal)?;
    // A replay may have begun to listen too late.
    let mut told = if is_replay {
        Told::LookAgain
    } else {
        hear(&mut waiter, until).await
    };
    loop {
        match told {
            Told::Settled(answer) => return Ok(kept(answer, is_replay)),
            Told::LookAgain if is_settled(app, tenant_id, payment_id, attempt_id).await => break,
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

pub(crate) async fn hear(waiter: &mut Waiter, until: Instant) -> Told {
    timeout_at(until, waiter.told())
        .await
        .unwrap_or(Told::TooLate)
}

/// Sends it again when no answer came: db-controller knows it by its request id.
async fn submit(app: &App, request: Request) -> Result<KeyedReply, Problem> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut payments = app.payments();
        let reply = match request.clone() {
            Request::Create(request) => payments.create_payment(request).await,
            Request::Act(request) => payments.act(request).await,
        };
        match reply {
            Ok(reply) => return Ok(reply.into_inner()),
            Err(status)
                if matches!(
                    status.code(),
                    tonic::Code::Unavailable | tonic::Code::Unknown
                ) && tries < TRIES_MAX =>
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            // An earlier one may have been carried out.
            Err(_) if tries > 1 => return Err(Code::OutcomeUnknown.into()),
            Err(status) => return Err(status.into()),
        }
    }
}

/// Whether an attempt of a payment is not on its way any more, whatever else of the payment is.
async fn is_settled(
    app: &App,
    tenant_id: TenantId,
    payment_id: PaymentId,
    attempt_id: AttemptId,
) -> bool {
    let request = ReadPaymentRequest {
        tenant_id: tenant_id.bytes(),
        payment_id: payment_id.bytes(),
    };
    let found = app.payments().read_payment(request).await.ok();
    found
        .and_then(|payment| Payment::try_from(payment.into_inner()).ok())
        .is_some_and(|payment| {
            let mut attempts = payment.attempts.iter();
            attempts.any(|one| one.id == attempt_id && !one.status.is_open())
        })
}

pub(crate) fn wait_of(headers: &HeaderMap) -> Duration {
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
    let mut response = Response::new(Body::from(answer.body));
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
