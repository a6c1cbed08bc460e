//! The bus, as a reader sees it: a stream of db-controller, or a topic of Kafka.

mod claim;
mod receipt;
mod stream;
mod topic;

use async_trait::async_trait;
use paymesh_contracts::persistence::Message;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tonic::Status;

pub use receipt::Receipt;
pub use stream::Embedded;
pub use topic::OverKafka;

/// What brings messages, each at least once.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Begins to read what a consumer is to do. What has to be done after the last message was taken
    /// goes on in `tasks`.
    async fn open(
        &self,
        consumer: &'static str,
        tasks: &TaskTracker,
    ) -> Result<Box<dyn Inlet>, Status>;
}

/// Messages for one consumer.
#[async_trait]
pub trait Inlet: Send {
    /// The next message; none when there will be no more. Nothing is lost when this is dropped.
    async fn next(&mut self) -> Result<Option<Taken>, Status>;

    /// Whether everything answers that brings messages.
    fn answers(&self) -> watch::Receiver<bool>;
}

/// A message, and whom to tell about its end.
pub struct Taken {
    /// What is to be done.
    pub message: Message,
    /// To be settled once db-controller answered its completion.
    pub receipt: Receipt,
}
