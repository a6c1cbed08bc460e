//! payment-api.

use std::{error::Error, time::Duration};

use paymesh_operations::{
    Health, Settings, closing, serve_health, start_logs, start_metrics, start_traces, stop_signal,
};
use paymesh_payment_api::{
    Limits, Waiting,
    app::{App, router},
    config::Api,
    leave,
};
use paymesh_transport::bind;
use tokio_util::sync::CancellationToken;

/// How long requests may take that are under way when nobody is taken in any more: the longest wait,
/// and a read after it. Who did not send theirs by then is left behind.
const ANSWERS_MAX: Duration = Duration::from_secs(35);
/// How long db-controller has for one request, a reconnection to the database included.
const REQUEST_MAX: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    start_logs();
    let metrics = start_metrics()?;
    let settings = Api::read(Settings::from_environment())?;
    let traces = start_traces(settings.collector, "payment-api")?;
    let stop = stop_signal()?;
    // The stream of changes has no end; everything else has a limit.
    let [stream, requests] = settings.controller.lines([None, Some(REQUEST_MAX)]);
    let (waiting, health) = (Waiting::default(), Health::default());
    // Before anybody is told that this service is ready.
    let listener = bind(settings.https.address()).await?;
    serve_health(&health, metrics, settings.health).await?;
    let closing = closing(stop.clone(), health.clone(), settings.drain);
    // Requests that wait are told until the last of them is answered.
    let answered = CancellationToken::new();
    tokio::spawn(waiting.clone().listen(stream, health, answered.clone()));
    let app = App::new(requests, waiting, Limits::new(settings.requests_per_second));
    let routes = leave::routes(router(app), stop);
    let served = settings.https.serve(listener, routes, closing.clone());
    tokio::select! {
        result = served => result?,
        () = async {
            closing.cancelled().await;
            tokio::time::sleep(ANSWERS_MAX).await;
        } => tracing::warn!("requests were still under way"),
    }
    answered.cancel();
    traces.end().await;
    Ok(())
}
