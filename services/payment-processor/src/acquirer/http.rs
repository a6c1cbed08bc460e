//! An acquirer over HTTP and JSON.

use std::time::Duration;

use async_trait::async_trait;
use paymesh_contracts::{
    AttemptId, Currency, Money, PaymentId, TenantId, digest, persistence::Origin,
};
use paymesh_operations::Secret;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Acquirer, List, Listed, NoWord, Order, Page, Task, Verdict};

/// An acquirer over HTTP and JSON.
pub struct HttpAcquirer {
    client: Client,
    base: Url,
    token: Secret,
}

/// What is sent. Only a charge or a reservation has a token, only what is no charge has a kind.
#[derive(Serialize)]
struct Sent<'a> {
    amount: i64,
    currency: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<AttemptId>,
    metadata: Metadata,
}

impl<'a> Sent<'a> {
    fn of(order: &'a Order) -> Result<Self, NoWord> {
        let (kind, token, charge) = match &order.task {
            Task::Charge(token) => (None, Some(token), None),
            Task::Authorize(token) => (Some("authorize"), Some(token), None),
            Task::Capture(charge) => (Some("capture"), None, Some(*charge)),
            Task::Void(charge) => (Some("void"), None, Some(*charge)),
            Task::Refund(charge) => (Some("refund"), None, Some(*charge)),
        };
        Ok(Self {
            amount: order.amount.amount_minor,
            currency: order.amount.currency.code(),
            token: token.map(String::as_str),
            kind,
            charge,
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
struct Rows {
    data: Vec<Row>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    amount: i64,
    currency: String,
    status: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: serde_json::Value,
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
struct Refusal {
    code: String,
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
    fn listed(self) -> Option<Listed> {
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
            origin: metadata.and_then(Metadata::origin),
        })
    }
}

impl HttpAcquirer {
    /// An acquirer at an address; every request has `limit` to be answered in full.
    pub fn new(base: &Url, token: Secret, limit: Duration) -> Result<Self, NoWord> {
        let client = Client::builder()
            .timeout(limit)
            .connect_timeout(limit.min(Duration::from_secs(2)))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(no_word)?;
        Ok(Self {
            client,
            base: base.clone(),
            token,
        })
    }

    fn address(&self, path: &str) -> Result<Url, NoWord> {
        let address = self.base.join(path);
        address.map_err(|reason| NoWord::Silent(reason.to_string()))
    }

    fn address_of(&self, order: &Order) -> Result<Url, NoWord> {
        let list = match order.task {
            Task::Charge(_) => List::Charges,
            _ => List::Operations,
        };
        self.address(&format!("{}/{}", path(list), order.attempt_id))
    }

    async fn answer_to(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), NoWord> {
        let answer = request
            .bearer_auth(self.token.expose())
            .send()
            .await
            .map_err(no_word)?;
        let status = answer.status();
        Ok((status, answer.bytes().await.map_err(no_word)?.to_vec()))
    }
}

fn path(list: List) -> &'static str {
    match list {
        List::Charges => "v1/charges",
        List::Operations => "v1/operations",
    }
}

/// The error without its address, which holds nothing a log needs.
fn no_word(error: reqwest::Error) -> NoWord {
    let kind = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the answer broke off"
    };
    tracing::debug!(reason = %error.without_url(), "no answer from the acquirer");
    NoWord::Silent(kind.to_owned())
}

/// What an answer says of an order, if it is about this very one.
fn verdict(order: &Order, body: &[u8]) -> Result<Verdict, NoWord> {
    let answer: Answer = serde_json_from(body)?;
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

fn serde_json_from<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, NoWord> {
    serde_json::from_slice(body).map_err(|_| NoWord::Silent("its answer cannot be read".to_owned()))
}

#[async_trait]
impl Acquirer for HttpAcquirer {
    async fn send(&self, order: &Order) -> Result<Verdict, NoWord> {
        let request = self.client.put(self.address_of(order)?);
        let (status, body) = self.answer_to(request.json(&Sent::of(order)?)).await?;
        match status {
            StatusCode::OK => verdict(order, &body),
            // Refused before anything was done: the acquirer's own word for "no".
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Verdict::Declined {
                code: serde_json_from::<Refusal>(&body)?.code,
                reference: None,
            }),
            // Something else was done under this id.
            StatusCode::CONFLICT => Err(NoWord::Contradiction(
                serde_json_from::<Refusal>(&body)?.code,
            )),
            other => Err(NoWord::Silent(format!("status {}", other.as_u16()))),
        }
    }

    async fn find(&self, order: &Order) -> Result<Option<Verdict>, NoWord> {
        let request = self.client.get(self.address_of(order)?);
        let (status, body) = self.answer_to(request).await?;
        match status {
            StatusCode::OK => verdict(order, &body).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(NoWord::Silent(format!("status {}", other.as_u16()))),
        }
    }

    async fn since(
        &self,
        list: List,
        since_ms: i64,
        after: Option<String>,
    ) -> Result<Page, NoWord> {
        let mut address = self.address(path(list))?;
        address
            .query_pairs_mut()
            .append_pair("since_ms", &since_ms.to_string())
            .extend_pairs(after.map(|after| ("after", after)));
        let (status, body) = self.answer_to(self.client.get(address)).await?;
        if status != StatusCode::OK {
            return Err(NoWord::Silent(format!("status {}", status.as_u16())));
        }
        let rows: Rows = serde_json_from(&body)?;
        Ok(Page {
            rows: rows.data.into_iter().filter_map(Row::listed).collect(),
            next: rows.next,
        })
    }

    async fn void(&self, attempt_id: AttemptId) -> Result<(), NoWord> {
        let address = self.address(&format!("v1/charges/{attempt_id}/void"))?;
        let (status, _) = self.answer_to(self.client.post(address)).await?;
        if status == StatusCode::OK {
            Ok(())
        } else {
            Err(NoWord::Silent(format!("status {}", status.as_u16())))
        }
    }
}
