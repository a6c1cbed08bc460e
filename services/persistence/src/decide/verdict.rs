//! What the acquirer said of an attempt, or that it said nothing.

use paymesh_contracts::{
    AttemptId, PaymentId,
    event::Event,
    http::{AttemptKind, AttemptStatus},
};

use super::Decider;
use crate::{
    command::{Effect, Outcome},
    ledger::{Booking, Cause, Posting},
    payment::{AttemptRow, PaymentRow},
    state::{Step, Word, attempt_step},
    world::{EventRow, MismatchRow, Settled, Work},
};

/// When an attempt without an answer is looked at again, after `checks` looks: 1 s, 2 s, 4 s, ...
/// 60 s.
pub(super) fn check_delay_ms(checks: i32) -> i64 {
    (1_000_i64 << checks.clamp(0, 6)).min(60_000)
}

/// What an effect says of an attempt.
struct Said {
    attempt_id: AttemptId,
    word: Word,
    reference: Option<String>,
    failure: Option<String>,
    action_url: Option<String>,
    contradiction: Option<String>,
}

impl Said {
    fn of(effect: &Effect) -> Option<Self> {
        let said = |attempt_id, word| Self {
            attempt_id,
            word,
            reference: None,
            failure: None,
            action_url: None,
            contradiction: None,
        };
        match effect.clone() {
            Effect::Approved {
                attempt_id,
                acquirer_reference,
            } => Some(Self {
                reference: Some(acquirer_reference),
                ..said(attempt_id, Word::Approved)
            }),
            Effect::Declined {
                attempt_id,
                failure_code,
                acquirer_reference,
            } => Some(Self {
                reference: acquirer_reference,
                failure: Some(failure_code),
                ..said(attempt_id, Word::Declined)
            }),
            Effect::Unknown {
                attempt_id,
                contradiction,
            } => Some(Self {
                contradiction,
                ..said(attempt_id, Word::Nothing)
            }),
            Effect::ActionRequired { attempt_id, url } => Some(Self {
                action_url: Some(url),
                ..said(attempt_id, Word::ActionRequired)
            }),
            Effect::WebhookTried { .. } | Effect::Expired | Effect::CannotHandle { .. } => None,
        }
    }
}

impl Decider<'_> {
    /// Takes the acquirer's word about the attempt that `sent` names.
    pub(super) fn verdict(
        &mut self,
        payment_id: PaymentId,
        sent: AttemptId,
        effect: &Effect,
    ) -> Outcome {
        let Some(said) = Said::of(effect).filter(|said| said.attempt_id == sent) else {
            return Outcome::Misplaced;
        };
        let Some(payment) = self.world.payments.get(&payment_id) else {
            return Outcome::NotFound;
        };
        let Some(before) = payment.attempt(sent).cloned() else {
            return Outcome::Misplaced;
        };
        let status = match attempt_step(before.status, said.word) {
            Step::To(status) => status,
            Step::Stays if !before.status.is_open() => return Outcome::Applied,
            Step::Stays => before.status,
            Step::Contradiction => {
                let claimed = match said.word {
                    Word::Approved => AttemptStatus::Approved,
                    Word::ActionRequired => AttemptStatus::RequiresAction,
                    Word::Declined | Word::Nothing => AttemptStatus::Declined,
                };
                self.note(before.id, before.status.word(), claimed.word());
                return Outcome::Applied;
            }
        };
        let after = AttemptRow {
            status,
            acquirer_reference: said.reference,
            failure_code: said.failure,
            action_url: said.action_url.or_else(|| before.action_url.clone()),
            checks: before.checks + i32::from(said.word == Word::Nothing),
            ..before.clone()
        };
        if let Err(refusal) = self.take(payment_id, &after) {
            return refusal;
        }
        if let Some(claimed) = said.contradiction {
            self.note(before.id, before.status.word(), &claimed);
        }
        if status.is_open() {
            let at_ms = self.world.now_ms + check_delay_ms(before.checks);
            self.leave(payment_id, Work::check(&after), after.checks, at_ms);
        } else {
            if status == AttemptStatus::Approved
                && let Err(refusal) = self.follow(payment_id, &after)
            {
                return refusal;
            }
            self.settled(payment_id, &after);
            // A customer who was not done yet is no news.
            let is_told = status == AttemptStatus::RequiresAction && before.action_url.is_some();
            if !is_told {
                self.tell(payment_id, &after);
            }
        }
        Outcome::Applied
    }

    /// Keeps what the acquirer says against what it had said, for a person.
    pub(super) fn note(&mut self, attempt_id: AttemptId, recorded: &str, claimed: &str) {
        self.changes.mismatches.push(MismatchRow {
            attempt_id,
            recorded: recorded.to_owned(),
            claimed: claimed.to_owned(),
        });
    }

    /// Puts an attempt in its place and books what it moved. A payment that waits for an answer
    /// does not change by waiting.
    fn take(&mut self, payment_id: PaymentId, attempt: &AttemptRow) -> Result<(), Outcome> {
        let mut payment = self.world.payments[&payment_id].clone();
        for known in &mut payment.attempts {
            if known.id == attempt.id {
                known.clone_from(attempt);
            }
        }
        if attempt.status.is_open() {
            self.world.payments.insert(payment_id, payment);
        } else {
            let postings = self.postings(payment_id, &payment, attempt)?;
            self.change(payment_id, payment, postings)?;
        }
        self.changes.attempts.insert(attempt.id, payment_id);
        Ok(())
    }

    /// What an attempt moved.
    fn postings(
        &self,
        payment_id: PaymentId,
        payment: &PaymentRow,
        attempt: &AttemptRow,
    ) -> Result<Vec<Posting>, Outcome> {
        if attempt.status != AttemptStatus::Approved {
            return Ok(Vec::new());
        }
        let shown = attempt.shown(payment.amount);
        let booking = Booking {
            tenant_id: payment.key.0,
            payment_id,
            cause: Cause::Attempt(attempt.id),
            amount: shown.amount.unwrap_or(payment.amount),
        };
        Ok(match attempt.kind {
            AttemptKind::Charge | AttemptKind::Capture => {
                let terms = self.world.tenants.get(&payment.key.0);
                booking.charge(terms.ok_or(Outcome::NotFound)?.fee_basis_points)
            }
            AttemptKind::Refund if self.defects.refund_unbooked => Vec::new(),
            AttemptKind::Refund => vec![booking.refund()],
            AttemptKind::Authorize
            | AttemptKind::Void
            | AttemptKind::Contest
            | AttemptKind::Accept => Vec::new(),
        })
    }

    /// Makes the answer to the request that wanted an attempt final, and wakes who waits for it.
    fn settled(&mut self, payment_id: PaymentId, attempt: &AttemptRow) {
        let payment = &self.world.payments[&payment_id];
        let tenant_id = payment.key.0;
        let answer = payment.answer(payment_id, &attempt.key);
        let key = (tenant_id, attempt.key.clone());
        if let Some(row) = self.world.keys.get_mut(&key) {
            let is_new = row.answer.is_none();
            let answer = row.answer.get_or_insert(answer).clone();
            if is_new {
                self.changes.answers.insert(key);
            }
            self.changes.settled.push(Settled {
                attempt_id: attempt.id,
                payment_id: (attempt.number == 1).then_some(payment_id),
                answer,
            });
        }
    }

    /// Tells the merchant what came of an attempt.
    fn tell(&mut self, payment_id: PaymentId, attempt: &AttemptRow) {
        let shown = self.world.payments[&payment_id].shown(payment_id);
        let event = Event::of(self.event_id(), &attempt.shown(shown.amount), shown);
        self.send(payment_id, &event);
    }

    /// Keeps an event and has it sent to every endpoint of its merchant.
    pub(super) fn send(&mut self, payment_id: PaymentId, event: &Event) {
        let tenant_id = self.world.payments[&payment_id].key.0;
        let terms = self.world.tenants.get(&tenant_id);
        let endpoints = terms.map_or_else(Vec::new, |terms| terms.endpoints.clone());
        self.changes.events.push(EventRow {
            id: event.id,
            tenant_id,
            payment_id,
            kind: event.kind.clone(),
            body: serde_json::to_vec(event).expect("an event is plain data"),
        });
        for endpoint in endpoints {
            let work = Work::DeliverWebhook(event.id, endpoint);
            self.leave(payment_id, work, 1, self.world.now_ms);
        }
    }
}
