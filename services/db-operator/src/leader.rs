//! Who leads: the holder of a Lease, which it renews.
//!
//! A candidate takes a lease whose record it has seen unchanged for the lease's whole time, by its
//! own clock; every write names the version that was read, so of two one is refused. A leader that
//! could not renew in two thirds of that time ends its process, before another may begin. What is
//! left of a race is made harmless by the lock in PostgreSQL and by preconditions.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use crate::failure::{Failure, chain};

/// One candidate.
pub struct Candidate {
    leases: Api<Lease>,
    name: String,
    /// Who it is, unlike any other.
    identity: String,
    /// How long a lease holds that is not renewed.
    time: Duration,
}

impl Candidate {
    /// A candidate for the lease of this name.
    pub fn new(
        client: Client,
        namespace: &str,
        name: String,
        identity: String,
        time: Duration,
    ) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name,
            identity,
            time,
        }
    }

    fn pause(&self) -> Duration {
        self.time / 5
    }

    /// How long after a renewal was begun it has to end its process, unless it renewed again.
    fn grace(&self) -> Duration {
        self.time * 2 / 3
    }

    /// Waits until it leads; gives when it has to have renewed its lease.
    pub async fn lead(&self) -> Instant {
        let mut seen: (Option<String>, Instant) = (None, Instant::now());
        loop {
            let deadline = Instant::now() + self.grace();
            match timeout_at(deadline, self.try_to_lead(&mut seen)).await {
                Ok(Ok(true)) => return deadline,
                Ok(Ok(false)) => {}
                Ok(Err(failure)) if failure.is_passing() => {}
                Ok(Err(failure)) => tracing::warn!(reason = chain(&failure), "no lease yet"),
                Err(_) => tracing::warn!("no lease yet: the API server does not answer"),
            }
            sleep(self.pause()).await;
        }
    }

    async fn try_to_lead(&self, seen: &mut (Option<String>, Instant)) -> Result<bool, Failure> {
        let Some(lease) = self.read().await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.record(0)),
            };
            let made = self.leases.create(&PostParams::default(), &lease).await;
            return made.map(|_| true).map_err(refused);
        };
        let version = lease.metadata.resource_version.clone();
        if seen.0 != version {
            *seen = (version, Instant::now());
        }
        let is_free = holder(&lease).is_empty();
        if !is_free && seen.1.elapsed() < self.time {
            return Ok(false);
        }
        self.write(lease).await.map(|()| true)
    }

    /// Renews the lease; returns when it could not until its deadline, or when another has it.
    pub async fn keep(&self, mut deadline: Instant) {
        while Instant::now() < deadline {
            sleep_until(deadline.min(Instant::now() + self.pause())).await;
            let next = Instant::now() + self.grace();
            match timeout_at(deadline, self.renew()).await {
                Ok(Ok(true)) => deadline = next,
                Ok(Ok(false)) | Err(_) => return,
                Ok(Err(failure)) => {
                    tracing::warn!(reason = chain(&failure), "the lease was not renewed");
                }
            }
        }
    }

    /// Whether this one still has it.
    async fn renew(&self) -> Result<bool, Failure> {
        match self.read().await? {
            Some(lease) if holder(&lease) == self.identity => {
                self.write(lease).await.map(|()| true)
            }
            _ => Ok(false),
        }
    }

    /// Gives the lease back, so that the next one need not wait.
    pub async fn release(&self) -> Result<(), Failure> {
        let Some(mut lease) = self.read().await? else {
            return Ok(());
        };
        if holder(&lease) == self.identity {
            let spec = lease.spec.get_or_insert_default();
            spec.holder_identity = None;
            self.replace(&lease).await?;
        }
        Ok(())
    }

    async fn read(&self) -> Result<Option<Lease>, Failure> {
        self.leases.get_opt(&self.name).await.map_err(refused)
    }

    /// Writes this one as the holder, unless the lease was written since it was read.
    async fn write(&self, mut lease: Lease) -> Result<(), Failure> {
        let before = lease.spec.take().unwrap_or_default();
        let count = before.lease_transitions.unwrap_or_default();
        let is_kept = before.holder_identity.as_deref() == Some(&self.identity);
        let mut record = self.record(count.saturating_add(i32::from(!is_kept)));
        if is_kept {
            record.acquire_time = before.acquire_time;
        }
        lease.spec = Some(record);
        self.replace(&lease).await
    }

    async fn replace(&self, lease: &Lease) -> Result<(), Failure> {
        let parameters = PostParams::default();
        let written = self.leases.replace(&self.name, &parameters, lease).await;
        written.map(drop).map_err(refused)
    }

    fn record(&self, transitions: i32) -> LeaseSpec {
        let now = Some(MicroTime(Timestamp::now()));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            // For people: whole seconds, and at least one.
            lease_duration_seconds: Some(
                self.time.as_secs().clamp(1, 3_600).try_into().unwrap_or(1),
            ),
            lease_transitions: Some(transitions),
            acquire_time: now.clone(),
            renew_time: now,
            ..LeaseSpec::default()
        }
    }
}

fn holder(lease: &Lease) -> &str {
    let spec = lease.spec.as_ref();
    spec.and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

fn refused(reason: kube::Error) -> Failure {
    Failure::kubernetes("the Lease could not be read or written")(reason)
}
