//! What a service counts and times, in the words of Prometheus.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// From an answer out of memory to one that is given up.
const SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0,
];
/// How many at once.
const NUMBERS: [f64; 6] = [1.0, 4.0, 16.0, 64.0, 128.0, 256.0];
/// How often what was timed is added up, whether somebody reads it or not.
const ADD_UP: Duration = Duration::from_secs(5);

/// Everything that was counted in this process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// As Prometheus reads it.
    pub(crate) fn text(&self) -> String {
        self.0.render()
    }
}

/// Counts from now on. Names that end with `_seconds` or `_commands` are histograms when they are
/// recorded as such.
pub fn start_metrics() -> Result<Metrics, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_commands".to_owned()), &NUMBERS)?
        .install_recorder()?;
    let metrics = Metrics(handle.clone());
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(ADD_UP);
        loop {
            tick.tick().await;
            handle.run_upkeep();
        }
    });
    Ok(metrics)
}
