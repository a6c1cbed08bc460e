//! Where payments and attempts can go. Every arrow is here; there is no other.
//!
//! ```text
//! attempt   pending ──> unknown ──> approved        payment   processing ──> succeeded
//!              │  └─────────────────────^ │                        └───────> failed
//!              └──────────> declined <────┘ (from unknown, never from approved)
//! ```
//! `unknown` is left by the acquirer's word only. A final state is never left.

use paymesh_contracts::http::{AttemptStatus, PaymentStatus};

/// What an acquirer says of an attempt, or that it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It took the money.
    Approved,
    /// It took nothing.
    Declined,
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
    use AttemptStatus::{Approved, Declined, Pending, Unknown};
    match (from, word) {
        (Pending | Unknown, Word::Approved) => Step::To(Approved),
        (Pending | Unknown, Word::Declined) => Step::To(Declined),
        (Pending | Unknown, Word::Nothing) => Step::To(Unknown),
        (Approved, Word::Approved) | (Declined, Word::Declined) | (_, Word::Nothing) => Step::Stays,
        (Approved, Word::Declined) | (Declined, Word::Approved) => Step::Contradiction,
    }
}

/// Where the end of its attempt takes a payment.
pub fn payment_status(attempt: AttemptStatus) -> PaymentStatus {
    match attempt {
        AttemptStatus::Pending | AttemptStatus::Unknown => PaymentStatus::Processing,
        AttemptStatus::Approved => PaymentStatus::Succeeded,
        AttemptStatus::Declined => PaymentStatus::Failed,
    }
}
