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

use super::{Acquirer, Charge, Listed, NoWord, Page, Verdict};

/// An acquirer over HTTP and JSON.
pub struct HttpAcquirer {
    client: Client,
    charges: Url,
    list: Url,
    token: Secret,
}

#[derive(Serialize)]
struct Order<'a> {
    amount: i64,
    currency: &'a str,
    token: &'a str,
    metadata: Metadata,
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
struct List {
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
    /// The charge, unless it was voided or has nothing to do with us.
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
        let charges = base
            .join("v1/charges/")
            .map_err(|reason| NoWord::Silent(reason.to_string()))?;
        let list = base
            .join("v1/charges")
            .map_err(|reason| NoWord::Silent(reason.to_string()))?;
        Ok(Self {
            client,
            charges,
            list,
            token,
        })
    }

    fn address(&self, attempt_id: AttemptId) -> Result<Url, NoWord> {
        self.charges
            .join(&attempt_id.to_string())
            .map_err(|reason| NoWord::Silent(reason.to_string()))
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), NoWord> {
        let answer = request
            .bearer_auth(self.token.expose())
            .send()
            .await
            .map_err(no_word)?;
        let status = answer.status();
        Ok((status, answer.bytes().await.map_err(no_word)?.to_vec()))
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

/// What an answer says of a charge, if it is about this very charge.
fn verdict(charge: &Charge, body: &[u8]) -> Result<Verdict, NoWord> {
    let answer: Answer = serde_json_from(body)?;
    if answer.id != charge.attempt_id.to_string() {
        return Err(NoWord::Contradiction("another attempt".to_owned()));
    }
    let asked = (charge.amount.amount_minor, charge.amount.currency.code());
    if (answer.amount, answer.currency.as_str()) != asked {
        let claimed = format!("{} {}", answer.amount, answer.currency);
        return Err(NoWord::Contradiction(claimed));
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
    async fn charge(&self, charge: &Charge) -> Result<Verdict, NoWord> {
        let order = Order {
            amount: charge.amount.amount_minor,
            currency: charge.amount.currency.code(),
            token: &charge.payment_method,
            metadata: Metadata::of(&charge.origin)?,
        };
        let address = self.address(charge.attempt_id)?;
        let (status, body) = self.send(self.client.put(address).json(&order)).await?;
        match status {
            StatusCode::OK => verdict(charge, &body),
            // Refused before anything was charged: the acquirer's own word for "no".
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Verdict::Declined {
                code: serde_json_from::<Refusal>(&body)?.code,
                reference: None,
            }),
            // Something else was charged under this id.
            StatusCode::CONFLICT => Err(NoWord::Contradiction(
                serde_json_from::<Refusal>(&body)?.code,
            )),
            other => Err(NoWord::Silent(format!("status {}", other.as_u16()))),
        }
    }

    async fn find(&self, charge: &Charge) -> Result<Option<Verdict>, NoWord> {
        let request = self.client.get(self.address(charge.attempt_id)?);
        let (status, body) = self.send(request).await?;
        match status {
            StatusCode::OK => verdict(charge, &body).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(NoWord::Silent(format!("status {}", other.as_u16()))),
        }
    }

    async fn charges_since(&self, since_ms: i64, after: Option<String>) -> Result<Page, NoWord> {
        let mut address = self.list.clone();
        address
            .query_pairs_mut()
            .append_pair("since_ms", &since_ms.to_string())
            .extend_pairs(after.map(|after| ("after", after)));
        let (status, body) = self.send(self.client.get(address)).await?;
        if status != StatusCode::OK {
            return Err(NoWord::Silent(format!("status {}", status.as_u16())));
        }
        let list: List = serde_json_from(&body)?;
        Ok(Page {
            charges: list.data.into_iter().filter_map(Row::listed).collect(),
            next: list.next,
        })
    }

    async fn void(&self, attempt_id: AttemptId) -> Result<(), NoWord> {
        let address = self
            .charges
            .join(&format!("{attempt_id}/void"))
            .map_err(|reason| NoWord::Silent(reason.to_string()))?;
        let (status, _) = self.send(self.client.post(address)).await?;
        if status == StatusCode::OK {
            Ok(())
        } else {
            Err(NoWord::Silent(format!("status {}", status.as_u16())))
        }
    }
}
