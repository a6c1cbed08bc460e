//! Disputes: a customer takes money back by way of their bank, and the merchant may answer.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{Unreadable, time_text, words},
    id::DisputeId,
    money::{Currency, Money},
    persistence,
};

/// Where a dispute stands. The money is away from its first moment on, and comes back when it is
/// `won`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DisputeStatus {
    /// You can contest it with evidence, or accept it.
    NeedsResponse,
    /// The customer's bank has your evidence.
    UnderReview,
    /// The money was given back to you.
    Won,
    /// The customer keeps the money.
    Lost,
}

words!(DisputeStatus { NeedsResponse "needs_response", UnderReview "under_review", Won "won", Lost "lost", });

impl DisputeStatus {
    /// Whether it never leaves.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Won | Self::Lost)
    }
}

/// Money that a customer took back by way of their bank.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dispute {
    /// Its id.
    #[schema(value_type = String, pattern = "^dsp_[a-p]{32}$", example = "dsp_abgjcfkhmnepabcdefghijklmnopabcd")]
    pub id: DisputeId,
    /// How much.
    pub amount: Money,
    /// Why, in the acquirer's words.
    #[schema(example = "fraudulent")]
    pub reason: String,
    /// Where it stands.
    pub status: DisputeStatus,
    /// Until when it can be answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-11-28T05:00:00.000Z")]
    pub respond_by: Option<String>,
    /// When we heard of it.
    #[schema(format = DateTime, example = "2026-11-21T05:00:00.000Z")]
    pub opened_at: String,
}

/// Why a dispute is wrong.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// What the customer's bank should know.
    #[schema(
        min_length = 1,
        max_length = 4000,
        pattern = "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u009f]+$",
        example = "Delivered and signed for on 3 November."
    )]
    pub explanation: String,
}

impl Dispute {
    /// A dispute of a payment in some currency, as db-controller tells it.
    pub fn read(dispute: persistence::Dispute, currency: Currency) -> Result<Self, Unreadable> {
        Ok(Self {
            id: DisputeId::from_bytes(&dispute.dispute_id)?,
            amount: Money::new(dispute.amount_minor, currency),
            reason: dispute.reason,
            status: DisputeStatus::from_word(&dispute.status)
                .ok_or(Unreadable::Field("dispute status"))?,
            respond_by: (dispute.respond_by_ms > 0).then(|| time_text(dispute.respond_by_ms)),
            opened_at: time_text(dispute.opened_at_ms),
        })
    }
}
