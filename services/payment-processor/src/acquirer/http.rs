//! An acquirer over HTTP and JSON.

use std::time::Duration;

use async_trait::async_trait;
use paymesh_contracts::AttemptId;
use paymesh_operations::Secret;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Acquirer, Charge, NoWord, Verdict};

/// An acquirer over HTTP and JSON.
pub struct HttpAcquirer {
    client: Client,
    charges: Url,
    token: Secret,
}

#[derive(Serialize)]
struct Order<'a> {
    amount: i64,
    currency: &'a str,
    token: &'a str,
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
            .map_err(|reason| NoWord(reason.to_string()))?;
        Ok(Self {
            client,
            charges,
            token,
        })
    }

    fn address(&self, attempt_id: AttemptId) -> Result<Url, NoWord> {
        self.charges
            .join(&attempt_id.to_string())
            .map_err(|reason| NoWord(reason.to_string()))
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
    NoWord(kind.to_owned())
}

fn verdict(attempt_id: AttemptId, body: &[u8]) -> Result<(Answer, Verdict), NoWord> {
    let answer: Answer = serde_json_from(body)?;
    if answer.id != attempt_id.to_string() {
        return Err(NoWord("it answered for another attempt".to_owned()));
    }
    let verdict = match (answer.status.as_str(), &answer.reference) {
        ("approved", Some(reference)) => Verdict::Approved {
            reference: reference.clone(),
        },
        ("declined", reference) => Verdict::Declined {
            code: answer.code.clone().unwrap_or_else(|| "declined".to_owned()),
            reference: reference.clone(),
        },
        _ => return Err(NoWord("it answered with an unknown status".to_owned())),
    };
    Ok((answer, verdict))
}

fn serde_json_from<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, NoWord> {
    serde_json::from_slice(body).map_err(|_| NoWord("its answer cannot be read".to_owned()))
}

#[async_trait]
impl Acquirer for HttpAcquirer {
    async fn charge(&self, charge: &Charge) -> Result<Verdict, NoWord> {
        let order = Order {
            amount: charge.amount.amount_minor,
            currency: charge.amount.currency.code(),
            token: &charge.payment_method,
        };
        let address = self.address(charge.attempt_id)?;
        let (status, body) = self.send(self.client.put(address).json(&order)).await?;
        match status {
            StatusCode::OK => {
                let (answer, verdict) = verdict(charge.attempt_id, &body)?;
                if (answer.amount, answer.currency.as_str()) != (order.amount, order.currency) {
                    return Err(NoWord("it answered for another amount".to_owned()));
                }
                Ok(verdict)
            }
            // Refused before anything was charged: the acquirer's own word for "no".
            StatusCode::UNPROCESSABLE_ENTITY => Ok(Verdict::Declined {
                code: serde_json_from::<Refusal>(&body)?.code,
                reference: None,
            }),
            other => Err(NoWord(format!("status {}", other.as_u16()))),
        }
    }

    async fn find(&self, attempt_id: AttemptId) -> Result<Option<Verdict>, NoWord> {
        let request = self.client.get(self.address(attempt_id)?);
        let (status, body) = self.send(request).await?;
        match status {
            StatusCode::OK => verdict(attempt_id, &body).map(|(_, verdict)| Some(verdict)),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(NoWord(format!("status {}", other.as_u16()))),
        }
    }
}
