//! The settings of payment-processor.

use std::{net::SocketAddr, time::Duration};

use paymesh_bus::Kafka;
use paymesh_contracts::callers::Service;
use paymesh_operations::{Collector, Secret, Settings, SettingsError};
use paymesh_transport::Controller;
use url::Url;

/// What payment-processor needs to run.
pub struct Processor {
    /// db-controller.
    pub controller: Controller,
    /// What carries messages, if it is not db-controller's own queue.
    pub kafka: Option<Kafka>,
    /// The acquirer.
    pub acquirer: Url,
    /// What the acquirer knows us by.
    pub acquirer_token: Secret,
    /// How long the acquirer has to answer.
    pub acquirer_answer_max: Duration,
    /// How long to wait before the acquirer is asked again what it tells.
    pub notice_pause: Duration,
    /// Whether webhooks may go to addresses that are not public.
    pub private_webhooks: bool,
    /// Where health and metrics are served.
    pub health: SocketAddr,
    /// Where spans go, if anywhere.
    pub collector: Option<Collector>,
}

impl Processor {
    /// Reads all of it.
    pub fn read(mut settings: Settings) -> Result<Self, SettingsError> {
        let controller = Controller::read(&mut settings, Service::PaymentProcessor);
        let kafka = Kafka::read(&mut settings);
        let acquirer: Option<Url> = settings.required(
            "PAYMESH_ACQUIRER_URL",
            "the acquirer, as a URL that ends in a slash",
        );
        let acquirer_token =
            settings.required("PAYMESH_ACQUIRER_TOKEN", "what the acquirer knows us by");
        let acquirer_answer_max = settings.milliseconds(
            "PAYMESH_ACQUIRER_ANSWER_MS_MAX",
            "how long the acquirer has to answer",
            10_000,
        );
        let notice_pause = settings.milliseconds(
            "PAYMESH_ACQUIRER_NOTICE_MS",
            "how often the acquirer is asked for news of disputes",
            5_000,
        );
        let private_webhooks = settings.optional(
            "PAYMESH_PRIVATE_WEBHOOKS",
            "`true` lets merchants name addresses of our own network; for development",
            false,
        );
        let health = settings.required(
            "PAYMESH_HEALTH_LISTEN",
            "where health and metrics are served, as IP:PORT",
        );
        let collector = Collector::read(&mut settings);
        let processor = (|| {
            Some(Self {
                controller: controller?,
                kafka,
                acquirer: acquirer?,
                acquirer_token: acquirer_token?,
                acquirer_answer_max,
                notice_pause,
                private_webhooks,
                health: health?,
                collector,
            })
        })();
        settings.done(processor)
    }
}
