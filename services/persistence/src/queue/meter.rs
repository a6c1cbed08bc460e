//! The queue and the audit chain in numbers, as the database knows them: every replica shows the same.

use std::time::Duration;

use metrics::{Unit, describe_gauge, gauge};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Hub;
use crate::{
    audit::Shard,
    command::Consumer,
    store::{Backlog, Reader, chain},
};

const UNSEALED: &str = "paymesh_audit_unsealed_seconds";
/// How soon the messages for the acquirer are counted again while new payments may have to be refused:
/// what other replicas take in is not known otherwise.
const CLOSE: Duration = Duration::from_millis(250);
/// How many times as long as a count took there is none: so a heap costs the database no more than a
/// twentieth of one connection's time.
const REST_TIMES: u32 = 20;
/// How long the database may take to say a number.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Counts until `stop` is cancelled.
pub async fn meter(reader: Reader, hub: Hub, pause: Duration, stop: CancellationToken) {
    describe();
    tokio::select! {
        () = stop.cancelled() => {}
        () = Box::pin(count(reader.clone(), hub.clone(), pause)) => {}
        // A count that waited behind the others would seem to take long.
        () = Box::pin(count_closely(reader.apart(), hub)) => {}
    }
}

/// Counts what payments are admitted by, while any could be refused: `CLOSE` after the last count, or
/// later when that took long.
async fn count_closely(reader: Reader, hub: Hub) {
    let mut rest = CLOSE;
    loop {
        sleep(rest).await;
        rest = CLOSE;
        if !hub.admission.could_refuse() {
            continue;
        }
        let start = Instant::now();
        // However long it takes: one that is given up goes on in the server, beside the next. A wire
        // that is dead fails by itself.
        match reader.waiting_count(Consumer::Attempts).await {
            Ok(messages) => hub.admission.counted(messages),
            Err(failure) => {
                tracing::debug!(reason = %chain(&failure), "the queue cannot be counted");
            }
        }
        rest = rest_after(start.elapsed());
    }
}

fn rest_after(took: Duration) -> Duration {
    CLOSE.max(took.saturating_mul(REST_TIMES))
}

/// Counts again after each `pause`. While the database does not answer, the numbers of the queue stand
/// still, and the age of what is not sealed grows: nobody can say that it is sealed.
async fn count(reader: Reader, hub: Hub, pause: Duration) {
    let mut tick = interval(pause);
    // After a long count as after a short one.
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ages = Shard::ALL.map(Age::new);
    loop {
        tick.tick().await;
        for consumer in [Consumer::Attempts, Consumer::Webhooks] {
            match timeout(ANSWER_MAX, reader.backlog(consumer)).await {
                Ok(Ok(backlog)) => {
                    if matches!(consumer, Consumer::Attempts) {
                        hub.admission.counted(backlog.waiting);
                    }
                    show(consumer, backlog);
                }
                Ok(Err(failure)) => {
                    tracing::debug!(reason = %chain(&failure), "the queue cannot be counted");
                }
                Err(late) => tracing::debug!(reason = %late, "the queue cannot be counted"),
            }
        }
        for age in &mut ages {
            age.measure(&reader).await;
        }
    }
}

/// How long the oldest row has waited that a chain does not have.
struct Age {
    shard: Shard,
    /// What it was when the database said it last, and when that was.
    seconds: f64,
    said: Instant,
}

impl Age {
    fn new(shard: Shard) -> Self {
        Self {
            shard,
            seconds: 0.0,
            said: Instant::now(),
        }
    }

    async fn measure(&mut self, reader: &Reader) {
        let measured = timeout(ANSWER_MAX, reader.unsealed_seconds(self.shard)).await;
        match measured {
            Ok(Ok(seconds)) => {
                (self.seconds, self.said) = (seconds, Instant::now());
                self.show(seconds);
                return;
            }
            Ok(Err(failure)) => {
                tracing::debug!(reason = %chain(&failure), "no age of what is not sealed");
            }
            Err(late) => tracing::debug!(reason = %late, "no age of what is not sealed"),
        }
        self.show(self.seconds + self.said.elapsed().as_secs_f64());
    }

    fn show(&self, seconds: f64) {
        gauge!(UNSEALED, "shard" => self.shard.word()).set(seconds);
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
        "How long the oldest row has waited that the audit chain does not have; it grows while the database does not say, and is infinite when a seal is of numbers that were not given out"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_count_is_followed_by_a_longer_rest() {
        for (took_ms, rest_ms) in [(0, 250), (12, 250), (13, 260), (1_000, 20_000)] {
            let rest = rest_after(Duration::from_millis(took_ms));
            assert_eq!(rest, Duration::from_millis(rest_ms), "{took_ms} ms");
        }
    }
}
