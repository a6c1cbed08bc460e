//! Attempts: send, or find out what became of one that was sent.

use std::sync::Arc;

use async_trait::async_trait;
use paymesh_contracts::{
    AttemptId,
    persistence::{
        AttemptApproved, AttemptDeclined, AttemptUnknown, SendAttempt, complete_request::Effect,
        message::Work,
    },
};

use crate::{
    acquirer::{Acquirer, Charge, NoWord, Verdict},
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
        let defect = std::env::var("PAYMESH_DEFECT").unwrap_or_default();
        Self {
            acquirer,
            regenerate_ids: cfg!(debug_assertions) && defect == "attempt-id-regenerated",
        }
    }

    async fn send(&self, charge: &Charge) -> Result<Verdict, NoWord> {
        if !self.regenerate_ids {
            return self.acquirer.charge(charge).await;
        }
        let attempt_id = AttemptId(uuid::Uuid::new_v4());
        self.acquirer
            .charge(&Charge {
                attempt_id,
                ..charge.clone()
            })
            .await
    }

    /// Asks first; what the acquirer never heard of is sent again, under the same id.
    async fn check(&self, charge: &Charge) -> Result<Verdict, NoWord> {
        match self.acquirer.find(charge).await? {
            Some(verdict) => Ok(verdict),
            None => self.send(charge).await,
        }
    }
}

fn read_charge(attempt: &SendAttempt) -> Result<Charge, Unreadable> {
    Ok(Charge {
        attempt_id: AttemptId::from_bytes(&attempt.attempt_id).map_err(|_| Unreadable)?,
        amount: attempt
            .amount
            .clone()
            .ok_or(Unreadable)?
            .try_into()
            .map_err(|_| Unreadable)?,
        payment_method: attempt.payment_method.clone(),
        origin: attempt.origin.clone().ok_or(Unreadable)?,
    })
}

#[async_trait]
impl Consumer for Attempts {
    fn name(&self) -> &'static str {
        "attempts"
    }

    async fn work(&self, work: Work) -> Result<Effect, Unreadable> {
        let (charge, verdict) = match &work {
            Work::SendAttempt(attempt) => {
                let charge = read_charge(attempt)?;
                let verdict = self.send(&charge).await;
                (charge, verdict)
            }
            Work::CheckAttempt(check) => {
                let charge = read_charge(check.attempt.as_ref().ok_or(Unreadable)?)?;
                let verdict = self.check(&charge).await;
                (charge, verdict)
            }
            Work::DeliverWebhook(_) => return Err(Unreadable),
        };
        let attempt_id = charge.attempt_id.bytes();
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
            Err(no_word) => {
                tracing::warn!(attempt = %charge.attempt_id, reason = %no_word, "the outcome is unknown");
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
