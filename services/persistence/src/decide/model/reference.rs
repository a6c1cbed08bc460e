//! The reference model: who asked for what, the acquirer's first word, and sums.

use std::collections::BTreeMap;

use paymesh_contracts::{AttemptId, PaymentId, dispute::DisputeStatus, http::AttemptKind};

use crate::command::{Answer, Outcome};

/// What the model knows of a key.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) fingerprint: [u8; 32],
    pub(super) request: u8,
    pub(super) payment_id: PaymentId,
    pub(super) attempt_id: AttemptId,
    pub(super) answer: Option<Answer>,
    pub(super) is_committed: bool,
}

impl Known {
    /// What another request with this key is told.
    pub(super) fn outcome(&self, fingerprint: [u8; 32], request: u8) -> Outcome {
        let (payment_id, answer) = (self.payment_id, self.answer.clone());
        if self.fingerprint != fingerprint {
            Outcome::ChangedBody
        } else if self.request == request {
            Outcome::Created { payment_id, answer }
        } else if self.is_committed {
            Outcome::Replayed { payment_id, answer }
        } else {
            Outcome::InFlight
        }
    }
}

/// Something that was asked of the acquirer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) kind: AttemptKind,
    pub(super) amount: i64,
    /// The dispute that it answers.
    pub(super) dispute: Option<u8>,
    /// The acquirer's first word, for ever.
    pub(super) word: Option<bool>,
}

/// What was asked for a payment.
#[derive(Clone, Debug, Default)]
pub(super) struct Paid {
    pub(super) amount: i64,
    pub(super) asked: BTreeMap<AttemptId, Asked>,
    /// When what it requires is over.
    pub(super) expires_at_ms: Option<i64>,
    /// Whether its customer has to do something now, or had to ever.
    pub(super) waits_for_customer: bool,
    pub(super) was_with_customer: bool,
    /// Disputes by their number.
    pub(super) disputes: BTreeMap<u8, Disputed>,
}

/// A dispute.
#[derive(Clone, Debug)]
pub(super) struct Disputed {
    /// How many were heard of before it.
    pub(super) order: usize,
    pub(super) amount: i64,
    pub(super) status: DisputeStatus,
    pub(super) version: i64,
    /// How much of it the merchant had when it was booked.
    pub(super) covered: Option<i64>,
}

impl Paid {
    fn sum(&self, kinds: &[AttemptKind], word: Option<bool>) -> i64 {
        let asked = self.asked.values();
        let meant = asked.filter(|asked| kinds.contains(&asked.kind) && asked.word == word);
        meant.map(|asked| asked.amount).sum()
    }

    pub(super) fn taken(&self) -> i64 {
        self.sum(&[AttemptKind::Charge, AttemptKind::Capture], Some(true))
    }

    /// 2.5 %, half up: 111 -> 3, 222 -> 6, 333 -> 8, 666 -> 17, 999 -> 25.
    pub(super) fn fee(&self) -> i64 {
        (self.taken() + 20) / 40
    }

    pub(super) fn refunded(&self) -> i64 {
        self.sum(&[AttemptKind::Refund], Some(true))
    }

    pub(super) fn refunding(&self) -> i64 {
        self.sum(&[AttemptKind::Refund], None)
    }

    pub(super) fn reserved(&self) -> i64 {
        let is_open = matches!(self.status(), "requires_capture" | "processing");
        let reserved = self.sum(&[AttemptKind::Authorize], Some(true));
        if is_open { reserved } else { 0 }
    }

    /// What customers took back, booked or not, and did not lose again.
    pub(super) fn disputed(&self) -> i64 {
        self.away().map(|one| one.amount).sum()
    }

    /// What of that the merchant had, and what they owe.
    pub(super) fn charged_back(&self) -> (i64, i64) {
        let booked = self
            .away()
            .filter_map(|one| Some((one.covered?, one.amount)));
        booked.fold((0, 0), |(had, owed), (covered, amount)| {
            (had + covered, owed + amount - covered)
        })
    }

    fn away(&self) -> impl Iterator<Item = &Disputed> {
        let disputes = self.disputes.values();
        disputes.filter(|one| one.status != DisputeStatus::Won)
    }

    pub(super) fn status(&self) -> &'static str {
        use AttemptKind::{Authorize, Capture, Charge, Void};
        if self.sum(&[Void], Some(true)) > 0 {
            "canceled"
        } else if self.taken() > 0 {
            "succeeded"
        } else if self.sum(&[Capture, Void], None) > 0 {
            "processing"
        } else if self.waits_for_customer {
            "requires_action"
        } else if self.sum(&[Charge, Authorize], None) > 0 {
            "processing"
        } else if self.sum(&[Authorize], Some(true)) > 0 {
            "requires_capture"
        } else {
            "failed"
        }
    }

    /// What may be asked now; `free` is what the merchant has left.
    pub(super) fn allows(
        &self,
        kind: AttemptKind,
        amount: Option<i64>,
        free: i64,
    ) -> Result<i64, Outcome> {
        let (status, left) = match kind {
            AttemptKind::Refund => (
                "succeeded",
                self.taken() - self.refunded() - self.refunding() - self.disputed(),
            ),
            _ => ("requires_capture", self.amount),
        };
        let amount = amount.unwrap_or(left);
        let may_end = kind == AttemptKind::Void && self.status() == "requires_action";
        if self.status() != status && !may_end {
            Err(Outcome::WrongState)
        } else if amount > left || amount <= 0 {
            Err(Outcome::TooMuch)
        } else if kind == AttemptKind::Refund && amount > free {
            Err(Outcome::OverLimit)
        } else {
            Ok(amount)
        }
    }

    /// Whether a dispute may be answered now; then how much it is about.
    pub(super) fn allows_answer(&self, number: u8) -> Result<i64, Outcome> {
        let dispute = self.disputes.get(&number).ok_or(Outcome::NotFound)?;
        let mut asked = self.asked.values();
        let is_answered = asked.any(|one| one.dispute == Some(number) && one.word.is_none());
        if dispute.status == DisputeStatus::NeedsResponse && !is_answered {
            Ok(dispute.amount)
        } else {
            Err(Outcome::WrongState)
        }
    }

    pub(super) fn is_expired(&self, now_ms: i64) -> bool {
        let is_over = self.expires_at_ms.is_some_and(|at_ms| now_ms >= at_ms);
        self.status().starts_with("requires_") && is_over
    }
}
