//! Where spans go while a row is measured: a process of its own, so that what it costs to take them
//! is neither a service's nor the generator's.

use std::{
    io,
    net::Ipv4Addr,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use paymesh_beds::{Process, http_is_ready, reserve_port, wait_for};
use prost::Message as _;

/// The program that counts.
const PROGRAM: &str = "paymesh-span-counter";
/// How many spans a payment and its webhook have at least; `tests/payments/tests/traces.rs` shows
/// which.
const SPANS_EACH: u64 = 13;
/// How long after the last payment its spans may be on their way.
const SENT_MAX: Duration = Duration::from_secs(20);
/// How long the program may take to listen.
const READY_MAX: Duration = Duration::from_secs(20);

/// Takes spans on a port of loopback, and counts them; this is the program's work.
pub async fn count_spans(port: u16) -> io::Result<()> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let app = Router::new()
        .route("/v1/traces", post(take))
        .route("/count", get(tell))
        .route("/readyz", get(|| async { "ready\n" }))
        .with_state(Arc::<AtomicU64>::default());
    axum::serve(listener, app).await
}

async fn take(State(counted): State<Arc<AtomicU64>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let of_services = request.resource_spans.iter();
    let of_scopes = of_services.flat_map(|of| &of.scope_spans);
    let spans: usize = of_scopes.map(|of| of.spans.len()).sum();
    counted.fetch_add(spans as u64, Ordering::Relaxed);
    StatusCode::OK
}

async fn tell(State(counted): State<Arc<AtomicU64>>) -> String {
    counted.load(Ordering::Relaxed).to_string()
}

/// The process that counts; it ends when dropped.
pub(super) struct Spans {
    process: Process,
    /// Where it listens.
    pub(super) port: u16,
}

impl Spans {
    /// Starts it, with its log in a folder.
    pub(super) fn start(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let port = reserve_port()?;
        let mut command = Command::new(std::env::current_exe()?.with_file_name(PROGRAM));
        command.arg(port.to_string());
        let log = folder.join(format!("{PROGRAM}.log"));
        let mut process = Process::start(PROGRAM, &mut command, &log)?;
        wait_for(PROGRAM, READY_MAX, || match process.ended() {
            Some(end) => Err(end),
            None => http_is_ready(port),
        })
        .map_err(io::Error::other)?;
        Ok(Self { process, port })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// How many spans came.
    async fn count(&self) -> io::Result<u64> {
        let asked = reqwest::get(format!("http://127.0.0.1:{}/count", self.port)).await;
        let text = async { asked?.error_for_status()?.text().await };
        let text = text.await.map_err(io::Error::other)?;
        text.parse().map_err(io::Error::other)
    }

    /// Waits until so many of a hundred spans of all payments came; gives how many did, of how many.
    pub(super) async fn of(&self, payments: u64, percent: u64) -> io::Result<Came> {
        let (start, wanted) = (Instant::now(), payments * SPANS_EACH);
        loop {
            let came = Came {
                spans: self.count().await?,
                wanted,
                percent,
            };
            if came.is_enough() || start.elapsed() > SENT_MAX {
                return Ok(came);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// How many spans came.
pub(super) struct Came {
    /// So many.
    pub(super) spans: u64,
    /// That every payment has all of its own.
    pub(super) wanted: u64,
    percent: u64,
}

impl Came {
    /// Whether traces were on all the time.
    pub(super) fn is_enough(&self) -> bool {
        self.spans * 100 >= self.wanted * self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_span_of_a_hundred_may_be_missing_and_no_more() {
        let is_enough = |spans, percent| {
            let wanted = 1_300;
            let came = Came {
                spans,
                wanted,
                percent,
            };
            came.is_enough()
        };
        assert!(is_enough(1_300, 100));
        assert!(is_enough(1_287, 99));
        assert!(!is_enough(1_286, 99));
        assert!(!is_enough(0, 1));
    }
}
