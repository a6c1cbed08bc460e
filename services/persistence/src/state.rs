//! Where payments and attempts can go. Every arrow is here; there is no other.
//!
//! ```text
//! attempt   pending ──> unknown ──> approved
//!              │  └─────────────────────^ │
//!              └──────────> declined <────┘ (from unknown, never from approved)
//!              └<─────────> requires_action
//!
//! payment   processing ──> succeeded | failed
//!              ^   └─────> canceled
//!              v
//!           requires_action | requires_capture
//!
//! dispute   needs_response <──> under_review        either ──> won | lost
//! ```
//! `unknown` is left by the acquirer's word only. A final state is never left. Where a payment
//! stands is not kept beside its attempts but follows from them.

use paymesh_contracts::{
    dispute::DisputeStatus,
    http::{AttemptKind, AttemptStatus, PaymentStatus},
};

use crate::payment::AttemptRow;

/// What an acquirer says of an attempt, or that it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It did it.
    Approved,
    /// It did not.
    Declined,
    /// It waits for the customer.
    ActionRequired,
    /// No answer.
    Nothing,
}

/// What a word does to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It goes there.
    To(AttemptStatus),
    /// It is there already.
    Stays,
    /// It said the opposite before; the first word stands and a person has to look.
    Contradiction,
}

/// Where a word takes an attempt.
pub fn attempt_step(from: AttemptStatus, word: Word) -> Step {
    use AttemptStatus::{Approved, Declined, Pending, RequiresAction, Unknown};
    match (from, word) {
        (Pending | Unknown | RequiresAction, Word::Approved) => Step::To(Approved),
        (Pending | Unknown | RequiresAction, Word::Declined) => Step::To(Declined),
        (Pending | Unknown, Word::ActionRequired) => Step::To(RequiresAction),
        (Pending | Unknown, Word::Nothing) => Step::To(Unknown),
        (Approved, Word::Approved)
        | (Declined, Word::Declined)
        | (RequiresAction, Word::ActionRequired)
        | (_, Word::Nothing) => Step::Stays,
        (Approved, Word::Declined | Word::ActionRequired)
        | (Declined, Word::Approved | Word::ActionRequired) => Step::Contradiction,
    }
}

/// Where its attempts put a payment.
pub fn payment_status(attempts: &[AttemptRow]) -> PaymentStatus {
    let is_any = |kinds: &[AttemptKind], is_meant: &dyn Fn(AttemptStatus) -> bool| {
        let mut meant = attempts.iter().filter(|one| kinds.contains(&one.kind));
        meant.any(|one| is_meant(one.status))
    };
    let is_approved = |status| status == AttemptStatus::Approved;
    // A refund changes nothing about that: the money was taken.
    let taking = [AttemptKind::Charge, AttemptKind::Capture];
    let leading = [
        AttemptKind::Charge,
        AttemptKind::Authorize,
        AttemptKind::Capture,
        AttemptKind::Void,
    ];
    if is_any(&[AttemptKind::Void], &is_approved) {
        PaymentStatus::Canceled
    } else if is_any(&taking, &is_approved) {
        PaymentStatus::Succeeded
    } else if is_any(&leading, &AttemptStatus::is_open) {
        PaymentStatus::Processing
    } else if is_any(&leading, &|status| status == AttemptStatus::RequiresAction) {
        PaymentStatus::RequiresAction
    } else if is_any(&[AttemptKind::Authorize], &is_approved) {
        PaymentStatus::RequiresCapture
    } else {
        PaymentStatus::Failed
    }
}

/// What the acquirer's word does to a dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisputeStep {
    /// It goes there, or stays there under a newer word.
    To(DisputeStatus),
    /// The word is older than the newest one, or the same; it changes nothing.
    Late,
    /// It had come to another end before; the first word stands and a person has to look.
    Contradiction,
}

/// Where a word takes a dispute. Words are numbered, since they may come late or again; a word
/// against a known end is one to look at, whatever its number.
pub fn dispute_step(
    (from, newest): (DisputeStatus, i64),
    (word, version): (DisputeStatus, i64),
) -> DisputeStep {
    if from.is_final() && word.is_final() && from != word {
        DisputeStep::Contradiction
    } else if version <= newest {
        DisputeStep::Late
    } else if from.is_final() && !word.is_final() {
        DisputeStep::Contradiction
    } else {
        DisputeStep::To(word)
    }
}
