//! Logs: one JSON object per line on standard error.

use tracing_subscriber::EnvFilter;

/// Starts the logs of this process; `PAYMESH_LOG` filters them.
pub fn start_logs() {
    let filter = EnvFilter::try_from_env("PAYMESH_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
