//! Rows of the database as the values they stand for. A word that this version does not know makes
//! a row count as absent: version N-1 goes on beside N.

use paymesh_contracts::{
    AttemptId, DisputeId, EndpointId, EventId, Money, PaymentId, TenantId,
    dispute::DisputeStatus,
    http::{AttemptKind, AttemptStatus, CaptureMethod, PaymentStatus},
};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::{
    command::{Answer, Consumer},
    payment::{AttemptRow, DisputeRow, PaymentRow},
    world::{KeyRow, MessageRow, Work},
};

/// The columns of a payment, in the order that [`payment`] reads them.
macro_rules! payments {
    ($rest:literal) => {
        concat!(
            "select p.id, p.tenant_id, p.idempotency_key, p.amount, p.currency, p.payment_method,
                p.reference, p.status, p.failure_code, ",
            $crate::store::ms!("p.created_at"),
            ", ",
            $crate::store::ms!("p.updated_at"),
            ", p.capture, ",
            $crate::store::ms!("p.expires_at"),
            " from payment p ",
            $rest
        )
    };
}

/// How many columns [`attempts!`] has; more follow.
pub(super) const ATTEMPT_COLUMNS: usize = 13;

/// The columns of an attempt, in the order that [`attempt`] reads them, and more. What an earlier
/// version wrote is about the whole amount, under the key of its payment.
macro_rules! attempts {
    ($rest:literal) => {
        $crate::store::rows::attempts!("", $rest)
    };
    ($more:literal, $rest:literal) => {
        concat!(
            "select a.payment_id, a.id, a.number, a.status, a.acquirer_reference, a.failure_code,
                a.checks, a.kind, coalesce(a.amount, p.amount),
                coalesce(a.idempotency_key, p.idempotency_key), a.action_url, a.dispute,
                a.explanation",
            $more,
            " from attempt a join payment p on p.id = a.payment_id ",
            $rest
        )
    };
}

/// The columns of a dispute, in the order that [`dispute`] reads them.
macro_rules! disputes {
    ($rest:literal) => {
        concat!(
            "select d.payment_id, d.id, d.reference, d.amount, d.reason, d.status, d.version, ",
            $crate::store::ms!("d.respond_by"),
            ", d.covered, ",
            $crate::store::ms!("d.opened_at"),
            " from dispute d ",
            $rest
        )
    };
}

pub(super) use {attempts, disputes, payments};

/// A payment from the columns of [`payments!`]; `None` for a word this version does not
/// know, which then counts as absent.
pub(super) fn payment(
    row: &Row,
    attempts: Vec<AttemptRow>,
    disputes: Vec<DisputeRow>,
) -> Option<PaymentRow> {
    Some(PaymentRow {
        key: (TenantId(row.get(1)), row.get(2)),
        amount: Money::new(row.get(3), row.get::<_, &str>(4).parse().ok()?),
        payment_method: row.get(5),
        reference: row.get(6),
        status: PaymentStatus::from_word(row.get(7))?,
        failure_code: row.get(8),
        created_at_ms: row.get(9),
        updated_at_ms: row.get(10),
        capture: CaptureMethod::from_word(row.get(11))?,
        expires_at_ms: row.get(12),
        attempts,
        disputes,
    })
}

/// An attempt from the columns of [`attempts!`].
pub(super) fn attempt(row: &Row) -> Option<AttemptRow> {
    Some(AttemptRow {
        id: AttemptId(row.get(1)),
        number: row.get(2),
        kind: AttemptKind::from_word(row.get(7))?,
        amount_minor: row.get(8),
        key: row.get(9),
        status: AttemptStatus::from_word(row.get(3))?,
        acquirer_reference: row.get(4),
        failure_code: row.get(5),
        checks: row.get(6),
        action_url: row.get(10),
        dispute: row.get(11),
        explanation: row.get(12),
    })
}

/// A dispute from the columns of [`disputes!`].
pub(super) fn dispute(row: &Row) -> Option<DisputeRow> {
    Some(DisputeRow {
        id: DisputeId(row.get(1)),
        reference: row.get(2),
        amount_minor: row.get(3),
        reason: row.get(4),
        status: DisputeStatus::from_word(row.get(5))?,
        version: row.get(6),
        respond_by_ms: row.get(7),
        covered_minor: row.get(8),
        opened_at_ms: row.get(9),
    })
}

pub(super) fn message(row: &Row) -> Option<MessageRow> {
    let attempt = row.get::<_, Option<Uuid>>(4).map(AttemptId);
    let event = row.get::<_, Option<Uuid>>(5).map(EventId);
    let endpoint = row.get::<_, Option<Uuid>>(6).map(EndpointId);
    let work = match row.get(2) {
        "send_attempt" => Work::SendAttempt(attempt?),
        "check_attempt" => Work::CheckAttempt(attempt?),
        "send_operation" => Work::SendOperation(attempt?),
        "check_operation" => Work::CheckOperation(attempt?),
        "send_answer" => Work::SendAnswer(attempt?),
        "check_answer" => Work::CheckAnswer(attempt?),
        "expire" => Work::Expire,
        "deliver_webhook" => Work::DeliverWebhook(event?, endpoint?),
        _ => return None,
    };
    Some(MessageRow {
        consumer: Consumer::from_word(row.get(1))?,
        payment_id: PaymentId(row.get(3)),
        work,
        try_number: row.get(7),
        available_at_ms: 0,
        failures: row.get(9),
    })
}

pub(super) fn key(row: &Row) -> Option<KeyRow> {
    let status: Option<i16> = row.get(5);
    let body: Option<Vec<u8>> = row.get(6);
    let answer = match (status.and_then(|status| u16::try_from(status).ok()), body) {
        (Some(status), Some(body)) => Some(Answer { status, body }),
        _ => None,
    };
    Some(KeyRow {
        fingerprint: row.get::<_, &[u8]>(2).try_into().ok()?,
        request_id: row.get(3),
        payment_id: PaymentId(row.get(4)),
        answer,
        is_committed: true,
    })
}
