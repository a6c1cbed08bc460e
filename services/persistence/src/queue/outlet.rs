//! What carries messages from db-controller to payment-processor, as a relay sees it.

use std::{future::Future, time::Duration};

use paymesh_contracts::persistence as wire;
use tokio::sync::mpsc;
use tonic::Status;

use crate::store::Due;

/// Nothing more is taken.
#[derive(Clone, Copy, Debug)]
pub struct Closed;

/// The bus. What is put arrives at least once, in order for each payment, or is put again.
pub trait Outlet: Send {
    /// A message that was not completed by then is put again.
    fn again(&self) -> Duration;

    /// Whether messages may be completed at another db-controller, so that this one does not hear
    /// of it.
    fn is_shared(&self) -> bool;

    /// Takes a message behind those that were put before.
    fn put(&mut self, due: Due) -> impl Future<Output = Result<(), Closed>> + Send;

    /// Returns once nothing more is taken.
    fn closed(&mut self) -> impl Future<Output = ()> + Send;

    /// No more comes, because the database does not answer.
    fn dry(&mut self) -> impl Future<Output = ()> + Send;
}

/// The embedded bus: one reader's stream, which also completes what it reads here.
pub struct Stream(pub mpsc::Sender<Result<wire::Message, Status>>);

impl Outlet for Stream {
    fn again(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn put(&mut self, due: Due) -> Result<(), Closed> {
        self.0.send(Ok(due.message)).await.map_err(|_| Closed)
    }

    async fn closed(&mut self) {
        self.0.closed().await;
    }

    async fn dry(&mut self) {
        let status = Status::unavailable("the database does not answer");
        let _ = self.0.send(Err(status)).await;
    }
}
