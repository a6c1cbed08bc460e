//! The queue and the audit chain in numbers, as the database knows them: every replica shows the same.

use std::time::Duration;

use metrics::{Unit, describe_gauge, gauge};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    audit::Shard,
    command::Consumer,
    store::{Backlog, Reader, chain},
};

const UNSEALED: &str = "paymesh_audit_unsealed_seconds";

/// Counts until `stop` is cancelled.
pub async fn meter(reader: Reader, pause: Duration, stop: CancellationToken) {
    describe();
    stop.run_until_cancelled(count(reader, pause)).await;
}

/// Counts again after each `pause`. The numbers stand still while the database does not answer.
async fn count(reader: Reader, pause: Duration) {
    let mut tick = tokio::time::interval(pause);
    // After a long count as after a short one.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for consumer in [Consumer::Attempts, Consumer::Webhooks] {
            match reader.backlog(consumer).await {
                Ok(backlog) => show(consumer, backlog),
                Err(failure) => {
                    tracing::debug!(reason = %chain(&failure), "the queue cannot be counted");
                }
            }
        }
        for shard in Shard::ALL {
            match reader.unsealed_seconds(shard).await {
                Ok(seconds) => gauge!(UNSEALED, "shard" => shard.word()).set(seconds),
                Err(failure) => {
                    tracing::debug!(reason = %chain(&failure), "no age of what is not sealed");
                }
            }
        }
    }
}

fn describe() {
    describe_gauge!(
        "paymesh_outbox_waiting_messages",
        "Messages that may be worked on and are not done"
    );
    describe_gauge!(
        "paymesh_outbox_oldest_seconds",
        Unit::Seconds,
        "How long the oldest of the waiting messages has waited"
    );
    describe_gauge!(
        "paymesh_outbox_parked_messages",
        "Messages that were put aside for a person"
    );
    describe_gauge!(
        "paymesh_unknown_attempts",
        "Attempts of which the acquirer has not said what became of them"
    );
    describe_gauge!(
        UNSEALED,
        Unit::Seconds,
        "How long the oldest row has waited that the audit chain does not have"
    );
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^53 messages wait")]
fn show(consumer: Consumer, backlog: Backlog) {
    let consumer_name = consumer.word();
    gauge!("paymesh_outbox_waiting_messages", "consumer" => consumer_name)
        .set(backlog.waiting as f64);
    gauge!("paymesh_outbox_oldest_seconds", "consumer" => consumer_name).set(backlog.age_seconds);
    gauge!("paymesh_outbox_parked_messages", "consumer" => consumer_name)
        .set(backlog.parked as f64);
    if matches!(consumer, Consumer::Attempts) {
        gauge!("paymesh_unknown_attempts").set(backlog.unknown_attempts as f64);
    }
}
