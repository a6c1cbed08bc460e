//! Taking records of a topic, as a member of a group.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use confluent_kafka::{
    common::{
        Error, TopicPartition,
        header::{Header as _, Headers as _},
        serialization::ByteArrayDeserializer,
    },
    consumer::{
        CloseOptions, Consumer as _, ConsumerConfig, ConsumerRecord, KafkaConsumer,
        OffsetAndMetadata,
    },
};
use paymesh_operations::TRACEPARENT;

use crate::{
    places::{Place, Places},
    settings::{Current, Kafka},
};

/// How long one look for records waits.
const POLL: Duration = Duration::from_millis(100);
/// How often offsets are committed.
const COMMIT: Duration = Duration::from_millis(200);
/// How long Kafka has to take a commit.
const COMMIT_MAX: Duration = Duration::from_secs(5);
/// How long it has to let a member go.
const LEAVE_MAX: Duration = Duration::from_secs(3);

/// A member of a group that reads one topic.
///
/// It is the group protocol of Kafka 4: the broker moves one partition after the other between
/// members, and nobody else stops meanwhile.
pub struct Consumer {
    kafka: KafkaConsumer<Vec<u8>, Vec<u8>>,
    topic: String,
    places: Places,
    committed_at: Instant,
    current: Current,
}

/// A record of the topic.
pub struct Record {
    /// Where it is.
    pub place: Place,
    /// What it says.
    pub value: Vec<u8>,
    /// Its place in a trace, as whoever put it says; empty if that is nothing.
    pub trace: String,
}

impl Consumer {
    /// Joins a group. Who joins first begins with the oldest record.
    pub async fn join(kafka: &Kafka, topic: &str, group: &str) -> Result<Self, Error> {
        let (config, current) = kafka.settings(&[
            ("client.id", "paymesh-payment-processor"),
            ("group.id", group),
            ("group.protocol", "consumer"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
            ("max.poll.records", "64"),
            ("reconnect.backoff.max.ms", "500"),
        ]);
        let mut kafka = KafkaConsumer::new(
            ConsumerConfig::new(&config)?,
            ByteArrayDeserializer::default(),
            ByteArrayDeserializer::default(),
        )?;
        kafka.subscribe_with_topics(vec![topic.to_owned()]).await?;
        Ok(Self {
            kafka,
            topic: topic.to_owned(),
            places: Places::default(),
            committed_at: Instant::now(),
            current,
        })
    }

    /// What came in a moment, in order within each partition. Every record has to be settled.
    pub async fn next(&mut self) -> Result<Vec<Record>, Error> {
        let records = self.kafka.poll(POLL).await?;
        let ours: HashSet<i32> = self.assignment();
        self.places.keep(|partition| ours.contains(&partition));
        let take = |record: ConsumerRecord<Vec<u8>, Vec<u8>>| {
            let place = Place {
                partition: record.partition(),
                offset: record.offset(),
            };
            self.places.take(place);
            Record {
                place,
                value: record.value().cloned().unwrap_or_default(),
                trace: trace(&record).unwrap_or_default(),
            }
        };
        Ok(records.into_iter().map(take).collect())
    }

    fn assignment(&mut self) -> HashSet<i32> {
        let assigned = self.kafka.assignment();
        assigned.iter().map(TopicPartition::partition).collect()
    }

    /// Nothing more is to be done about a record.
    pub fn settle(&mut self, place: Place) {
        self.places.settle(place);
    }

    /// Whether the certificates were renewed, which this one does not take in.
    pub fn is_over(&self) -> bool {
        self.current.is_over()
    }

    /// How many records are not settled.
    pub fn at_work(&self) -> usize {
        self.places.at_work()
    }

    /// Tells the group how far it has come, now and then. What it is not told comes again.
    pub async fn commit(&mut self) -> Result<(), Error> {
        if self.committed_at.elapsed() < COMMIT {
            return Ok(());
        }
        self.committed_at = Instant::now();
        self.commit_now().await
    }

    async fn commit_now(&mut self) -> Result<(), Error> {
        let reached = self.places.uncommitted();
        if reached.is_empty() {
            return Ok(());
        }
        let mut offsets = HashMap::new();
        for (partition, offset) in &reached {
            let place = TopicPartition::new(self.topic.as_str(), *partition);
            offsets.insert(place, OffsetAndMetadata::new(*offset)?);
        }
        self.kafka
            .commit_sync_with_offsets_timeout(offsets, COMMIT_MAX)
            .await?;
        self.places.committed(&reached);
        Ok(())
    }

    /// Commits what can be, and leaves the group.
    pub async fn close(mut self) -> Result<(), Error> {
        let committed = self.commit_now().await;
        let leaves = CloseOptions::new_with_timeout(LEAVE_MAX);
        self.kafka.close_with_options(leaves).await?;
        committed
    }
}

fn trace(record: &ConsumerRecord<Vec<u8>, Vec<u8>>) -> Option<String> {
    let header = record.headers().last_header(TRACEPARENT)?;
    String::from_utf8(header.value()?.to_vec()).ok()
}
