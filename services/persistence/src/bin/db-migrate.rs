//! db-migrate: brings the schema up to date, as its owner, and ends.

use std::error::Error;

use paymesh_operations::{Settings, start_logs};
use paymesh_persistence::{config, migrate::migrate};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    start_logs();
    let mut settings = Settings::from_environment();
    let database = config::database(&mut settings);
    let applied = migrate(&settings.done(database)?).await?;
    tracing::info!(steps = applied.len(), "the schema is up to date");
    Ok(())
}
