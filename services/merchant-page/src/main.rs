//! merchant-page.

use std::{error::Error, time::Duration};

use paymesh_merchant_page::{Api, app::router, config::Page};
use paymesh_operations::{
    Health, Settings, closing, serve_health, start_logs, start_metrics, stop_signal,
};
use paymesh_transport::bind;

/// How long pages may take that are being drawn when nobody is taken in any more: three requests to
/// payment-api, one after the other.
const PAGES_MAX: Duration = Duration::from_secs(20);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    start_logs();
    let metrics = start_metrics()?;
    let settings = Page::read(Settings::from_environment())?;
    let stop = stop_signal()?;
    let health = Health::default();
    let routes = router(Api::new(&settings.api, settings.authorities)?);
    // Before anybody is told that this service is ready.
    let listener = bind(settings.https.address()).await?;
    serve_health(&health, metrics, settings.health).await?;
    // Also while payment-api is away: the page says so.
    health.set_ready(true);
    let closing = closing(stop, health, settings.drain);
    let served = settings.https.serve(listener, routes, closing.clone());
    tokio::select! {
        result = served => result?,
        () = async {
            closing.cancelled().await;
            tokio::time::sleep(PAGES_MAX).await;
        } => tracing::warn!("pages were still being drawn"),
    }
    Ok(())
}
