//! Kafka as the bus: records point at messages, db-controller says what they are.
//!
//! The group's offset passes a record once db-controller answered the completion of its message, or
//! said that nothing is to be done about it any more. What was taken and not completed, because this
//! process ended or db-controller was away too long, comes again.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use paymesh_bus::{Consumer, Kafka, KafkaError, Record};
use paymesh_contracts::persistence::{
    ClaimRequest, Message, MessageReference, queue_client::QueueClient,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::task::TaskTracker;
use tonic::{Code, Status, transport::Channel};

use super::{Bus, Inlet, Receipt, Settled, Taken};

/// How many messages are at work at once before no more is looked for.
const IN_FLIGHT_MAX: usize = 256;
/// How long what is at work has to end when no more is wanted; the rest comes again.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// How long after db-controller did not answer it is asked again.
const PAUSE: Duration = Duration::from_millis(250);

/// Messages over Kafka.
pub struct OverKafka {
    /// Where it is.
    pub kafka: Kafka,
    /// db-controller.
    pub channel: Channel,
}

#[async_trait]
impl Bus for OverKafka {
    async fn open(
        &self,
        consumer: &'static str,
        tasks: &TaskTracker,
    ) -> Result<Box<dyn Inlet>, Status> {
        // Asked for nothing, db-controller still says whether it uses Kafka.
        claim(&self.channel, consumer, &[]).await?;
        let topic = paymesh_bus::topic(consumer);
        let records = Consumer::join(&self.kafka, &topic, &topic).await;
        let (out, messages) = mpsc::channel(1);
        let (sender, receipts) = mpsc::unbounded_channel();
        let pump = Pump {
            consumer,
            channel: self.channel.clone(),
            records: records.map_err(|reason| broken(&reason))?,
            sender,
            receipts,
        };
        tasks.spawn(pump.run(out));
        Ok(Box::new(messages))
    }
}

#[async_trait]
impl Inlet for mpsc::Receiver<Result<Taken, Status>> {
    async fn next(&mut self) -> Result<Option<Taken>, Status> {
        self.recv().await.transpose()
    }
}

struct Pump {
    consumer: &'static str,
    channel: Channel,
    records: Consumer,
    sender: mpsc::UnboundedSender<Settled>,
    receipts: mpsc::UnboundedReceiver<Settled>,
}

impl Pump {
    async fn run(mut self, out: mpsc::Sender<Result<Taken, Status>>) {
        match self.carry(&out).await {
            Ok(()) => self.drain().await,
            Err(status) => {
                let _ = out.send(Err(status)).await;
            }
        }
        if let Err(reason) = self.records.close().await {
            tracing::warn!(consumer = self.consumer, %reason, "left the group; what was not committed comes again");
        }
    }

    /// Until nobody takes messages.
    async fn carry(&mut self, out: &mpsc::Sender<Result<Taken, Status>>) -> Result<(), Status> {
        while !out.is_closed() {
            while let Ok(settled) = self.receipts.try_recv() {
                self.note(&settled)?;
            }
            let committed = self.records.commit().await;
            committed.map_err(|reason| broken(&reason))?;
            if self.records.at_work() >= IN_FLIGHT_MAX {
                tokio::select! {
                    () = out.closed() => {}
                    Some(settled) = self.receipts.recv() => self.note(&settled)?,
                }
                continue;
            }
            let records = self
                .records
                .next()
                .await
                .map_err(|reason| broken(&reason))?;
            self.hand_out(records, out).await?;
        }
        Ok(())
    }

    async fn hand_out(
        &mut self,
        records: Vec<Record>,
        out: &mpsc::Sender<Result<Taken, Status>>,
    ) -> Result<(), Status> {
        if records.is_empty() {
            return Ok(());
        }
        let read = |record: &Record| {
            let reference = MessageReference::from_record(&record.value);
            if reference.is_none() {
                tracing::error!(consumer = self.consumer, place = ?record.place, "a record is none of ours");
            }
            reference
        };
        let references: Vec<_> = records.iter().map(read).collect();
        let asked: Vec<_> = references.iter().flatten().cloned().collect();
        let mut claimed = loop {
            match claim(&self.channel, self.consumer, &asked).await {
                Ok(messages) => break messages,
                Err(status) if status.code() != Code::Unavailable || out.is_closed() => {
                    return Err(status);
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        for (record, reference) in records.iter().zip(references) {
            let message = reference.and_then(|one| claimed.remove(&one.message_id));
            let receipt = Receipt(Some((record.place, self.sender.clone())));
            match message {
                None => receipt.settle(),
                // Nobody takes it: it comes again.
                Some(message) => {
                    let _ = out.send(Ok(Taken { message, receipt })).await;
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, settled: &Settled) -> Result<(), Status> {
        if !settled.is_done {
            return Err(Status::aborted(
                "a message was not completed; the group's offset waits for it",
            ));
        }
        self.records.settle(settled.place);
        Ok(())
    }

    /// What is at work comes to its end.
    async fn drain(&mut self) {
        let ended = timeout(DRAIN_MAX, async {
            while self.records.at_work() > 0 {
                let Some(settled) = self.receipts.recv().await else {
                    return;
                };
                if self.note(&settled).is_err() {
                    return;
                }
            }
        });
        if ended.await.is_err() {
            tracing::warn!(consumer = self.consumer, "messages at work come again");
        }
    }
}

/// The messages that are still to be worked on, by id.
async fn claim(
    channel: &Channel,
    consumer: &str,
    references: &[MessageReference],
) -> Result<HashMap<Vec<u8>, Message>, Status> {
    let request = ClaimRequest {
        consumer: consumer.to_owned(),
        references: references.to_vec(),
    };
    let reply = QueueClient::new(channel.clone()).claim(request).await?;
    let messages = reply.into_inner().messages.into_iter();
    Ok(messages
        .map(|message| (message.message_id.clone(), message))
        .collect())
}

fn broken(reason: &KafkaError) -> Status {
    Status::unavailable(format!("Kafka: {reason}"))
}
