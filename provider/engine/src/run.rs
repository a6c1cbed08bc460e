//! One run over one graph: the state it keeps, and the loop that drives it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt, stream::FuturesUnordered};
use indexmap::{IndexMap, IndexSet};
use paymesh_clock::Moment;

use crate::{
    Context, Difference, End, Engine, Fault, FaultKind, Graph, Holder, Imported, Job, Keys, Memory,
    Note, ObjectId, Observation, Observations, Outcome, Reading, Remark, Standing, StopCause,
    Unfinished, Want,
    act::Halt,
    decide::{Act, Decision},
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

/// What a run knows so far.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) graph: Graph,
    pub(crate) observations: Arc<Observations>,
    /// Nodes that a parent's listing added.
    pub(crate) listed: HashSet<ObjectId>,
    /// What we own: memory's objects, and whatever a write of this run made or took over.
    pub(crate) owned: IndexSet<ObjectId>,
    /// Objects that this run has seen absent: what is there later and bears another holder was
    /// made by a run that lives.
    pub(crate) absent_before: HashSet<ObjectId>,
    /// Creations that the cloud confirmed in this run.
    pub(crate) made: HashSet<ObjectId>,
    /// Creations that the cloud accepted in this run. A read that does not show one yet proves
    /// nothing.
    pub(crate) accepted: HashSet<ObjectId>,
    /// Whether this run has seen the principal with its own holder.
    pub(crate) led: bool,
    /// Objects that bear our holder by a write of this run.
    pub(crate) held: HashSet<ObjectId>,
    /// Those of them of which the cloud has shown that the write came through.
    pub(crate) shown: HashSet<ObjectId>,
    /// Unwanted objects that stay, and why.
    pub(crate) kept: IndexMap<ObjectId, String>,
    /// Operations that run for us, from memory or from this run.
    pub(crate) operations: IndexMap<ObjectId, Unfinished>,
    pub(crate) failed: IndexMap<ObjectId, Fault>,
    pub(crate) notes: Vec<Note>,
    /// Faults the engine handles itself, per object, so that handling them ends.
    pub(crate) retries: IndexMap<ObjectId, u32>,
    pub(crate) busy_since: IndexMap<ObjectId, Moment>,
    pub(crate) propagating_since: IndexMap<ObjectId, Moment>,
    /// Whether anything was written since everything was last observed.
    pub(crate) wrote: bool,
    /// What a plan takes as done, while it foresees the steps.
    pub(crate) assumed: HashSet<ObjectId>,
    /// Objects whose quiet steps a plan takes as done.
    pub(crate) quieted: HashSet<ObjectId>,
    /// An imported entry takes over what it owns before it writes anything else. It is no step of
    /// a plan: an import has nothing to do.
    pub(crate) takes_over: bool,
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

    /// Observes everything and reports, writing nothing.
    pub(crate) async fn read(self) -> Result<Reading, Vec<Fault>> {
        self.look_at_all().await.map_err(|halt| match halt {
            Halt::Faults(faults) => faults.into_iter().map(unread).collect(),
            Halt::Stopped => vec![self.stopped_reading()],
        })?;
        let (steps, refusals, differing) = if self.is_import() {
            (Vec::new(), Vec::new(), Vec::new())
        } else {
            (self.planned_steps(), self.refusals(), self.differing())
        };
        let standing = self.standing();
        let state = self.state();
        let prior = self.job.memory.clone().unwrap_or_default();
        let mut memory = prior.clone();
        if self.is_import() {
            let principal = state.graph.principal_id();
            let found = principal.and_then(|id| state.observations.seen(id)?.holder.clone());
            memory.holder = Some(self.holder.clone());
            memory.imported = Some(Imported { holder: found });
            memory.objects = state.importable();
        } else {
            memory.objects.retain(|id| {
                state
                    .observations
                    .observation(id)
                    .is_none_or(|it| it.seen().is_some())
            });
        }
        memory.remarks = state.remarks(&prior);
        Ok(Reading {
            observations: (*state.observations).clone(),
            standing,
            memory,
            notes: state.notes.clone(),
            steps,
            refusals,
            differing,
        })
    }

    /// The loop: observe all, write what is ready side by side, observe again until nothing
    /// differs.
    pub(crate) async fn drive(self) -> Outcome {
        for round in 0..self.job.limits.rounds {
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
                // Whose the principal is decides about all the others.
                Decision::Act(act) if self.has_to_take_over(&state) => {
                    let is_principal = state.graph.principal_id() == Some(&id);
                    if is_principal || matches!(act, Act::Look) {
                        ready.push(id);
                    }
                }
                Decision::Act(_) => {
                    let before = state.graph.before(&id);
                    let waits = |other: &ObjectId| {
                        running.contains(other) || !self.is_settled_for(&state, other, &id)
                    };
                    if !before.iter().any(waits) {
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

    /// Every refusal that can be known before the first write, in graph order.
    fn refusals(&self) -> Vec<Fault> {
        let state = self.state();
        let decisions = state.graph.nodes().map(|(id, _)| self.decide(&state, id));
        decisions
            .filter_map(|decision| match decision {
                Decision::Refuse(fault) => Some(*fault),
                _ => None,
            })
            .collect()
    }

    /// The attributes in which what exists is not as wanted. While something runs on the principal
    /// or on an object, what is seen of it is not its last word.
    fn differing(&self) -> Vec<String> {
        let state = self.state();
        let principal = state.graph.principal_id();
        if principal.is_some_and(|id| !is_at_rest(&state, id)) {
            return Vec::new();
        }
        let context = self.context(state.observations.clone());
        let wanted = state.graph.nodes();
        let wanted = wanted.filter(|(_, node)| node.want == Want::Present);
        let attributes = wanted.flat_map(|(id, node)| match state.observations.observation(id) {
            Some(Observation::Present(seen)) if seen.busy.is_none() && self.is_ours(&state, id) => {
                match node.object.differ(&context, seen) {
                    Difference::Change(change) => change.paths,
                    Difference::Same | Difference::Replace(_) => Vec::new(),
                }
            }
            Some(Observation::Absent) => node.object.attribute().into_iter().collect(),
            _ => Vec::new(),
        });
        attributes.collect()
    }

    /// Notes every refusal that can be known before the first write.
    fn refuses_anything(&self) -> bool {
        let refusals = self.refusals();
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

    fn blame_endless_rounds(&self) {
        let mut state = self.state();
        let left = self.unsettled(&state);
        let Some((id, title)) = left.into_iter().next() else {
            return;
        };
        let attribute = match self.decide(&state, &id) {
            Decision::Act(Act::Change(change)) => change.paths.first().cloned(),
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

    /// What is left, in graph order, with the title of its next step.
    fn unsettled(&self, state: &State) -> Vec<(ObjectId, String)> {
        let nodes = state.graph.nodes();
        nodes
            .filter_map(|(id, _)| match self.decide(state, id) {
                Decision::Act(act) => Some((id.clone(), act.title())),
                Decision::After(change) => Some((id.clone(), Act::Change(change).title())),
                Decision::Refuse(_) | Decision::Settled | Decision::Keep(_) => None,
            })
            .collect()
    }

    fn outcome(self) -> Outcome {
        let cause = self.stop_cause();
        let unsettled = self.unsettled(&self.state());
        let mut state = self.state();
        let is_lost = self.job.memory.is_none() && self.principal_is_anothers(&state);
        if is_lost {
            state.disown_all();
        }
        let unfinished: Vec<Unfinished> = unsettled
            .into_iter()
            .map(|(object, step)| {
                let running = state.operations.get(&object);
                Unfinished {
                    step: running.map_or(step, |it| it.step.clone()),
                    operation: running.and_then(|it| it.operation.clone()),
                    object,
                }
            })
            .collect();
        let (end, unfinished) = if !state.failed.is_empty() {
            (
                End::Failed(state.failed.values().cloned().collect()),
                unfinished,
            )
        } else if let Some(cause) = cause.filter(|_| !unfinished.is_empty() || !state.is_complete())
        {
            (
                End::Stopped {
                    cause,
                    unfinished: unfinished.clone(),
                },
                unfinished,
            )
        } else {
            (End::Finished, Vec::new())
        };
        let memory = self.memory_after(&state, unfinished);
        Outcome {
            end,
            observations: (*state.observations).clone(),
            memory,
            notes: std::mem::take(&mut state.notes),
        }
    }

    fn memory_after(&self, state: &State, unfinished: Vec<Unfinished>) -> Memory {
        let prior = self.job.memory.clone().unwrap_or_default();
        let mut objects: IndexSet<ObjectId> = state.owned.clone();
        let is_lost = self.job.memory.is_none() && self.principal_is_anothers(state);
        for (id, _) in state.graph.nodes() {
            if !is_lost && self.is_ours(state, id) {
                objects.insert(id.clone());
            }
        }
        objects.retain(|id| {
            !state.kept.contains_key(id)
                && (state
                    .observations
                    .observation(id)
                    .is_none_or(|it| it.seen().is_some())
                    || state.operations.contains_key(id)
                    || state.accepted.contains(id))
        });
        let holds = prior.holder.is_some() || !state.held.is_empty();
        let is_taken_over = !state.graph.nodes().any(|(id, node)| {
            let seen = state.observations.seen(id);
            seen.is_some_and(|seen| self.has_to_be_held(state, id, node, seen))
        });
        Memory {
            holder: holds.then(|| self.holder.clone()),
            imported: prior.imported.clone().filter(|_| !is_taken_over),
            objects,
            unfinished,
            remarks: state.remarks(&prior),
            keys: self.keys_after(state, &prior),
        }
    }

    /// The entries that objects have from us: those wanted, and, until all is as wanted, also
    /// those of before.
    fn keys_after(&self, state: &State, prior: &Memory) -> Vec<Keys> {
        let wanted = state.graph.nodes();
        let keys = wanted
            .filter(|(_, node)| node.want == Want::Present)
            .map(|(id, node)| {
                let mut keys = node.object.keys();
                if !matches!(self.decide(state, id), Decision::Settled) {
                    keys.extend(prior.keys_of(id));
                }
                Keys {
                    object: id.clone(),
                    keys,
                }
            });
        keys.filter(|it| !it.keys.is_empty()).collect()
    }

    fn stopped_reading(&self) -> Fault {
        let state = self.state();
        let unseen = state
            .graph
            .nodes()
            .map(|(id, _)| id)
            .find(|id| state.observations.observation(id).is_none());
        let object = unseen
            .or_else(|| state.graph.principal_id())
            .cloned()
            .unwrap_or_else(|| ObjectId::new("graph", "empty"));
        if self.job.stop.is_stopped() {
            let message = "reading it was interrupted before the cloud had answered.";
            return Fault::new(object, FaultKind::TimedOut, message)
                .next("Nothing was changed. Run the command again.");
        }
        let minutes = self.job.limits.total.as_secs() / 60;
        let message = format!("the cloud has not told all about it within {minutes} minutes.");
        unread(Fault::new(object, FaultKind::TimedOut, message))
    }

    pub(crate) fn is_import(&self) -> bool {
        self.job
            .memory
            .as_ref()
            .is_some_and(|it| it.holder.is_none() && it.objects.is_empty())
    }
}

/// Whether `id` exists and nothing runs on it.
fn is_at_rest(state: &State, id: &ObjectId) -> bool {
    let seen = state.observations.seen(id);
    seen.is_some_and(|it| it.busy.is_none())
}

/// A fault of reading, with the way out where the cloud does not answer.
fn unread(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Unavailable
        | FaultKind::Throttled
        | FaultKind::TimedOut
        | FaultKind::Uncertain => fault.next(
            "Nothing was changed. Wait until the cloud answers again (its status page says more); \
             meanwhile `terraform plan -refresh=false` works from the state, and `terraform \
             destroy -refresh=false` destroys without reading first.",
        ),
        _ => fault,
    }
}

impl State {
    /// Another has the principal, and all that goes with it: also what this run made for it.
    fn disown_all(&mut self) {
        self.owned.clear();
        self.operations.clear();
    }

    /// Whether every object was observed at least once.
    fn is_complete(&self) -> bool {
        self.graph
            .nodes()
            .all(|(id, _)| self.observations.observation(id).is_some())
    }

    /// What the objects of the graph want to have remembered: what they said last, or, of those
    /// that were not seen to say anything, what is remembered already.
    fn remarks(&self, prior: &Memory) -> Vec<Remark> {
        self.graph
            .nodes()
            .filter_map(|(object, _)| {
                let seen = self.observations.seen(object);
                let said = seen.and_then(|it| it.remark.clone());
                let known = || prior.remarks.iter().find(|it| it.object == *object);
                let text = said.or_else(|| known().map(|it| it.text.clone()))?;
                Some(Remark {
                    object: object.clone(),
                    text,
                })
            })
            .collect()
    }

    /// Notes once that `id` stays.
    pub(crate) fn keep(&mut self, id: ObjectId, why: String) {
        self.owned.shift_remove(&id);
        if self.kept.insert(id.clone(), why.clone()).is_none() {
            self.notes.push(Note {
                object: id,
                message: why,
            });
        }
    }

    /// What an import takes over: everything of the graph that exists, children included, and
    /// nothing that was merely given.
    fn importable(&self) -> IndexSet<ObjectId> {
        self.observations
            .present()
            .map(|(id, _)| id)
            .filter(|id| {
                self.graph
                    .node(id)
                    .is_none_or(|node| matches!(node.want, Want::Present | Want::Absent))
            })
            .cloned()
            .collect()
    }
}
