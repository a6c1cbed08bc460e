//! Kafka as the bus: records point at messages, db-controller says what they are.
//!
//! The group's offset passes a record once db-controller answered the completion of its message, or
//! said that nothing is to be done about it any more, or if it is none that db-controller wrote. What
//! was taken and not completed, because this process ended or db-controller was away too long, comes
//! again.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use paymesh_bus::{Consumer, Kafka, KafkaError, Place, Presence, Record};
use paymesh_contracts::persistence::MessageReference;
use paymesh_transport::Line;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, timeout},
};
use tokio_util::task::TaskTracker;
use tonic::{Code, Status};

use super::{
    Bus, Inlet, Taken,
    claim::{Claimed, Controller, Ledger as _, claim},
    receipt::{Receipts, Settled},
};

/// How many messages are at work at once before no more is looked for.
const IN_FLIGHT_MAX: usize = 256;
/// How long what is at work has to end when no more is wanted; the rest comes again. With a commit that
/// is under way, the last one and the farewell to the group it stays below the 30 seconds that
/// orchestrators give.
const DRAIN_MAX: Duration = Duration::from_secs(15);
/// How long after db-controller did not answer it is asked again.
const PAUSE: Duration = Duration::from_millis(250);
/// How long after db-controller was last heard it is asked whether it is there.
const HEARD_MAX: Duration = Duration::from_secs(1);
/// How long db-controller may be away before this member leaves its partitions to others.
const AWAY_MAX: Duration = Duration::from_secs(20);

/// Messages over Kafka.
pub struct OverKafka {
    kafka: Kafka,
    presence: Presence,
    channel: Line,
    passed_over: Arc<AtomicU64>,
}

impl OverKafka {
    /// From Kafka, as db-controller explains them.
    pub fn new(kafka: Kafka, channel: Line) -> Result<Self, KafkaError> {
        Ok(Self {
            presence: Presence::of(&kafka)?,
            kafka,
            channel,
            passed_over: Arc::default(),
        })
    }
}

#[async_trait]
impl Bus for OverKafka {
    async fn open(
        &self,
        consumer: &'static str,
        tasks: &TaskTracker,
    ) -> Result<Box<dyn Inlet>, Status> {
        let channel = self.channel.clone();
        let controller = Controller { consumer, channel };
        // Asked for nothing, db-controller still says whether it uses Kafka.
        controller.claim(&[]).await?;
        let topic = paymesh_bus::topic(consumer);
        let records = Consumer::join(&self.kafka, &topic, &topic).await;
        let (out, messages) = mpsc::channel(1);
        let presence = self.presence.clone();
        let (tell, answers) = watch::channel(presence.is_here());
        let pump = Pump {
            consumer,
            controller,
            is_heard: true,
            heard_at: Instant::now(),
            presence,
            tell,
            records: records.map_err(|reason| broken(&reason))?,
            is_committed: true,
            receipts: Receipts::new(),
            passed_over: self.passed_over.clone(),
        };
        tasks.spawn(pump.run(out));
        Ok(Box::new(Messages { messages, answers }))
    }
}

/// What the pump brings.
struct Messages {
    messages: mpsc::Receiver<Result<Taken, Status>>,
    answers: watch::Receiver<bool>,
}

#[async_trait]
impl Inlet for Messages {
    async fn next(&mut self) -> Result<Option<Taken>, Status> {
        self.messages.recv().await.transpose()
    }

    fn answers(&self) -> watch::Receiver<bool> {
        self.answers.clone()
    }
}

type Out = mpsc::Sender<Result<Taken, Status>>;

struct Pump {
    consumer: &'static str,
    controller: Controller,
    /// Whether db-controller answered when it was last asked.
    is_heard: bool,
    heard_at: Instant,
    presence: Presence,
    tell: watch::Sender<bool>,
    records: Consumer,
    /// Whether Kafka took the last commit.
    is_committed: bool,
    receipts: Receipts,
    passed_over: Arc<AtomicU64>,
}

impl Pump {
    async fn run(mut self, out: Out) {
        let is_wanted = match self.carry(&out).await {
            Ok(()) => false,
            Err(status) => out.send(Err(status)).await.is_ok(),
        };
        let Self {
            consumer,
            mut records,
            receipts,
            ..
        } = self;
        if !is_wanted {
            let drain = receipts.drain(|place| records.settle(place));
            if timeout(DRAIN_MAX, drain).await.is_err() {
                tracing::warn!(consumer, "messages at work come again");
            }
        }
        if let Err(reason) = records.close().await {
            tracing::warn!(consumer, %reason, "left the group; what was not committed comes again");
        }
    }

    /// Until nobody takes messages.
    async fn carry(&mut self, out: &Out) -> Result<(), Status> {
        while !out.is_closed() {
            while let Some(settled) = self.receipts.try_next() {
                self.note(&settled, out)?;
            }
            self.commit().await;
            if self.records.is_over() {
                let reason = "the certificates for Kafka were renewed; the group is joined anew";
                return Err(Status::unavailable(reason));
            }
            self.tell();
            if self.heard_at.elapsed() >= HEARD_MAX {
                self.claim(&[], out).await?;
            } else if self.records.at_work() < IN_FLIGHT_MAX {
                let records = self.records.next().await;
                let records = records.map_err(|reason| broken(&reason))?;
                self.hand_out(records, out).await?;
            } else {
                tokio::select! {
                    () = out.closed() => {}
                    Some(settled) = self.receipts.next() => self.note(&settled, out)?,
                    () = tokio::time::sleep(HEARD_MAX) => {}
                }
            }
        }
        Ok(())
    }

    async fn hand_out(&mut self, records: Vec<Record>, out: &Out) -> Result<(), Status> {
        let mut asked = Vec::new();
        let mut places = Vec::new();
        let mut traces = Vec::new();
        for record in records {
            if let Some(reference) = MessageReference::from_record(&record.value) {
                asked.push(reference);
                places.push(record.place);
                traces.push(record.trace);
            } else {
                self.pass_over(record.place, "it is no reference to a message");
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let Some(mut claimed) = self.claim(&asked, out).await? else {
            return Ok(());
        };
        for ((place, reference), trace) in places.into_iter().zip(asked).zip(traces) {
            if let Some(reason) = claimed.refused.get(&reference.message_id) {
                self.pass_over(place, reason);
            } else if let Some(mut message) = claimed.messages.remove(&reference.message_id) {
                // Where it was put, behind where it was left.
                if !trace.is_empty() {
                    message.trace = trace;
                }
                let receipt = self.receipts.give(place);
                // If nobody takes it, it comes again.
                let _ = out.send(Ok(Taken { message, receipt })).await;
            } else {
                self.records.settle(place);
            }
        }
        Ok(())
    }

    /// What db-controller says, which is asked again while it does not answer; nothing when no more
    /// is wanted.
    async fn claim(
        &mut self,
        references: &[MessageReference],
        out: &Out,
    ) -> Result<Option<Claimed>, Status> {
        let since = Instant::now();
        loop {
            let status = match claim(&self.controller, references).await {
                Ok(claimed) => {
                    self.hear(None);
                    return Ok(Some(claimed));
                }
                Err(status) => status,
            };
            if is_misconfigured(&status) || since.elapsed() >= AWAY_MAX {
                return Err(status);
            }
            self.hear(Some(&status));
            tokio::select! {
                () = out.closed() => return Ok(None),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }

    /// Notes whether db-controller answers, and says in the log when that changes.
    fn hear(&mut self, silence: Option<&Status>) {
        let consumer = self.consumer;
        self.heard_at = Instant::now();
        if std::mem::replace(&mut self.is_heard, silence.is_none()) != silence.is_none() {
            match silence {
                None => tracing::info!(consumer, "db-controller answers"),
                Some(status) => {
                    let (code, reason) = (status.code(), status.message());
                    tracing::warn!(consumer, ?code, reason, "db-controller does not answer");
                }
            }
        }
        self.tell();
    }

    fn tell(&self) {
        let answers = self.is_heard && self.presence.is_here();
        self.tell
            .send_if_modified(|told| std::mem::replace(told, answers) != answers);
    }

    /// While Kafka is away there is nobody to tell how far the group has come.
    async fn commit(&mut self) {
        if !self.presence.is_here() {
            return;
        }
        let committed = self.records.commit().await;
        let was_committed = std::mem::replace(&mut self.is_committed, committed.is_ok());
        if let (Err(reason), true) = (committed, was_committed) {
            tracing::warn!(consumer = self.consumer, %reason, "offsets are not committed; tried again");
        }
    }

    /// A record that can never be read must not keep back those behind it.
    fn pass_over(&mut self, place: Place, reason: &str) {
        let passed_over = self.passed_over.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::error!(
            topic = paymesh_bus::topic(self.consumer),
            partition = place.partition,
            offset = place.offset,
            reason,
            passed_over,
            "a record is passed over"
        );
        self.records.settle(place);
    }

    fn note(&mut self, settled: &Settled, out: &Out) -> Result<(), Status> {
        if settled.is_done {
            self.records.settle(settled.place);
        } else if !out.is_closed() {
            return Err(Status::aborted(
                "a message was not completed; the group's offset waits for it",
            ));
        }
        Ok(())
    }
}

/// Whether asking again changes nothing.
fn is_misconfigured(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::FailedPrecondition | Code::Unimplemented
    )
}

fn broken(reason: &KafkaError) -> Status {
    Status::unavailable(format!("Kafka: {reason}"))
}
