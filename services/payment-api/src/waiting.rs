//! Waiting for attempts to be settled: told by db-controller, never by asking again.
//!
//! One stream brings them all. Whoever waits registers first and looks once after; when the
//! stream had to be opened again, everyone looks once more, and one who waits looks when their
//! attempt was settled at another replica than the one that is listened to.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use paymesh_contracts::{
    AttemptId,
    persistence::{Answer, ChangesRequest, payments_client::PaymentsClient},
};
use paymesh_operations::Health;
use paymesh_transport::Line;
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// How long db-controller may take to open the stream.
const OPEN_MAX: Duration = Duration::from_secs(3);

/// What one who waits is told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    /// It is settled, and this is the answer to its key.
    Settled(Answer),
    /// It may have been settled: another replica of db-controller says so, or the stream was opened
    /// again.
    LookAgain,
    /// The time to wait is over.
    TooLate,
}

type Waiters = HashMap<AttemptId, Vec<(u64, mpsc::Sender<Told>)>>;

/// Everyone who waits.
#[derive(Clone, Default)]
pub struct Waiting(Arc<Mutex<(u64, Waiters)>>);

/// One who waits; dropping it ends that.
pub(crate) struct Waiter {
    waiting: Waiting,
    attempt_id: AttemptId,
    number: u64,
    told: mpsc::Receiver<Told>,
}

impl Waiting {
    /// Registers for an attempt.
    pub(crate) fn register(&self, attempt_id: AttemptId) -> Waiter {
        let (tell, told) = mpsc::channel(4);
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0 += 1;
        let number = guard.0;
        guard.1.entry(attempt_id).or_default().push((number, tell));
        Waiter {
            waiting: self.clone(),
            attempt_id,
            number,
            told,
        }
    }

    fn tell(&self, attempt_id: AttemptId, told: &Told) {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, waiter) in guard.1.get(&attempt_id).into_iter().flatten() {
            let _ = waiter.try_send(told.clone());
        }
    }

    fn tell_all_to_look(&self) {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, waiter) in guard.1.values().flatten() {
            let _ = waiter.try_send(Told::LookAgain);
        }
    }

    /// Listens to db-controller until `stop` is cancelled.
    pub async fn listen(self, channel: Line, health: Health, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => break,
                heard = self.hear(&channel, &health) => {
                    let code = heard.err().map(|status| status.code());
                    tracing::warn!(?code, "no news of attempts");
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn hear(&self, channel: &Line, health: &Health) -> Result<(), Status> {
        let mut client = PaymentsClient::new(channel.clone());
        let opened = timeout(OPEN_MAX, client.changes(ChangesRequest {})).await;
        let late = |_| Err(Status::deadline_exceeded("db-controller opens no stream"));
        let opened = opened.unwrap_or_else(late);
        // Every stream ends some day with its connection, and the next is there at once: who is not
        // ready is who cannot open one.
        health.set_ready(opened.is_ok());
        let mut changes = opened?.into_inner();
        self.tell_all_to_look();
        while let Some(change) = changes.message().await? {
            match (AttemptId::from_bytes(&change.attempt_id), change.answer) {
                (Ok(attempt_id), Some(answer)) => self.tell(attempt_id, &Told::Settled(answer)),
                (Ok(attempt_id), None) => self.tell(attempt_id, &Told::LookAgain),
                (Err(_), _) => self.tell_all_to_look(),
            }
        }
        Ok(())
    }
}

impl Waiter {
    /// What is heard next.
    pub(crate) async fn told(&mut self) -> Told {
        // The sender lives as long as this waiter is registered.
        self.told.recv().await.unwrap_or(Told::LookAgain)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut guard = self
            .waiting
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(waiters) = guard.1.get_mut(&self.attempt_id) {
            waiters.retain(|(number, _)| *number != self.number);
            if waiters.is_empty() {
                guard.1.remove(&self.attempt_id);
            }
        }
    }
}
