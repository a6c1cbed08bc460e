//! Disputes: money that a customer's bank takes back, and what is told of it.
//!
//! | token | behaviour |
//! |---|---|
//! | `tok_dispute` | disputed as soon as its money is taken; decided by hand |
//! | `tok_dispute_won` | the same; the merchant wins when they contest it |
//! | `tok_dispute_lost` | the same; the merchant loses when they contest it |

use serde::{Deserialize, Serialize};

use crate::books::Row;

/// How long a dispute can be answered.
const RESPOND_MS: i64 = 7 * 24 * 3_600_000;

/// A dispute as it was after one of its changes; its lines in the books are what callers are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dispute {
    /// What it is called.
    #[serde(rename = "dispute")]
    pub(crate) name: String,
    /// The charge, as its caller names it.
    pub(crate) charge: String,
    /// In minor units.
    pub(crate) amount: i64,
    /// ISO 4217 code.
    pub(crate) currency: String,
    /// Why.
    pub(crate) reason: String,
    /// `needs_response`, `under_review`, `won` or `lost`.
    pub(crate) status: String,
    /// Grows with every change.
    pub(crate) version: i64,
    /// Until when it can be answered.
    pub(crate) respond_by_ms: i64,
    /// When it was told.
    pub(crate) at_ms: i64,
    /// Told, and not so: late, again or wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) astray: bool,
}

impl Dispute {
    /// A new one.
    pub(crate) fn raise(number: usize, charge: &Row, amount: i64, at_ms: i64) -> Self {
        Self {
            name: format!("dp_{number}"),
            charge: charge.id.clone(),
            amount,
            currency: charge.currency.clone(),
            reason: "fraudulent".to_owned(),
            status: "needs_response".to_owned(),
            version: 1,
            respond_by_ms: at_ms + RESPOND_MS,
            at_ms,
            astray: false,
        }
    }

    /// The same after a change.
    pub(crate) fn becomes(&self, status: &str, at_ms: i64) -> Self {
        Self {
            status: status.to_owned(),
            version: self.version + 1,
            at_ms,
            ..self.clone()
        }
    }

    /// Whether it never changes again.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "won" | "lost")
    }

    /// What becomes of it when it is answered, one after the other.
    pub(crate) fn answered(&self, kind: &str, token: &str, at_ms: i64) -> Vec<Self> {
        if kind == "accept" {
            return vec![self.becomes("lost", at_ms)];
        }
        let reviewed = self.becomes("under_review", at_ms);
        let end = match token {
            "tok_dispute_won" => Some(reviewed.becomes("won", at_ms)),
            "tok_dispute_lost" => Some(reviewed.becomes("lost", at_ms)),
            _ => None,
        };
        std::iter::once(reviewed).chain(end).collect()
    }
}

/// Whether the money of a charge with such a token is disputed as soon as it is taken.
pub(crate) fn is_disputed(token: &str) -> bool {
    matches!(
        token,
        "tok_dispute" | "tok_dispute_won" | "tok_dispute_lost"
    )
}
