//! Traces: what happened to one payment, in which service and for how long, as `OpenTelemetry` has it.
//!
//! Invariants:
//! - without a collector there is no span, and nothing of a trace is read, kept or sent;
//! - a trace begins where a merchant's request comes in, and there alone it is decided whether it is
//!   seen: everywhere else there is a span only if it belongs to a trace that is;
//! - nobody waits for a collector: spans that it does not take are dropped and counted;
//! - a span tells ids and words of ours, see [`Span`].

mod collector;
mod export;
mod span;

use std::{error::Error, sync::OnceLock, time::Duration};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

pub use collector::Collector;
pub use span::{Place, Span, SpanKind, TRACEPARENT, Within};

/// How long the last spans have to be sent when a service ends.
const END_MAX: Duration = Duration::from_secs(3);

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The traces of this process; to be ended with it.
pub struct Traces(Option<(JoinHandle<()>, CancellationToken)>);

/// Traces what `service` does from now on, if there is a collector. Once in a process.
pub fn start_traces(
    collector: Option<Collector>,
    service: &'static str,
) -> Result<Traces, Box<dyn Error>> {
    export::describe();
    let Some(collector) = collector else {
        return Ok(Traces(None));
    };
    let resource = Resource::builder().with_service_name(service).build();
    let (queue, ended) = export::queue();
    let exporter = export::exporter(&collector, &resource)?;
    let ratio = Sampler::TraceIdRatioBased(collector.ratio);
    let provider = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(ratio)))
        .with_resource(resource)
        .with_span_processor(queue)
        .build();
    TRACER
        .set(provider.tracer("paymesh"))
        .map_err(|_| "traces are started already")?;
    tracing::info!(ratio = collector.ratio, "spans go to a collector");
    let stop = CancellationToken::new();
    let task = tokio::spawn(export::send(exporter, ended, stop.clone()));
    Ok(Traces(Some((task, stop))))
}

impl Traces {
    /// Sends what has ended until now, for a moment.
    pub async fn end(self) {
        if let Some((task, stop)) = self.0 {
            stop.cancel();
            if timeout(END_MAX, task).await.is_err() {
                tracing::warn!("the last spans were not taken");
            }
        }
    }
}
