//! Changing a payment: the one place where a changed row, what it holds and what it books meet.

use std::collections::BTreeMap;

use paymesh_contracts::{PaymentId, http::PaymentStatus};

use super::Decider;
use crate::{
    command::Outcome,
    ledger::{AccountId, AccountKind, Movement, OverLimit, Posting},
    payment::PaymentRow,
    state::payment_status,
    world::Work,
};

/// How long money is reserved: what card schemes grant at least.
const RESERVED_MS: i64 = 7 * 24 * 3_600_000;
/// How long a customer has to do what is required of them.
const ACTION_MS: i64 = 15 * 60_000;

impl Decider<'_> {
    /// Puts `after` in the place of a payment and books `postings`, all of it or nothing: beyond a
    /// limit, or when an account is not there. Where it stands, until when and what it holds
    /// follow from its attempts.
    pub(super) fn change(
        &mut self,
        payment_id: PaymentId,
        mut after: PaymentRow,
        postings: Vec<Posting>,
    ) -> Result<(), Outcome> {
        let before = &self.world.payments[&payment_id];
        let now_ms = self.world.now_ms;
        after.status = payment_status(&after.attempts);
        after.failure_code = match after.status {
            PaymentStatus::Failed => after.attempts[0].failure_code.clone(),
            _ => None,
        };
        after.updated_at_ms = now_ms;
        let is_reserved_now = before.reserved_minor() == 0 && after.reserved_minor() > 0;
        after.expires_at_ms = match after.status {
            _ if is_reserved_now => Some(now_ms + RESERVED_MS),
            PaymentStatus::RequiresAction => after.expires_at_ms.or(Some(now_ms + ACTION_MS)),
            PaymentStatus::RequiresCapture | PaymentStatus::Processing => after.expires_at_ms,
            PaymentStatus::Succeeded | PaymentStatus::Failed | PaymentStatus::Canceled => None,
        };
        let is_new_time = before.expires_at_ms != after.expires_at_ms;
        let mut movements: BTreeMap<AccountId, Movement> = BTreeMap::new();
        for (account, held_minor) in holds(&after) {
            movements.entry(account).or_default().held_minor += held_minor;
        }
        for (account, held_minor) in holds(before) {
            movements.entry(account).or_default().held_minor -= held_minor;
        }
        self.book(movements, postings)?;
        self.changes.payments.insert(payment_id);
        if is_new_time && let Some(expires_at_ms) = after.expires_at_ms {
            self.leave(payment_id, Work::Expire, 1, expires_at_ms);
        }
        self.world.payments.insert(payment_id, after);
        Ok(())
    }

    /// Books `postings` beside what else moves, all of it or nothing: beyond a limit, or when an
    /// account is not there.
    pub(crate) fn book(
        &mut self,
        mut movements: BTreeMap<AccountId, Movement>,
        postings: Vec<Posting>,
    ) -> Result<(), Outcome> {
        for posting in &postings {
            let amount_minor = posting.amount.amount_minor;
            movements.entry(posting.debit).or_default().posted_minor -= amount_minor;
            movements.entry(posting.credit).or_default().posted_minor += amount_minor;
        }
        movements.retain(|_, movement| *movement != Movement::default());
        let balances = movements
            .iter()
            .map(|(account, movement)| {
                let balance = self.world.balances.get(account).ok_or(Outcome::NotFound)?;
                let after = balance
                    .changed(*movement)
                    .map_err(|OverLimit| Outcome::OverLimit)?;
                Ok((*account, after))
            })
            .collect::<Result<Vec<_>, Outcome>>()?;
        self.world.balances.extend(balances);
        for (account, movement) in movements {
            self.changes
                .balances
                .entry(account)
                .or_default()
                .add(movement);
        }
        self.changes.postings.extend(postings);
        Ok(())
    }
}

/// What a payment holds: what the acquirer reserved for it, and what is about to be given back. A
/// refund that was lost may be found again before the charge it belongs to: until that is booked
/// there is nothing to promise.
fn holds(payment: &PaymentRow) -> [(AccountId, i64); 2] {
    let account = |kind| AccountId::of(payment.key.0, kind, payment.amount.currency);
    let is_booked = payment.captured_minor() > 0;
    [
        (
            account(AccountKind::AcquirerReceivable),
            payment.reserved_minor(),
        ),
        (
            account(AccountKind::MerchantPayable),
            if is_booked {
                payment.refunding_minor()
            } else {
                0
            },
        ),
    ]
}
