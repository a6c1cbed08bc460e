//! Whether Kafka answers.

use std::time::Duration;

use confluent_kafka::{
    admin::{Admin, AdminClient, AdminClientConfig},
    common::Error,
};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use crate::settings::{Current, Kafka};

/// How long Kafka has to answer.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// How long after an answer it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Whether Kafka answers, asked on a connection of its own: the clients that carry records go on
/// trying in silence.
#[derive(Clone, Debug)]
pub struct Presence(watch::Receiver<Option<Instant>>);

impl Presence {
    /// Begins to ask, until nobody wants to know any more. Until the first answer Kafka counts as
    /// away. A change is told in the log, once.
    pub fn of(kafka: &Kafka) -> Result<Self, Error> {
        let client = Client::of(kafka)?;
        let (tell, answers) = watch::channel(None);
        tokio::spawn(look(kafka.clone(), client, tell));
        Ok(Self(answers))
    }

    /// Whether Kafka answered when it was last asked.
    pub fn is_here(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// For how long it has answered without a break; nothing while it is away.
    pub fn here_for(&self) -> Option<Duration> {
        self.0.borrow().map(|since| since.elapsed())
    }

    /// Returns once Kafka answers.
    pub async fn back(&mut self) {
        // Whoever asks ends only with the last of us.
        let _ = self.0.wait_for(Option::is_some).await;
    }
}

/// Asks, with the certificates of one moment.
struct Client {
    admin: Box<dyn Admin>,
    current: Current,
}

impl Client {
    fn of(kafka: &Kafka) -> Result<Self, Error> {
        let answer_max = ANSWER_MAX.as_millis().to_string();
        let (config, current) = kafka.settings(&[
            ("client.id", "paymesh-presence"),
            ("request.timeout.ms", &answer_max),
            ("default.api.timeout.ms", &answer_max),
            ("reconnect.backoff.max.ms", "500"),
        ]);
        let admin = AdminClient::create(AdminClientConfig::new(&config)?)?;
        Ok(Self { admin, current })
    }
}

async fn look(kafka: Kafka, mut client: Client, tell: watch::Sender<Option<Instant>>) {
    let servers = &kafka.servers;
    let mut was_here = None;
    while !tell.is_closed() {
        if client.current.is_over() {
            match Client::of(&kafka) {
                Ok(next) => {
                    let before = std::mem::replace(&mut client, next);
                    before.admin.close_with_timeout(Duration::ZERO).await;
                }
                Err(reason) => {
                    tracing::error!(%reason, "Kafka is asked by the certificates before");
                }
            }
        }
        let admin = &client.admin;
        let nodes = admin.describe_cluster().nodes();
        // The client has the same limit and says more; this one holds whatever it does.
        let reason = match timeout(ANSWER_MAX + PAUSE, nodes.get()).await {
            Ok(Ok(_)) => None,
            Ok(Err(reason)) => Some(reason.to_string()),
            Err(_) => Some("no answer in time".to_owned()),
        };
        if was_here.replace(reason.is_none()) != Some(reason.is_none()) {
            match &reason {
                None => tracing::info!(servers, "Kafka answers"),
                Some(reason) => {
                    tracing::warn!(
                        servers,
                        reason,
                        "Kafka does not answer; messages wait in the outbox"
                    );
                }
            }
            tell.send_replace(reason.is_none().then(Instant::now));
        }
        tokio::time::sleep(PAUSE).await;
    }
    client.admin.close_with_timeout(Duration::ZERO).await;
}
