//! Putting records into a topic.

use std::time::Duration;

use confluent_kafka::{
    common::{
        Error,
        header::{RecordHeader, RecordHeaders},
        serialization::ByteArraySerializer,
    },
    producer::{KafkaProducer, Producer as _, ProducerConfig, ProducerRecord, callback},
};
use paymesh_operations::TRACEPARENT;
use tokio::sync::watch;

use crate::settings::{Current, Kafka};

/// How long a put may wait for the first word of Kafka about the topic.
const BLOCK_MAX: Duration = Duration::from_secs(3);

/// Who has to have a record before it counts as put: every replica in sync. In a debug build
/// `PAYMESH_DEFECT=acks-one` makes it the leader alone: a defect by which records are lost, and no
/// message, because the outbox has it.
fn acks() -> &'static str {
    let has_defect = || std::env::var("PAYMESH_DEFECT").is_ok_and(|defect| defect == "acks-one");
    if cfg!(debug_assertions) && has_defect() {
        "1"
    } else {
        "all"
    }
}

/// Kafka does not take a record.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(String);

/// Puts records into one topic, in order.
pub struct Producer {
    kafka: KafkaProducer<Vec<u8>, Vec<u8>>,
    topic: String,
    refused: watch::Sender<Option<String>>,
    current: Current,
}

impl Producer {
    /// Connects when the first record is put.
    pub fn new(kafka: &Kafka, topic: &str) -> Result<Self, Error> {
        let block_max = BLOCK_MAX.as_millis().to_string();
        let acks = acks();
        // Only what all have to have can be told from what was sent before.
        let is_idempotent = if acks == "all" { "true" } else { "false" };
        tracing::info!(topic, acks, "a producer begins");
        let (config, current) = kafka.settings(&[
            ("client.id", "paymesh-db-controller"),
            ("acks", acks),
            ("enable.idempotence", is_idempotent),
            // A record is sent until Kafka has it: one that is given up would be overtaken.
            ("delivery.timeout.ms", "2147483647"),
            ("linger.ms", "0"),
            ("max.block.ms", &block_max),
            ("reconnect.backoff.max.ms", "500"),
        ]);
        Ok(Self {
            kafka: KafkaProducer::new(
                ProducerConfig::new(&config)?,
                ByteArraySerializer::default(),
                ByteArraySerializer::default(),
            )?,
            topic: topic.to_owned(),
            refused: watch::Sender::new(None),
            current,
        })
    }

    /// Puts a record behind those that were put before, with its place in a trace as a header unless
    /// that is empty. It is on its way then. After an error no more may be put: this one is not, or one
    /// before it was refused.
    pub async fn put(&self, key: &str, value: &[u8], trace: &str) -> Result<(), Refused> {
        let header = (!trace.is_empty()).then(|| {
            let value = Some(trace.as_bytes().to_vec());
            RecordHeader::new(TRACEPARENT.to_owned(), value)
        });
        let record = ProducerRecord::with_partition_key_headers(
            self.topic.clone(),
            None,
            Some(key.as_bytes()),
            Some(value),
            RecordHeaders::with_header_iter(header),
        );
        let record = record.map_err(|error| Refused(error.to_string()))?;
        let refused = self.refused.clone();
        let note = callback::new(move |_, error| {
            if let Some(error) = error {
                refused.send_replace(Some(error.to_string()));
            }
        });
        let sent = self.kafka.send(record, Some(Box::new(note))).await;
        sent.map_err(|error| Refused(error.to_string()))?;
        // Most of what is wrong at once is told to the callback only.
        match &*self.refused.borrow() {
            None => Ok(()),
            Some(reason) => Err(Refused(reason.clone())),
        }
    }

    /// Returns, with a reason, once Kafka has refused a record that was on its way, or the certificates
    /// were renewed, which this one does not take in.
    pub async fn over(&self) -> String {
        tokio::select! {
            reason = self.refused() => reason,
            () = self.current.over() => "the certificates for Kafka were renewed".to_owned(),
        }
    }

    async fn refused(&self) -> String {
        let mut refused = self.refused.subscribe();
        match refused.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Gives up what Kafka does not take within a second.
    pub async fn close(self) {
        let _ = self.kafka.close_with_timeout(Duration::from_secs(1)).await;
    }
}
