//! Anybody who calls a gRPC method of db-controller, as far as being let in goes.
//!
//! Methods and who may call them are read where they are published: the protocol and the page beside it.

use std::{collections::BTreeSet, time::Duration};

use paymesh_beds::Issued;
use reqwest::{Client, Identity, Version};

const PROTOCOL: &str =
    include_str!("../../../services/contracts/proto/paymesh/persistence/v1/persistence.proto");
const PAGE: &str = include_str!("../../../services/contracts/callers.md");

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Every method of the protocol, as gRPC addresses it.
pub fn methods() -> Vec<String> {
    let word_after = |line: &str, word: &str| {
        let rest = line.trim().strip_prefix(word)?;
        let end = rest.find([' ', '(', ';'])?;
        Some(rest[..end].to_owned())
    };
    let (mut package, mut service) = (String::new(), String::new());
    let mut methods = Vec::new();
    for line in PROTOCOL.lines() {
        if let Some(name) = word_after(line, "package ") {
            package = name;
        } else if let Some(name) = word_after(line, "service ") {
            service = name;
        } else if let Some(name) = word_after(line, "rpc ") {
            methods.push(format!("{package}.{service}/{name}"));
        }
    }
    methods
}

/// The services that may call a method, as the page has it.
pub fn callers(method: &str) -> BTreeSet<&'static str> {
    let row = format!("| `{method}` | ");
    let callers = PAGE.lines().find_map(|line| line.strip_prefix(&row));
    let callers = callers.unwrap_or_default().split('`');
    callers.skip(1).step_by(2).collect()
}

/// What came of a call.
#[derive(Debug)]
pub enum Called {
    /// The service was asked, whatever it said.
    Asked,
    /// It was refused before, with these words.
    Refused(String),
    /// There was no connection to call over.
    NoConnection,
}

/// Somebody with a certificate, or without one, or without TLS at all.
pub struct Caller {
    client: Client,
    base: String,
}

impl Caller {
    /// Somebody who calls what listens at `address`.
    pub fn new(address: &str, shows: Option<&Issued>) -> reqwest::Result<Self> {
        let mut client = Client::builder()
            .timeout(ANSWER_MAX)
            // Whom they speak to is not what is asked here.
            .tls_danger_accept_invalid_certs(true);
        if let Some(issued) = shows {
            let pem = format!("{}{}", issued.key, issued.certificate);
            client = client.identity(Identity::from_pem(pem.as_bytes())?);
        }
        Ok(Self {
            client: client.build()?,
            base: format!("https://{address}"),
        })
    }

    /// Somebody who speaks no TLS.
    pub fn plain(address: &str) -> reqwest::Result<Self> {
        let client = Client::builder().timeout(ANSWER_MAX);
        Ok(Self {
            client: client.http2_prior_knowledge().build()?,
            base: format!("http://{address}"),
        })
    }

    /// Calls a method with an empty message.
    pub async fn call(&self, method: &str) -> Called {
        self.say(method, &[]).await
    }

    /// Calls a method with a message.
    pub async fn say(&self, method: &str, message: &[u8]) -> Called {
        // It is not compressed, and so long.
        let mut body = vec![0];
        let length = u32::try_from(message.len()).expect("a message is short");
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(message);
        let request = self
            .client
            .post(format!("{}/{method}", self.base))
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body);
        let Ok(answer) = request.send().await else {
            return Called::NoConnection;
        };
        let header = |name: &str| {
            let value = answer.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        if header("grpc-status") == "7" {
            return Called::Refused(header("grpc-message").replace("%20", " "));
        }
        Called::Asked
    }
}
