//! An acquirer over HTTP and JSON.

use std::time::Duration;

use async_trait::async_trait;
use paymesh_contracts::AttemptId;
use paymesh_operations::Secret;
use reqwest::{Client, RequestBuilder, StatusCode};
use url::Url;

use super::{
    Acquirer, List, NoWord, Notices, Order, Page, Task, Verdict,
    wire::{Refusal, Row, Rows, Sent, Told, read_object, verdict},
};

/// The most that one answer may hold, unpacked: as much as db-controller takes in one message of gRPC,
/// so what a longer page says could not be handed on. A verdict has a few hundred bytes.
const ANSWER_BYTES_MAX: usize = 4 << 20;

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
        let mut answer = request
            .bearer_auth(self.token.expose())
            .send()
            .await
            .map_err(no_word)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(no_word)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let reason = "its answer is longer than any may be".to_owned();
                return Err(NoWord::Silent(reason));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status, body))
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
                code: read_object::<Refusal>(&body)?.code,
                reference: None,
            }),
            // Something else was done under this id.
            StatusCode::CONFLICT => Err(NoWord::Contradiction(read_object::<Refusal>(&body)?.code)),
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
        let rows: Rows = read_object(&body)?;
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
        read_object(&body).map(Told::read)
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

#[cfg(test)]
mod tests {
    use paymesh_contracts::{Currency, Money, persistence::Origin};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    use uuid::Uuid;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    fn order() -> Order {
        Order {
            attempt_id: AttemptId(Uuid::from_u128(9)),
            amount: Money::new(5, Currency::Eur),
            task: Task::Charge("tok_approve".to_owned()),
            origin: Origin {
                tenant_id: vec![1; 16],
                payment_id: vec![2; 16],
                idempotency_key: "order-1".to_owned(),
                fingerprint: vec![3; 32],
                reference: String::new(),
                payment_method: "tok_approve".to_owned(),
            },
        }
    }

    /// An acquirer that answers everything with this.
    async fn acquirer(status: u16, body: String) -> HttpAcquirer {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}");
        let text = format!("{head}\r\n\r\n{body}");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 4_096];
                let count = stream.read(&mut asked).await.unwrap_or_default();
                // Who has read enough ends the connection, and what is left is not wanted.
                if count > 0 && stream.write_all(text.as_bytes()).await.is_ok() {
                    tokio::io::copy(&mut stream, &mut tokio::io::sink())
                        .await
                        .unwrap_or_default();
                }
            }
        });
        let base = format!("http://{address}/").parse().unwrap();
        HttpAcquirer::new(&base, Secret::from("sk_1".to_owned()), LIMIT).unwrap()
    }

    /// A document, and spaces behind it until it is so long.
    fn padded(text: &str, length: usize) -> String {
        let spaces = " ".repeat(length - text.len());
        format!("{text}{spaces}")
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_no_word_whatever_it_begins_with() {
        // A process has one, and this is its only test that needs it.
        let crypto = rustls::crypto::aws_lc_rs::default_provider();
        crypto.install_default().unwrap();
        let order = order();
        let id = order.attempt_id;
        let approved = format!(
            r#"{{"id":"{id}","amount":5,"currency":"EUR","status":"approved","reference":"ch_1"}}"#
        );
        let whole = acquirer(200, padded(&approved, ANSWER_BYTES_MAX)).await;
        let reference = "ch_1".to_owned();
        let expected = Ok(Some(Verdict::Approved { reference }));
        assert_eq!(whole.find(&order).await, expected);
        let silent = NoWord::Silent("its answer is longer than any may be".to_owned());
        let longer = acquirer(200, padded(&approved, ANSWER_BYTES_MAX + 1)).await;
        assert_eq!(longer.find(&order).await, Err(silent.clone()));
        assert_eq!(longer.send(&order).await, Err(silent.clone()));
        // A refusal would have failed the payment.
        let refusal = padded(r#"{"code":"insufficient_funds"}"#, ANSWER_BYTES_MAX + 1);
        let refused = acquirer(422, refusal).await;
        assert_eq!(refused.send(&order).await, Err(silent));
    }
}
