//! A collector of spans: takes what the services send by OTLP, and can say nothing at all.

use std::{
    fmt::Write as _,
    io,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value,
    resource::v1::Resource,
};
use prost::Message as _;

/// What came, and whether anybody is answered.
#[derive(Default)]
struct Taken {
    is_hanging: AtomicBool,
    spans: Mutex<Vec<Seen>>,
    /// All of it, as it came.
    raw: Mutex<Vec<u8>>,
}

/// A span as far as a test looks at it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The service that it is of.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its trace.
    pub trace: String,
    /// Itself.
    pub id: String,
    /// Within which span it is; empty if in none.
    pub parent: String,
}

/// A collector that listens.
pub struct Collector {
    /// Where.
    pub url: String,
    taken: Arc<Taken>,
}

impl Collector {
    /// Starts to listen.
    pub async fn start() -> io::Result<Self> {
        let taken = Arc::<Taken>::default();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}/v1/traces", listener.local_addr()?);
        let app = Router::new()
            .route("/v1/traces", post(take))
            .with_state(taken.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, taken })
    }

    /// Answers nobody from now on.
    pub fn hang(&self) {
        self.taken.is_hanging.store(true, Ordering::Relaxed);
    }

    /// Every span that came.
    pub fn spans(&self) -> Vec<Seen> {
        lock(&self.taken.spans).clone()
    }

    /// All of it, as it came.
    pub fn all(&self) -> Vec<u8> {
        lock(&self.taken.raw).clone()
    }

    /// Whether a text is anywhere in what came.
    pub fn has(&self, text: &str) -> bool {
        let raw = lock(&self.taken.raw);
        raw.windows(text.len()).any(|part| part == text.as_bytes())
    }

    /// The spans of a trace within the span `parent`, each before those within it: names and services,
    /// in the order of the alphabet.
    pub fn tree(&self, trace: &str, parent: &str) -> String {
        let mut spans = self.spans();
        spans.retain(|span| span.trace == trace);
        spans.sort_by(|one, other| one.name.cmp(&other.name));
        let mut tree = String::new();
        draw(&spans, parent, 0, &mut tree);
        tree
    }
}

fn draw(spans: &[Seen], parent: &str, depth: usize, tree: &mut String) {
    for span in spans.iter().filter(|span| span.parent == parent) {
        let (name, service) = (&span.name, &span.service);
        writeln!(tree, "{:1$}{name} [{service}]", "", 2 * depth).expect("a text takes all");
        draw(spans, &span.id, depth + 1, tree);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State(taken): State<Arc<Taken>>, body: Bytes) -> StatusCode {
    if taken.is_hanging.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
    let Ok(request) = ExportTraceServiceRequest::decode(body.clone()) else {
        return StatusCode::BAD_REQUEST;
    };
    lock(&taken.raw).extend_from_slice(&body);
    let mut seen = lock(&taken.spans);
    for of_service in request.resource_spans {
        let service = service(of_service.resource.as_ref());
        let spans = of_service.scope_spans.into_iter().flat_map(|of| of.spans);
        seen.extend(spans.map(|span| Seen {
            service: service.clone(),
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
        }));
    }
    StatusCode::OK
}

fn service(resource: Option<&Resource>) -> String {
    let mut attributes = resource.iter().flat_map(|resource| &resource.attributes);
    let named = attributes.find(|attribute| attribute.key == "service.name");
    match named.and_then(|named| named.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(name)) => name.clone(),
        _ => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
