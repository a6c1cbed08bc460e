//! Kafka as the bus: each consumer has a topic, each message is a record that points at it.
//!
//! The outbox stays what is true. A relay keeps so many messages in a topic at most and puts the
//! next when one was completed, so an outage of Kafka or of every processor leaves them where they
//! are safe. A relay that begins anew, after a crash or because Kafka refused a record, has a new
//! epoch: what was put under an older one is passed over by whoever claims it, and put again.

use std::time::Duration;

use paymesh_bus::{Kafka, Presence, Producer};
use paymesh_contracts::persistence::MessageReference;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Closed, Hub, Outlet, Relay};
use crate::{
    command::Consumer,
    store::{Due, Reader},
};

/// How many messages of one consumer are in its topic at most, waiting or at work.
const IN_TOPIC_MAX: usize = 1_024;
/// How long after an end a relay begins anew.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a message sleeps at most whose record was lost with its topic, or passed over.
const AGAIN: Duration = Duration::from_secs(30);

/// A topic for one relay.
struct Topic {
    producer: Producer,
    presence: Presence,
    stop: CancellationToken,
}

impl Outlet for Topic {
    /// While Kafka is away its producer has what was put, and sends it when Kafka is back.
    fn again(&self) -> Duration {
        again(self.presence.here_for())
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn put(&mut self, due: Due) -> Result<(), Closed> {
        let reference = MessageReference {
            message_id: due.message.message_id,
            lease: due.message.lease,
        };
        let trace = due.message.trace;
        let key = due.about.payment_id.to_string();
        let put = self
            .producer
            .put(&key, &reference.to_record(), &trace)
            .await;
        put.map_err(|reason| {
            tracing::warn!(%reason, "Kafka takes no messages now; they are safe in the outbox");
            Closed
        })
    }

    async fn closed(&mut self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            reason = self.producer.over() => {
                tracing::warn!(reason, "a producer is over; all messages are put again");
            }
        }
    }

    async fn dry(&mut self) {}
}

/// Publishes the messages of every consumer until `stop` is cancelled.
pub async fn publish(
    kafka: Kafka,
    presence: Presence,
    reader: Reader,
    hub: Hub,
    stop: CancellationToken,
) {
    let publish = |consumer| {
        let (kafka, hub, stop) = (&kafka, &hub, &stop);
        let mut presence = presence.clone();
        let reader = reader.apart();
        async move {
            // One id for all relays of this process: the next has its partitions at once.
            let reader_id = Uuid::new_v4();
            while !stop.is_cancelled() {
                // Nothing is lost by waiting: what is due stays in the outbox.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = presence.back() => {}
                }
                match Producer::new(kafka, &topic(consumer)) {
                    Ok(producer) => {
                        let relay = Relay {
                            reader: reader.clone(),
                            hub: hub.clone(),
                            consumer,
                            reader_id,
                            in_flight_max: IN_TOPIC_MAX,
                        };
                        let mut topic = Topic {
                            producer,
                            presence: presence.clone(),
                            stop: stop.clone(),
                        };
                        relay.run(&mut topic).await;
                        topic.producer.close().await;
                    }
                    Err(reason) => tracing::error!(%reason, "no producer"),
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        }
    };
    tokio::join!(publish(Consumer::Attempts), publish(Consumer::Webhooks));
}

/// What was put before Kafka came back has as long from then on as what is put now.
fn again(here_for: Option<Duration>) -> Duration {
    match here_for {
        Some(here_for) if here_for >= AGAIN => AGAIN,
        _ => Duration::MAX,
    }
}

fn topic(consumer: Consumer) -> String {
    paymesh_bus::topic(consumer.word())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_put_again_because_kafka_was_away() {
        let longer = AGAIN + Duration::from_millis(1);
        assert_eq!(again(None), Duration::MAX);
        assert_eq!(again(Some(Duration::ZERO)), Duration::MAX);
        assert_eq!(again(Some(longer)), AGAIN);
    }
}
