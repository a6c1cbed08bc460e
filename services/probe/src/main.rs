//! probe: pays as a merchant does, and tells whether that works.

use std::error::Error;

use paymesh_operations::{Health, Settings, serve_health, start_logs, start_metrics, stop_signal};
use paymesh_probe::{config::Probe, merchant::Merchant, rounds};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    start_logs();
    let metrics = start_metrics()?;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a crypto provider is installed already")?;
    let settings = Probe::read(Settings::from_environment())?;
    let stop = stop_signal()?;
    let health = Health::default();
    serve_health(&health, metrics, settings.health).await?;
    let every = settings.every;
    let merchant = Merchant::new(settings)?;
    health.set_ready(true);
    tracing::info!("pays");
    rounds::run_until(&merchant, every, &stop).await;
    Ok(())
}
