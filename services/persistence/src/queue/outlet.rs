//! What carries messages from db-controller to payment-processor, as a relay sees it.

use std::{future::Future, time::Duration};

use paymesh_contracts::persistence as wire;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
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

/// The embedded bus: one reader's stream.
pub struct Stream {
    out: mpsc::Sender<Result<wire::Message, Status>>,
    closing: CancellationToken,
}

impl Stream {
    /// A stream that ends when its reader goes or `closing` is cancelled.
    pub fn new(
        out: mpsc::Sender<Result<wire::Message, Status>>,
        closing: CancellationToken,
    ) -> Self {
        Self { out, closing }
    }
}

impl Outlet for Stream {
    fn again(&self) -> Duration {
        Duration::from_secs(30)
    }

    /// The reader's next connection may be to another one, while this stream is still open.
    fn is_shared(&self) -> bool {
        true
    }

    async fn put(&mut self, due: Due) -> Result<(), Closed> {
        let sent = self
            .closing
            .run_until_cancelled(self.out.send(Ok(due.message)));
        sent.await.ok_or(Closed)?.map_err(|_| Closed)
    }

    async fn closed(&mut self) {
        tokio::select! {
            () = self.out.closed() => {}
            () = self.closing.cancelled() => {}
        }
    }

    async fn dry(&mut self) {
        let status = Status::unavailable("the database does not answer");
        let _ = self.out.send(Err(status)).await;
    }
}
