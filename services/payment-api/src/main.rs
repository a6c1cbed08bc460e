//! payment-api.

use std::{error::Error, time::Duration};

use axum::serve::ListenerExt as _;
use paymesh_operations::{Health, Settings, serve_health, start_logs, start_metrics, stop_signal};
use paymesh_payment_api::{
    Limits, Waiting,
    app::{App, router},
    config::Api,
};

/// How long db-controller has for one request, a reconnection to the database included.
const REQUEST_MAX: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    start_logs();
    let settings = Api::read(Settings::from_environment())?;
    let stop = stop_signal()?;
    let endpoint = settings
        .controller
        .connect_timeout(Duration::from_secs(2))
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5))
        .tcp_nodelay(true);
    // The stream of changes has no end; everything else has a limit.
    let (stream, requests) = (
        endpoint.clone().connect_lazy(),
        endpoint.timeout(REQUEST_MAX).connect_lazy(),
    );
    let (waiting, health) = (Waiting::default(), Health::default());
    serve_health(&health, start_metrics()?, settings.health).await?;
    tokio::spawn(waiting.clone().listen(stream, health, stop.clone()));
    let listener = tokio::net::TcpListener::bind(settings.listen).await?;
    tracing::info!(address = %settings.listen, "serves HTTP");
    let listener = listener.tap_io(|stream| {
        // An answer is small and whole: it must not wait for more.
        let _ = stream.set_nodelay(true);
    });
    let app = App::new(requests, waiting, Limits::new(settings.requests_per_second));
    axum::serve(listener, router(app))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    Ok(())
}
