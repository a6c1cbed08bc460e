//! What a trace tells of a message: what it asks for, and the ids of what it is about.

use paymesh_contracts::{
    AttemptId, EventId, MessageId, PaymentId,
    persistence::{Message, SendAttempt, message::Work},
};
use paymesh_operations::Span;

/// What a message asks for.
pub(crate) fn word(work: Option<&Work>) -> &'static str {
    match work {
        Some(Work::SendAttempt(_)) => "send attempt",
        Some(Work::CheckAttempt(_)) => "check attempt",
        Some(Work::Operate(operate)) if operate.is_check => "check operation",
        Some(Work::Operate(_)) => "send operation",
        Some(Work::AnswerDispute(_)) => "answer dispute",
        Some(Work::Expire(_)) => "expire",
        Some(Work::DeliverWebhook(_)) => "deliver webhook",
        None => "unknown",
    }
}

/// Tells what it is about.
pub(crate) fn note(span: &Span, message: &Message) {
    if let Ok(id) = MessageId::from_bytes(&message.message_id) {
        span.id("paymesh.message", &id);
    }
    let attempt: Option<&SendAttempt> = match &message.work {
        Some(Work::SendAttempt(attempt)) => Some(attempt),
        Some(Work::CheckAttempt(check)) => check.attempt.as_ref(),
        Some(Work::Operate(operate)) => operate.attempt.as_ref(),
        Some(Work::AnswerDispute(answer)) => {
            answer.operate.as_ref().and_then(|one| one.attempt.as_ref())
        }
        Some(Work::DeliverWebhook(delivery)) => {
            if let Ok(id) = EventId::from_bytes(&delivery.event_id) {
                span.id("paymesh.event", &id);
            }
            span.number("paymesh.try", delivery.r#try.into());
            None
        }
        Some(Work::Expire(_)) | None => None,
    };
    if let Some(attempt) = attempt {
        if let Ok(id) = AttemptId::from_bytes(&attempt.attempt_id) {
            span.id("paymesh.attempt", &id);
        }
        if let Ok(id) = PaymentId::from_bytes(&attempt.payment_id) {
            span.id("paymesh.payment", &id);
        }
    }
}
