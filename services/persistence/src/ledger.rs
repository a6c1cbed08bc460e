//! Double entry: accounts, balances, and what a payment books.
//!
//! A posting has a debit side and a credit side and one amount, so that what leaves an account
//! arrives at another by construction. Nothing here is ever undone; a mistake is answered by
//! another posting.

use paymesh_contracts::{AttemptId, Currency, DisputeId, Money, PaymentId, PostingId, TenantId};
use uuid::Uuid;

/// What an account is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AccountKind {
    /// What the acquirer owes us.
    AcquirerReceivable,
    /// What we owe the merchant.
    MerchantPayable,
    /// What the merchant owes us: what their balance did not cover when it was taken back.
    MerchantDebt,
    /// What we earned.
    Fees,
}

impl AccountKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::AcquirerReceivable,
        Self::MerchantPayable,
        Self::MerchantDebt,
        Self::Fees,
    ];

    /// Its name in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::AcquirerReceivable => "acquirer_receivable",
            Self::MerchantPayable => "merchant_payable",
            Self::MerchantDebt => "merchant_debt",
            Self::Fees => "fees",
        }
    }

    /// The least that may be left in such an account.
    pub fn floor_minor(self) -> Option<i64> {
        (self == Self::MerchantPayable).then_some(0)
    }
}

/// The id of an account: computed, so that nobody has to look it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub Uuid);

impl AccountId {
    /// Every account of a tenant in one currency.
    pub(crate) fn all((tenant, currency): &(TenantId, Currency)) -> [Uuid; 4] {
        AccountKind::ALL.map(|kind| Self::of(*tenant, kind, *currency).0)
    }

    /// The account of a tenant for one purpose and currency.
    pub fn of(tenant: TenantId, kind: AccountKind, currency: Currency) -> Self {
        let name = format!("{}/{}", kind.word(), currency.code());
        Self(Uuid::new_v5(&tenant.0, name.as_bytes()))
    }
}

/// What an account holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Credits less debits.
    pub posted_minor: i64,
    /// Promised to something under way.
    pub held_minor: i64,
    /// The least that may be left when everything held is gone.
    pub floor_minor: Option<i64>,
}

/// A movement would leave less than the floor, or more than can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverLimit;

/// What happens to a balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Movement {
    /// Credited, or debited if negative.
    pub posted_minor: i64,
    /// Promised, or released if negative.
    pub held_minor: i64,
}

impl Movement {
    /// Both, one after the other.
    pub fn add(&mut self, other: Self) {
        self.posted_minor += other.posted_minor;
        self.held_minor += other.held_minor;
    }
}

impl Balance {
    /// An account that nothing was ever booked on.
    pub fn new(kind: AccountKind) -> Self {
        Self {
            posted_minor: 0,
            held_minor: 0,
            floor_minor: kind.floor_minor(),
        }
    }

    /// What can be taken, down to a floor of nothing.
    pub fn free_minor(self) -> i64 {
        self.posted_minor.saturating_sub(self.held_minor).max(0)
    }

    /// The balance after a movement. What only gives is never refused.
    pub fn changed(self, by: Movement) -> Result<Self, OverLimit> {
        let posted_minor = self.posted_minor.checked_add(by.posted_minor);
        let held_minor = self.held_minor.checked_add(by.held_minor);
        let (posted_minor, held_minor) = posted_minor.zip(held_minor).ok_or(OverLimit)?;
        let left = posted_minor.checked_sub(held_minor).ok_or(OverLimit)?;
        let takes = by.posted_minor < by.held_minor;
        if held_minor < 0 || takes && self.floor_minor.is_some_and(|floor| left < floor) {
            return Err(OverLimit);
        }
        Ok(Self {
            posted_minor,
            held_minor,
            ..self
        })
    }
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PostingKind {
    /// A payment succeeded.
    Charge,
    /// Our price for it.
    Fee,
    /// Taken back from the merchant and given back.
    Refund,
    /// Taken by a customer's bank, from what the merchant had.
    Chargeback,
    /// Taken by a customer's bank, beyond what the merchant had.
    ChargebackDebt,
    /// Given back by a customer's bank.
    ChargebackReversal,
    /// Given back by a customer's bank, where it had made a debt.
    ChargebackDebtReversal,
}

impl PostingKind {
    /// Its name in the database.
    pub fn word(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Fee => "fee",
            Self::Refund => "refund",
            Self::Chargeback => "chargeback",
            Self::ChargebackDebt => "chargeback_debt",
            Self::ChargebackReversal => "chargeback_reversal",
            Self::ChargebackDebtReversal => "chargeback_debt_reversal",
        }
    }
}

/// What brought a movement about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Something we asked of the acquirer.
    Attempt(AttemptId),
    /// A customer's bank.
    Dispute(DisputeId),
}

/// One movement between two accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Its id: computed, so that one cause cannot book the same thing twice.
    pub id: PostingId,
    /// Why.
    pub kind: PostingKind,
    /// Which payment it belongs to.
    pub payment_id: PaymentId,
    /// What moved the money.
    pub cause: Cause,
    /// From where.
    pub debit: AccountId,
    /// To where.
    pub credit: AccountId,
    /// How much.
    pub amount: Money,
}

/// The fee for `amount_minor`, rounded half up to whole minor units, never more than the amount.
pub fn fee_minor(amount_minor: i64, basis_points: i32) -> i64 {
    let exact = i128::from(amount_minor) * i128::from(basis_points);
    let rounded = (exact + 5_000) / 10_000;
    i64::try_from(rounded)
        .unwrap_or(amount_minor)
        .clamp(0, amount_minor)
}

/// Books what was moved for one payment.
#[derive(Clone, Copy, Debug)]
pub struct Booking {
    /// Whose.
    pub tenant_id: TenantId,
    /// Which payment.
    pub payment_id: PaymentId,
    /// What moved the money.
    pub cause: Cause,
    /// How much.
    pub amount: Money,
}

impl Booking {
    /// On whose accounts, and in which currency, it is booked.
    pub(crate) fn ledger(&self) -> (TenantId, Currency) {
        (self.tenant_id, self.amount.currency)
    }

    fn posting(
        self,
        kind: PostingKind,
        debit: AccountKind,
        credit: AccountKind,
        amount_minor: i64,
    ) -> Posting {
        let account = |kind| AccountId::of(self.tenant_id, kind, self.amount.currency);
        let cause = match self.cause {
            Cause::Attempt(id) => id.0,
            Cause::Dispute(id) => id.0,
        };
        Posting {
            id: PostingId(Uuid::new_v5(&cause, kind.word().as_bytes())),
            kind,
            payment_id: self.payment_id,
            cause: self.cause,
            debit: account(debit),
            credit: account(credit),
            amount: Money::new(amount_minor, self.amount.currency),
        }
    }

    /// Money was taken: the charge, then the fee if there is one.
    pub fn charge(self, fee_basis_points: i32) -> Vec<Posting> {
        use AccountKind::{AcquirerReceivable, Fees, MerchantPayable};
        let amount_minor = self.amount.amount_minor;
        let charge = self.posting(
            PostingKind::Charge,
            AcquirerReceivable,
            MerchantPayable,
            amount_minor,
        );
        let fee = match fee_minor(amount_minor, fee_basis_points) {
            0 => None,
            fee => Some(self.posting(PostingKind::Fee, MerchantPayable, Fees, fee)),
        };
        std::iter::once(charge).chain(fee).collect()
    }

    /// Money was given back. The fee stays.
    pub fn refund(self) -> Posting {
        let (debit, credit) = (
            AccountKind::MerchantPayable,
            AccountKind::AcquirerReceivable,
        );
        self.posting(PostingKind::Refund, debit, credit, self.amount.amount_minor)
    }

    /// A customer's bank took money: what the merchant has of it, and the rest as their debt.
    pub fn chargeback(self, covered_minor: i64) -> Vec<Posting> {
        let kinds = [PostingKind::Chargeback, PostingKind::ChargebackDebt];
        let sides = |merchant| (merchant, AccountKind::AcquirerReceivable);
        self.covered(covered_minor, kinds, sides)
    }

    /// It gave the money back: to where it had come from.
    pub fn chargeback_reversal(self, covered_minor: i64) -> Vec<Posting> {
        let kinds = [
            PostingKind::ChargebackReversal,
            PostingKind::ChargebackDebtReversal,
        ];
        let sides = |merchant| (AccountKind::AcquirerReceivable, merchant);
        self.covered(covered_minor, kinds, sides)
    }

    fn covered(
        self,
        covered_minor: i64,
        [of_balance, of_debt]: [PostingKind; 2],
        sides: impl Fn(AccountKind) -> (AccountKind, AccountKind),
    ) -> Vec<Posting> {
        let owed_minor = self.amount.amount_minor - covered_minor;
        let parts = [
            (of_balance, AccountKind::MerchantPayable, covered_minor),
            (of_debt, AccountKind::MerchantDebt, owed_minor),
        ];
        let parts = parts.into_iter().filter(|(.., amount)| *amount > 0);
        let posting = |(kind, merchant, amount_minor)| {
            let (debit, credit) = sides(merchant);
            self.posting(kind, debit, credit, amount_minor)
        };
        parts.map(posting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_is_rounded_half_up_and_never_exceeds_the_amount() {
        assert_eq!(fee_minor(1000, 290), 29);
        assert_eq!(fee_minor(50, 100), 1);
        assert_eq!(fee_minor(49, 100), 0);
        assert_eq!(
            fee_minor(Money::AMOUNT_MINOR_MAX, 10_000),
            Money::AMOUNT_MINOR_MAX
        );
    }

    #[test]
    fn a_debit_below_the_floor_is_refused_and_a_credit_never_is() {
        let balance = Balance {
            posted_minor: 100,
            held_minor: 60,
            floor_minor: Some(0),
        };
        let by = |posted_minor, held_minor| {
            balance.changed(Movement {
                posted_minor,
                held_minor,
            })
        };
        assert_eq!(by(-41, 0), Err(OverLimit));
        assert_eq!(by(-40, 0).map(|after| after.posted_minor), Ok(60));
        assert_eq!(by(0, 41), Err(OverLimit));
        assert_eq!(by(0, 40).map(|after| after.held_minor), Ok(100));
        // What was promised can be paid, and nothing can be released that was not promised.
        assert_eq!(by(-60, -60).map(|after| after.posted_minor), Ok(40));
        assert_eq!(by(0, -61), Err(OverLimit));
        let below = Balance {
            posted_minor: -10,
            ..balance
        };
        let credit = Movement {
            posted_minor: 1,
            held_minor: 0,
        };
        assert!(below.changed(credit).is_ok());
        assert_eq!(by(i64::MAX, 0), Err(OverLimit));
    }
}
