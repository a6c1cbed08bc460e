//! A merchant's end of a webhook: checks the signature, keeps what came.

use std::{
    collections::HashMap,
    io,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use serde_json::Value;

/// What came, and what to do with what comes.
#[derive(Default)]
struct Inbox {
    secret: Mutex<String>,
    /// Every event that came with a right signature, by its id, and how often.
    events: Mutex<HashMap<String, (Value, u32)>>,
    refuse: AtomicU32,
    forged: AtomicU32,
    /// What every delivery is answered with, beside the status.
    says: Mutex<String>,
}

/// A merchant who listens.
pub struct Receiver {
    /// Where.
    pub url: String,
    inbox: Arc<Inbox>,
}

impl Receiver {
    /// Starts to listen.
    pub async fn start() -> io::Result<Self> {
        let inbox = Arc::<Inbox>::default();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/webhook", listener.local_addr()?);
        let app = Router::new()
            .route("/webhook", post(receive))
            .with_state(inbox.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, inbox })
    }

    /// The secret that signatures are made with.
    pub fn know_secret(&self, secret: &str) {
        secret.clone_into(&mut *lock(&self.inbox.secret));
    }

    /// Answers the next `count` deliveries with 500.
    pub fn refuse(&self, count: u32) {
        self.inbox.refuse.store(count, Ordering::Relaxed);
    }

    /// Answers each delivery with this text from now on.
    pub fn say(&self, text: &str) {
        text.clone_into(&mut *lock(&self.inbox.says));
    }

    /// All that came, as JSON.
    pub fn all(&self) -> String {
        let events = lock(&self.inbox.events);
        events
            .values()
            .map(|(event, _)| event.to_string())
            .collect()
    }

    /// The event about a payment, and how often it came.
    pub fn event_of(&self, payment: &str) -> Option<(Value, u32)> {
        let events = lock(&self.inbox.events);
        let found = events
            .values()
            .find(|(event, _)| event["payment"]["id"] == payment);
        found.cloned()
    }

    /// The event about a payment, and how often it came, as soon as that is so many times; an error
    /// after `limit`.
    pub async fn wait_for_event(
        &self,
        payment: &str,
        times: u32,
        limit: Duration,
    ) -> io::Result<(Value, u32)> {
        let start = Instant::now();
        loop {
            let event = self.event_of(payment);
            let came = event.as_ref().map_or(0, |(_, came)| *came);
            if let Some(event) = event.filter(|_| came >= times) {
                return Ok(event);
            }
            if start.elapsed() > limit {
                let late = format!("an event of {payment} came {came} times in {limit:?}");
                return Err(io::Error::other(late));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What was told of a payment, sorted.
    pub fn told_of(&self, payment: &str) -> Vec<String> {
        let events = lock(&self.inbox.events);
        let of_it = events
            .values()
            .filter(|(event, _)| event["payment"]["id"] == payment);
        let mut told: Vec<String> = of_it
            .filter_map(|(event, _)| Some(event["type"].as_str()?.to_owned()))
            .collect();
        told.sort_unstable();
        told
    }

    /// How many different events came.
    pub fn events(&self) -> usize {
        lock(&self.inbox.events).len()
    }

    /// How many deliveries had a wrong signature.
    pub fn forged(&self) -> u32 {
        self.inbox.forged.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn receive(
    State(inbox): State<Arc<Inbox>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let says = lock(&inbox.says).clone();
    (take(&inbox, &headers, &body), says)
}

fn take(inbox: &Inbox, headers: &HeaderMap, body: &[u8]) -> StatusCode {
    let secret = lock(&inbox.secret).clone();
    if !is_signed(&secret, headers, body) {
        inbox.forged.fetch_add(1, Ordering::Relaxed);
        return StatusCode::UNAUTHORIZED;
    }
    let left = inbox
        .refuse
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
    if left.is_ok() {
        return StatusCode::INTERNAL_SERVER_ERROR;
    }
    let Ok(event) = serde_json::from_slice::<Value>(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let id = event["id"].as_str().unwrap_or_default().to_owned();
    lock(&inbox.events).entry(id).or_insert((event, 0)).1 += 1;
    StatusCode::NO_CONTENT
}

/// `t=<seconds>,v1=<hex>`: HMAC-SHA-256 of `<seconds>.<body>`; one `v1` for each secret in use.
pub(crate) fn is_signed(secret: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let value = headers
        .get("paymesh-signature")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let part = |name: &str| value.split(',').find_map(|part| part.strip_prefix(name));
    let Some(at) = part("t=") else {
        return false;
    };
    let tag = |signature: &str| -> Vec<u8> {
        let pairs = (0..signature.len() / 2).filter_map(|index| {
            u8::from_str_radix(signature.get(2 * index..2 * index + 2)?, 16).ok()
        });
        pairs.collect()
    };
    let signed = [at.as_bytes(), b".", body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    value
        .split(',')
        .filter_map(|part| part.strip_prefix("v1="))
        .any(|signature| hmac::verify(&key, &signed, &tag(signature)).is_ok())
}
