//! Recording what came of a message.

use std::collections::BTreeMap;

use paymesh_contracts::{AttemptId, MessageId, PaymentId, event::Event, http::AttemptStatus};

use super::Decider;
use crate::{
    command::{Complete, Consumer, Effect, Outcome},
    ledger::{AccountId, OverLimit, postings_of_charge},
    state::{Step, Word, attempt_step, payment_status},
    world::{DeliveryRow, EventRow, MessageRow, MismatchRow, Work, partition_of},
};

/// How often a merchant is told before we give up: with the delays below, about three days.
pub(super) const WEBHOOK_TRIES_MAX: i32 = 16;

/// When an attempt without an answer is looked at again, after `checks` looks: 1 s, 2 s, 4 s, ...
/// 60 s.
pub(super) fn check_delay_ms(checks: i32) -> i64 {
    (1_000_i64 << checks.clamp(0, 6)).min(60_000)
}

/// When a merchant who could not be told is told again: 5 s, doubling up to 6 hours.
pub(super) fn webhook_delay_ms(tries: i32) -> i64 {
    (5_000_i64 << tries.clamp(0, 20)).min(6 * 3_600_000)
}

impl Decider<'_> {
    pub(super) fn complete(&mut self, complete: &Complete) -> Outcome {
        let Some(message) = self.world.messages.get(&complete.message_id).cloned() else {
            return Outcome::NotFound;
        };
        if self.world.completed.contains(&complete.message_id) && !self.defects.inbox_off {
            return Outcome::Already;
        }
        // The lease of this message's own partition: the right to another one is none.
        let place = (message.consumer, partition_of(message.payment_id));
        if place != (complete.lease.consumer, complete.lease.partition)
            || self.world.epochs.get(&place) != Some(&complete.lease.epoch)
        {
            return Outcome::Fenced;
        }
        let outcome = match (message.work, &complete.effect) {
            (Work::SendAttempt(sent) | Work::CheckAttempt(sent), effect) => {
                self.attempt(message.payment_id, sent, effect)
            }
            (
                Work::DeliverWebhook(..),
                Effect::WebhookTried {
                    delivered,
                    status,
                    error,
                    is_removed,
                },
            ) => {
                self.changes.deliveries.push(DeliveryRow {
                    message_id: complete.message_id,
                    delivered: *delivered,
                    status: *status,
                    error: error.clone(),
                });
                if !delivered && !is_removed && !self.defects.webhook_dropped {
                    self.deliver_again(&message);
                }
                Outcome::Applied
            }
            (Work::DeliverWebhook(..), _) => Outcome::Misplaced,
        };
        if outcome == Outcome::Applied {
            self.done(complete.message_id, message, complete.lease.epoch);
        }
        outcome
    }

    fn done(&mut self, message_id: MessageId, message: MessageRow, epoch: i64) {
        if self.world.completed.insert(message_id) {
            self.changes.completed.push((message_id, message, epoch));
        }
    }

    fn deliver_again(&mut self, message: &MessageRow) {
        if message.try_number >= WEBHOOK_TRIES_MAX {
            return;
        }
        let again = MessageRow {
            try_number: message.try_number + 1,
            available_at_ms: self.world.now_ms + webhook_delay_ms(message.try_number - 1),
            ..message.clone()
        };
        let message_id = self.message_id();
        self.changes.messages.push((message_id, again));
    }

    fn attempt(&mut self, payment_id: PaymentId, sent: AttemptId, effect: &Effect) -> Outcome {
        let (attempt_id, word, reference, failure) = match effect {
            Effect::Approved {
                attempt_id,
                acquirer_reference,
            } => (
                *attempt_id,
                Word::Approved,
                Some(acquirer_reference.clone()),
                None,
            ),
            Effect::Declined {
                attempt_id,
                failure_code,
                acquirer_reference,
            } => (
                *attempt_id,
                Word::Declined,
                acquirer_reference.clone(),
                Some(failure_code.clone()),
            ),
            Effect::Unknown { attempt_id, .. } => (*attempt_id, Word::Nothing, None, None),
            Effect::WebhookTried { .. } => return Outcome::Misplaced,
        };
        let now_ms = self.world.now_ms;
        let Some(payment) = self.world.payments.get(&payment_id) else {
            return Outcome::NotFound;
        };
        let Some(attempt) = payment
            .attempts
            .iter()
            .find(|attempt| attempt.id == attempt_id && attempt_id == sent)
        else {
            return Outcome::Misplaced;
        };
        let from = attempt.status;
        let status = match attempt_step(from, word) {
            Step::Stays => from,
            Step::Contradiction => {
                self.changes.mismatches.push(MismatchRow {
                    attempt_id,
                    recorded: from,
                    claimed: if word == Word::Approved {
                        AttemptStatus::Approved.word().to_owned()
                    } else {
                        AttemptStatus::Declined.word().to_owned()
                    },
                });
                return Outcome::Applied;
            }
            Step::To(status) => status,
        };
        if status == from && from.is_final() {
            return Outcome::Applied;
        }
        if status == AttemptStatus::Approved
            && let Err(refusal) = self.book(payment_id, attempt_id)
        {
            return refusal;
        }
        if let Effect::Unknown {
            contradiction: Some(claimed),
            ..
        } = effect
        {
            self.changes.mismatches.push(MismatchRow {
                attempt_id,
                recorded: from,
                claimed: claimed.clone(),
            });
        }
        let payment = self
            .world
            .payments
            .get_mut(&payment_id)
            .expect("found above");
        let attempt = payment
            .attempts
            .iter_mut()
            .find(|attempt| attempt.id == attempt_id)
            .expect("found above");
        attempt.status = status;
        attempt.acquirer_reference = reference;
        attempt.failure_code.clone_from(&failure);
        let checks = attempt.checks;
        if word == Word::Nothing {
            attempt.checks += 1;
        }
        self.changes.attempts.insert(attempt_id, payment_id);
        if status.is_final() {
            payment.status = payment_status(status);
            payment.failure_code = failure;
            payment.updated_at_ms = now_ms;
            self.changes.payments.insert(payment_id);
            self.end(payment_id);
            return Outcome::Applied;
        }
        let check = MessageRow {
            consumer: Consumer::Attempts,
            payment_id,
            work: Work::CheckAttempt(attempt_id),
            try_number: checks + 1,
            available_at_ms: now_ms + check_delay_ms(checks),
        };
        let message_id = self.message_id();
        self.changes.messages.push((message_id, check));
        Outcome::Applied
    }

    /// Books what a successful attempt moved, all of it or nothing: beyond a limit, or when the
    /// merchant's terms or accounts are not there.
    fn book(&mut self, payment_id: PaymentId, attempt_id: AttemptId) -> Result<(), Outcome> {
        let payment = &self.world.payments[&payment_id];
        let tenant_id = payment.key.0;
        let terms = self
            .world
            .tenants
            .get(&tenant_id)
            .ok_or(Outcome::NotFound)?;
        let postings = postings_of_charge(
            tenant_id,
            payment_id,
            attempt_id,
            payment.amount,
            terms.fee_basis_points,
        );
        let mut net: BTreeMap<AccountId, i64> = BTreeMap::new();
        for posting in &postings {
            *net.entry(posting.debit).or_default() -= posting.amount.amount_minor;
            *net.entry(posting.credit).or_default() += posting.amount.amount_minor;
        }
        let after = net
            .iter()
            .map(|(account, change)| {
                let balance = self.world.balances.get(account).ok_or(Outcome::NotFound)?;
                let after = balance
                    .changed(*change)
                    .map_err(|OverLimit| Outcome::OverLimit)?;
                Ok((*account, after))
            })
            .collect::<Result<Vec<_>, Outcome>>()?;
        self.world.balances.extend(after);
        for (account, change) in net {
            *self.changes.balances.entry(account).or_default() += change;
        }
        self.changes.postings.extend(postings);
        Ok(())
    }

    /// Makes the answer of a payment that came to its end final, and tells its owner.
    fn end(&mut self, payment_id: PaymentId) {
        let payment = &self.world.payments[&payment_id];
        let tenant_id = payment.key.0;
        let endpoints = self
            .world
            .tenants
            .get(&tenant_id)
            .map(|terms| terms.endpoints.clone())
            .unwrap_or_default();
        let (shown, answer) = (payment.shown(payment_id), payment.answer(payment_id));
        if let Some(row) = self.world.keys.get_mut(&payment.key) {
            let is_new = row.answer.is_none();
            let answer = row.answer.get_or_insert(answer).clone();
            if is_new {
                self.changes.answers.insert(payment.key.clone());
            }
            self.changes.ended.push((payment_id, answer));
        }
        let event = Event::of(self.event_id(), shown);
        self.changes.events.push(EventRow {
            id: event.id,
            tenant_id,
            payment_id,
            kind: event.kind.clone(),
            body: serde_json::to_vec(&event).expect("an event is plain data"),
        });
        for endpoint in endpoints {
            let message = MessageRow {
                consumer: Consumer::Webhooks,
                payment_id,
                work: Work::DeliverWebhook(event.id, endpoint),
                try_number: 1,
                available_at_ms: self.world.now_ms,
            };
            let message_id = self.message_id();
            self.changes.messages.push((message_id, message));
        }
    }
}
