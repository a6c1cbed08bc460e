//! A simulated cloud of the test's own, seen through its control API.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use reqwest::{Certificate, Method, blocking};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::programs::programs;

/// The longest that a start may take.
const READY_SECONDS_MAX: u64 = 30;

/// The most steps of time in which a cloud must come to rest.
const STEPS_MAX: u32 = 100;

/// What is asked by POST and changes nothing: tokens, policies, credentials.
const READS: [&str; 4] = [
    "token",
    ":getIamPolicy",
    ":testIamPermissions",
    "/listCluster",
];

/// Simulated seconds in a second: waits are short, and limits are still long on a busy machine.
const CLOCK_RATE: &str = "60";

/// The poll at which an operation ends, so that the number of requests is stable.
pub const OPERATION_POLLS: u32 = 2;

/// The longest that a test waits for a request which is to be held.
const HELD_SECONDS_MAX: u64 = 60;

/// A running simulated cloud; it stops when this is dropped.
#[derive(Debug)]
pub struct Cloud {
    folder: TempDir,
    process: Child,
    card: Value,
    client: blocking::Client,
}

/// A fault that holds requests until it is released.
#[derive(Debug)]
pub struct Fault<'a> {
    cloud: &'a Cloud,
    id: String,
}

impl Cloud {
    /// Starts one.
    pub fn start() -> Self {
        Self::start_at(CLOCK_RATE)
    }

    /// The same, with another rate of the clock.
    pub fn start_at(rate: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let log = fs::File::create(folder.path().join("log")).expect("a log file can be made");
        let mut process = Command::new(&programs().cloudsim)
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .arg("--simulator-file")
            .arg(folder.path().join("simulator.json"))
            .args(["--operation-polls", &OPERATION_POLLS.to_string()])
            .args(["--clock-rate", rate])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be copied"))
            .stderr(log)
            .spawn()
            .expect("the simulated cloud starts");
        let card = Self::wait_for_card(folder.path(), &mut process);
        // Done already by another test of this process; one provider is as good as the other.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let authority = fs::read(card["ca"].as_str().expect("the card names the authority"))
            .expect("the authority can be read");
        let client = blocking::Client::builder()
            .tls_certs_only([Certificate::from_pem(&authority).expect("the authority is PEM")])
            .no_proxy()
            .timeout(Duration::from_mins(2))
            .build()
            .expect("an HTTP client can be made");
        Self {
            folder,
            process,
            card,
            client,
        }
    }

    fn wait_for_card(folder: &Path, process: &mut Child) -> Value {
        let limit = Instant::now() + Duration::from_secs(READY_SECONDS_MAX);
        loop {
            let text = fs::read_to_string(folder.join("simulator.json")).unwrap_or_default();
            if let Ok(card) = serde_json::from_str(&text) {
                return card;
            }
            let ended = process.try_wait().expect("a child can be asked");
            assert!(
                ended.is_none() && Instant::now() < limit,
                "the simulated cloud is not ready ({ended:?}): {}",
                fs::read_to_string(folder.join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The file that tells the provider where this cloud is.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("simulator.json")
    }

    /// A copy of that file with other lines, in place of the last copy.
    pub fn file_with(&self, lines: &[(&str, &Value)]) -> PathBuf {
        let mut card = self.card.clone();
        for (key, value) in lines {
            assert!(value.is_string(), "{key}: {value}");
            card[*key] = (*value).clone();
        }
        let file = self.file().with_extension("other.json");
        fs::write(&file, card.to_string()).expect("the simulator file can be copied");
        file
    }

    /// What the simulator wrote into it.
    pub fn card(&self) -> &Value {
        &self.card
    }

    /// The certificate of the authority that signs for it.
    pub fn authority(&self) -> &Path {
        Path::new(
            self.card["ca"]
                .as_str()
                .expect("the card names the authority"),
        )
    }

    /// The first subscription.
    pub fn subscription(&self) -> String {
        let id = self.card["subscription_ids"][0].as_str();
        id.expect("there is a subscription").to_owned()
    }

    /// What the ids of everything begin with that the first subscription has from the start.
    pub fn shared(&self) -> String {
        let subscription = self.subscription();
        format!("/subscriptions/{subscription}/resourceGroups/shared/providers")
    }

    /// `text` with the places of what every subscription and project has from the start: `$SHARED`
    /// (a registry, a workspace, ...), `$NETWORKS` (Azure) and `$GOOGLE` (regions, with a subnet).
    pub fn seeded(&self, text: &str) -> String {
        text.replace("$GOOGLE", "projects/paymesh-hub/regions")
            .replace("$NETWORKS", "$SHARED/Microsoft.Network/virtualNetworks")
            .replace("$SHARED", &self.shared())
    }

    /// A client that trusts the cloud.
    pub(crate) fn client(&self) -> &blocking::Client {
        &self.client
    }

    /// Asks the control API.
    pub fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.call(method, path, body);
        assert!(status < 300, "{path} answers {status}: {answer}");
        answer
    }

    /// Asks the control API, where a fault may be on the way; nothing, if it is not found.
    pub fn try_ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, String> {
        match self.try_call(method, path, body)? {
            (404, _) => Ok(Value::Null),
            (status, answer) if status < 300 => Ok(answer),
            (status, answer) => Err(format!("{path} answers {status}: {answer}")),
        }
    }

    fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        self.try_call(method, path, body)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn try_call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), String> {
        let address = format!(
            "{}/{path}",
            self.card["control"].as_str().unwrap_or_default()
        );
        let mut request = self.client.request(method, &address);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request
            .send()
            .map_err(|error| format!("{address}: {}", with_causes(&error)))?;
        let status = answer.status().as_u16();
        let text = answer.text().unwrap_or_default();
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// The id of the lock on the state called `name`.
    pub fn lock_of(&self, name: &str) -> Option<String> {
        let path = format!("terraform/{name}");
        let lock = Method::from_bytes(b"LOCK").expect("LOCK is a word");
        let probe = json!({ "ID": "probe" });
        let (status, holder) = self.call(lock, &path, Some(&probe));
        if status == 423 {
            return holder["ID"].as_str().map(ToOwned::to_owned);
        }
        let unlock = Method::from_bytes(b"UNLOCK").expect("UNLOCK is a word");
        self.ask(unlock, &path, Some(&probe));
        None
    }

    /// Every live object, as ids, sorted.
    pub fn inventory(&self) -> Vec<String> {
        let inventory = self.ask(Method::GET, "inventory", None);
        let mut ids: Vec<String> = inventory
            .as_object()
            .into_iter()
            .flat_map(|clouds| clouds.values())
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(|object| object["id"].as_str().map(ToOwned::to_owned))
            .collect();
        ids.sort();
        ids
    }

    /// Changes how time passes: `rate`, `operation_polls` (null: operations end by the clock), and
    /// `drift` (false: nothing happens unasked).
    pub fn clock(&self, order: &Value) {
        self.ask(Method::POST, "clock", Some(order));
    }

    /// Every live object of a type (its last word, without case), as ids.
    pub fn all(&self, kind: &str) -> Vec<String> {
        let inventory = self.ask(Method::GET, "inventory", None);
        let kind = kind.to_lowercase();
        inventory
            .as_object()
            .into_iter()
            .flat_map(|clouds| clouds.values())
            .filter_map(Value::as_array)
            .flatten()
            .filter(|object| {
                let of = object["type"].as_str().unwrap_or_default().to_lowercase();
                of == kind || of.ends_with(&format!("/{kind}"))
            })
            .filter_map(|object| object["id"].as_str().map(ToOwned::to_owned))
            .collect()
    }

    /// Everything it holds, states of Terraform included.
    pub fn export(&self) -> Value {
        self.ask(Method::GET, "export", None)
    }

    /// Brings back what was exported, in the place of everything.
    pub fn import(&self, exported: &Value) {
        self.ask(Method::POST, "import", Some(exported));
    }

    /// What was deleted after entry `since`, as paths.
    pub fn deleted(&self, since: u64) -> Vec<String> {
        self.journal(since)
            .iter()
            .filter(|entry| entry["method"] == "DELETE" && entry["api"] != "terraform")
            .filter_map(|entry| entry["path"].as_str())
            .map(str::to_lowercase)
            .collect()
    }

    /// The journal after entry `since`.
    pub fn journal(&self, since: u64) -> Vec<Value> {
        let answer = self.ask(Method::GET, &format!("journal?since={since}"), None);
        answer["entries"].as_array().cloned().unwrap_or_default()
    }

    /// Lets simulated time pass.
    pub fn pass(&self, seconds: u32) {
        let wish = json!({ "step_seconds": seconds });
        self.ask(Method::POST, "clock", Some(&wish));
    }

    /// Lets simulated time pass until no operation runs, and none that follows from it.
    pub fn rest(&self) {
        let mut quiet = 0;
        for _ in 0..STEPS_MAX {
            self.pass(600);
            // What is due begins or ends when somebody looks.
            self.ask(Method::GET, "inventory", None);
            let running = self.ask(Method::GET, "state", None)["operations_running"].clone();
            quiet = if running == 0 { quiet + 1 } else { 0 };
            if quiet == 3 {
                return;
            }
        }
        panic!(
            "the cloud does not come to rest: {}",
            self.ask(Method::GET, "operations", None)
        );
    }

    /// The whole journal as the simulator tells it.
    pub fn journal_text(&self) -> String {
        self.ask(Method::GET, "journal?since=0", None).to_string()
    }

    /// What the simulator itself has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The number of the last request.
    pub fn last_request(&self) -> u64 {
        let state = self.ask(Method::GET, "state", None);
        state["requests"].as_u64().expect("the state counts them")
    }

    /// The requests after `since` that change something in a cloud, as `VERB path`.
    pub fn writes(&self, since: u64) -> Vec<String> {
        self.journal(since)
            .iter()
            .filter(|entry| is_write(entry))
            .map(|entry| {
                let word = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
                format!("{} {}", word("method"), word("path"))
            })
            .collect()
    }

    /// Orders a fault.
    pub fn fault(&self, rule: &Value) {
        self.ask(Method::POST, "faults", Some(rule));
    }

    /// Holds the n-th request with this verb (or any, if it is empty) and path pattern, at `site`.
    pub fn hold(&self, method: &str, path: &str, nth: u32, site: &str) -> Fault<'_> {
        let method = (!method.is_empty()).then_some(method);
        let rule = json!({
            "method": method, "path": path, "nth": nth, "site": site, "action": { "kind": "hold" },
        });
        let answer = self.ask(Method::POST, "faults", Some(&rule));
        let id = answer["id"].as_str().expect("a fault has an id").to_owned();
        Fault { cloud: self, id }
    }
}

/// What an error says, and what each cause of it says.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Whether an entry of the journal changes something in a cloud.
pub fn is_write(entry: &Value) -> bool {
    let path = entry["path"].as_str().unwrap_or_default();
    entry["api"] != "terraform"
        && entry["method"] != "GET"
        && !READS.iter().any(|read| path.contains(read))
}

impl Fault<'_> {
    /// Waits until a request is held; its number, or nothing if none came within the limit.
    pub fn held(&self) -> Option<u64> {
        self.held_within(HELD_SECONDS_MAX)
    }

    /// Waits for so many seconds until a request is held; its number, or nothing if none came.
    pub fn held_within(&self, seconds: u64) -> Option<u64> {
        let path = format!("faults/{}/held?wait={seconds}", self.id);
        let (status, rule) = self.cloud.call(Method::GET, &path, None);
        (status == 200).then(|| rule["held"][0].as_u64()).flatten()
    }

    /// Waits until a request is held.
    #[track_caller]
    pub fn wait(&self) {
        assert!(self.held().is_some(), "no request was held by {}", self.id);
    }

    /// Lets the held request go on, and later ones pass.
    pub fn release(self) {
        let path = format!("faults/{}/release", self.id);
        self.cloud.ask(Method::POST, &path, Some(&json!({})));
    }

    /// Is no more, where it held nothing.
    pub fn remove(self) {
        let path = format!("faults/{}", self.id);
        self.cloud.ask(Method::DELETE, &path, None);
    }

    /// Cuts the held request's connection, and lets later ones pass.
    pub fn cut(self) {
        let path = format!("faults/{}/release", self.id);
        self.cloud
            .ask(Method::POST, &path, Some(&json!({ "cut": true })));
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // It survives a kill by design, and nobody asks for its state again.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
