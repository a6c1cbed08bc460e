//! What every service needs to be run: settings, logs, health, metrics, traces, a graceful end.
//!
//! Invariants: settings come from the environment and every mistake in them is reported at once; a
//! log line is one JSON object and never holds a secret, because no type that holds one can print
//! it; a service says that it is ready only while it can do its work.

mod health;
mod logs;
mod metrics;
mod secret;
mod settings;
mod shutdown;
mod traces;

pub use health::{Health, serve_health};
pub use logs::start_logs;
pub use metrics::{Metrics, start_metrics};
pub use secret::Secret;
pub use settings::{Settings, SettingsError};
pub use shutdown::{closing, drain, stop_signal};
pub use traces::{Collector, Place, Span, SpanKind, TRACEPARENT, Traces, Within, start_traces};
