//! Recording what came of a message.

use paymesh_contracts::MessageId;

use super::Decider;
use crate::{
    command::{Complete, Effect, Lease, Outcome},
    world::{DeliveryRow, MessageRow, Work, partition_of},
};

/// How often a merchant is told before we give up: with the delays below, 71 hours, which we call three days.
pub(crate) const WEBHOOK_TRIES_MAX: i32 = 24;

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
        if !self.may_complete(&message, complete) {
            return Outcome::Fenced;
        }
        if let Effect::CannotHandle { reason } = &complete.effect {
            return self.set_back(complete.message_id, reason);
        }
        let outcome = match (message.work, &complete.effect) {
            (Work::Expire, Effect::Expired) => self.expire(message.payment_id),
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
            (work, effect) => match work.attempt() {
                Some(sent) => self.verdict(message.payment_id, sent, effect),
                None => Outcome::Misplaced,
            },
        };
        if outcome == Outcome::Applied {
            self.done(complete.message_id, message, complete.lease.epoch);
        }
        outcome
    }

    fn may_complete(&self, message: &MessageRow, complete: &Complete) -> bool {
        let lease = &complete.lease;
        // The lease of this message's own partition: the right to another one is none.
        let place = (message.consumer, partition_of(message.payment_id));
        let Some(&held) = self.world.epochs.get(&place) else {
            return false;
        };
        if place != (lease.consumer, lease.partition) || lease.epoch > held {
            return false;
        }
        // What was claimed from a relay and is done stays done when another relay takes over: the
        // inbox takes one end of a message, whoever brings it. What is not done is left to whoever
        // claims it next, and a promotion ends everything.
        let outlives_takeover = complete.is_claimed
            && Lease::is_of_one_ledger_epoch(lease.epoch, held)
            && !matches!(complete.effect, Effect::CannotHandle { .. });
        lease.epoch == held || outlives_takeover
    }

    fn done(&mut self, message_id: MessageId, message: MessageRow, epoch: i64) {
        if self.world.completed.insert(message_id) {
            // What one could not handle another one did.
            let setbacks = &mut self.changes.setbacks;
            setbacks.retain(|setback| setback.message_id != message_id);
            self.changes.completed.push((message_id, message, epoch));
        }
    }

    fn deliver_again(&mut self, message: &MessageRow) {
        if message.try_number >= WEBHOOK_TRIES_MAX {
            return;
        }
        let tries = message.try_number;
        let at_ms = self.world.now_ms + webhook_delay_ms(tries - 1);
        self.leave(message.payment_id, message.work, tries + 1, at_ms);
    }
}
