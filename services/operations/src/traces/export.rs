//! Spans on their way to the collector: a queue with an end, and one task that sends.
//!
//! The batch processor of `OpenTelemetry`'s SDK does the same, on a thread of its own, where our HTTP
//! client has no runtime; and how many spans it dropped it tells only when it ends.

use std::{error::Error, time::Duration};

use metrics::{counter, describe_counter};
use opentelemetry::Context;
use opentelemetry_otlp::{
    Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Span, SpanData, SpanExporter as _, SpanProcessor},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::Collector;

/// How many spans wait at most: some megabytes.
const QUEUE_MAX: usize = 8_192;
/// How many are sent at once.
const BATCH_MAX: usize = 512;
/// How long spans wait for others to be sent with.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a collector has to take a batch. What it does not take is not sent again.
const ANSWER_MAX: Duration = Duration::from_secs(2);

const LOST: &str = "paymesh_spans_lost_total";

pub(super) fn describe() {
    describe_counter!(
        LOST,
        "Spans that the collector did not take, or that did not wait for it because too many did"
    );
    for reason in ["full", "refused"] {
        counter!(LOST, "reason" => reason).increment(0);
    }
}

fn lost(reason: &'static str, spans: usize) {
    counter!(LOST, "reason" => reason).increment(spans as u64);
}

/// What takes spans in as they end.
#[derive(Debug)]
pub(super) struct Queue(mpsc::Sender<SpanData>);

/// A queue, and where spans come out of it.
pub(super) fn queue() -> (Queue, mpsc::Receiver<SpanData>) {
    let (sender, ended) = mpsc::channel(QUEUE_MAX);
    (Queue(sender), ended)
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.0.try_send(span).is_err() {
            lost("full", 1);
        }
    }

    /// Who sends has a clock, and an end of its own: [`super::Traces::end`].
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// What speaks to a collector. Headers, such as what it knows us by, are in
/// `OTEL_EXPORTER_OTLP_HEADERS`.
pub(super) fn exporter(
    collector: &Collector,
    resource: &Resource,
) -> Result<SpanExporter, Box<dyn Error>> {
    let client = reqwest::Client::builder()
        .timeout(ANSWER_MAX)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(collector.url.as_str())
        .with_timeout(ANSWER_MAX)
        .with_retry_policy(RetryPolicy::disabled())
        .build()?;
    exporter.set_resource(resource);
    Ok(exporter)
}

/// Sends what comes out of the queue until `stop` is cancelled, and then what is still in it.
pub(super) async fn send(
    exporter: SpanExporter,
    mut ended: mpsc::Receiver<SpanData>,
    stop: CancellationToken,
) {
    let mut tick = interval(PAUSE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_taken = true;
    loop {
        let is_last = tokio::select! {
            () = stop.cancelled() => true,
            _ = tick.tick() => false,
        };
        while !ended.is_empty() {
            let mut batch = Vec::with_capacity(BATCH_MAX);
            ended.recv_many(&mut batch, BATCH_MAX).await;
            was_taken = deliver(&exporter, batch, was_taken).await;
        }
        if is_last {
            return;
        }
    }
}

/// Whether a batch was taken; why not is told once, however often it is met.
async fn deliver(exporter: &SpanExporter, batch: Vec<SpanData>, was_taken: bool) -> bool {
    let spans = batch.len();
    let reason = match timeout(ANSWER_MAX, exporter.export(batch)).await {
        Ok(Ok(())) => {
            if !was_taken {
                tracing::info!("the collector takes spans again");
            }
            return true;
        }
        Ok(Err(reason)) => reason.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    lost("refused", spans);
    if was_taken {
        tracing::warn!(
            reason,
            "the collector does not take spans; they are dropped"
        );
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use opentelemetry::{
        InstrumentationScope,
        trace::{SpanContext, SpanId, SpanKind, Status},
    };
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};

    use super::*;

    fn span() -> SpanData {
        let now = SystemTime::now();
        SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "span".into(),
            start_time: now,
            end_time: now,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    #[test]
    fn a_full_queue_keeps_nobody_waiting() {
        let (queue, mut ended) = queue();
        for _ in 0..QUEUE_MAX + 3 {
            queue.on_end(span());
        }
        let mut kept = 0;
        while ended.try_recv().is_ok() {
            kept += 1;
        }
        assert_eq!(kept, QUEUE_MAX);
    }
}
