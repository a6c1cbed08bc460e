//! What a command does, decided on rows in memory: no IO, no clock, no chance but the ids.
//!
//! Commands of a group are decided one after the other, each seeing what those before it did.

mod act;
mod change;
mod complete;
mod create;
mod dispute;
mod keyed;
mod park;
mod verdict;

#[cfg(test)]
mod model;

pub(crate) use complete::WEBHOOK_TRIES_MAX;
use paymesh_contracts::{EventId, MessageId, PaymentId};
use uuid::Uuid;

use crate::{
    command::{Command, Consumer, Key, Outcome},
    defect::Defects,
    world::{Changes, MessageRow, Work, World, telling},
};

/// Where fresh ids come from.
pub trait Ids {
    /// An id that nothing else has.
    fn fresh(&mut self) -> Uuid;
}

/// Ids that sort by the time they were drawn at, which keeps indexes dense.
#[derive(Debug, Default)]
pub struct TimeOrderedIds;

impl Ids for TimeOrderedIds {
    fn fresh(&mut self) -> Uuid {
        Uuid::now_v7()
    }
}

/// A group being decided.
pub struct Decider<'a> {
    /// The rows.
    pub world: &'a mut World,
    /// What changes.
    pub changes: &'a mut Changes,
    /// Fresh ids.
    pub ids: &'a mut dyn Ids,
    /// Defects put in on purpose.
    pub defects: Defects,
}

impl Decider<'_> {
    /// Decides one command.
    pub fn decide(&mut self, command: &Command) -> Outcome {
        match command {
            Command::CreatePayment(create) => self
                .seen_before(&create.request)
                .unwrap_or_else(|| self.create(create)),
            Command::Adopt(create) => self.adopt(create),
            Command::Act(act) => self
                .seen_before(&act.request)
                .unwrap_or_else(|| self.act(act)),
            Command::AdoptAct(act) => self.adopt_act(act),
            Command::Confirm(tenant_id, payment_id) => self.confirm(*tenant_id, *payment_id),
            Command::SettleAnswer(key) => self.settle(key),
            Command::Complete(complete) => self.complete(complete),
            Command::Hear(notice) => self.hear(notice).err().unwrap_or(Outcome::Applied),
        }
    }

    fn settle(&mut self, key: &Key) -> Outcome {
        let Some(row) = self.world.keys.get_mut(key) else {
            return Outcome::NotFound;
        };
        let Some(payment) = self.world.payments.get(&row.payment_id) else {
            return Outcome::NotFound;
        };
        let answer = row.answer.get_or_insert_with(|| {
            self.changes.answers.insert(key.clone());
            payment.answer(row.payment_id, &key.1)
        });
        Outcome::Settled(answer.clone())
    }

    /// Leaves a message about a payment for payment-processor.
    fn leave(&mut self, payment_id: PaymentId, work: Work, try_number: i32, available_at_ms: i64) {
        let consumer = match work {
            Work::DeliverWebhook(..) => Consumer::Webhooks,
            _ => Consumer::Attempts,
        };
        let message = MessageRow {
            consumer,
            payment_id,
            work,
            try_number,
            available_at_ms,
            failures: 0,
        };
        let drawn = self.ids.fresh();
        let message_id = match work {
            Work::DeliverWebhook(event_id, _) => telling(event_id, drawn),
            _ => MessageId(drawn),
        };
        self.changes.messages.push((message_id, message));
    }

    fn event_id(&mut self) -> EventId {
        EventId(self.ids.fresh())
    }
}
