//! A payment with all that was asked of the acquirer for it, and all that was taken back from it.
//!
//! How much of it was taken, given back or disputed is never kept beside these rows: it is counted.

use paymesh_contracts::{
    AttemptId, DisputeId, Money, PaymentId,
    dispute::{Dispute, DisputeStatus},
    http::{self, AttemptKind, AttemptStatus, CaptureMethod, PaymentStatus, time_text},
};
use uuid::Uuid;

use crate::command::{Answer, Key};

/// A payment with its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRow {
    /// Whose, and what names it.
    pub key: Key,
    /// How much.
    pub amount: Money,
    /// The token.
    pub payment_method: String,
    /// The merchant's word.
    pub reference: Option<String>,
    /// Where it stands.
    pub status: PaymentStatus,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// When it was taken in.
    pub created_at_ms: i64,
    /// When it changed last.
    pub updated_at_ms: i64,
    /// When its money is taken.
    pub capture: CaptureMethod,
    /// When what it requires of its merchant is over.
    pub expires_at_ms: Option<i64>,
    /// What was asked of the acquirer, first to last. The first one takes or reserves the money.
    pub attempts: Vec<AttemptRow>,
    /// What customers took back by way of their banks, first to last.
    pub disputes: Vec<DisputeRow>,
}

/// One thing asked of the acquirer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Its id.
    pub id: AttemptId,
    /// First is 1.
    pub number: i32,
    /// What is asked.
    pub kind: AttemptKind,
    /// How much is asked for.
    pub amount_minor: i64,
    /// The key of the request that wanted it; that of the payment if nobody did.
    pub key: String,
    /// Where it stands.
    pub status: AttemptStatus,
    /// The acquirer's reference.
    pub acquirer_reference: Option<String>,
    /// Why it was declined.
    pub failure_code: Option<String>,
    /// Where the acquirer wanted the customer.
    pub action_url: Option<String>,
    /// How often no answer came.
    pub checks: i32,
    /// The dispute it answers, as the acquirer calls it.
    pub dispute: Option<String>,
    /// Why that dispute is wrong.
    pub explanation: Option<String>,
}

/// Money that a customer took back by way of their bank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeRow {
    /// Its id.
    pub id: DisputeId,
    /// As the acquirer calls it.
    pub reference: String,
    /// How much.
    pub amount_minor: i64,
    /// Why, in the acquirer's words.
    pub reason: String,
    /// Where it stands.
    pub status: DisputeStatus,
    /// Of the newest word on it.
    pub version: i64,
    /// Until when it can be answered.
    pub respond_by_ms: Option<i64>,
    /// How much of it the merchant's balance covered, once it is booked.
    pub covered_minor: Option<i64>,
    /// When we heard of it.
    pub opened_at_ms: i64,
}

impl PaymentRow {
    /// An attempt of it.
    pub fn attempt(&self, id: AttemptId) -> Option<&AttemptRow> {
        self.attempts.iter().find(|attempt| attempt.id == id)
    }

    fn sum(&self, is_meant: impl Fn(&AttemptRow) -> bool) -> i64 {
        let meant = self.attempts.iter().filter(|attempt| is_meant(attempt));
        meant.map(|attempt| attempt.amount_minor).sum()
    }

    /// How much was taken.
    pub fn captured_minor(&self) -> i64 {
        self.sum(|attempt| {
            matches!(attempt.kind, AttemptKind::Charge | AttemptKind::Capture)
                && attempt.status == AttemptStatus::Approved
        })
    }

    /// How much of it was given back.
    pub fn refunded_minor(&self) -> i64 {
        self.sum(|attempt| {
            attempt.kind == AttemptKind::Refund && attempt.status == AttemptStatus::Approved
        })
    }

    /// How much of it is about to be given back.
    pub fn refunding_minor(&self) -> i64 {
        self.sum(|attempt| attempt.kind == AttemptKind::Refund && attempt.status.is_open())
    }

    /// How much of it customers took back and did not lose again.
    pub fn disputed_minor(&self) -> i64 {
        let away = self
            .disputes
            .iter()
            .filter(|one| one.status != DisputeStatus::Won);
        away.map(|one| one.amount_minor).sum()
    }

    /// A dispute of it.
    pub fn dispute(&self, id: DisputeId) -> Option<&DisputeRow> {
        self.disputes.iter().find(|dispute| dispute.id == id)
    }

    /// How much is reserved, and neither taken nor let go.
    pub fn reserved_minor(&self) -> i64 {
        let is_over = self.attempts.iter().any(|attempt| {
            matches!(attempt.kind, AttemptKind::Capture | AttemptKind::Void)
                && attempt.status == AttemptStatus::Approved
        });
        let reserved = self.sum(|attempt| {
            attempt.kind == AttemptKind::Authorize && attempt.status == AttemptStatus::Approved
        });
        if is_over { 0 } else { reserved }
    }

    /// Where the customer has to go now.
    pub fn action_url(&self) -> Option<String> {
        let is_required = self.status == PaymentStatus::RequiresAction;
        let url = self.attempts.first()?.action_url.clone();
        url.filter(|_| is_required)
    }

    /// The payment as the API shows it.
    pub fn shown(&self, id: PaymentId) -> http::Payment {
        let money = |minor| (minor > 0).then(|| Money::new(minor, self.amount.currency));
        http::Payment {
            id,
            amount: self.amount,
            status: self.status,
            payment_method: self.payment_method.clone(),
            reference: self.reference.clone(),
            failure_code: self.failure_code.clone(),
            capture: self.capture,
            captured: money(self.captured_minor()),
            refunded: money(self.refunded_minor()),
            disputes: self
                .disputes
                .iter()
                .map(|dispute| dispute.shown(self.amount))
                .collect(),
            next_action: self
                .action_url()
                .map(|redirect_url| http::NextAction { redirect_url }),
            expires_at: self.expires_at_ms.map(time_text),
            attempts: self
                .attempts
                .iter()
                .map(|attempt| attempt.shown(self.amount))
                .collect(),
            created_at: time_text(self.created_at_ms),
            updated_at: time_text(self.updated_at_ms),
        }
    }

    /// The answer to a request about it, as things stand: 202 while its attempt is on its way.
    pub fn answer(&self, id: PaymentId, key: &str) -> Answer {
        let attempt = self.attempts.iter().find(|attempt| attempt.key == key);
        let status = match attempt {
            Some(attempt) if attempt.status.is_open() => 202,
            Some(attempt) if attempt.number > 1 => 200,
            _ => 201,
        };
        Answer {
            status,
            body: serde_json::to_vec(&self.shown(id)).expect("a payment is plain data"),
        }
    }
}

impl AttemptRow {
    /// The attempt as the API shows it, of a payment of `whole`.
    pub fn shown(&self, whole: Money) -> http::Attempt {
        http::Attempt {
            id: self.id,
            kind: self.kind,
            amount: Some(Money::new(self.amount_minor, whole.currency)),
            status: self.status,
            failure_code: self.failure_code.clone(),
            acquirer_reference: self.acquirer_reference.clone(),
        }
    }
}

impl DisputeRow {
    /// The id of what an acquirer calls `reference`, of the charge that an attempt made: computed,
    /// so that it is the same when it is heard of again after a loss.
    pub fn id_of(charge: AttemptId, reference: &str) -> DisputeId {
        DisputeId(Uuid::new_v5(&charge.0, reference.as_bytes()))
    }

    /// The dispute as the API shows it, of a payment of `whole`.
    pub fn shown(&self, whole: Money) -> Dispute {
        Dispute {
            id: self.id,
            amount: Money::new(self.amount_minor, whole.currency),
            reason: self.reason.clone(),
            status: self.status,
            respond_by: self.respond_by_ms.map(time_text),
            opened_at: time_text(self.opened_at_ms),
        }
    }
}
