//! A merchant's client that never gives up a key, and writes down what it asked and heard.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::document;

/// How long a client goes on asking.
const INSISTS_MAX: Duration = Duration::from_secs(90);
/// How long it waits before it asks again.
const AGAIN: Duration = Duration::from_millis(100);

/// One line of a client's history. It is on disk before the client goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// What happened.
    pub what: What,
    /// The idempotency key.
    pub key: String,
    /// The HTTP status, if an answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was sent, or what came.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// What happened to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It is about to be sent.
    Invoke,
    /// It was answered with success.
    Ok,
    /// It was refused; nothing may have come of it.
    Fail,
    /// Nobody can tell.
    Unknown,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
    /// Whether it said that it is a replay.
    pub is_replay: bool,
    /// When to ask again, if it said so.
    pub retry_after: Option<String>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// A request under an idempotency key.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The key.
    pub key: &'a str,
    /// How the document calls the address.
    pub path: &'a str,
    /// The address.
    pub address: &'a str,
    /// What is sent.
    pub body: &'a str,
    /// How long the answer may wait.
    pub wait_seconds: u32,
}

impl<'a> Ask<'a> {
    /// A payment.
    pub fn payment(key: &'a str, body: &'a str, wait_seconds: u32) -> Self {
        Self {
            key,
            path: "/v1/payments",
            address: "/v1/payments",
            body,
            wait_seconds,
        }
    }
}

/// A merchant's client.
pub struct Client {
    http: reqwest::Client,
    base: String,
    api_key: String,
    /// Where it writes down what it asked and heard, if anywhere.
    history: Option<Mutex<File>>,
}

impl Client {
    /// A client of an API, with its history in a file.
    pub fn new(base: &str, api_key: &str, history: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(history)?;
        Ok(Self {
            history: Some(Mutex::new(file)),
            ..Self::without_history(base, api_key)?
        })
    }

    /// A client that writes nothing down.
    pub fn without_history(base: &str, api_key: &str) -> io::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(40))
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        Ok(Self {
            http,
            base: base.to_owned(),
            api_key: api_key.to_owned(),
            history: None,
        })
    }

    /// Another merchant over the same connections, without a history.
    #[must_use]
    pub fn of_merchant(&self, api_key: &str) -> Self {
        Self {
            http: self.http.clone(),
            base: self.base.clone(),
            api_key: api_key.to_owned(),
            history: None,
        }
    }

    fn record(&self, what: What, key: &str, status: Option<u16>, body: &str) -> io::Result<()> {
        let Some(history) = &self.history else {
            return Ok(());
        };
        let line = Line {
            what,
            key: key.to_owned(),
            status,
            body: body.to_owned(),
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        let mut file = history.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&text)?;
        file.sync_data()
    }

    /// Sends a payment once. No answer is `None`.
    pub async fn create(
        &self,
        key: &str,
        body: &str,
        wait_seconds: u32,
    ) -> io::Result<Option<Answer>> {
        self.ask(Ask::payment(key, body, wait_seconds)).await
    }

    /// Sends a request under an idempotency key once. No answer is `None`.
    pub async fn ask(&self, ask: Ask<'_>) -> io::Result<Option<Answer>> {
        let key = ask.key;
        self.record(What::Invoke, key, None, ask.body)?;
        let Ok(answer) = self.send(ask).await else {
            self.record(What::Unknown, key, None, "")?;
            return Ok(None);
        };
        let mistake = document::mistake("post", ask.path, answer.status, answer.body.as_bytes());
        if let Some(mistake) = mistake {
            return Err(io::Error::other(format!("{mistake}: {}", answer.body)));
        }
        let what = match answer.status {
            200..=299 => What::Ok,
            409 | 500..=599 => What::Unknown,
            _ => What::Fail,
        };
        self.record(what, key, Some(answer.status), &answer.body)?;
        Ok(Some(answer))
    }

    /// Sends a request once; neither writes it down nor looks whether its answer is documented.
    pub async fn send(&self, ask: Ask<'_>) -> io::Result<Answer> {
        let sent = self
            .http
            .post(format!("{}{}", self.base, ask.address))
            .bearer_auth(&self.api_key)
            .header("idempotency-key", ask.key)
            .header("prefer", format!("wait={}", ask.wait_seconds))
            .header("content-type", "application/json")
            .body(ask.body.to_owned())
            .send()
            .await;
        let answer = sent.map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        let is_replay = answer.headers().contains_key("idempotency-replayed");
        let retry_after = answer.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| Some(value.to_str().ok()?.to_owned()));
        let body = answer.text().await.map_err(io::Error::other)?;
        Ok(Answer {
            status,
            body,
            is_replay,
            retry_after,
        })
    }

    /// Sends a payment until it is answered for good, always with the same key.
    pub async fn pay(&self, key: &str, body: &str, wait_seconds: u32) -> io::Result<Answer> {
        self.insist(Ask::payment(key, body, wait_seconds)).await
    }

    /// Captures, cancels or refunds (`what`) a payment until it is answered for good, always with
    /// the same key.
    pub async fn act(
        &self,
        key: &str,
        payment: &str,
        what: &str,
        body: &str,
    ) -> io::Result<Answer> {
        let address = format!("/v1/payments/{payment}/{what}");
        let path = format!("/v1/payments/{{id}}/{what}");
        self.insist(Ask {
            key,
            path: &path,
            address: &address,
            body,
            wait_seconds: 5,
        })
        .await
    }

    /// Answers a dispute (`what`: contest or accept) until it is answered for good.
    pub async fn answer_dispute(
        &self,
        key: &str,
        (payment, dispute): (&str, &str),
        what: &str,
        body: &str,
    ) -> io::Result<Answer> {
        let address = format!("/v1/payments/{payment}/disputes/{dispute}/{what}");
        let path = format!("/v1/payments/{{id}}/disputes/{{dispute}}/{what}");
        self.insist(Ask {
            key,
            path: &path,
            address: &address,
            body,
            wait_seconds: 5,
        })
        .await
    }

    async fn insist(&self, ask: Ask<'_>) -> io::Result<Answer> {
        let (key, start) = (ask.key, Instant::now());
        loop {
            let answer = self.ask(ask).await?;
            match answer {
                Some(answer) if !matches!(answer.status, 409 | 429 | 500..) => return Ok(answer),
                last if start.elapsed() > INSISTS_MAX => {
                    return Err(io::Error::other(format!(
                        "no answer to {key} in {INSISTS_MAX:?}, last {last:?}"
                    )));
                }
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Reads an address of the API; `path` is how the document calls it.
    pub async fn get(&self, path: &str, address: &str) -> io::Result<(u16, Value)> {
        let answer = self
            .http
            .get(format!("{}{address}", self.base))
            .bearer_auth(&self.api_key)
            .send()
            .await
            .map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(io::Error::other)?;
        if let Some(mistake) = document::mistake("get", path, status, &body) {
            return Err(io::Error::other(mistake));
        }
        Ok((status, serde_json::from_slice(&body)?))
    }

    /// Reads a payment until it came to its end; the last answer if it does not in time.
    pub async fn end_of(&self, id: &str, limit: Duration) -> io::Result<Value> {
        let start = Instant::now();
        loop {
            let found = self
                .get("/v1/payments/{id}", &format!("/v1/payments/{id}"))
                .await;
            match found {
                Ok((200, payment)) if payment["status"] != "processing" => return Ok(payment),
                last if start.elapsed() > limit => {
                    return Err(io::Error::other(format!(
                        "{id} did not end in {limit:?}, last {last:?}"
                    )));
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Does something with an address of the API; `path` is how the document calls it. An answer
    /// without a body is null.
    pub async fn call(
        &self,
        method: reqwest::Method,
        path: &str,
        address: &str,
        body: Option<Value>,
    ) -> io::Result<(u16, Value)> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{address}", self.base))
            .bearer_auth(&self.api_key);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(io::Error::other)?;
        let method = method.as_str().to_lowercase();
        if let Some(mistake) = document::mistake(&method, path, status, &body) {
            return Err(io::Error::other(mistake));
        }
        if body.is_empty() {
            return Ok((status, Value::Null));
        }
        Ok((status, serde_json::from_slice(&body)?))
    }

    /// Says where events should go; gives the secret of their signatures.
    pub async fn add_webhook(&self, url: &str) -> io::Result<String> {
        let start = Instant::now();
        loop {
            let body = self.ask_webhook(url).await?;
            if let Some(secret) = body["secret"].as_str() {
                return Ok(secret.to_owned());
            }
            // Then nothing was done, as the API promises.
            let is_overloaded = body["error"]["code"] == "overloaded";
            if !is_overloaded || start.elapsed() > INSISTS_MAX {
                return Err(io::Error::other(format!("no secret: {body}")));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn ask_webhook(&self, url: &str) -> io::Result<Value> {
        let answer = self
            .http
            .post(format!("{}/v1/webhook_endpoints", self.base))
            .bearer_auth(&self.api_key)
            .json(&serde_json::json!({ "url": url }))
            .send()
            .await
            .map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.map_err(io::Error::other)?;
        if let Some(mistake) = document::mistake("post", "/v1/webhook_endpoints", status, &body) {
            return Err(io::Error::other(mistake));
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// The lines of a history.
pub fn read_history(path: &Path) -> io::Result<Vec<Line>> {
    std::fs::read_to_string(path)?
        .lines()
        .map(|line| serde_json::from_str(line).map_err(io::Error::other))
        .collect()
}
