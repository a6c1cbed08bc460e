//! The Kubernetes API as its administrator, in plain JSON.

use std::{fs, path::Path};

use reqwest::{Certificate, Client, Method};
use serde_json::Value;

/// A client of one API server.
#[derive(Clone)]
pub struct Api {
    client: Client,
    url: String,
    token: String,
}

impl Api {
    /// A client that trusts the authority in a file.
    pub fn new(url: String, token: String, authority: &Path) -> Self {
        let pem = fs::read(authority).expect("the API server wrote its certificate");
        let authorities = Certificate::from_pem_bundle(&pem).expect("it is PEM");
        let client = Client::builder()
            .tls_certs_only(authorities)
            .build()
            .expect("a client can be made");
        Self { client, url, token }
    }

    /// Whether the server says that it is ready.
    pub async fn is_ready(&self) -> Result<(), String> {
        let answer = self.client.get(format!("{}/readyz", self.url));
        let answer = answer.bearer_auth(&self.token).send().await;
        let status = answer.map_err(|reason| format!("{reason:?}"))?.status();
        status.is_success().then_some(()).ok_or(status.to_string())
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", kind).body(body.to_string());
        }
        let answer = request.send().await.expect("the API server answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("an answer has an end");
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// Reads an object.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, "", None).await
    }

    /// Makes an object.
    pub async fn create(&self, path: &str, object: &Value) -> (u16, Value) {
        self.ask(Method::POST, path, "application/json", Some(object))
            .await
    }

    /// Changes an object.
    pub async fn merge(&self, path: &str, change: &Value) -> (u16, Value) {
        let kind = "application/merge-patch+json";
        self.ask(Method::PATCH, path, kind, Some(change)).await
    }

    /// Deletes an object.
    pub async fn delete(&self, path: &str) -> (u16, Value) {
        self.ask(Method::DELETE, path, "", None).await
    }
}
