//! The steps of a run, and what is said of one that failed.

use crate::trouble::Trouble;

/// What is done and looked at, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// One unit is charged.
    Charge,
    /// Its postings are there.
    ChargeLedger,
    /// Its event is there, of which a webhook is made.
    Event,
    /// It is given back.
    Refund,
    /// Nothing but the fee is left of it.
    RefundLedger,
    /// What earlier runs left behind is given back; no part of a run.
    Sweep,
}

impl Step {
    /// All of them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Charge,
        Self::ChargeLedger,
        Self::Event,
        Self::Refund,
        Self::RefundLedger,
        Self::Sweep,
    ];

    /// Its name in metrics and logs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::ChargeLedger => "charge_ledger",
            Self::Event => "event",
            Self::Refund => "refund",
            Self::RefundLedger => "refund_ledger",
            Self::Sweep => "sweep",
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Charge => "a payment that succeeded",
            Self::ChargeLedger => "postings that add up to the charge and its fee",
            Self::Event => "the event payment.succeeded of the payment among the newest",
            Self::Refund => "a payment that is refunded in full",
            Self::RefundLedger => "postings that leave nothing but the fee",
            Self::Sweep => "every earlier payment of the probe refunded",
        }
    }

    fn complaint(self) -> &'static str {
        if self == Self::Sweep {
            "what the probe left behind is not refunded"
        } else {
            "the probe could not pay"
        }
    }

    fn advice(self) -> &'static str {
        match self {
            Self::Charge => {
                "see whether other merchants can pay: the runbook, PaymeshProbeFails, begins there"
            }
            Self::ChargeLedger | Self::RefundLedger => {
                "compare the books: paymesh-db-controller verify-audit and reconcile"
            }
            Self::Event => {
                "see what /v1/events shows of the payment: merchants may not be told of theirs"
            }
            Self::Refund | Self::Sweep => {
                "the probe tries again under the same key; if the acquirer declined, refund it by hand"
            }
        }
    }
}

/// A step that failed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Which one.
    pub(crate) step: Step,
    /// What came.
    pub(crate) trouble: Trouble,
}

impl Failure {
    /// Says it in one line.
    pub(crate) fn tell(&self) {
        let Trouble {
            came,
            status,
            code,
            payment,
            ..
        } = &self.trouble;
        let step = self.step;
        tracing::error!(
            step = step.word(),
            expected = step.expected(),
            came = came.as_str(),
            status = *status,
            code = code.as_deref(),
            payment = payment.map(|payment| payment.to_string()),
            next = self.advice(),
            "{}",
            step.complaint()
        );
    }

    /// What to do about it.
    fn advice(&self) -> &'static str {
        match (self.trouble.status, self.trouble.code.as_deref()) {
            (Some(401 | 403), _) => {
                "give PAYMESH_PROBE_API_KEY a key in use of a merchant of its own, with the scopes \
                 payments:write, payments:read and ledger:read"
            }
            (Some(404), None) => "give PAYMESH_PROBE_API_URL the address of payment-api",
            (Some(422), Some("balance_insufficient")) => {
                "let the merchant of the probe pay no fee (add-merchant --fee-basis-points 0), or have a \
                 balance: the fee of a refunded payment stays"
            }
            _ => self.step.advice(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_follows_from_what_came() {
        let advice = |status, code: Option<&str>| {
            let trouble = Trouble {
                status,
                code: code.map(str::to_owned),
                ..Trouble::wrong("a refusal")
            };
            let step = Step::Refund;
            Failure { step, trouble }.advice()
        };
        assert!(advice(Some(401), Some("unauthenticated")).contains("PAYMESH_PROBE_API_KEY"));
        assert!(advice(Some(404), None).contains("PAYMESH_PROBE_API_URL"));
        assert!(advice(Some(422), Some("balance_insufficient")).contains("pay no fee"));
        assert_eq!(advice(Some(503), None), Step::Refund.advice());
        assert_eq!(advice(None, None), Step::Refund.advice());
    }
}
