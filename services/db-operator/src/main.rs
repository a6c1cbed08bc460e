//! paymesh-db-operator: databases on PostgreSQL, as objects of Kubernetes say. Settings come from
//! `PAYMESH_*` variables.

use std::{error::Error, process::ExitCode};

use paymesh_db_operator::{run::run, settings::Operator};
use paymesh_operations::{Health, Settings, serve_health, start_logs, start_metrics, stop_signal};

#[tokio::main]
async fn main() -> ExitCode {
    start_logs();
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tracing::error!(%reason, "ends");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        return Err("another crypto provider is there already".into());
    }
    let settings = Operator::read(Settings::from_environment())?;
    let stop = stop_signal()?;
    let health = Health::default();
    serve_health(&health, start_metrics()?, settings.health).await?;
    run(settings, health, stop).await
}
