//! What operators ask over HTTP: `/livez` while the process runs, `/readyz` while it can work,
//! `/metrics` for what it did.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    http::{StatusCode, header},
    routing::get,
};
use metrics::{describe_gauge, gauge};
use tokio::net::TcpListener;

use crate::Metrics;

/// The text format of Prometheus.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

const READY: &str = "paymesh_ready";

/// Whether a service can do its work.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<AtomicBool>);

impl Health {
    /// Says whether the service can do its work from now on.
    pub fn set_ready(&self, ready: bool) {
        if self.0.swap(ready, Ordering::Relaxed) != ready {
            tracing::info!(ready, "readiness changed");
            gauge!(READY).set(f64::from(ready));
        }
    }

    /// Whether the service can do its work.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn routes(&self) -> Router {
        let health = self.clone();
        Router::new()
            .route("/livez", get(|| async { "alive\n" }))
            .route(
                "/readyz",
                get(move || {
                    let health = health.clone();
                    async move {
                        if health.is_ready() {
                            (StatusCode::OK, "ready\n")
                        } else {
                            (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
                        }
                    }
                }),
            )
    }
}

/// Serves the three addresses on a socket of their own, which is nobody's but the operators'.
pub async fn serve_health(
    health: &Health,
    metrics: Metrics,
    address: std::net::SocketAddr,
) -> std::io::Result<()> {
    describe_gauge!(READY, "1 while the service can work, else 0");
    gauge!(READY).set(f64::from(health.is_ready()));
    let listener = TcpListener::bind(address).await?;
    let shown = get(move || {
        let text = metrics.text();
        async move { ([(header::CONTENT_TYPE, PROMETHEUS)], text) }
    });
    let routes = health.routes().route("/metrics", shown);
    tokio::spawn(async move {
        if let Err(reason) = axum::serve(listener, routes).await {
            tracing::error!(%reason, "the health server ended");
        }
    });
    Ok(())
}
