//! The embedded bus: db-controller streams what is due, and sends again what was not completed.

use async_trait::async_trait;
use paymesh_contracts::persistence::{Message, PullRequest, queue_client::QueueClient};
use paymesh_transport::Line;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tonic::{Status, Streaming};
use uuid::Uuid;

use super::{Bus, Inlet, Receipt, Taken};

/// How many messages are at work at once.
const IN_FLIGHT_MAX: u32 = 256;

/// Messages over gRPC.
pub struct Embedded {
    channel: Line,
    /// One id for every stream of this process: the next has the partitions of the last at once.
    reader_id: Uuid,
}

impl Embedded {
    /// From one db-controller.
    pub fn new(channel: Line) -> Self {
        Self {
            channel,
            reader_id: Uuid::new_v4(),
        }
    }
}

#[async_trait]
impl Bus for Embedded {
    async fn open(
        &self,
        consumer: &'static str,
        _: &TaskTracker,
    ) -> Result<Box<dyn Inlet>, Status> {
        let request = PullRequest {
            consumer: consumer.to_owned(),
            in_flight_max: IN_FLIGHT_MAX,
            reader_id: self.reader_id.as_bytes().to_vec(),
        };
        let stream = QueueClient::new(self.channel.clone()).pull(request).await?;
        Ok(Box::new(stream.into_inner()))
    }
}

#[async_trait]
impl Inlet for Streaming<Message> {
    async fn next(&mut self) -> Result<Option<Taken>, Status> {
        let message = self.message().await?;
        Ok(message.map(|message| Taken {
            message,
            receipt: Receipt::NONE,
        }))
    }

    /// A stream that breaks ends.
    fn answers(&self) -> watch::Receiver<bool> {
        watch::channel(true).1
    }
}
