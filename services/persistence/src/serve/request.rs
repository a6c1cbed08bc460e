//! What callers send as commands, and what comes of them as answers.

use paymesh_contracts::{
    AttemptId, DisputeId, MessageId, Money, PaymentId, TenantId,
    http::{AttemptKind, CaptureMethod},
    persistence::{self as wire, complete_request, keyed_reply},
};
use tonic::{Response, Status};
use uuid::Uuid;

use super::{kept, some, unreadable};
use crate::{
    command::{
        Act, Answer, Complete, Consumer, CreatePayment, DisputeAnswer, DisputeName, Effect, Keyed,
        Lease, Outcome,
    },
    store::Side,
};

pub(super) fn wire_answer(answer: Answer) -> wire::Answer {
    wire::Answer {
        status: u32::from(answer.status),
        body: answer.body,
    }
}

fn read_amount(amount: wire::Money) -> Result<Money, Status> {
    let amount: Money = amount
        .try_into()
        .map_err(|_| Status::invalid_argument("the amount is in no known currency"))?;
    if (1..=Money::AMOUNT_MINOR_MAX).contains(&amount.amount_minor) {
        Ok(amount)
    } else {
        Err(Status::invalid_argument("the amount is out of range"))
    }
}

fn read_keyed(
    tenant_id: &[u8],
    key: String,
    fingerprint: Vec<u8>,
    request_id: &[u8],
) -> Result<Keyed, Status> {
    Ok(Keyed {
        key: (TenantId::from_bytes(tenant_id).map_err(unreadable)?, key),
        fingerprint: fingerprint
            .try_into()
            .map_err(|_| Status::invalid_argument("the fingerprint is not 32 bytes"))?,
        request_id: Uuid::from_slice(request_id)
            .map_err(|_| Status::invalid_argument("the request id is not 16 bytes"))?,
    })
}

/// A payment to take in.
pub fn read_create(request: wire::CreatePaymentRequest) -> Result<CreatePayment, Status> {
    let amount = request
        .amount
        .ok_or_else(|| Status::invalid_argument("there is no amount"))?;
    let capture = some(request.capture).map_or(Some(CaptureMethod::Automatic), |word| {
        CaptureMethod::from_word(&word)
    });
    Ok(CreatePayment {
        request: read_keyed(
            &request.tenant_id,
            request.idempotency_key,
            request.fingerprint,
            &request.request_id,
        )?,
        payment_id: PaymentId::from_bytes(&request.payment_id).map_err(unreadable)?,
        amount: read_amount(amount)?,
        payment_method: request.payment_method,
        reference: some(request.reference),
        capture: capture.ok_or_else(|| Status::invalid_argument("no known capture method"))?,
    })
}

/// Something to be done with a payment.
pub fn read_act(request: wire::ActRequest) -> Result<Act, Status> {
    let kind = AttemptKind::from_word(&request.kind).filter(|kind| {
        matches!(
            kind,
            AttemptKind::Capture
                | AttemptKind::Void
                | AttemptKind::Refund
                | AttemptKind::Contest
                | AttemptKind::Accept
        )
    });
    let kind = kind.ok_or_else(|| Status::invalid_argument("nothing that can be done"))?;
    let is_answer = matches!(kind, AttemptKind::Contest | AttemptKind::Accept);
    let dispute = is_answer.then(|| DisputeId::from_bytes(&request.dispute_id));
    let explanation = some(request.explanation);
    if explanation.is_some() != (kind == AttemptKind::Contest) {
        return Err(Status::invalid_argument(
            "only a contest has an explanation",
        ));
    }
    Ok(Act {
        request: read_keyed(
            &request.tenant_id,
            request.idempotency_key,
            request.fingerprint,
            &request.request_id,
        )?,
        payment_id: PaymentId::from_bytes(&request.payment_id).map_err(unreadable)?,
        kind,
        amount: request.amount.map(read_amount).transpose()?,
        answer: dispute
            .transpose()
            .map_err(unreadable)?
            .map(|id| DisputeAnswer {
                dispute: DisputeName::Id(id),
                explanation,
            }),
    })
}

/// Which part of a list a page shows.
pub fn read_side(after: &[u8], before: &[u8]) -> Result<Side, Status> {
    let id = |bytes| {
        Uuid::from_slice(bytes).map_err(|_| Status::invalid_argument("an id is not 16 bytes"))
    };
    match (after, before) {
        ([], []) => Ok(Side::Newest),
        (after, []) => id(after).map(Side::Older),
        ([], before) => id(before).map(Side::Newer),
        _ => Err(Status::invalid_argument(
            "after and before exclude each other",
        )),
    }
}

fn read_effect(effect: complete_request::Effect) -> Result<Effect, Status> {
    use complete_request::Effect as Wire;
    let attempt = |bytes: &[u8]| AttemptId::from_bytes(bytes).map_err(unreadable);
    Ok(match effect {
        Wire::Approved(approved) => Effect::Approved {
            attempt_id: attempt(&approved.attempt_id)?,
            acquirer_reference: kept(approved.acquirer_reference),
        },
        Wire::Declined(declined) => Effect::Declined {
            attempt_id: attempt(&declined.attempt_id)?,
            failure_code: some(declined.failure_code)
                .ok_or_else(|| Status::invalid_argument("a decline has a failure code"))?,
            acquirer_reference: some(declined.acquirer_reference),
        },
        Wire::Unknown(unknown) => Effect::Unknown {
            attempt_id: attempt(&unknown.attempt_id)?,
            contradiction: some(unknown.contradiction),
        },
        Wire::Webhook(tried) => Effect::WebhookTried {
            delivered: tried.delivered,
            status: i32::try_from(tried.status)
                .ok()
                .filter(|status| *status > 0),
            error: some(tried.error),
            is_removed: tried.is_removed,
        },
        Wire::ActionRequired(required) => Effect::ActionRequired {
            attempt_id: attempt(&required.attempt_id)?,
            url: some(required.url)
                .ok_or_else(|| Status::invalid_argument("an action has an address"))?,
        },
        Wire::CannotHandle(cannot) => Effect::CannotHandle {
            reason: kept(cannot.reason),
        },
        Wire::Expired(wire::Expired {}) => Effect::Expired,
    })
}

/// What came of a message. `is_claimed` says whether it was claimed from a topic.
pub fn read_complete(request: wire::CompleteRequest, is_claimed: bool) -> Result<Complete, Status> {
    let lease = request
        .lease
        .ok_or_else(|| Status::invalid_argument("there is no lease"))?;
    Ok(Complete {
        message_id: MessageId::from_bytes(&request.message_id).map_err(unreadable)?,
        lease: Lease {
            consumer: consumer(&lease.consumer)?,
            partition: i16::try_from(lease.partition)
                .map_err(|_| Status::invalid_argument("there is no such partition"))?,
            epoch: lease.epoch,
        },
        is_claimed,
        effect: read_effect(
            request
                .effect
                .ok_or_else(|| Status::invalid_argument("there is no known effect"))?,
        )?,
        about: None,
    })
}

pub(super) fn consumer(word: &str) -> Result<Consumer, Status> {
    Consumer::from_word(word).ok_or_else(|| Status::invalid_argument("there is no such consumer"))
}

/// What is answered to a request under a key.
pub(super) fn keyed_reply(outcome: Outcome) -> Result<Response<wire::KeyedReply>, Status> {
    use keyed_reply::Outcome as Word;
    let (word, payment_id, answer) = match outcome {
        Outcome::Created { payment_id, answer } => (Word::Created, Some(payment_id), answer),
        Outcome::Replayed { payment_id, answer } => (Word::Replayed, Some(payment_id), answer),
        Outcome::InFlight => (Word::InFlight, None, None),
        Outcome::ChangedBody => (Word::ChangedBody, None, None),
        Outcome::Recovering => (Word::Recovering, None, None),
        Outcome::WrongState => (Word::WrongState, None, None),
        Outcome::TooMuch => (Word::TooMuch, None, None),
        Outcome::OverLimit => (Word::OverLimit, None, None),
        Outcome::NotFound => return Err(Status::not_found("there is no such payment or dispute")),
        _ => return Err(Status::internal("a request was answered like a message")),
    };
    Ok(Response::new(wire::KeyedReply {
        outcome: word.into(),
        payment_id: payment_id.map(PaymentId::bytes).unwrap_or_default(),
        answer: answer.map(wire_answer),
    }))
}
