//! The relay: messages of the partitions it has the lease of, into an outlet as long as that takes
//! them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use paymesh_contracts::MessageId;
use paymesh_operations::{Place, Span, SpanKind};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};
use uuid::Uuid;

use super::{Closed, Hub, Outlet, WEBHOOKS_GATHER};
use crate::{
    command::Consumer,
    store::{Due, Failure, Holder, Reader, lease},
};

/// How long a lease lasts when its holder falls silent.
const LEASE_MS: i64 = 4_000;
/// How often it is renewed.
const RENEW: Duration = Duration::from_secs(1);
/// How long a message committed elsewhere, or due by now, waits at most before it is seen here.
const POLL: Duration = Duration::from_millis(100);
/// The same while messages are worked on; webhooks wait no less than they gather.
const BUSY_POLL: Duration = Duration::from_millis(25);

/// What a relay has the right to hand out, and has handed out.
#[derive(Default)]
struct Held {
    /// Partitions with their epochs.
    leases: Vec<(i16, i64)>,
    /// Since when each is worked on.
    in_flight: HashMap<MessageId, Instant>,
}

/// One outlet's supply.
pub struct Relay {
    /// Where messages and leases are.
    pub reader: Reader,
    /// What is committed in this process.
    pub hub: Hub,
    /// Who reads.
    pub consumer: Consumer,
    /// The process that reads.
    pub reader_id: Uuid,
    /// How many messages it works on at once.
    pub in_flight_max: usize,
}

impl Relay {
    /// Puts messages until the outlet takes no more, then gives the leases back.
    pub async fn run(self, outlet: &mut impl Outlet) {
        let holder = Uuid::new_v4();
        if let Err(failure) = self.deliver(holder, outlet).await {
            tracing::warn!(consumer = self.consumer.word(), reason = %crate::store::chain(&failure), "a stream of messages ends");
            outlet.dry().await;
        }
        if let Err(failure) = self.reader.leave_leases(self.consumer.word(), holder).await {
            tracing::warn!(reason = %crate::store::chain(&failure), "leases are left to expire");
        }
    }

    async fn deliver(&self, holder: Uuid, outlet: &mut impl Outlet) -> Result<(), Failure> {
        // All before the first look, so that nothing falls between look and listen.
        let mut completed = self.hub.completed();
        let mut rung = self.hub.rung(self.consumer);
        let mut charges = match self.consumer {
            Consumer::Attempts => Some(self.hub.charges()),
            // What nobody reads would be kept.
            Consumer::Webhooks => None,
        };
        let mut held = Held::default();
        let mut renewed: Option<Instant> = None;
        let mut is_new = true;
        // Whether there may be messages that were not asked for.
        let (mut may_wait, mut looked) = (true, Instant::now());
        let gather = match self.consumer {
            Consumer::Attempts => Duration::ZERO,
            Consumer::Webhooks => WEBHOOKS_GATHER,
        };
        let pause = |may_wait, in_flight: &HashMap<MessageId, Instant>| match may_wait {
            true => gather,
            false if in_flight.is_empty() => POLL,
            false => BUSY_POLL.max(gather),
        };
        loop {
            if renewed.is_none_or(|at| at.elapsed() >= RENEW) {
                renewed = Some(Instant::now());
                let holder = Holder {
                    reader: self.reader_id,
                    stream: holder,
                    is_new,
                };
                if self.renew(holder, &mut held, outlet).await? {
                    // What was committed before is found by its row, if it may still be sent.
                    charges = charges.as_ref().map(Receiver::resubscribe);
                    may_wait = true;
                }
                is_new = false;
            }
            let room = self.in_flight_max.saturating_sub(held.in_flight.len());
            let is_time = looked.elapsed() >= pause(may_wait, &held.in_flight);
            if is_time && room > 0 && !held.leases.is_empty() {
                let busy: Vec<Uuid> = held.in_flight.keys().map(|id| id.0).collect();
                let limit = i64::try_from(room).unwrap_or(i64::MAX);
                let (messages, is_full) = self
                    .reader
                    .waiting(self.consumer, &held.leases, &busy, limit)
                    .await?;
                // One that was completed makes room, and brings no other.
                may_wait = is_full;
                for due in messages {
                    held.in_flight.insert(due.id, Instant::now());
                    if self.hand_out(due, outlet).await.is_err() {
                        return Ok(());
                    }
                }
            }
            if is_time {
                looked = Instant::now();
            }
            tokio::select! {
                // Charges first: one that a look found, and that is done by now, would be no longer in
                // flight and be handed out again.
                biased;
                () = outlet.closed() => return Ok(()),
                charges = next_charges(charges.as_mut()) => match charges {
                    Ok(charges) => match self.hand_out_charges(&charges, &mut held, outlet).await {
                        Ok(all) => may_wait |= !all,
                        Err(Closed) => return Ok(()),
                    },
                    Err(RecvError::Lagged(_)) => may_wait = true,
                    Err(RecvError::Closed) => return Ok(()),
                },
                done = completed.recv() => {
                    match done {
                        Ok(id) => { held.in_flight.remove(&id); }
                        // Too many to follow: forget, and let the inbox recognise what comes twice.
                        Err(RecvError::Lagged(_)) => {
                            held.in_flight.clear();
                            may_wait = true;
                        }
                        Err(RecvError::Closed) => return Ok(()),
                    }
                    while let Ok(id) = completed.try_recv() {
                        held.in_flight.remove(&id);
                    }
                }
                _ = rung.changed() => may_wait = true,
                // One that may look at once waits for room, or for its leases.
                () = tokio::time::sleep_until(looked + pause(may_wait && !gather.is_zero(), &held.in_flight)) => {}
            }
        }
    }

    /// Renews the leases, and forgets what is no longer worked on. Says whether a lease is new: messages
    /// may wait under it.
    async fn renew(
        &self,
        holder: Holder,
        held: &mut Held,
        outlet: &mut impl Outlet,
    ) -> Result<bool, Failure> {
        let leases = self
            .reader
            .take_leases(self.consumer.word(), holder, LEASE_MS)
            .await?;
        let has_new = leases.iter().any(|lease| !held.leases.contains(lease));
        if has_new {
            tracing::info!(
                consumer = self.consumer.word(),
                partitions = leases.len(),
                "holds leases"
            );
            // What was handed out under an older epoch would be refused.
            held.in_flight.clear();
        }
        held.leases = leases;
        held.in_flight
            .retain(|_, since| since.elapsed() < outlet.again());
        if outlet.is_shared() && !held.in_flight.is_empty() {
            let ids: Vec<Uuid> = held.in_flight.keys().map(|id| id.0).collect();
            let due = self.reader.still_due(&ids).await?;
            held.in_flight.retain(|id, _| due.contains(id));
        }
        Ok(has_new)
    }

    /// Hands out charges that were committed here, as far as their partitions are held: others are
    /// found by who holds them. Says whether there was room for all.
    async fn hand_out_charges(
        &self,
        charges: &[Due],
        held: &mut Held,
        outlet: &mut impl Outlet,
    ) -> Result<bool, Closed> {
        for due in charges {
            let is_of_it = |lease: &&(i16, i64)| lease.0 == due.partition();
            let Some(&(partition, epoch)) = held.leases.iter().find(is_of_it) else {
                continue;
            };
            if held.in_flight.contains_key(&due.id) {
                continue;
            }
            if held.in_flight.len() >= self.in_flight_max {
                return Ok(false);
            }
            held.in_flight.insert(due.id, Instant::now());
            let mut due = due.clone();
            due.message.lease = Some(lease(self.consumer, partition, epoch));
            self.hand_out(due, outlet).await?;
        }
        Ok(true)
    }

    async fn hand_out(&self, mut due: Due, outlet: &mut impl Outlet) -> Result<(), Closed> {
        // A webhook's end needs nothing but its message.
        if self.consumer == Consumer::Attempts {
            self.hub.remember(due.id, due.about.clone());
        }
        let place = Place::read(&due.message.trace);
        let span = Span::of(&place, SpanKind::Producer, "hand out");
        span.word("paymesh.consumer", self.consumer.word());
        span.id("paymesh.message", &due.id);
        due.message.trace = span.place().text().unwrap_or_default();
        outlet.put(due).await
    }
}

/// The charges of the next group; never any, for who sends none.
async fn next_charges(charges: Option<&mut Receiver<Arc<[Due]>>>) -> Result<Arc<[Due]>, RecvError> {
    match charges {
        Some(charges) => charges.recv().await,
        None => std::future::pending().await,
    }
}
