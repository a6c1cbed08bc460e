//! A simulator of its own for each test, driven over the wire.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Certificate, Client, Method, Response};
use serde_json::Value;
use tempfile::TempDir;

/// A running simulator; killed when dropped.
pub(crate) struct Bed {
    dir: TempDir,
    child: Child,
    /// The simulator file.
    pub(crate) card: Value,
    /// A client that trusts the simulator.
    pub(crate) client: Client,
}

impl Bed {
    /// A new world.
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &[])
    }

    /// A new world with more options.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), options)
    }

    fn start_in(dir: TempDir, options: &[&str]) -> Self {
        let file = dir.path().join("simulator.json");
        let _ = std::fs::remove_file(&file);
        let mut child = Command::new(env!("CARGO_BIN_EXE_paymesh-cloudsim"))
            .arg("--state-dir")
            .arg(dir.path().join("state"))
            .arg("--simulator-file")
            .arg(&file)
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        let card: Value = loop {
            if let Ok(text) = std::fs::read_to_string(&file) {
                break serde_json::from_str(&text).unwrap();
            }
            assert!(
                child.try_wait().unwrap().is_none(),
                "the simulator ended before it was ready"
            );
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "the simulator is not ready"
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        let ca = std::fs::read(card["ca"].as_str().unwrap()).unwrap();
        let client = Client::builder()
            .tls_certs_only([Certificate::from_pem(&ca).unwrap()])
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()
            .unwrap();
        Self {
            dir,
            child,
            card,
            client,
        }
    }

    /// Kills the simulator without warning and starts it again.
    pub(crate) fn restart(mut self) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let dir = std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap());
        Self::start_in(dir, &[])
    }

    /// Sends a request to the control API; the JSON answer.
    pub(crate) async fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self
            .send(method, &format!("/_sim/{path}"), None, body)
            .await
            .unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// Sends a request to the Azure base address.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Value,
    ) -> reqwest::Result<Response> {
        let base = self.card["azure"].as_str().unwrap();
        let url = if path.starts_with("https:") {
            path.to_owned()
        } else {
            format!("{base}{path}")
        };
        let mut request = self
            .client
            .request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        request.send().await
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
