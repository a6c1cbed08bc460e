//! What merchants are told by webhook.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    dispute::{Dispute, DisputeStatus},
    http::{Attempt, AttemptKind, AttemptStatus, Payment},
    id::{AttemptId, DisputeId, EventId},
};

/// What is kept of a delivery that was not tried any more, in the place of a reason.
pub const ENDPOINT_REMOVED: &str = "the endpoint was removed";

/// Something that happened. `version` grows when a reader of the old shape could misunderstand
/// the new one; new members alone do not change it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its id: the same for every delivery of it.
    #[schema(value_type = String, pattern = "^evt_[a-p]{32}$", example = "evt_abgjcfkhmnepabcdefghijklmnopabcd")]
    pub id: EventId,
    /// The version of this shape.
    pub version: u32,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Which attempt brought it about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^att_[a-p]{32}$", example = "att_abgjcfkhmnepabcdefghijklmnopabcd")]
    pub attempt: Option<AttemptId>,
    /// Which dispute it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^dsp_[a-p]{32}$", example = "dsp_abgjcfkhmnepabcdefghijklmnopabcd")]
    pub dispute: Option<DisputeId>,
    /// The payment as it was then.
    pub payment: Payment,
}

impl Event {
    /// The version of the shape above.
    pub const VERSION: u32 = 1;

    /// The event of an attempt that was settled.
    pub fn of(id: EventId, attempt: &Attempt, payment: Payment) -> Self {
        Self {
            id,
            version: Self::VERSION,
            kind: kind(attempt.kind, attempt.status).to_owned(),
            created_at: payment.updated_at.clone(),
            attempt: Some(attempt.id),
            dispute: None,
            payment,
        }
    }

    /// The event of a dispute that came to us, or to its end; nothing else about one is news.
    pub fn of_dispute(
        id: EventId,
        dispute: &Dispute,
        is_new: bool,
        payment: Payment,
    ) -> Option<Self> {
        let kind = match dispute.status {
            _ if is_new => "dispute.opened",
            DisputeStatus::Won => "dispute.won",
            DisputeStatus::Lost => "dispute.lost",
            DisputeStatus::NeedsResponse | DisputeStatus::UnderReview => return None,
        };
        Some(Self {
            id,
            version: Self::VERSION,
            kind: kind.to_owned(),
            created_at: payment.updated_at.clone(),
            attempt: None,
            dispute: Some(dispute.id),
            payment,
        })
    }
}

/// What merchants call it when an attempt is settled.
fn kind(of: AttemptKind, status: AttemptStatus) -> &'static str {
    use AttemptKind::{Accept, Authorize, Capture, Charge, Contest, Refund, Void};
    if status == AttemptStatus::RequiresAction {
        return "payment.requires_action";
    }
    let is_approved = status == AttemptStatus::Approved;
    match (of, is_approved) {
        (Charge | Capture, true) => "payment.succeeded",
        (Authorize, true) => "payment.requires_capture",
        (Charge | Authorize, false) => "payment.failed",
        (Capture, false) => "payment.capture_failed",
        (Void, true) => "payment.canceled",
        (Void, false) => "payment.cancel_failed",
        (Refund, true) => "refund.succeeded",
        (Refund, false) => "refund.failed",
        (Contest, true) => "dispute.contested",
        (Contest, false) => "dispute.contest_failed",
        (Accept, true) => "dispute.accepted",
        (Accept, false) => "dispute.accept_failed",
    }
}
