//! Writing: one act on one object, under its locks.

use std::{collections::HashSet, sync::Arc};

use crate::{
    Fault, FaultKind, Happening, Object, ObjectId, Observation, Seen, Sent, Subject, Unfinished,
    decide::{Act, Decision},
    difference::listed,
    locks::Held,
    run::Run,
};

/// Why an act did not come to its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The run was stopped or its time is over.
    Stopped,
    /// Something went wrong.
    Faults(Vec<Fault>),
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Faults(vec![fault])
    }
}

impl Run<'_> {
    /// Does what is next for `id`. `Ok` means that what was seen is up to date and the next
    /// decision can be taken, whatever it is.
    pub(crate) async fn act(&self, id: &ObjectId) -> Result<(), Halt> {
        let Some(object) = self.state().graph.node(id).map(|it| it.object.clone()) else {
            return Ok(());
        };
        let mut held = tokio::select! {
            held = self.engine.locks.hold(object.locks()) => held,
            halt = self.halted() => return Err(halt),
        };
        let is_unseen = matches!(self.decide(&self.state(), id), Decision::Act(Act::Look));
        // Others may have written while we waited for our turn, this process's or not.
        if self.engine.protections.looks_before_writing() {
            self.look_again(id).await?;
        }
        let mut decision = self.decide(&self.state(), id);
        if let Decision::Act(Act::Hold) = decision {
            decision = self.decide_by_principal(id).await?;
        }
        let Decision::Act(act) = decision else {
            return Ok(());
        };
        // A look needs no turn, and what it shows may have to wait for others.
        if is_unseen && !self.may_begin(&self.state(), id, &act, &HashSet::new()) {
            return Ok(());
        }
        let result = match act {
            Act::Look => Ok(()),
            Act::Rest(what) => self.rest(id, &object, &what).await,
            Act::AwaitName(wait) => self.await_name(id, wait).await,
            Act::Doubt => self.doubt(id).await,
            act => self.write(id, &object, act, &mut held).await,
        };
        drop(held);
        result
    }

    /// What was decided by whom the principal belongs to, by a look at it that is younger than the
    /// one at `id`: whoever took the principal over since has written to `id` before that look, or
    /// writes after it and makes ours fail.
    ///
    /// What runs on the principal since it was at rest, while this run writes where only one may, is
    /// that write, which waits for it; were it noted, the principal would have to be waited for as
    /// well. Where it is somebody else's, the cloud refuses ours as busy.
    async fn decide_by_principal(&self, id: &ObjectId) -> Result<Decision, Halt> {
        let principal = self.state().graph.principal_id().cloned();
        if let Some(principal) = principal.filter(|it| it != id) {
            let rested = {
                let state = self.state();
                let seen = state.observations.seen(&principal);
                seen.is_some_and(|it| it.busy.is_none())
            };
            self.look_again(&principal).await?;
            let mut state = self.state();
            if rested && state.writes_beside(&principal) {
                state.forget_busy(&principal);
            }
        }
        Ok(self.decide(&self.state(), id))
    }

    async fn write(
        &self,
        id: &ObjectId,
        object: &Arc<dyn Object>,
        act: Act,
        held: &mut Held,
    ) -> Result<(), Halt> {
        let step = act.title();
        let started = self.engine.clock.now();
        self.report(id, &step, started, Happening::Started);
        self.state().writing.insert(id.clone());
        let result = self.send(id, object, &act, started, held).await;
        self.state().writing.remove(id);
        match &result {
            Ok(()) => self.report(id, &step, started, Happening::Finished),
            Err(Halt::Faults(faults)) => {
                let text = faults.first().map(ToString::to_string).unwrap_or_default();
                self.report(id, &step, started, Happening::Failed(text));
            }
            Err(Halt::Stopped) => {}
        }
        match result {
            Err(Halt::Faults(mut faults)) => match faults.pop() {
                Some(fault) => self.absorb(id, object, &act, fault).await,
                None => Ok(()),
            },
            other => other,
        }
    }

    async fn send(
        &self,
        id: &ObjectId,
        object: &Arc<dyn Object>,
        act: &Act,
        started: paymesh_clock::Moment,
        held: &mut Held,
    ) -> Result<(), Halt> {
        let (context, seen) = {
            let mut state = self.state();
            state.wrote = true;
            let seen = state.observations.seen(id).cloned();
            (self.context(state.observations.clone()), seen)
        };
        let sent = match (act, &seen) {
            (Act::Change(_), Some(_)) => object.apply(&context, seen.as_ref()).await,
            (Act::Wake, Some(seen)) => object.wake(&context, seen).await,
            (Act::Hold, Some(seen)) => object.hold(&context, seen).await,
            (Act::Delete, Some(seen)) => object.delete(&context, seen).await,
            _ => object.apply(&context, None).await,
        };
        if object.frees_locks_early() {
            held.free();
        }
        let sent = sent?;
        self.accepted(id, object, act);
        match sent {
            Sent::Done => {}
            Sent::Kept(why) => {
                self.state().keep(id.clone(), why);
                return Ok(());
            }
            Sent::Started(operation) => {
                self.state().operations.insert(
                    id.clone(),
                    Unfinished {
                        object: id.clone(),
                        step: act.title(),
                        operation: Some(operation.id()),
                    },
                );
                self.follow(id, &act.title(), &*operation, started).await?;
            }
        }
        self.confirm(id, object, act, seen.as_ref()).await?;
        let mut state = self.state();
        if matches!(act, Act::Delete) {
            state.accepted.remove(id);
        }
        state.busy_since.shift_remove(id);
        state.propagating_since.shift_remove(id);
        if state.held.contains(id) {
            state.shown.insert(id.clone());
        }
        Ok(())
    }

    /// The cloud took the request: what it makes is ours from now on, whatever happens next.
    fn accepted(&self, id: &ObjectId, object: &Arc<dyn Object>, act: &Act) {
        if !matches!(act, Act::Create | Act::Hold) {
            return;
        }
        let mut state = self.state();
        state.owned.insert(id.clone());
        if matches!(act, Act::Create) {
            state.accepted.insert(id.clone());
        }
        if object.carries_holder() {
            state.held.insert(id.clone());
        }
    }

    /// Looks until the cloud shows what it confirmed, within the limit for settling.
    async fn confirm(
        &self,
        id: &ObjectId,
        object: &Arc<dyn Object>,
        act: &Act,
        before: Option<&Seen>,
    ) -> Result<(), Halt> {
        let started = self.engine.clock.now();
        let mut good_reads = 0;
        loop {
            let observation = self.look(id).await?;
            if let (Some(busy), false) = (
                observation.seen().and_then(|it| it.busy.clone()),
                !self.engine.protections.waits_for_operations(),
            ) {
                self.rest(id, object, &busy.what).await?;
                continue;
            }
            if self.shows(id, object, act, before, &observation) {
                good_reads += 1;
                let wanted = if matches!(act, Act::Create) {
                    self.job.limits.consecutive_reads
                } else {
                    1
                };
                if good_reads >= wanted {
                    if matches!(act, Act::Create) {
                        self.state().made.insert(id.clone());
                    }
                    return Ok(());
                }
            } else {
                good_reads = 0;
                if self.engine.clock.now().since(started) > self.job.limits.settle {
                    return Err(unconfirmed(id, act, before).into());
                }
            }
            self.pause(self.job.limits.pause).await?;
        }
    }

    /// Whether `observation` shows the effect of `act`.
    fn shows(
        &self,
        id: &ObjectId,
        object: &Arc<dyn Object>,
        act: &Act,
        before: Option<&Seen>,
        observation: &Observation,
    ) -> bool {
        match act {
            Act::Create | Act::Procedure => observation.seen().is_some(),
            Act::Delete => observation.seen().is_none(),
            Act::Wake => observation.seen().is_none_or(|it| object.may_be_held(it)),
            // Another run may have written its own holder since.
            Act::Hold => observation
                .seen()
                .is_some_and(|it| it.holder.as_ref() != before.and_then(|it| it.holder.as_ref())),
            Act::Change(before) => match self.difference(id) {
                Some(after) => after.shows_effect_since(before),
                None => true,
            },
            Act::Look | Act::Rest(_) | Act::AwaitName(_) | Act::Doubt => true,
        }
    }

    /// What is still to change on `id`, if anything.
    fn difference(&self, id: &ObjectId) -> Option<crate::Change> {
        let state = self.state();
        match self.decide(&state, id) {
            Decision::Act(Act::Change(change)) | Decision::After(change) => Some(change),
            _ => None,
        }
    }

    /// Handles the faults that are the engine's to handle: waits or looks again, so that the
    /// next decision starts from the truth. Hands back the others, and these when they repeat
    /// past their limit.
    async fn absorb(
        &self,
        id: &ObjectId,
        object: &Arc<dyn Object>,
        act: &Act,
        fault: Fault,
    ) -> Result<(), Halt> {
        let limits = &self.job.limits;
        let now = self.engine.clock.now();
        let wait = fault.retry_after.unwrap_or(limits.pause);
        match fault.kind {
            FaultKind::Busy if self.engine.protections.waits_for_operations() => {
                let since = *self.state().busy_since.entry(id.clone()).or_insert(now);
                if now.since(since) > limits.busy {
                    return Err(timed_out(fault, limits.busy).into());
                }
                let seen_busy = self.look(id).await?.seen().and_then(|it| it.busy.clone());
                if let Some(busy) = seen_busy {
                    return self.rest(id, object, &busy.what).await;
                }
                // What is busy is a neighbour: one that shows it, or one that this run cannot see.
                self.pause(wait).await?;
                self.await_neighbours(id).await?;
                self.look(id).await.map(drop)
            }
            FaultKind::Propagating => {
                let since = *self
                    .state()
                    .propagating_since
                    .entry(id.clone())
                    .or_insert(now);
                if now.since(since) > limits.settle {
                    return Err(fault.into());
                }
                self.pause(wait).await?;
                self.look(id).await.map(drop)
            }
            FaultKind::LostRace | FaultKind::Uncertain | FaultKind::Missing => {
                let retries = {
                    let mut state = self.state();
                    let count = state.retries.entry(id.clone()).or_insert(0);
                    *count += 1;
                    *count
                };
                if retries > limits.retries {
                    return Err(fault.into());
                }
                self.pause(wait).await?;
                self.look(id).await.map(drop)
            }
            _ => {
                self.look_at_what_is_left(id, act).await;
                Err(fault.into())
            }
        }
    }
}

fn timed_out(fault: Fault, limit: std::time::Duration) -> Fault {
    Fault {
        kind: FaultKind::TimedOut,
        message: format!(
            "{} It was still so after {} minutes.",
            fault.message,
            limit.as_secs() / 60
        ),
        next: fault
            .next
            .or_else(|| Some("Wait until it has ended, then apply again.".into())),
        ..fault
    }
}

fn unconfirmed(id: &ObjectId, act: &Act, before: Option<&Seen>) -> Fault {
    match act {
        Act::Change(change) => {
            let subjects = listed(&change.subjects);
            let message = format!(
                "the cloud accepted the change of {subjects}, but shows no change. It was not sent again."
            );
            let fault = Fault::new(id.clone(), FaultKind::NotShrinking, message)
                .next("Set the attribute to the value that the cloud shows, or remove it.");
            match change.subjects.first().and_then(Subject::attribute) {
                Some(attribute) => fault.at(attribute),
                None => fault,
            }
        }
        Act::Delete => {
            let incarnation = before
                .and_then(|it| it.incarnation.as_deref())
                .unwrap_or("unknown");
            let message = format!(
                "the cloud confirmed the deletion, but still shows the object (incarnation {incarnation})."
            );
            Fault::new(id.clone(), FaultKind::TimedOut, message).next("Run the command again.")
        }
        _ => Fault::new(
            id.clone(),
            FaultKind::TimedOut,
            format!(
                "the cloud confirmed `{}`, but does not show it.",
                act.title()
            ),
        )
        .next("Run the command again: it goes on from here."),
    }
}
