//! The simulator's control API, over TLS that trusts the simulator's own authority only.

use std::{fs, time::Duration};

use reqwest::{Certificate, Client, Method};
use serde_json::Value;

use super::{Result, card::Card};

/// The longest that one answer may take.
const ANSWER_SECONDS_MAX: u64 = 10;

/// A control API.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    base: String,
    client: Client,
}

impl Control {
    /// The control API that `card` names.
    pub(crate) fn of(card: &Card) -> Result<Self> {
        // Done already if this is not the first client; one provider is as good as the other.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authority =
            fs::read(&card.ca).map_err(|error| format!("{}: {error}", card.ca.display()))?;
        let authority = Certificate::from_pem(&authority)
            .map_err(|error| format!("{} is no certificate: {error}", card.ca.display()))?;
        let client = Client::builder()
            .tls_certs_only([authority])
            .no_proxy()
            .timeout(Duration::from_secs(ANSWER_SECONDS_MAX))
            .build()
            .map_err(|error| format!("cannot make an HTTP client: {error}"))?;
        Ok(Self {
            base: card.control.clone(),
            client,
        })
    }

    /// The process that answers.
    pub(crate) async fn health(&self) -> Result<Option<u64>> {
        Ok(self.read("health").await?["pid"].as_u64())
    }

    /// Reads `path`.
    pub(crate) async fn read(&self, path: &str) -> Result<Value> {
        self.send(Method::GET, path, None).await
    }

    /// Posts `body` to `path`.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Deletes `path`.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value> {
        self.send(Method::DELETE, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let address = format!("{}/{path}", self.base);
        let mut request = self.client.request(method, &address);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request
            .send()
            .await
            .map_err(|_| format!("the simulated cloud does not answer at {address}"))?;
        let status = answer.status();
        let text = answer
            .text()
            .await
            .map_err(|error| format!("{address}: {error}"))?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            Ok(value)
        } else {
            let why = value["error"].as_str().unwrap_or(&text);
            Err(format!("{address} answers {status}: {why}"))
        }
    }
}
