//! A merchant's end of webhooks as a process of its own: checks each delivery as a merchant should,
//! and keeps what came as lines of a file.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use paymesh_beds::write_private;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use crate::{Client, receiver::is_signed};

/// How old a delivery may be: an older one may be one that somebody plays again.
const AGE_MAX: Duration = Duration::from_mins(5);
/// How long to wait for a webhook.
const TOLD_MAX: Duration = Duration::from_secs(30);

const ENDPOINTS: &str = "/v1/webhook_endpoints";

/// Where a merchant listens, and what they keep.
#[derive(Clone, Debug)]
pub struct Listener {
    folder: PathBuf,
    port: u16,
}

impl Listener {
    /// Of the merchant whose things are in a folder.
    pub fn new(folder: &Path, port: u16) -> Self {
        Self {
            folder: folder.to_owned(),
            port,
        }
    }

    /// The address to be told at.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/webhooks", self.port)
    }

    /// The file of what came, a line for each delivery.
    pub fn told(&self) -> PathBuf {
        self.folder.join("webhooks.jsonl")
    }

    fn secret(&self) -> PathBuf {
        self.folder.join("webhook-secret")
    }

    /// Has the merchant told here, unless they are already.
    pub async fn subscribe(&self, client: &Client) -> io::Result<()> {
        let url = self.url();
        let (status, listed) = client.get(ENDPOINTS, ENDPOINTS).await?;
        if status != 200 {
            return Err(io::Error::other(format!("no list of endpoints: {listed}")));
        }
        let listed = listed["data"].as_array().cloned().unwrap_or_default();
        let ours = listed.iter().filter(|one| one["url"] == url.as_str());
        let ours: Vec<&str> = ours.filter_map(|one| one["id"].as_str()).collect();
        if ours.len() == 1 && self.secret().is_file() {
            return Ok(());
        }
        // Somebody was interrupted before the secret was kept: nobody knows it any more.
        for id in ours {
            let path = format!("{ENDPOINTS}/{{id}}");
            let address = format!("{ENDPOINTS}/{id}");
            let (status, said) = client
                .call(reqwest::Method::DELETE, &path, &address, None)
                .await?;
            if !matches!(status, 204 | 404) {
                return Err(io::Error::other(format!("{id} stays: {said}")));
            }
        }
        // A secret that is there is the one in use, also after an interruption here.
        match fs::remove_file(self.secret()) {
            Err(reason) if reason.kind() != io::ErrorKind::NotFound => return Err(reason),
            _ => {}
        }
        let secret = client.add_webhook(&url).await?;
        write_private(&self.secret(), &secret)
    }

    /// The webhook about a payment, as soon as it came; an error if it does not in time.
    pub async fn wait_for(&self, payment: &str) -> io::Result<Value> {
        let start = Instant::now();
        loop {
            let text = fs::read_to_string(self.told()).unwrap_or_default();
            // The last line may be half written.
            let lines = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let lines: Vec<Value> = lines.collect();
            let of_it = |line: &&Value| line["event"]["payment"]["id"] == payment;
            if let Some(line) = lines.iter().find(of_it) {
                return Ok(line.clone());
            }
            if start.elapsed() > TOLD_MAX {
                let told = self.told();
                return Err(io::Error::other(format!(
                    "no webhook about {payment} came in {TOLD_MAX:?}; {} lines are in {}",
                    lines.len(),
                    told.display()
                )));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Listens until this process is asked to end.
    pub async fn run(self) -> io::Result<()> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.told())?;
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let inbox = Arc::new(Inbox {
            secret: self.secret(),
            file: Mutex::new(file),
        });
        let routes = Router::new()
            .route("/webhooks", post(receive))
            .route("/readyz", get(|| async { "ready\n" }))
            .with_state(inbox);
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        axum::serve(socket, routes)
            .with_graceful_shutdown(stop)
            .await
    }
}

struct Inbox {
    secret: PathBuf,
    file: Mutex<File>,
}

async fn receive(
    State(inbox): State<Arc<Inbox>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    match take(&inbox, &headers, &body) {
        Ok(()) => (StatusCode::NO_CONTENT, ""),
        Err((status, reason)) => {
            eprintln!("a delivery is refused: {reason}");
            (status, reason)
        }
    }
}

/// Keeps a delivery. It is on disk before it is confirmed: nobody sends it again then.
fn take(inbox: &Inbox, headers: &HeaderMap, body: &[u8]) -> Result<(), (StatusCode, &'static str)> {
    let later = |_: io::Error| (StatusCode::SERVICE_UNAVAILABLE, "it cannot be kept now");
    // Read each time, because it is there only after this process began.
    let secret = fs::read_to_string(&inbox.secret).map_err(later)?;
    if !is_signed(&secret, headers, body) {
        return Err((StatusCode::UNAUTHORIZED, "its signature is wrong"));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default();
    if signed_at(headers).is_none_or(|at| now.abs_diff(at) > AGE_MAX) {
        return Err((StatusCode::UNAUTHORIZED, "it was signed at another time"));
    }
    let event: Value =
        serde_json::from_slice(body).map_err(|_| (StatusCode::BAD_REQUEST, "it is no JSON"))?;
    let line = json!({ "received_ms": now.as_millis(), "event": event });
    let mut file = inbox.file.lock().unwrap_or_else(PoisonError::into_inner);
    file.write_all(format!("{line}\n").as_bytes())
        .and_then(|()| file.sync_data())
        .map_err(later)
}

/// When a delivery says that it was signed; the signature covers it.
fn signed_at(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("paymesh-signature")?.to_str().ok()?;
    let at = value.split(',').find_map(|part| part.strip_prefix("t="))?;
    at.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::hmac;
    use axum::http::HeaderValue;

    use super::*;

    const SECRET: &str = "whsec_test";
    const BODY: &[u8] = br#"{"id":"evt_one"}"#;

    fn seconds_ago(seconds: u64) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap().as_secs() - seconds
    }

    fn signed(secret: &str, at: u64, body: &[u8]) -> HeaderMap {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let text = [format!("{at}.").as_bytes(), body].concat();
        let tag = hmac::sign(&key, &text);
        let bytes = tag.as_ref().iter();
        let hex = bytes.fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let value = HeaderValue::from_str(&format!("t={at},v1={hex}")).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("paymesh-signature", value);
        headers
    }

    #[test]
    fn what_is_signed_and_fresh_is_kept_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listener::new(folder.path(), 1);
        let inbox = Inbox {
            secret: listener.secret(),
            file: Mutex::new(File::create(listener.told()).unwrap()),
        };
        let check = |headers: HeaderMap, body: &[u8], expected: Option<u16>| {
            let taken = take(&inbox, &headers, body);
            let status = taken.err().map(|(status, _)| status.as_u16());
            assert_eq!(status, expected, "{headers:?}");
        };
        // Before there is a secret.
        check(signed(SECRET, seconds_ago(0), BODY), BODY, Some(503));
        fs::write(listener.secret(), SECRET).unwrap();
        check(signed(SECRET, seconds_ago(0), BODY), BODY, None);
        check(signed("another", seconds_ago(0), BODY), BODY, Some(401));
        check(signed(SECRET, seconds_ago(0), BODY), b"{}", Some(401));
        check(signed(SECRET, seconds_ago(301), BODY), BODY, Some(401));
        check(HeaderMap::new(), BODY, Some(401));
        check(signed(SECRET, seconds_ago(0), b"x"), b"x", Some(400));
        let told = fs::read_to_string(listener.told()).unwrap();
        let lines: Vec<Value> = told
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 1, "{told}");
        assert_eq!(lines[0]["event"]["id"], "evt_one");
    }
}
