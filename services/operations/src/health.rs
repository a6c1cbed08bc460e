//! Health over HTTP: `/livez` while the process runs, `/readyz` while it can work.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, http::StatusCode, routing::get};
use tokio::net::TcpListener;

/// Whether a service can do its work.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<AtomicBool>);

impl Health {
    /// Says whether the service can do its work from now on.
    pub fn set_ready(&self, ready: bool) {
        if self.0.swap(ready, Ordering::Relaxed) != ready {
            tracing::info!(ready, "readiness changed");
        }
    }

    /// Whether the service can do its work.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The two addresses.
    pub fn routes(&self) -> Router {
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

/// Serves the two addresses on a socket of their own, for services without another HTTP server.
pub async fn serve_health(health: Health, address: std::net::SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    tokio::spawn(async move {
        if let Err(reason) = axum::serve(listener, health.routes()).await {
            tracing::error!(%reason, "the health server ended");
        }
    });
    Ok(())
}
