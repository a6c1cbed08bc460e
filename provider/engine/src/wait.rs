//! Waiting: for operations, for rest, for names, and for the cloud to make up its mind. Every wait
//! ends at its limit, at the run's deadline, or at a stop.

use std::{sync::Arc, time::Duration};

use paymesh_clock::Moment;

use crate::{
    Event, Fault, FaultKind, Happening, Object, ObjectId, Observation, Operation, OperationId,
    Poll, act::Halt, run::Run,
};

/// How often a write is sent within the limit for what is busy while a neighbour shows that it is:
/// every two minutes, usually.
const TRIES: u32 = 30;

impl Run<'_> {
    /// Waits for `duration`, at most until the deadline.
    pub(crate) async fn pause(&self, duration: Duration) -> Result<(), Halt> {
        if self.stop_cause().is_some() {
            return Err(Halt::Stopped);
        }
        let left = self.deadline.since(self.engine.clock.now());
        tokio::select! {
            () = self.engine.clock.sleep(duration.min(left)) => {}
            () = self.job.stop.stopped() => {}
        }
        if self.stop_cause().is_some() {
            Err(Halt::Stopped)
        } else {
            Ok(())
        }
    }

    /// Ends when the run has to end.
    pub(crate) async fn halted(&self) -> Halt {
        tokio::select! {
            () = self.engine.clock.sleep_until(self.deadline) => {}
            () = self.job.stop.stopped() => {}
        }
        Halt::Stopped
    }

    /// Polls `operation` to its end.
    pub(crate) async fn follow(
        &self,
        id: &ObjectId,
        step: &str,
        operation: &dyn Operation,
        started: Moment,
    ) -> Result<(), Halt> {
        let mut unanswered = 0;
        loop {
            if self.stop_cause().is_some() {
                return Err(Halt::Stopped);
            }
            let polled = tokio::select! {
                biased;
                polled = operation.poll() => polled,
                halt = self.halted() => return Err(halt),
            };
            match polled {
                Ok(Poll::Running { after, status }) => {
                    unanswered = 0;
                    self.report(id, step, started, Happening::Polled(status));
                    self.pause(after).await?;
                }
                Ok(Poll::Succeeded | Poll::Gone) => {
                    self.state().operations.shift_remove(id);
                    return Ok(());
                }
                Ok(Poll::Failed(fault)) => {
                    self.state().operations.shift_remove(id);
                    return Err(named(*fault, operation).into());
                }
                // The poll failed, not the operation.
                Err(fault) => {
                    unanswered += 1;
                    if unanswered > self.job.limits.retries {
                        return Err(named(fault, operation).into());
                    }
                    self.pause(fault.retry_after.unwrap_or(self.job.limits.pause))
                        .await?;
                }
            }
        }
    }

    /// Waits until nothing runs on `id`: by its operation where it has a name, by observing
    /// where not.
    pub(crate) async fn rest(
        &self,
        id: &ObjectId,
        object: &Arc<dyn Object>,
        what: &str,
    ) -> Result<(), Halt> {
        let started = self.engine.clock.now();
        let step = format!("wait for {what}");
        self.report(id, &step, started, Happening::Started);
        let mut polled = None;
        loop {
            let named = self
                .operation_on(id)
                .filter(|it| polled.as_ref() != Some(it));
            match named.as_ref().and_then(|it| object.resume(it)) {
                Some(operation) => {
                    polled = named;
                    match self.follow(id, &step, &*operation, started).await {
                        // How it ended is told by the object itself.
                        Ok(()) | Err(Halt::Faults(_)) => {}
                        Err(Halt::Stopped) => return Err(Halt::Stopped),
                    }
                }
                None if self.still_busy(id) => self.pause(self.job.limits.pause).await?,
                None => {}
            }
            // An operation that nobody can poll any more is over, or shows on the object.
            self.state().operations.shift_remove(id);
            self.look_again(id).await?;
            let busy = self
                .state()
                .observations
                .seen(id)
                .and_then(|it| it.busy.clone());
            let Some(busy) = busy else {
                self.report(id, &step, started, Happening::Finished);
                return Ok(());
            };
            let elapsed = self.engine.clock.now().since(started);
            if elapsed > self.job.limits.busy {
                let minutes = elapsed.as_secs() / 60;
                let message = format!("`{}` still runs on it after {minutes} minutes.", busy.what);
                let mut fault = Fault::new(id.clone(), FaultKind::TimedOut, message)
                    .next("Wait until it has ended, then apply again.");
                fault.operation = busy.operation.as_ref().map(ToString::to_string);
                return Err(fault.into());
            }
        }
    }

    /// Looks at what may keep `id` from being written, and waits while one of it shows that something
    /// runs. That need not be what the cloud refuses `id` for, so the wait is short, and a read that
    /// fails is no fault of `id`.
    pub(crate) async fn await_neighbours(&self, id: &ObjectId) -> Result<(), Halt> {
        let until = self.engine.clock.now() + self.job.limits.busy / TRIES;
        let mut neighbours = self.state().neighbours(id);
        loop {
            for neighbour in &neighbours {
                if let Err(Halt::Stopped) = self.look_again(neighbour).await {
                    return Err(Halt::Stopped);
                }
            }
            neighbours.retain(|it| self.still_busy(it));
            if neighbours.is_empty() || self.engine.clock.now() >= until {
                return Ok(());
            }
            self.pause(self.job.limits.pause).await?;
        }
    }

    /// The operation that runs on `id`: ours, or the one that the object names.
    fn operation_on(&self, id: &ObjectId) -> Option<OperationId> {
        let state = self.state();
        let ours = state.operations.get(id).and_then(|it| it.operation.clone());
        ours.or_else(|| {
            state
                .observations
                .seen(id)?
                .busy
                .as_ref()?
                .operation
                .clone()
        })
    }

    fn still_busy(&self, id: &ObjectId) -> bool {
        self.state()
            .observations
            .seen(id)
            .is_some_and(|it| it.busy.is_some())
    }

    /// Waits until the cloud frees the name of a deleted object.
    pub(crate) async fn await_name(&self, id: &ObjectId, wait: Duration) -> Result<(), Halt> {
        let started = self.engine.clock.now();
        let mut wait = wait;
        loop {
            self.pause(wait.max(Duration::from_secs(1))).await?;
            let Observation::NameHeld(held) = self.look(id).await? else {
                return Ok(());
            };
            if self.engine.clock.now().since(started) > self.job.limits.busy {
                return Err(Fault::new(id.clone(), FaultKind::NameHeld, held.why)
                    .next(held.next)
                    .into());
            }
            wait = held.frees_in.unwrap_or(self.job.limits.pause);
        }
    }

    /// The cloud confirmed the object, showed it, and shows it no more. Looks again for a while;
    /// if it stays away, somebody deleted it, and making it again is the next run's decision.
    pub(crate) async fn doubt(&self, id: &ObjectId) -> Result<(), Halt> {
        let started = self.engine.clock.now();
        while self.engine.clock.now().since(started) <= self.job.limits.settle {
            self.pause(self.job.limits.pause).await?;
            if self.look(id).await? != Observation::Absent {
                return Ok(());
            }
        }
        Err(Fault::new(
            id.clone(),
            FaultKind::Missing,
            "it was created in this run and is gone: somebody deleted it.",
        )
        .next("Apply again to create it again.")
        .into())
    }

    pub(crate) fn report(&self, id: &ObjectId, step: &str, started: Moment, happening: Happening) {
        let elapsed = self.engine.clock.now().since(started);
        tracing::info!(object = %id, step, ?happening, elapsed_ms = elapsed.as_millis(), "step");
        if let Some(progress) = &self.engine.progress {
            progress(&Event {
                object: id.clone(),
                step: step.into(),
                happening,
                elapsed,
            });
        }
    }
}

fn named(fault: Fault, operation: &dyn Operation) -> Fault {
    if fault.operation.is_some() {
        fault
    } else {
        fault.during(operation.id().name)
    }
}
