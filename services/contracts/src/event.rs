//! What merchants are told by webhook.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    http::{Payment, PaymentStatus},
    id::EventId,
};

/// Something that happened. `version` grows when a reader of the old shape could misunderstand
/// the new one; new members alone do not change it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its id: the same for every delivery of it.
    #[schema(value_type = String, example = "evt_abgjcfkhmnepabcdefghijklmnopabcd")]
    pub id: EventId,
    /// The version of this shape.
    pub version: u32,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// When.
    pub created_at: String,
    /// The payment as it was then.
    pub payment: Payment,
}

impl Event {
    /// The version of the shape above.
    pub const VERSION: u32 = 1;

    /// The event of a payment that came to its end.
    pub fn of(id: EventId, payment: Payment) -> Self {
        let kind = match payment.status {
            PaymentStatus::Processing => "payment.processing",
            PaymentStatus::Succeeded => "payment.succeeded",
            PaymentStatus::Failed => "payment.failed",
        };
        Self {
            id,
            version: Self::VERSION,
            kind: kind.to_owned(),
            created_at: payment.updated_at.clone(),
            payment,
        }
    }
}
