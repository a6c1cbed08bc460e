//! Somebody else: ordinary requests to the clouds' APIs, by people who do not use Terraform.

use std::fs;

use reqwest::{Method, blocking::Response};
use serde_json::{Value, json};

use crate::Cloud;

/// The most polls that an operation may take; the simulated cloud ends it at the second.
const POLLS_MAX: u32 = 20;

const AKS_VERSION: &str = "2025-10-01";

/// The words that say whose a cluster is.
const MARKS: [&str; 3] = ["paymesh-owner", "paymesh-name", "paymesh-holder"];

/// A person who signs in for each request: tokens end, and tests let days pass.
#[derive(Debug)]
pub struct Somebody<'a> {
    cloud: &'a Cloud,
    base: String,
    tokens: String,
    form: Vec<(&'static str, String)>,
}

impl Cloud {
    /// Somebody who may do everything in the subscriptions.
    pub fn azure(&self) -> Somebody<'_> {
        let card = self.card();
        let base = word(card, "/azure");
        let deployer = "/azure_principals/deployer";
        let secret = fs::read_to_string(word(card, &format!("{deployer}/client_secret_file")))
            .expect("the simulator keeps a secret");
        Somebody {
            cloud: self,
            tokens: format!("{base}/{}/oauth2/v2.0/token", word(card, "/tenant_id")),
            base,
            form: vec![
                ("grant_type", "client_credentials".to_owned()),
                ("client_id", word(card, &format!("{deployer}/client_id"))),
                ("client_secret", secret.trim().to_owned()),
                ("scope", "https://management.azure.com/.default".to_owned()),
            ],
        }
    }

    /// Somebody who may do everything in the projects.
    pub fn google(&self) -> Somebody<'_> {
        let card = self.card();
        let file = fs::read_to_string(word(card, "/google_credentials_file"))
            .expect("the simulator keeps credentials");
        let file: Value = serde_json::from_str(&file).expect("credentials are JSON");
        Somebody {
            cloud: self,
            base: word(card, "/google"),
            tokens: word(&file, "/token_uri"),
            form: vec![
                ("grant_type", "refresh_token".to_owned()),
                ("client_id", word(&file, "/client_id")),
                ("client_secret", word(&file, "/client_secret")),
                ("refresh_token", word(&file, "/refresh_token")),
            ],
        }
    }
}

impl Somebody<'_> {
    /// What is at `path`.
    pub fn get(&self, path: &str) -> Value {
        self.send(&Method::GET, path, None).1
    }

    /// What a POST answers.
    pub fn ask(&self, path: &str, body: &Value) -> Value {
        self.send(&Method::POST, path, Some(body)).1
    }

    /// A request that changes something, waited for to its end.
    pub fn act(&self, method: &Method, path: &str, body: Option<&Value>) {
        let (operation, answer) = self.send(method, path, body);
        let poll = operation.or_else(|| {
            let name = answer["name"].as_str()?;
            let place = path.strip_prefix("/v1/")?.split("/clusters").next()?;
            name.starts_with("operation-")
                .then(|| format!("{}/v1/{place}/operations/{name}", self.base))
        });
        let Some(poll) = poll else { return };
        let mut last = Value::Null;
        for _ in 0..POLLS_MAX {
            last = self.send(&Method::GET, &poll, None).1;
            match last["status"].as_str() {
                Some("Succeeded" | "DONE") => return,
                Some("Failed" | "Canceled") => break,
                _ => {}
            }
        }
        panic!("{method} {path} does not succeed: {last}");
    }

    /// Reads the object at `path`, changes it and writes it back.
    pub fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut body = self.get(path);
        change(&mut body);
        self.act(&Method::PUT, path, Some(&body));
    }

    /// Takes the marks off the cluster at `path` and its pools, as if another tool had made it.
    pub fn strip_marks(&self, path: &str) {
        let without = |labels: &mut Value| {
            if let Some(labels) = labels.as_object_mut() {
                labels.retain(|key, _| !MARKS.contains(&key.as_str()));
            }
        };
        if path.starts_with("/subscriptions/") {
            self.change(path, |body| {
                without(&mut body["tags"]);
                let pools = body["properties"]["agentPoolProfiles"].as_array_mut();
                for pool in pools.into_iter().flatten() {
                    without(&mut pool["tags"]);
                }
            });
            return;
        }
        let mut body = self.get(path);
        let mut labels = body["resourceLabels"].take();
        without(&mut labels);
        let body =
            json!({ "resourceLabels": labels, "labelFingerprint": body["labelFingerprint"] });
        let at = format!("{path}:setResourceLabels");
        self.act(&Method::POST, &at, Some(&body));
    }

    /// A token of theirs, made now.
    pub fn token(&self) -> String {
        let answer = self.cloud.client().post(&self.tokens).form(&self.form);
        let answer: Value = answer
            .send()
            .and_then(Response::json)
            .expect("a token can be had");
        word(&answer, "/access_token")
    }

    fn send(&self, method: &Method, path: &str, body: Option<&Value>) -> (Option<String>, Value) {
        let mut url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.base)
        };
        if path.starts_with("/subscriptions/") && !path.contains("api-version") {
            url = format!("{url}?api-version={AKS_VERSION}");
        }
        let request = self.cloud.client().request(method.clone(), &url);
        let request = match body {
            Some(body) => request.json(body),
            None if *method == Method::POST => request.json(&json!({})),
            None => request,
        };
        let answer = request
            .bearer_auth(self.token())
            .send()
            .unwrap_or_else(|error| panic!("{method} {url}: {error}"));
        let operation = ["azure-asyncoperation", "location"]
            .iter()
            .find_map(|name| answer.headers().get(*name))
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let status = answer.status();
        let text = answer.text().unwrap_or_default();
        assert!(status.is_success(), "{method} {url}: {status} {text}");
        (
            operation,
            serde_json::from_str(&text).unwrap_or(Value::Null),
        )
    }
}

fn word(value: &Value, at: &str) -> String {
    let found = value.pointer(at).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("{at} is missing"))
        .to_owned()
}
