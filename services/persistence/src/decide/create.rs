//! Taking in a payment.

use paymesh_contracts::{
    attempt::attempt_id,
    http::{AttemptKind, AttemptStatus, CaptureMethod, PaymentStatus},
};

use super::Decider;
use crate::{
    command::{CreatePayment, Outcome},
    payment::{AttemptRow, PaymentRow},
    world::Work,
};

impl Decider<'_> {
    /// A lost payment is made again as it was; its attempt then meets the charge.
    pub(super) fn adopt(&mut self, create: &CreatePayment) -> Outcome {
        if !self.world.tenants.contains_key(&create.request.key.0) {
            return Outcome::NotFound;
        }
        self.known(&create.request)
            .unwrap_or_else(|| self.create(create))
    }

    pub(super) fn create(&mut self, create: &CreatePayment) -> Outcome {
        let (tenant_id, key) = &create.request.key;
        let first = AttemptRow {
            id: attempt_id(*tenant_id, key, 1),
            number: 1,
            kind: match create.capture {
                CaptureMethod::Automatic => AttemptKind::Charge,
                CaptureMethod::Manual => AttemptKind::Authorize,
            },
            amount_minor: create.amount.amount_minor,
            key: key.clone(),
            status: AttemptStatus::Pending,
            acquirer_reference: None,
            failure_code: None,
            action_url: None,
            checks: 0,
            dispute: None,
            explanation: None,
        };
        let now_ms = self.world.now_ms;
        let work = Work::send(&first);
        self.changes
            .new_attempts
            .push((first.id, create.payment_id));
        let payment = PaymentRow {
            key: create.request.key.clone(),
            amount: create.amount,
            payment_method: create.payment_method.clone(),
            reference: create.reference.clone(),
            status: PaymentStatus::Processing,
            failure_code: None,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            capture: create.capture,
            expires_at_ms: None,
            attempts: vec![first],
            disputes: Vec::new(),
        };
        self.world.payments.insert(create.payment_id, payment);
        self.changes.new_payments.push(create.payment_id);
        self.leave(create.payment_id, work, 1, now_ms);
        self.remember(&create.request, create.payment_id)
    }
}
