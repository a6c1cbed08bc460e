//! Attempts: send, or find out what became of one that was sent.

use std::{sync::Arc, time::Instant};

use async_trait::async_trait;
use metrics::{Unit, describe_histogram, histogram};
use paymesh_contracts::{
    AttemptId,
    http::AttemptKind,
    persistence::{
        AnswerDispute, AttemptActionRequired, AttemptApproved, AttemptDeclined, AttemptUnknown,
        Expire, Expired, Operate, SendAttempt, complete_request::Effect, message::Work,
    },
};
use paymesh_operations::{Place, Span, SpanKind};

use crate::{
    acquirer::{Acquirer, Answered, NoWord, Order, Task, Verdict},
    consumer::{Consumer, Unreadable},
};

/// Sends attempts to one acquirer.
pub struct Attempts {
    /// Which one.
    pub acquirer: Arc<dyn Acquirer>,
    /// Draw a new id for every call: a defect to be found by the checker, see [`Self::new`].
    regenerate_ids: bool,
}

impl Attempts {
    /// Attempts at an acquirer. In a debug build `PAYMESH_DEFECT=attempt-id-regenerated` makes it
    /// forget which attempt it sends.
    pub fn new(acquirer: Arc<dyn Acquirer>) -> Self {
        describe_histogram!(
            "paymesh_attempt_duration_seconds",
            Unit::Seconds,
            "Until the acquirer said what became of an attempt, or did not"
        );
        let defect = std::env::var("PAYMESH_DEFECT").unwrap_or_default();
        Self {
            acquirer,
            regenerate_ids: cfg!(debug_assertions) && defect == "attempt-id-regenerated",
        }
    }

    async fn send(&self, order: &Order) -> Result<Verdict, NoWord> {
        if !self.regenerate_ids {
            return self.acquirer.send(order).await;
        }
        let attempt_id = AttemptId(uuid::Uuid::new_v4());
        self.acquirer
            .send(&Order {
                attempt_id,
                ..order.clone()
            })
            .await
    }

    /// Asks first; what the acquirer never heard of is sent again, under the same id.
    async fn check(&self, order: &Order) -> Result<Verdict, NoWord> {
        match self.acquirer.find(order).await? {
            Some(verdict) => Ok(verdict),
            None => self.send(order).await,
        }
    }
}

fn read_charge(attempt: &SendAttempt) -> Result<Order, Unreadable> {
    Ok(Order {
        attempt_id: AttemptId::from_bytes(&attempt.attempt_id).map_err(|_| Unreadable)?,
        amount: attempt
            .amount
            .clone()
            .ok_or(Unreadable)?
            .try_into()
            .map_err(|_| Unreadable)?,
        task: Task::Charge(attempt.payment_method.clone()),
        origin: attempt.origin.clone().ok_or(Unreadable)?,
    })
}

fn read_operation(operate: &Operate) -> Result<Order, Unreadable> {
    let attempt = operate.attempt.as_ref().ok_or(Unreadable)?;
    let of = AttemptId::from_bytes(&operate.charge_id).map_err(|_| Unreadable)?;
    let task = match AttemptKind::from_word(&operate.kind).ok_or(Unreadable)? {
        AttemptKind::Charge | AttemptKind::Contest | AttemptKind::Accept => return Err(Unreadable),
        AttemptKind::Authorize => Task::Authorize(attempt.payment_method.clone()),
        AttemptKind::Capture => Task::Capture(of),
        AttemptKind::Void => Task::Void(of),
        AttemptKind::Refund => Task::Refund(of),
    };
    Ok(Order {
        task,
        ..read_charge(attempt)?
    })
}

fn read_answer(answer: &AnswerDispute) -> Result<Order, Unreadable> {
    let operate = answer.operate.as_ref().ok_or(Unreadable)?;
    let of = AttemptId::from_bytes(&operate.charge_id).map_err(|_| Unreadable)?;
    let dispute = Answered(answer.dispute.clone());
    let task = match AttemptKind::from_word(&operate.kind).ok_or(Unreadable)? {
        AttemptKind::Contest => Task::Contest(of, dispute, answer.explanation.clone()),
        AttemptKind::Accept => Task::Accept(of, dispute),
        _ => return Err(Unreadable),
    };
    Ok(Order {
        task,
        ..read_charge(operate.attempt.as_ref().ok_or(Unreadable)?)?
    })
}

#[async_trait]
impl Consumer for Attempts {
    fn name(&self) -> &'static str {
        "attempts"
    }

    async fn work(&self, work: Work) -> Result<Effect, Unreadable> {
        let (order, is_check) = match &work {
            Work::SendAttempt(attempt) => (read_charge(attempt)?, false),
            Work::CheckAttempt(check) => (
                read_charge(check.attempt.as_ref().ok_or(Unreadable)?)?,
                true,
            ),
            Work::Operate(operate) => (read_operation(operate)?, operate.is_check),
            Work::AnswerDispute(answer) => (
                read_answer(answer)?,
                answer.operate.as_ref().is_some_and(|one| one.is_check),
            ),
            Work::Expire(Expire {}) => return Ok(Effect::Expired(Expired {})),
            Work::DeliverWebhook(_) => return Err(Unreadable),
        };
        let began = Instant::now();
        let span = Span::of(&Place::current(), SpanKind::Client, "acquirer");
        let verdict = if is_check {
            self.check(&order).await
        } else {
            self.send(&order).await
        };
        histogram!("paymesh_attempt_duration_seconds", "outcome" => word(&verdict))
            .record(began.elapsed());
        span.word("outcome", word(&verdict));
        if verdict.is_err() {
            span.failed();
        }
        drop(span);
        let attempt_id = order.attempt_id.bytes();
        Ok(match verdict {
            Ok(Verdict::Approved { reference }) => Effect::Approved(AttemptApproved {
                attempt_id,
                acquirer_reference: reference,
            }),
            Ok(Verdict::Declined { code, reference }) => Effect::Declined(AttemptDeclined {
                attempt_id,
                failure_code: code,
                acquirer_reference: reference.unwrap_or_default(),
            }),
            Ok(Verdict::ActionRequired { url }) => {
                Effect::ActionRequired(AttemptActionRequired { attempt_id, url })
            }
            Err(no_word) => {
                tracing::warn!(attempt = %order.attempt_id, reason = %no_word, "the outcome is unknown");
                let reason = no_word.to_string();
                let contradiction = match no_word {
                    NoWord::Contradiction(claimed) => claimed,
                    NoWord::Silent(_) => String::new(),
                };
                Effect::Unknown(AttemptUnknown {
                    attempt_id,
                    reason,
                    contradiction,
                })
            }
        })
    }
}

/// What the acquirer said, as a label.
fn word(verdict: &Result<Verdict, NoWord>) -> &'static str {
    match verdict {
        Ok(Verdict::Approved { .. }) => "approved",
        Ok(Verdict::Declined { .. }) => "declined",
        Ok(Verdict::ActionRequired { .. }) => "action_required",
        Err(NoWord::Silent(_)) => "unknown",
        Err(NoWord::Contradiction(_)) => "contradiction",
    }
}
