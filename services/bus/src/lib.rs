//! Kafka between db-controller and payment-processor, as far as they need it.
//!
//! One side [`Producer`] puts records into a topic, the other side [`Consumer`] takes them in a
//! group. Neither knows what a record says. Invariants:
//! - a record is acknowledged by every replica in sync, is in the log once however often it was sent,
//!   and records of one key stay in order: the producer never gives one up while it sends the next;
//! - a group's offset passes a record only after its place was settled;
//! - whether Kafka answers is known, and said in the log when it changes;
//! - without TLS Kafka is on this machine; with it, brokers and we show each other certificates.

mod consumer;
mod places;
mod presence;
mod producer;
mod settings;

pub use confluent_kafka::common::Error as KafkaError;
pub use consumer::{Consumer, Record};
pub use places::{Place, Places};
pub use presence::Presence;
pub use producer::{Producer, Refused};
pub use settings::Kafka;

/// The topic of a consumer, which is also the name of the group that reads it.
pub fn topic(consumer: &str) -> String {
    format!("paymesh.{consumer}")
}
