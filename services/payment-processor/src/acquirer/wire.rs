//! The JSON that an acquirer is sent and answers with.

use paymesh_contracts::{
    AttemptId, Currency, Money, PaymentId, TenantId, digest,
    persistence::{self, DisputeNotice, Origin},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Listed, NoWord, Notices, Order, Task, Verdict};

/// What is sent. Only a charge or a reservation has a token, only what is no charge has a kind.
#[derive(Serialize)]
pub(super) struct Sent<'a> {
    amount: i64,
    currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<AttemptId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dispute: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<&'a str>,
    metadata: Metadata,
}

impl<'a> Sent<'a> {
    pub(super) fn of(order: &'a Order) -> Result<Self, NoWord> {
        let (kind, token, charge) = match &order.task {
            Task::Charge(token) => (None, Some(token), None),
            Task::Authorize(token) => (Some("authorize"), Some(token), None),
            Task::Capture(charge) => (Some("capture"), None, Some(*charge)),
            Task::Void(charge) => (Some("void"), None, Some(*charge)),
            Task::Refund(charge) => (Some("refund"), None, Some(*charge)),
            Task::Contest(charge, ..) => (Some("contest"), None, Some(*charge)),
            Task::Accept(charge, _) => (Some("accept"), None, Some(*charge)),
        };
        let (dispute, explanation) = match &order.task {
            Task::Contest(_, dispute, explanation) => (Some(dispute), Some(explanation.as_str())),
            Task::Accept(_, dispute) => (Some(dispute), None),
            _ => (None, None),
        };
        Ok(Self {
            amount: order.amount.amount_minor,
            currency: order.amount.currency.code(),
            token: token.map(String::as_str),
            kind,
            charge,
            dispute: dispute.map(|dispute| dispute.0.as_str()),
            explanation,
            metadata: Metadata::of(&order.origin)?,
        })
    }
}

/// Where a charge comes from, in words that every acquirer can keep.
#[derive(Serialize, Deserialize)]
struct Metadata {
    tenant: TenantId,
    payment: PaymentId,
    key: String,
    fingerprint: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reference: String,
    method: String,
}

#[derive(Deserialize)]
pub(super) struct Rows {
    pub(super) data: Vec<Row>,
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Row {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    dispute: String,
    #[serde(default)]
    explanation: String,
    #[serde(default)]
    metadata: Value,
}

#[derive(Deserialize)]
struct Answer {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    code: Option<String>,
    reference: Option<String>,
    action_url: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Refusal {
    pub(super) code: String,
}

impl Metadata {
    fn of(origin: &Origin) -> Result<Self, NoWord> {
        let unreadable = |_| NoWord::Silent("an attempt has no origin".to_owned());
        Ok(Self {
            tenant: TenantId::from_bytes(&origin.tenant_id).map_err(unreadable)?,
            payment: PaymentId::from_bytes(&origin.payment_id).map_err(unreadable)?,
            key: origin.idempotency_key.clone(),
            fingerprint: digest::hex(&origin.fingerprint),
            reference: origin.reference.clone(),
            method: origin.payment_method.clone(),
        })
    }

    fn origin(self) -> Option<Origin> {
        Some(Origin {
            tenant_id: self.tenant.bytes(),
            payment_id: self.payment.bytes(),
            idempotency_key: self.key,
            fingerprint: digest::from_hex(&self.fingerprint)?,
            reference: self.reference,
            payment_method: self.method,
        })
    }
}

impl Row {
    /// The row, unless it was voided or has nothing to do with us.
    pub(super) fn listed(self) -> Option<Listed> {
        let known = self.id.parse::<AttemptId>().ok();
        let Some((attempt_id, currency)) = known.zip(self.currency.parse::<Currency>().ok()) else {
            tracing::error!("the acquirer lists a charge that cannot be ours");
            return None;
        };
        let metadata = serde_json::from_value::<Metadata>(self.metadata).ok();
        (self.status != "voided").then(|| Listed {
            attempt_id,
            amount: Money::new(self.amount, currency),
            kind: self.kind,
            dispute: self.dispute,
            explanation: self.explanation,
            origin: metadata.and_then(Metadata::origin),
        })
    }
}

/// What the acquirer tells of disputes.
#[derive(Deserialize)]
pub(super) struct Told {
    data: Vec<ToldDispute>,
    next: String,
    more: bool,
}

#[derive(Deserialize)]
struct ToldDispute {
    dispute: String,
    charge: String,
    amount: i64,
    currency: String,
    reason: String,
    status: String,
    version: i64,
    #[serde(default)]
    respond_by_ms: i64,
}

impl Told {
    /// What is ours of it. What cannot be ours is no reason to hear nothing more.
    pub(super) fn read(self) -> Notices {
        let disputes = self.data.into_iter().filter_map(|told| {
            let Ok(charge) = told.charge.parse::<AttemptId>() else {
                tracing::error!("the acquirer tells of a dispute that cannot be ours");
                return None;
            };
            Some(DisputeNotice {
                dispute: told.dispute,
                charge_id: charge.bytes(),
                amount: Some(persistence::Money {
                    amount_minor: told.amount,
                    currency: told.currency,
                }),
                reason: told.reason,
                status: told.status,
                version: told.version,
                respond_by_ms: told.respond_by_ms,
            })
        });
        Notices {
            disputes: disputes.collect(),
            position: self.next,
            is_more: self.more,
        }
    }
}

/// What an answer says of an order, if it is about this very one.
pub(super) fn verdict(order: &Order, body: &[u8]) -> Result<Verdict, NoWord> {
    let answer: Answer = read_object(body)?;
    if answer.id != order.attempt_id.to_string() {
        return Err(NoWord::Contradiction("another attempt".to_owned()));
    }
    let asked = (order.amount.amount_minor, order.amount.currency.code());
    if (answer.amount, answer.currency.as_str()) != asked {
        let claimed = format!("{} {}", answer.amount, answer.currency);
        return Err(NoWord::Contradiction(claimed));
    }
    if let ("requires_action", Some(url)) = (answer.status.as_str(), answer.action_url) {
        return Ok(Verdict::ActionRequired { url });
    }
    match (answer.status.as_str(), answer.reference) {
        ("approved", Some(reference)) => Ok(Verdict::Approved { reference }),
        ("declined", reference) => Ok(Verdict::Declined {
            code: answer.code.unwrap_or_else(|| "declined".to_owned()),
            reference,
        }),
        _ => Err(NoWord::Silent(
            "it answered with an unknown status".to_owned(),
        )),
    }
}

/// What an answer says. It has to be an object: serde would take a list for its members in their order.
pub(super) fn read_object<T: DeserializeOwned>(body: &[u8]) -> Result<T, NoWord> {
    let unreadable = |_| NoWord::Silent("its answer cannot be read".to_owned());
    let members: Map<String, Value> = serde_json::from_slice(body).map_err(unreadable)?;
    T::deserialize(Value::Object(members)).map_err(unreadable)
}
