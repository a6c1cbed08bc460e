//! One run over one graph: the state it keeps, and the loop that drives it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt, stream::FuturesUnordered};
use paymesh_clock::Moment;

use crate::{
    Context, Engine, Fault, FaultKind, Graph, Holder, Job, Note, ObjectId, Observations, Outcome,
    Standing, StopCause, Subject,
    act::Halt,
    decide::{Act, Decision},
    state::State,
};

/// One run. Its acts run side by side inside one task and share `state`, which is never locked
/// across an await.
pub(crate) struct Run<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) job: &'a Job,
    /// The holder to write: the one in memory, or a fresh one.
    pub(crate) holder: Holder,
    pub(crate) deadline: Moment,
    pub(crate) destroying: bool,
    state: Mutex<State>,
}

impl<'a> Run<'a> {
    pub(crate) fn new(engine: &'a Engine, job: &'a Job, graph: Graph) -> Self {
        let memory = job.memory.clone().unwrap_or_default();
        let takes_over = memory.imported.is_some();
        let mut graph = graph;
        graph.drop_keys(|id| memory.keys_of(id), job.before.as_ref());
        let unfinished = memory.unfinished.into_iter();
        if let Some(before) = &job.before {
            graph.retire_missing(before);
        }
        let state = State {
            graph,
            owned: memory.objects,
            takes_over,
            operations: unfinished
                .filter(|left| left.operation.is_some())
                .map(|left| (left.object.clone(), left))
                .collect(),
            ..State::default()
        };
        Self {
            engine,
            job,
            holder: memory.holder.unwrap_or_else(Holder::fresh),
            deadline: engine.clock.now() + job.limits.total,
            destroying: false,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn destroying(mut self) -> Self {
        self.destroying = true;
        self
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn context(&self, observations: Arc<Observations>) -> Context {
        Context {
            mark: self.job.mark.clone(),
            holder: self.holder.clone(),
            clock: self.engine.clock.clone(),
            stop: self.job.stop.clone(),
            observations,
            remarks: self
                .job
                .memory
                .as_ref()
                .map(|it| it.remarks.clone())
                .unwrap_or_default(),
        }
    }

    /// Why the run has to end now, if it has to.
    pub(crate) fn stop_cause(&self) -> Option<StopCause> {
        if self.job.stop.is_stopped() {
            Some(StopCause::Asked)
        } else if self.engine.clock.now() >= self.deadline {
            Some(StopCause::TimedOut)
        } else {
            None
        }
    }

    /// The loop: observe all, write what is ready side by side, observe again until nothing
    /// differs. What differs after the last round was written as often as there are rounds.
    pub(crate) async fn drive(self) -> Outcome {
        for round in 0..=self.job.limits.rounds {
            match self.look_at_all().await {
                Ok(()) => {}
                Err(Halt::Stopped) => return self.outcome(),
                Err(Halt::Faults(faults)) => {
                    let mut state = self.state();
                    state
                        .failed
                        .extend(faults.into_iter().map(|it| (it.object.clone(), it)));
                    drop(state);
                    return self.outcome();
                }
            }
            if self.standing() == Standing::Stale {
                self.refuse_or_forget_stale();
                return self.outcome();
            }
            if round == 0 && self.refuses_anything() {
                return self.outcome();
            }
            if round == self.job.limits.rounds {
                break;
            }
            self.write_what_is_ready().await;
            let wrote = std::mem::take(&mut self.state().wrote);
            let ended = self.stop_cause().is_some() || !self.state().failed.is_empty();
            if ended || !wrote {
                return self.outcome();
            }
        }
        self.blame_endless_rounds();
        self.outcome()
    }

    /// Runs acts until none is ready.
    async fn write_what_is_ready(&self) {
        let mut running = FuturesUnordered::new();
        let mut busy_ids = HashSet::new();
        loop {
            if self.stop_cause().is_none() {
                for id in self.ready(&busy_ids) {
                    if busy_ids.len() >= self.job.limits.width.max(1) {
                        break;
                    }
                    busy_ids.insert(id.clone());
                    running.push(async move {
                        let result = self.act(&id).await;
                        (id, result)
                    });
                }
            }
            let Some((id, result)) = running.next().await else {
                break;
            };
            busy_ids.remove(&id);
            if let Err(Halt::Faults(faults)) = result {
                let mut state = self.state();
                for fault in faults {
                    state.failed.entry(id.clone()).or_insert(fault);
                }
            }
        }
        self.blame_waiting_for_each_other();
    }

    /// The nodes whose turn it is, in graph order. Refusals are noted on the way.
    fn ready(&self, running: &HashSet<ObjectId>) -> Vec<ObjectId> {
        let mut state = self.state();
        let ids: Vec<ObjectId> = state.graph.nodes().map(|(id, _)| id.clone()).collect();
        let mut ready = Vec::new();
        for id in ids {
            if running.contains(&id) || state.failed.contains_key(&id) {
                continue;
            }
            match self.decide(&state, &id) {
                Decision::Refuse(fault) => {
                    state.failed.insert(id, *fault);
                }
                Decision::Act(act) => {
                    if self.may_begin(&state, &id, &act, running) {
                        ready.push(id);
                    }
                }
                Decision::Keep(why) => {
                    state.keep(id, why);
                }
                Decision::Settled | Decision::After(..) => {}
            }
        }
        ready
    }

    /// Whether it is the turn of `id` to do `act`, while what is `running` has not ended.
    pub(crate) fn may_begin(
        &self,
        state: &State,
        id: &ObjectId,
        act: &Act,
        running: &HashSet<ObjectId>,
    ) -> bool {
        // Whose the principal is decides about all the others.
        if self.has_to_take_over(state) {
            return state.graph.principal_id() == Some(id) || matches!(act, Act::Look);
        }
        let waits =
            |other: &ObjectId| running.contains(other) || !self.is_settled_for(state, other, id);
        !state.graph.before(id).iter().any(waits)
    }

    /// Notes every refusal that can be known before the first write.
    fn refuses_anything(&self) -> bool {
        let mut refusals = self.refusals();
        refusals.extend(self.stays_anothers_fault());
        let mut state = self.state();
        let refused = refusals.into_iter().map(|it| (it.object.clone(), it));
        state.failed.extend(refused);
        !state.failed.is_empty()
    }

    fn refuse_or_forget_stale(&self) {
        let mut state = self.state();
        let Some(principal) = state.graph.principal_id().cloned() else {
            return;
        };
        if self.destroying {
            let message = "another state entry holds this object now. It was not deleted, only \
                           forgotten here.";
            state.notes.push(Note {
                object: principal,
                message: message.into(),
            });
            state.disown_all();
            let ids: Vec<ObjectId> = state.graph.nodes().map(|(id, _)| id.clone()).collect();
            for id in ids {
                state.kept.insert(id, message.into());
            }
        } else {
            let fault = self.stale_fault(&principal);
            state.failed.insert(principal, fault);
        }
    }

    /// Nothing runs, nothing failed, and yet something is left: objects wait for each other.
    fn blame_waiting_for_each_other(&self) {
        let mut state = self.state();
        if self.stop_cause().is_some() || !state.failed.is_empty() {
            return;
        }
        let left = self.unsettled(&state);
        if let Some((id, title)) = left.first() {
            let all: Vec<String> = left.iter().map(|(id, _)| id.to_string()).collect();
            let fault = Fault::new(
                id.clone(),
                FaultKind::Defect,
                format!(
                    "`{title}` never gets its turn: {} wait for each other",
                    all.join(", ")
                ),
            );
            state.failed.insert(id.clone(), fault);
        }
    }

    /// What differs after the last round. What the cloud itself works on is no difference.
    fn blame_endless_rounds(&self) {
        let mut state = self.state();
        let is_at_rest = |id: &ObjectId| {
            let decision = self.decide(&state, id);
            !matches!(decision, Decision::Act(Act::Rest(_)))
        };
        let mut left = self.unsettled(&state).into_iter();
        let Some((id, title)) = left.find(|(id, _)| is_at_rest(id)) else {
            return;
        };
        let attribute = match self.decide(&state, &id) {
            Decision::Act(Act::Change(change)) => {
                let first = change.subjects.first().and_then(Subject::attribute);
                first.map(str::to_owned)
            }
            _ => None,
        };
        let mut fault = Fault::new(
            id.clone(),
            FaultKind::NotShrinking,
            format!("`{title}` is needed again each time it is done: something else changes the object too"),
        )
        .next("Find what else manages this object, and let one of the two own the attribute.");
        fault.attribute = attribute;
        state.failed.insert(id, fault);
    }

    pub(crate) fn is_import(&self) -> bool {
        self.job
            .memory
            .as_ref()
            .is_some_and(|it| it.holder.is_none() && it.objects.is_empty())
    }
}
