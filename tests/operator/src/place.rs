//! A namespace, and what a person does there.

use std::{collections::BTreeMap, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls};

use crate::{Api, until, world::ADMINISTRATOR};

/// A namespace with an administrator's Secret.
#[derive(Clone)]
pub struct Place {
    pub(crate) api: Api,
    /// Its name.
    pub namespace: String,
}

/// What a Secret says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login(pub BTreeMap<String, String>);

impl Login {
    /// The value of a key.
    pub fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    /// Connects as a program would.
    pub async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(self.get("uri"), NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Place {
    /// A `Database` with a role for migrations, a ledger's and a reader's.
    pub fn database(&self, name: &str) -> Value {
        let role = |word: &str, access: &str| {
            json!({
                "name": format!("{name}_{word}"),
                "access": access,
                "secretName": format!("{}-{word}", name.replace('_', "-")),
            })
        };
        json!({
            "apiVersion": "paymesh.dev/v1alpha1",
            "kind": "Database",
            "metadata": { "name": name.replace('_', "-") },
            "spec": {
                "name": name,
                "owner": format!("{name}_owner"),
                "connection": { "secretName": "admin" },
                "extensions": ["pgcrypto"],
                "roles": [
                    role("migrate", "Owner"),
                    role("ledger", "AppendOnly"),
                    role("reader", "ReadOnly"),
                ],
            },
        })
    }

    fn path(&self, group: &str, kind: &str) -> String {
        format!("{group}/namespaces/{}/{kind}", self.namespace)
    }

    fn databases(&self) -> String {
        self.path("/apis/paymesh.dev/v1alpha1", "databases")
    }

    fn secrets(&self) -> String {
        self.path("/api/v1", "secrets")
    }

    /// Applies a new object; gives the answer.
    pub async fn try_to_make(&self, database: &Value) -> (u16, Value) {
        self.api.create(&self.databases(), database).await
    }

    /// Makes a `Database`.
    pub async fn make(&self, database: &Value) {
        let (status, answer) = self.try_to_make(database).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Changes the spec of a `Database`; gives the answer.
    pub async fn try_to_change(&self, name: &str, spec: &Value) -> (u16, Value) {
        let path = format!("{}/{name}", self.databases());
        self.api.merge(&path, &json!({ "spec": spec })).await
    }

    /// Changes the spec of a `Database`.
    pub async fn change(&self, name: &str, spec: &Value) {
        let (status, answer) = self.try_to_change(name, spec).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Writes an annotation on a `Database`.
    pub async fn annotate(&self, name: &str, key: &str, value: &str) {
        let path = format!("{}/{name}", self.databases());
        let change = json!({ "metadata": { "annotations": { key: value } } });
        let (status, answer) = self.api.merge(&path, &change).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Asks for the deletion of a `Database`.
    pub async fn delete(&self, name: &str) {
        let path = format!("{}/{name}", self.databases());
        let (status, answer) = self.api.delete(&path).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Waits until a `Database` is gone.
    pub async fn wait_until_gone(&self, name: &str) {
        until("the end of a Database", async || {
            let (status, found) = self.get(name).await;
            (status == 404)
                .then_some(())
                .ok_or(found["status"].to_string())
        })
        .await;
    }

    /// A `Database` as it is.
    pub async fn get(&self, name: &str) -> (u16, Value) {
        self.api.get(&format!("{}/{name}", self.databases())).await
    }

    /// Waits until a `Database` is ready, as it is specified now.
    pub async fn wait_until_ready(&self, name: &str) -> Value {
        self.wait_for_condition(name, "Ready", "True").await
    }

    /// Waits until a condition, of the generation that is there now, has a status.
    pub async fn wait_for_condition(&self, name: &str, kind: &str, wanted: &str) -> Value {
        until(&format!("{kind} = {wanted} of {name}"), async || {
            let (_, found) = self.get(name).await;
            let is_seen = found["status"]["observedGeneration"] == found["metadata"]["generation"];
            let conditions = found["status"]["conditions"].as_array().cloned();
            let mut conditions = conditions.unwrap_or_default().into_iter();
            let is_so = conditions.any(|it| it["type"] == kind && it["status"] == wanted);
            if is_seen && is_so {
                Ok(found)
            } else {
                Err(found["status"].to_string())
            }
        })
        .await
    }

    /// What the conditions of a `Database` say, one line each.
    pub async fn conditions(&self, name: &str) -> String {
        let (_, found) = self.get(name).await;
        let conditions = found["status"]["conditions"].as_array().cloned();
        let mut text = String::new();
        for it in conditions.unwrap_or_default() {
            let word = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
            let message = word("message").replace('\n', "\n    ");
            let line = format!(
                "{} {} {} {message}",
                word("type"),
                word("status"),
                word("reason")
            );
            writeln!(text, "{}", line.trim_end()).expect("a string takes everything");
        }
        text
    }

    /// The reasons of the events, each once, sorted.
    pub async fn events(&self) -> Vec<String> {
        let (_, found) = self
            .api
            .get(&self.path("/apis/events.k8s.io/v1", "events"))
            .await;
        let items = found["items"].as_array().cloned().unwrap_or_default();
        let mut reasons: Vec<String> = items
            .iter()
            .map(|it| it["reason"].as_str().unwrap_or_default().to_owned())
            .collect();
        reasons.sort();
        reasons.dedup();
        reasons
    }

    /// Everything that the API server would show of events and `Database` objects.
    pub async fn shown(&self) -> String {
        let (_, events) = self
            .api
            .get(&self.path("/apis/events.k8s.io/v1", "events"))
            .await;
        let (_, databases) = self.api.get(&self.databases()).await;
        format!("{events}{databases}")
    }

    /// Makes a Secret.
    pub async fn make_secret(&self, name: &str, values: &Value) {
        self.make_labelled(name, &json!({}), values).await;
    }

    /// Makes the Secret of a server on this machine, without TLS if `more` does not say otherwise;
    /// a value that is null is left out.
    pub async fn make_server(&self, name: &str, port: u16, more: &Value) {
        let (username, password) = ADMINISTRATOR;
        let mut values = json!({
            "username": username,
            "password": password,
            "host": "127.0.0.1",
            "port": port.to_string(),
            "sslmode": "disable",
        });
        for (key, value) in more.as_object().expect("keys and values") {
            values[key] = value.clone();
        }
        if let Some(values) = values.as_object_mut() {
            values.retain(|_, value| !value.is_null());
        }
        let label = json!({ "paymesh.dev/database-server": "true" });
        self.make_labelled(name, &label, &values).await;
    }

    async fn make_labelled(&self, name: &str, labels: &Value, values: &Value) {
        let metadata = json!({ "name": name, "labels": labels });
        let secret = json!({ "metadata": metadata, "stringData": values });
        let (status, answer) = self.api.create(&self.secrets(), &secret).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Changes a Secret.
    pub async fn change_secret(&self, name: &str, change: &Value) {
        let path = format!("{}/{name}", self.secrets());
        let (status, answer) = self.api.merge(&path, change).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Deletes a Secret.
    pub async fn delete_secret(&self, name: &str) {
        let path = format!("{}/{name}", self.secrets());
        let (status, answer) = self.api.delete(&path).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// What a Secret holds, if it is there.
    pub async fn secret(&self, name: &str) -> Option<Login> {
        let path = format!("{}/{name}", self.secrets());
        let (status, found) = self.api.get(&path).await;
        let data = found["data"].as_object().cloned().unwrap_or_default();
        let text = |value: &Value| {
            let bytes = STANDARD.decode(value.as_str()?).ok()?;
            String::from_utf8(bytes).ok()
        };
        let data = data
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), text(value)?)));
        (status == 200).then(|| Login(data.collect()))
    }
}
