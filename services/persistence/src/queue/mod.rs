//! The queue: messages written with the money, read by partition under a lease.
//!
//! A relay puts them into an [`Outlet`]: a stream over gRPC ([`Stream`]), or a topic of Kafka
//! ([`publish`]).
//!
//! A message is delivered at least once and takes effect once. Who may complete messages of a
//! partition is said by the lease's epoch, which every takeover raises: the late `Complete` of a
//! reader that was thought dead is refused. Over Kafka the holder is a relay: a takeover ends what
//! it put, which nobody can claim any more, and not the work on what was claimed before.

mod admission;
mod herald;
mod meter;
mod outlet;
mod relay;
mod topic;

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use admission::Admission;
use paymesh_contracts::{AttemptId, MessageId};
use tokio::sync::{broadcast, watch};

pub use herald::herald;
pub use meter::meter;
pub use outlet::{Closed, Outlet, Stream};
pub use relay::Relay;
pub use topic::publish;

use crate::{
    command::{About, Consumer},
    store::{Done, Due},
    world::Settled,
};

/// How long webhooks wait for others on their way out.
const WEBHOOKS_GATHER: Duration = Duration::from_millis(50);

/// Of how many messages that were handed out it is remembered what they are about, so that it need not
/// be asked for when they are completed.
const REMEMBERED_MAX: usize = 8_192;

/// How many groups with charges a relay may be behind before it looks for them instead.
const CHARGES_MAX: usize = 64;

/// What has been committed here, and what is heard of other replicas, for those who wait for it in
/// this process.
#[derive(Clone)]
pub struct Hub {
    settled: broadcast::Sender<Settled>,
    elsewhere: broadcast::Sender<Option<AttemptId>>,
    completed: broadcast::Sender<MessageId>,
    charges: broadcast::Sender<Arc<[Due]>>,
    attempts: watch::Sender<u64>,
    webhooks: watch::Sender<u64>,
    admission: Arc<Admission>,
    handed_out: Arc<Mutex<HashMap<MessageId, About>>>,
}

impl Hub {
    /// Nothing has happened yet. So many messages for the acquirer may wait before new payments are
    /// taken in only as others end.
    pub fn new(waiting_max: NonZeroU32) -> Self {
        Self {
            settled: broadcast::Sender::new(16_384),
            elsewhere: broadcast::Sender::new(16_384),
            completed: broadcast::Sender::new(16_384),
            charges: broadcast::Sender::new(CHARGES_MAX),
            attempts: watch::Sender::new(0),
            webhooks: watch::Sender::new(0),
            admission: Arc::new(Admission::new(waiting_max)),
            handed_out: Arc::default(),
        }
    }

    /// Tells everyone what a group did. A listener that is gone or slow looks for itself.
    pub(crate) fn committed(&self, done: &Done) {
        self.admission.committed(done);
        for settled in &done.settled {
            let _ = self.settled.send(settled.clone());
        }
        // Before anything of them can be completed.
        if !done.charges.is_empty() {
            let _ = self.charges.send(Arc::clone(&done.charges));
        }
        for completed in &done.completed {
            self.handed_out().remove(completed);
            let _ = self.completed.send(*completed);
        }
        for consumer in &done.woken {
            self.bell(*consumer).send_modify(|rung| *rung += 1);
        }
    }

    /// What a message is about that was handed out here, if it is remembered.
    pub(crate) fn about(&self, message_id: MessageId) -> Option<About> {
        self.handed_out().get(&message_id).cloned()
    }

    fn remember(&self, message_id: MessageId, about: About) {
        let mut handed_out = self.handed_out();
        // What another replica completed is never taken out.
        if handed_out.len() >= REMEMBERED_MAX {
            handed_out.clear();
        }
        handed_out.insert(message_id, about);
    }

    fn handed_out(&self) -> MutexGuard<'_, HashMap<MessageId, About>> {
        self.handed_out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more payment is taken in.
    pub(crate) fn admits(&self) -> bool {
        self.admission.admits()
    }

    /// Attempts that are settled from now on.
    pub fn settled(&self) -> broadcast::Receiver<Settled> {
        self.settled.subscribe()
    }

    /// Attempts that another replica settled, or nothing when some may have been missed.
    pub fn elsewhere(&self) -> broadcast::Receiver<Option<AttemptId>> {
        self.elsewhere.subscribe()
    }

    fn hear(&self, attempt: Option<AttemptId>) {
        if attempt.is_some() {
            self.admission.ended_elsewhere();
        }
        let _ = self.elsewhere.send(attempt);
    }

    fn completed(&self) -> broadcast::Receiver<MessageId> {
        self.completed.subscribe()
    }

    /// Charges that are to be sent from now on.
    fn charges(&self) -> broadcast::Receiver<Arc<[Due]>> {
        self.charges.subscribe()
    }

    fn rung(&self, consumer: Consumer) -> watch::Receiver<u64> {
        self.bell(consumer).subscribe()
    }

    fn bell(&self, consumer: Consumer) -> &watch::Sender<u64> {
        match consumer {
            Consumer::Attempts => &self.attempts,
            Consumer::Webhooks => &self.webhooks,
        }
    }
}
