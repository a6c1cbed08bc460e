//! Disputes: what the acquirer says of them, unasked, late, again, or against its own word.
//!
//! The money of a dispute is away from its first moment: from what its merchant has, and beyond
//! that as their debt, which needs no floor because nobody asks the merchant. A dispute that is
//! heard of before its charge is booked is booked together with it; one that is won gives back to
//! where it took from.

use paymesh_contracts::{
    DisputeId, Money, PaymentId, dispute::DisputeStatus, event::Event, http::AttemptKind,
};

use super::Decider;
use crate::{
    command::{DisputeNotice, Outcome},
    ledger::{AccountId, AccountKind, Balance, Booking, Cause, Posting},
    payment::{AttemptRow, DisputeRow, PaymentRow},
    state::{DisputeStep, dispute_step},
};

impl Decider<'_> {
    /// Takes down what the acquirer says of a dispute.
    pub(super) fn hear(&mut self, notice: &DisputeNotice) -> Result<(), Outcome> {
        if !self.world.is_recovered {
            return Err(Outcome::Recovering);
        }
        let payment = self.world.payments.get(&notice.payment_id);
        let payment = payment.ok_or(Outcome::NotFound)?;
        let charge = payment.attempts[0].id;
        let id = DisputeRow::id_of(charge, &notice.reference);
        let known = payment.dispute(id).cloned();
        if let Some(recorded) = against(payment, known.as_ref(), notice) {
            let claimed = format!(
                "dispute {} {} {} {}",
                notice.reference,
                notice.status.word(),
                notice.amount.amount_minor,
                notice.amount.currency.code()
            );
            self.note(charge, &recorded, &claimed);
            return Ok(());
        }
        let before = known.unwrap_or(DisputeRow {
            id,
            reference: notice.reference.clone(),
            amount_minor: notice.amount.amount_minor,
            reason: notice.reason.clone(),
            status: DisputeStatus::NeedsResponse,
            version: i64::MIN,
            respond_by_ms: None,
            covered_minor: None,
            opened_at_ms: self.world.now_ms,
        });
        let said = (notice.status, notice.version);
        match dispute_step((before.status, before.version), said) {
            DisputeStep::To(status) => self.put_dispute(
                notice.payment_id,
                DisputeRow {
                    status,
                    version: notice.version,
                    respond_by_ms: notice.respond_by_ms.or(before.respond_by_ms),
                    ..before
                },
            ),
            DisputeStep::Late | DisputeStep::Contradiction => Ok(()),
        }
    }

    /// What follows from something that the acquirer did: a charge is booked, so its disputes are;
    /// an answer to a dispute moves it at once, before the acquirer tells of that.
    pub(super) fn follow(
        &mut self,
        payment_id: PaymentId,
        attempt: &AttemptRow,
    ) -> Result<(), Outcome> {
        let to = match attempt.kind {
            AttemptKind::Contest => DisputeStatus::UnderReview,
            AttemptKind::Accept => DisputeStatus::Lost,
            _ => return self.book_disputes(payment_id),
        };
        let mut disputes = self.world.payments[&payment_id].disputes.iter();
        let answered = disputes.find(|one| Some(&one.reference) == attempt.dispute.as_ref());
        match answered.cloned() {
            Some(dispute) if dispute.status == DisputeStatus::NeedsResponse => self.put_dispute(
                payment_id,
                DisputeRow {
                    status: to,
                    ..dispute
                },
            ),
            _ => Ok(()),
        }
    }

    /// Puts a dispute in its place, books what it moves and tells of what is news.
    fn put_dispute(&mut self, payment_id: PaymentId, after: DisputeRow) -> Result<(), Outcome> {
        let mut payment = self.world.payments[&payment_id].clone();
        let known = payment.disputes.iter_mut().find(|one| one.id == after.id);
        let before = known.as_deref().map(|one| one.status);
        let postings = match after.covered_minor {
            Some(covered_minor)
                if after.status == DisputeStatus::Won && before != Some(DisputeStatus::Won) =>
            {
                let booking = booking(&self.world.payments[&payment_id], payment_id, &after);
                booking.chargeback_reversal(covered_minor)
            }
            _ => Vec::new(),
        };
        let (id, status) = (after.id, after.status);
        match known {
            Some(known) => *known = after,
            None => payment.disputes.push(after),
        }
        self.change_disputed(payment_id, payment, id, postings)?;
        self.book_disputes(payment_id)?;
        if before.is_none() {
            self.tell_dispute(payment_id, id, true);
        }
        if before != Some(status) {
            self.tell_dispute(payment_id, id, false);
        }
        Ok(())
    }

    /// Books the disputes of a payment whose charge is booked.
    fn book_disputes(&mut self, payment_id: PaymentId) -> Result<(), Outcome> {
        let payment = &self.world.payments[&payment_id];
        if payment.captured_minor() == 0 {
            return Ok(());
        }
        let disputes = payment.disputes.iter();
        let open = disputes.filter(|dispute| dispute.covered_minor.is_none());
        for dispute in open.cloned().collect::<Vec<_>>() {
            let mut payment = self.world.payments[&payment_id].clone();
            let (tenant_id, currency) = (payment.key.0, payment.amount.currency);
            let account = |kind| AccountId::of(tenant_id, kind, currency);
            let payable = account(AccountKind::MerchantPayable);
            let balance = self.world.balances.get(&payable).ok_or(Outcome::NotFound)?;
            let covered_minor = balance.free_minor().min(dispute.amount_minor);
            let debt = account(AccountKind::MerchantDebt);
            if covered_minor < dispute.amount_minor && !self.world.balances.contains_key(&debt) {
                let kind = AccountKind::MerchantDebt;
                self.world.balances.insert(debt, Balance::new(kind));
                let opened = (tenant_id, kind, currency);
                self.changes.new_accounts.insert(opened);
            }
            let booking = booking(&payment, payment_id, &dispute);
            let mut postings = booking.chargeback(covered_minor);
            if dispute.status == DisputeStatus::Won {
                postings.extend(booking.chargeback_reversal(covered_minor));
            }
            for known in &mut payment.disputes {
                if known.id == dispute.id {
                    known.covered_minor = Some(covered_minor);
                }
            }
            self.change_disputed(payment_id, payment, dispute.id, postings)?;
        }
        Ok(())
    }

    fn change_disputed(
        &mut self,
        payment_id: PaymentId,
        payment: PaymentRow,
        id: DisputeId,
        postings: Vec<Posting>,
    ) -> Result<(), Outcome> {
        self.change(payment_id, payment, postings)?;
        self.changes.disputes.insert(id, payment_id);
        Ok(())
    }

    fn tell_dispute(&mut self, payment_id: PaymentId, id: DisputeId, is_new: bool) {
        let event_id = self.event_id();
        let payment = &self.world.payments[&payment_id];
        let Some(dispute) = payment.dispute(id) else {
            return;
        };
        let (dispute, shown) = (dispute.shown(payment.amount), payment.shown(payment_id));
        if let Some(event) = Event::of_dispute(event_id, &dispute, is_new, shown) {
            self.send(payment_id, &event);
        }
    }
}

fn booking(payment: &PaymentRow, payment_id: PaymentId, dispute: &DisputeRow) -> Booking {
    Booking {
        tenant_id: payment.key.0,
        payment_id,
        cause: Cause::Dispute(dispute.id),
        amount: Money::new(dispute.amount_minor, payment.amount.currency),
    }
}

/// What a notice cannot be true beside, if there is such a thing: then a person has to look.
fn against(
    payment: &PaymentRow,
    known: Option<&DisputeRow>,
    notice: &DisputeNotice,
) -> Option<String> {
    if notice.is_renamed {
        return Some("no dispute, as its name cannot be kept".to_owned());
    }
    let amount_minor = notice.amount.amount_minor;
    let is_same_currency = notice.amount.currency == payment.amount.currency;
    let Some(known) = known else {
        let taken_minor = match payment.captured_minor() {
            0 => payment.amount.amount_minor,
            taken_minor => taken_minor,
        };
        let left_minor = taken_minor - payment.disputed_minor();
        let is_possible = is_same_currency && (1..=left_minor).contains(&amount_minor);
        return (!is_possible).then(|| format!("payment of {left_minor} left"));
    };
    let said = (notice.status, notice.version);
    let step = dispute_step((known.status, known.version), said);
    let is_same = is_same_currency && amount_minor == known.amount_minor;
    (!is_same || step == DisputeStep::Contradiction)
        .then(|| format!("dispute {}", known.status.word()))
}
