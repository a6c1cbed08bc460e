//! The bus, as a reader sees it: a stream of db-controller, or a topic of Kafka.

mod stream;
mod topic;

use async_trait::async_trait;
use paymesh_contracts::persistence::Message;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::task::TaskTracker;
use tonic::Status;

use paymesh_bus::Place;

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
    /// The next message; none when there will be no more.
    async fn next(&mut self) -> Result<Option<Taken>, Status>;
}

/// A message, and whom to tell about its end.
pub struct Taken {
    /// What is to be done.
    pub message: Message,
    /// To be settled once db-controller answered its completion.
    pub receipt: Receipt,
}

/// Says that a message came to its end here; or, when it is dropped, that it did not.
pub struct Receipt(Option<(Place, UnboundedSender<Settled>)>);

/// What became of a record.
struct Settled {
    place: Place,
    is_done: bool,
}

impl Receipt {
    /// Nobody wants to know.
    const NONE: Self = Self(None);

    /// Nothing more is to be done about the message.
    pub fn settle(mut self) {
        self.tell(true);
    }

    fn tell(&mut self, is_done: bool) {
        if let Some((place, whom)) = self.0.take() {
            let _ = whom.send(Settled { place, is_done });
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.tell(false);
    }
}
