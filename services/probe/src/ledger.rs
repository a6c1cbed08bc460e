//! What the postings of one payment add up to.

use std::fmt;

use paymesh_contracts::{Money, PaymentId, http::Posting};

/// What a payment moved, by account: credits less debits, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    acquirer_receivable: i128,
    merchant_payable: i128,
    fees: i128,
}

impl fmt::Display for Moved {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "acquirer_receivable {}, merchant_payable {}, fees {}",
            self.acquirer_receivable, self.merchant_payable, self.fees
        )
    }
}

impl Moved {
    /// Adds postings up; says what is wrong if one of them cannot be of this payment.
    pub(crate) fn by(
        postings: &[Posting],
        payment: PaymentId,
        amount: Money,
    ) -> Result<Self, String> {
        let mut moved = Self::default();
        for posting in postings {
            if posting.payment != payment.to_string() {
                return Err(format!("a {} of another payment", posting.kind));
            }
            if posting.amount.currency != amount.currency.code() || posting.amount.amount <= 0 {
                return Err(format!(
                    "a {} of another currency, or of nothing",
                    posting.kind
                ));
            }
            let amount_minor = i128::from(posting.amount.amount);
            for (account, change) in [
                (&posting.debit, -amount_minor),
                (&posting.credit, amount_minor),
            ] {
                let balance = match account.as_str() {
                    "acquirer_receivable" => &mut moved.acquirer_receivable,
                    "merchant_payable" => &mut moved.merchant_payable,
                    "fees" => &mut moved.fees,
                    other => return Err(format!("a {} on {other}", posting.kind)),
                };
                *balance += change;
            }
        }
        Ok(moved)
    }

    /// The fee of a charge; `None` if what moved is not that charge, once.
    pub(crate) fn fee_of_charge(self, amount: Money) -> Option<i128> {
        let amount_minor = i128::from(amount.amount_minor);
        let charge = Self {
            acquirer_receivable: -amount_minor,
            merchant_payable: amount_minor - self.fees,
            ..self
        };
        let is_fee = (0..=amount_minor).contains(&self.fees);
        (self == charge && is_fee).then_some(self.fees)
    }

    /// Whether nothing but a fee is left of it.
    pub(crate) fn is_only_fee(self, fee_minor: i128) -> bool {
        let fee = Self {
            acquirer_receivable: 0,
            merchant_payable: -fee_minor,
            fees: fee_minor,
        };
        self == fee
    }
}

#[cfg(test)]
mod tests {
    use paymesh_contracts::{Currency, http::SignedMoney};

    use super::*;

    const UNIT: Money = Money {
        amount_minor: 100,
        currency: Currency::Usd,
    };

    fn payment() -> PaymentId {
        "pay_abgjcfkhmnepabcdefghijklmnopabcd".parse().unwrap()
    }

    fn posting(kind: &str, debit: &str, credit: &str, amount: i64) -> Posting {
        Posting {
            id: String::new(),
            kind: kind.to_owned(),
            debit: debit.to_owned(),
            credit: credit.to_owned(),
            amount: SignedMoney {
                amount,
                currency: "USD".to_owned(),
            },
            payment: payment().to_string(),
            created_at: String::new(),
        }
    }

    fn charge(amount: i64) -> Posting {
        posting("charge", "acquirer_receivable", "merchant_payable", amount)
    }

    fn fee(amount: i64) -> Posting {
        posting("fee", "merchant_payable", "fees", amount)
    }

    fn refund(amount: i64) -> Posting {
        posting("refund", "merchant_payable", "acquirer_receivable", amount)
    }

    fn moved(postings: &[Posting]) -> Moved {
        Moved::by(postings, payment(), UNIT).unwrap()
    }

    #[test]
    fn a_charge_is_booked_once_and_in_full() {
        let fee_of = |postings: &[Posting]| moved(postings).fee_of_charge(UNIT);
        assert_eq!(fee_of(&[charge(100)]), Some(0));
        assert_eq!(fee_of(&[fee(3), charge(100)]), Some(3));
        assert_eq!(fee_of(&[]), None);
        assert_eq!(fee_of(&[charge(99)]), None);
        assert_eq!(fee_of(&[charge(100), charge(100)]), None);
        assert_eq!(fee_of(&[charge(100), fee(101)]), None);
        assert_eq!(fee_of(&[charge(100), refund(100)]), None);
    }

    #[test]
    fn of_a_refunded_payment_nothing_is_left_but_its_fee() {
        let whole = [charge(100), fee(3), refund(100)];
        assert!(moved(&whole).is_only_fee(3));
        assert!(!moved(&whole).is_only_fee(0));
        assert!(!moved(&[charge(100), refund(99)]).is_only_fee(0));
        assert!(!moved(&[charge(100), refund(100), refund(100)]).is_only_fee(0));
    }

    #[test]
    fn what_cannot_be_of_the_payment_is_told() {
        let check = |posting: Posting, mistake: &str| {
            let told = Moved::by(&[posting], payment(), UNIT);
            assert_eq!(told, Err(mistake.to_owned()));
        };
        let other = "pay_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned();
        check(
            Posting {
                payment: other,
                ..charge(100)
            },
            "a charge of another payment",
        );
        let euros = SignedMoney {
            amount: 100,
            currency: "EUR".to_owned(),
        };
        let mistake = "a charge of another currency, or of nothing";
        check(
            Posting {
                amount: euros,
                ..charge(100)
            },
            mistake,
        );
        check(charge(-100), mistake);
        check(
            posting("chargeback_debt", "merchant_debt", "fees", 100),
            "a chargeback_debt on merchant_debt",
        );
    }
}
