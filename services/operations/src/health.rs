//! What operators ask over HTTP: `/livez` while the process lives, `/readyz` while it can work,
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

/// Whether a service can do its work, and whether it lives.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    ready: AtomicBool,
    stuck: AtomicBool,
    ending: AtomicBool,
}

impl Health {
    /// Says whether the service can do its work from now on. One that ends says no whatever happens.
    pub fn set_ready(&self, ready: bool) {
        let ready = ready && !self.0.ending.load(Ordering::SeqCst);
        if self.0.ready.swap(ready, Ordering::Relaxed) != ready {
            tracing::info!(ready, "readiness changed");
            gauge!(READY).set(f64::from(ready));
        }
    }

    /// Says that the service ends: it is not ready any more.
    pub fn end(&self) {
        self.0.ending.store(true, Ordering::SeqCst);
        self.set_ready(false);
    }

    /// Whether the service can do its work.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed) && !self.0.ending.load(Ordering::SeqCst)
    }

    /// Says whether the service lives: one that does not is to be started again.
    pub fn set_alive(&self, alive: bool) {
        if self.0.stuck.swap(!alive, Ordering::Relaxed) == alive {
            tracing::error!(alive, "liveness changed");
        }
    }

    /// Whether the service lives.
    pub fn is_alive(&self) -> bool {
        !self.0.stuck.load(Ordering::Relaxed)
    }

    fn routes(&self) -> Router {
        let (health, life) = (self.clone(), self.clone());
        Router::new()
            .route(
                "/livez",
                get(move || {
                    let life = life.clone();
                    async move {
                        if life.is_alive() {
                            (StatusCode::OK, "alive\n")
                        } else {
                            (StatusCode::SERVICE_UNAVAILABLE, "stuck\n")
                        }
                    }
                }),
            )
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

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test]
    async fn a_service_that_is_stuck_does_not_live_until_it_says_otherwise() {
        let health = Health::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(axum::serve(listener, health.routes()).into_future());
        let status = async || {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer[9..12].to_owned()
        };
        assert_eq!(status().await, "200");
        health.set_alive(false);
        assert_eq!(status().await, "503");
        health.set_alive(true);
        assert_eq!(status().await, "200");
    }
}
