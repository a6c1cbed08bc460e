//! What a command does, decided on rows in memory: no IO, no clock, no chance but the ids.
//!
//! Commands of a group are decided one after the other, each seeing what those before it did.

mod complete;
mod create;

#[cfg(test)]
mod model;

use paymesh_contracts::{EventId, MessageId};
use uuid::Uuid;

use crate::{
    command::{Command, Key, Outcome},
    defect::Defects,
    world::{Changes, World},
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
            Command::CreatePayment(create) if self.world.is_recovered => self.create(create),
            Command::CreatePayment(create) => self.create_while_recovering(create),
            Command::Adopt(create) => self.adopt(create),
            Command::SettleAnswer(key) => self.settle(key),
            Command::Complete(complete) => self.complete(complete),
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
            payment.answer(row.payment_id)
        });
        Outcome::Settled(answer.clone())
    }

    fn message_id(&mut self) -> MessageId {
        MessageId(self.ids.fresh())
    }

    fn event_id(&mut self) -> EventId {
        EventId(self.ids.fresh())
    }
}
