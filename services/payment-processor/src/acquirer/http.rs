//! An acquirer over HTTP and JSON.

use std::time::Duration;

use async_trait::async_trait;
use paymesh_contracts::AttemptId;
use paymesh_operations::Secret;
use reqwest::{Client, RequestBuilder, StatusCode};
use url::Url;

use super::{
    Acquirer, List, NoWord, Notices, Order, Page, Task, Verdict,
    wire::{Refusal, Row, Rows, Sent, Told, serde_json_from, verdict},
};

/// An acquirer over HTTP and JSON.
pub struct HttpAcquirer {
    client: Client,
    base: Url,
    token: Secret,
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

    async fn notices(&self, position: &str) -> Result<Notices, NoWord> {
        let mut address = self.address("v1/notices")?;
        address.query_pairs_mut().append_pair("after", position);
        let (status, body) = self.answer_to(self.client.get(address)).await?;
        if status != StatusCode::OK {
            return Err(NoWord::Silent(format!("status {}", status.as_u16())));
        }
        serde_json_from(&body).map(Told::read)
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
