//! payment-processor: attempts and webhooks.

use std::{error::Error, sync::Arc};

use paymesh_operations::{
    Health, Settings, serve_health, start_logs, start_metrics, start_traces, stop_signal,
};
use paymesh_payment_processor::{
    acquirer::HttpAcquirer,
    attempts::Attempts,
    bus::{Bus, Embedded, OverKafka},
    config::Processor,
    consumer::{self, Consumer},
    notices, recovery,
    webhooks::Webhooks,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    start_logs();
    let metrics = start_metrics()?;
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a crypto provider is installed already")?;
    let settings = Processor::read(Settings::from_environment())?;
    let traces = start_traces(settings.collector, "payment-processor")?;
    let stop = stop_signal()?;
    let health = Health::default();
    serve_health(&health, metrics, settings.health).await?;
    let [channel] = settings.controller.lines([None]);
    let acquirer = HttpAcquirer::new(
        &settings.acquirer,
        settings.acquirer_token,
        settings.acquirer_answer_max,
    )?;
    let acquirer = Arc::new(acquirer);
    let attempts = Arc::new(Attempts::new(acquirer.clone()));
    let webhooks = Arc::new(Webhooks::new(settings.private_webhooks)?);
    let bus: Arc<dyn Bus> = match settings.kafka {
        None => Arc::new(Embedded::new(channel.clone())),
        Some(kafka) => Arc::new(OverKafka::new(kafka, channel.clone())?),
    };
    tracing::info!("reads messages");
    let read = |consumer: Arc<dyn Consumer>| {
        let (channel, health) = (channel.clone(), health.clone());
        consumer::run(consumer, bus.clone(), channel, health, stop.clone())
    };
    tokio::join!(
        read(attempts),
        read(webhooks),
        notices::run(
            acquirer.clone(),
            channel.clone(),
            settings.notice_pause,
            stop.clone()
        ),
        recovery::run(acquirer, channel, stop),
    );
    traces.end().await;
    Ok(())
}
