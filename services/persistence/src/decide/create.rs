//! Taking in a payment.

use paymesh_contracts::{
    attempt::attempt_id,
    http::{AttemptStatus, PaymentStatus},
};

use super::Decider;
use crate::{
    command::{Consumer, CreatePayment, Outcome},
    world::{AttemptRow, KeyRow, MessageRow, PaymentRow, Work},
};

impl Decider<'_> {
    /// What is known is answered; what is new has to wait until what was lost is found again.
    pub(super) fn create_while_recovering(&self, create: &CreatePayment) -> Outcome {
        match self.world.keys.get(&create.key) {
            Some(row) => seen_before(row, create),
            None => Outcome::Recovering,
        }
    }

    /// A lost payment is made again as it was; its attempt then meets the charge.
    pub(super) fn adopt(&mut self, create: &CreatePayment) -> Outcome {
        if self.world.tenants.contains_key(&create.key.0) {
            self.create(create)
        } else {
            Outcome::NotFound
        }
    }

    pub(super) fn create(&mut self, create: &CreatePayment) -> Outcome {
        if let Some(row) = self.world.keys.get(&create.key) {
            return seen_before(row, create);
        }
        let first = AttemptRow {
            id: attempt_id(create.key.0, &create.key.1, 1),
            number: 1,
            status: AttemptStatus::Pending,
            acquirer_reference: None,
            failure_code: None,
            checks: 0,
        };
        let message = MessageRow {
            consumer: Consumer::Attempts,
            payment_id: create.payment_id,
            work: Work::SendAttempt(first.id),
            try_number: 1,
            available_at_ms: self.world.now_ms,
        };
        let payment = PaymentRow {
            key: create.key.clone(),
            amount: create.amount,
            payment_method: create.payment_method.clone(),
            reference: create.reference.clone(),
            status: PaymentStatus::Processing,
            failure_code: None,
            created_at_ms: self.world.now_ms,
            updated_at_ms: self.world.now_ms,
            attempts: vec![first],
        };
        let key = KeyRow {
            fingerprint: create.fingerprint,
            request_id: create.request_id,
            payment_id: create.payment_id,
            answer: None,
            is_committed: false,
        };
        self.world.keys.insert(create.key.clone(), key);
        self.world.payments.insert(create.payment_id, payment);
        self.changes.new_keys.insert(create.key.clone());
        self.changes.new_payments.push(create.payment_id);
        let message_id = self.message_id();
        self.changes.messages.push((message_id, message));
        Outcome::Created {
            payment_id: create.payment_id,
            answer: None,
        }
    }
}

fn seen_before(row: &KeyRow, create: &CreatePayment) -> Outcome {
    let (payment_id, answer) = (row.payment_id, row.answer.clone());
    if row.fingerprint != create.fingerprint {
        Outcome::ChangedBody
    } else if row.request_id == create.request_id {
        Outcome::Created { payment_id, answer }
    } else if row.is_committed {
        Outcome::Replayed { payment_id, answer }
    } else {
        Outcome::InFlight
    }
}
