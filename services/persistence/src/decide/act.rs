//! Capturing, letting go, giving back, and answering disputes.
//!
//! Each is an attempt of its own, under an id that follows from the request's key. What may be
//! asked is decided on the locked payment, with everything counted that is on its way: refunds
//! that come at once never exceed what was taken.

use paymesh_contracts::{
    Money, PaymentId, TenantId,
    attempt::attempt_id,
    dispute::DisputeStatus,
    http::{AttemptKind, AttemptStatus, PaymentStatus},
};

use super::Decider;
use crate::{
    command::{Act, DisputeName, Outcome},
    payment::{AttemptRow, PaymentRow},
    world::Work,
};

/// Which attempt under the key of its payment lets go what expired: the first made the payment.
const EXPIRY: u32 = 2;
/// When a payment is looked at again whose capture was on its way when its time was over.
const LOOK_AGAIN_MS: i64 = 60_000;

impl Decider<'_> {
    pub(super) fn act(&mut self, act: &Act) -> Outcome {
        let Some(payment) = self.payment_of(act) else {
            return Outcome::NotFound;
        };
        match allowed_minor(payment, act) {
            Ok(amount_minor) => self.ask(act, amount_minor),
            Err(refusal) => refusal,
        }
    }

    /// What the acquirer did is not decided again: whether it may be done was decided before it was
    /// lost, and the attempts that say so may be on their way still.
    pub(super) fn adopt_act(&mut self, act: &Act) -> Outcome {
        if let Some(known) = self.known(&act.request) {
            return known;
        }
        match (self.payment_of(act), act.amount) {
            (Some(payment), Some(amount)) if amount.currency == payment.amount.currency => {
                self.ask(act, amount.amount_minor)
            }
            _ => Outcome::NotFound,
        }
    }

    fn payment_of(&self, act: &Act) -> Option<&PaymentRow> {
        let payment = self.world.payments.get(&act.payment_id)?;
        (payment.key.0 == act.request.key.0).then_some(payment)
    }

    fn ask(&mut self, act: &Act, amount_minor: i64) -> Outcome {
        let key = &act.request.key;
        let id = attempt_id(key.0, &key.1, 1);
        let dispute = self
            .payment_of(act)
            .and_then(|payment| answered(payment, act));
        let explanation = act.answer.as_ref().and_then(|one| one.explanation.clone());
        if let Err(refusal) = self.add(act.payment_id, |payment| AttemptRow {
            id,
            kind: act.kind,
            amount_minor,
            key: key.1.clone(),
            dispute: dispute.clone(),
            explanation: explanation.clone(),
            ..next_attempt(payment)
        }) {
            return refusal;
        }
        self.remember(&act.request, act.payment_id)
    }

    /// Adds an attempt and has it sent.
    fn add(
        &mut self,
        payment_id: PaymentId,
        attempt: impl Fn(&PaymentRow) -> AttemptRow,
    ) -> Result<(), Outcome> {
        let mut payment = self.world.payments[&payment_id].clone();
        let attempt = attempt(&payment);
        let (id, work) = (attempt.id, Work::send(&attempt));
        payment.attempts.push(attempt);
        self.change(payment_id, payment, Vec::new())?;
        self.changes.new_attempts.push((id, payment_id));
        self.leave(payment_id, work, 1, self.world.now_ms);
        Ok(())
    }

    /// The customer says, by way of the merchant, that they did what was required. Whether they did
    /// is the acquirer's word. Asking it twice does no harm, so there is no key.
    pub(super) fn confirm(&mut self, tenant_id: TenantId, payment_id: PaymentId) -> Outcome {
        let Some(payment) = self.world.payments.get(&payment_id) else {
            return Outcome::NotFound;
        };
        if payment.key.0 != tenant_id {
            return Outcome::NotFound;
        }
        let first = payment.attempts[0].clone();
        if payment.status == PaymentStatus::RequiresAction {
            let mut payment = payment.clone();
            payment.attempts[0].status = AttemptStatus::Pending;
            if let Err(refusal) = self.change(payment_id, payment, Vec::new()) {
                return refusal;
            }
            self.changes.attempts.insert(first.id, payment_id);
            let work = Work::check(&first);
            self.leave(payment_id, work, first.checks + 1, self.world.now_ms);
        }
        Outcome::Confirmed(first.id)
    }

    /// The time for what a payment requires may be over: then what is reserved is let go. After a
    /// promotion every message is due, so the payment's own time counts.
    pub(super) fn expire(&mut self, payment_id: PaymentId) -> Outcome {
        let Some(payment) = self.world.payments.get(&payment_id) else {
            return Outcome::NotFound;
        };
        let Some(expires_at_ms) = payment.expires_at_ms else {
            return Outcome::Applied;
        };
        let now_ms = self.world.now_ms;
        let is_asked_already = payment.status == PaymentStatus::Processing;
        if is_asked_already || expires_at_ms > now_ms {
            let at_ms = expires_at_ms.max(now_ms + LOOK_AGAIN_MS);
            self.leave(payment_id, Work::Expire, 1, at_ms);
            return Outcome::Applied;
        }
        let id = attempt_id(payment.key.0, &payment.key.1, EXPIRY);
        if payment.attempt(id).is_some() {
            return Outcome::Applied;
        }
        let added = self.add(payment_id, |payment| AttemptRow {
            id,
            kind: AttemptKind::Void,
            ..next_attempt(payment)
        });
        added.err().unwrap_or(Outcome::Applied)
    }
}

/// An attempt that follows those of a payment.
fn next_attempt(payment: &PaymentRow) -> AttemptRow {
    AttemptRow {
        number: payment
            .attempts
            .iter()
            .map(|one| one.number)
            .max()
            .unwrap_or(0)
            + 1,
        amount_minor: payment.amount.amount_minor,
        key: payment.key.1.clone(),
        status: AttemptStatus::Pending,
        acquirer_reference: None,
        failure_code: None,
        action_url: None,
        checks: 0,
        ..payment.attempts[0].clone()
    }
}

/// How much is to be asked for, if it may be asked now.
fn allowed_minor(payment: &PaymentRow, act: &Act) -> Result<i64, Outcome> {
    use PaymentStatus::{RequiresAction, RequiresCapture, Succeeded};
    let left_minor = match (act.kind, payment.status) {
        (AttemptKind::Capture, RequiresCapture) => payment.reserved_minor(),
        (AttemptKind::Void, RequiresCapture | RequiresAction) => payment.amount.amount_minor,
        // What a customer took back by way of their bank is not given back a second time.
        (AttemptKind::Refund, Succeeded) => {
            let back_minor = payment.refunded_minor() + payment.refunding_minor();
            payment.captured_minor() - back_minor - payment.disputed_minor()
        }
        (AttemptKind::Contest | AttemptKind::Accept, _) => return answerable_minor(payment, act),
        _ => return Err(Outcome::WrongState),
    };
    let left = Money::new(left_minor, payment.amount.currency);
    let amount = act.amount.unwrap_or(left);
    let fits = amount.currency == left.currency && (1..=left_minor).contains(&amount.amount_minor);
    if fits {
        Ok(amount.amount_minor)
    } else {
        Err(Outcome::TooMuch)
    }
}

/// How much the dispute is about that an act answers, if it can be answered now.
fn answerable_minor(payment: &PaymentRow, act: &Act) -> Result<i64, Outcome> {
    let reference = answered(payment, act).ok_or(Outcome::NotFound)?;
    let mut disputes = payment.disputes.iter();
    let dispute = disputes
        .find(|dispute| dispute.reference == reference)
        .ok_or(Outcome::NotFound)?;
    let mut attempts = payment.attempts.iter();
    let is_answered =
        attempts.any(|one| one.dispute.as_ref() == Some(&reference) && one.status.is_open());
    if dispute.status == DisputeStatus::NeedsResponse && !is_answered {
        Ok(dispute.amount_minor)
    } else {
        Err(Outcome::WrongState)
    }
}

/// The dispute that an act answers, as the acquirer calls it.
fn answered(payment: &PaymentRow, act: &Act) -> Option<String> {
    match &act.answer.as_ref()?.dispute {
        DisputeName::Id(id) => Some(payment.dispute(*id)?.reference.clone()),
        DisputeName::Reference(reference) => Some(reference.clone()),
    }
}
