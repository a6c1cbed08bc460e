//! The settings of the two programs.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use paymesh_bus::Kafka;
use paymesh_contracts::callers::Service;
use paymesh_operations::{Collector, Secret, Settings, SettingsError, drain};
use paymesh_transport::Grpc;

use crate::store::Database;

/// What db-controller needs to run.
pub struct Controller {
    /// The database, as the role `paymesh_controller`.
    pub database: Database,
    /// What API keys are hashed with.
    pub pepper: Secret,
    /// What carries messages, if it is not the embedded queue.
    pub kafka: Option<Kafka>,
    /// How gRPC is served.
    pub grpc: Grpc,
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// How long a connection over which gRPC is served lives.
    pub connection_max: Duration,
    /// Where health and metrics are served.
    pub health: SocketAddr,
    /// Where spans go, if anywhere.
    pub collector: Option<Collector>,
    /// How long after the queue was counted for the metrics it is counted again.
    pub backlog_pause: Duration,
    /// How many messages for the acquirer wait before payments are taken in only as others end.
    pub waiting_max: NonZeroU32,
    /// How long it takes callers in after it was asked to end.
    pub drain: Duration,
}

/// Four payment-processors at work, or less than two seconds of a small machine: what waits for longer
/// than its client does is of no use.
const WAITING_MAX: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
const BACKLOG: &str = "PAYMESH_BACKLOG_MS";
/// Beyond a day nothing is watched any more.
const BACKLOG_PAUSE_MAX: Duration = Duration::from_hours(24);
/// Shorter secrets can be guessed.
const PEPPER_LENGTH_MIN: usize = 32;

/// The database alone, for jobs.
pub fn database(settings: &mut Settings) -> Option<Database> {
    settings.required(
        "PAYMESH_DATABASE_URL",
        "the database, as postgres://ROLE:PASSWORD@HOST:PORT/NAME?sslmode=...&sslrootcert=FILE",
    )
}

/// The secret that API keys are hashed with.
pub fn pepper(settings: &mut Settings) -> Option<Secret> {
    struct Long(Secret);
    impl std::str::FromStr for Long {
        type Err = &'static str;

        fn from_str(text: &str) -> Result<Self, Self::Err> {
            if text.len() >= PEPPER_LENGTH_MIN {
                Ok(Self(Secret::from(text.to_owned())))
            } else {
                Err("it has fewer than 32 characters")
            }
        }
    }
    settings
        .required::<Long>("PAYMESH_KEY_PEPPER", "what API keys are hashed with")
        .map(|long| long.0)
}

/// How long until the queue is counted again.
fn backlog_pause(settings: &mut Settings) -> Duration {
    let meaning = "how long until the queue is counted again, in milliseconds";
    let read = settings.milliseconds(BACKLOG, meaning, 5_000);
    if read.is_zero() || read > BACKLOG_PAUSE_MAX {
        let longest = BACKLOG_PAUSE_MAX.as_millis();
        settings.mistake(format!("{BACKLOG} is between 1 and {longest}"));
    }
    read
}

impl Controller {
    /// Reads all of it.
    pub fn read(mut settings: Settings) -> Result<Self, SettingsError> {
        let database = database(&mut settings);
        let pepper = pepper(&mut settings);
        let kafka = Kafka::read(&mut settings);
        let grpc = Grpc::read(&mut settings, Service::DbController);
        let listen = Grpc::listen(&mut settings, grpc.as_ref());
        let connection_max = Grpc::connection_max(&mut settings);
        let health = settings.required(
            "PAYMESH_HEALTH_LISTEN",
            "where health and metrics are served, as IP:PORT",
        );
        let backlog_pause = backlog_pause(&mut settings);
        let waiting_max = settings.optional(
            "PAYMESH_WAITING_MAX",
            "how many payments wait for the acquirer, being sent to it or not, before new ones are taken in only as others end",
            WAITING_MAX,
        );
        let collector = Collector::read(&mut settings);
        let drain = drain(&mut settings);
        let controller = (|| {
            Some(Self {
                database: database?,
                pepper: pepper?,
                kafka,
                grpc: grpc?,
                listen: listen?,
                connection_max,
                health: health?,
                collector,
                backlog_pause,
                waiting_max,
                drain,
            })
        })();
        settings.done(controller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_counted_neither_all_the_time_nor_never() {
        for (text, is_mistake) in [
            ("0", true),
            ("1", false),
            ("86400000", false),
            ("86400001", true),
        ] {
            let mut settings =
                Settings::new(move |name| (name == BACKLOG).then(|| text.to_owned()));
            let pause = backlog_pause(&mut settings);
            let said = settings.done(Some(pause)).err();
            let said = said.map(|SettingsError(mistakes)| mistakes.concat());
            let expected = "PAYMESH_BACKLOG_MS is between 1 and 86400000";
            assert_eq!(said.as_deref(), is_mistake.then_some(expected), "{text}");
        }
    }
}
