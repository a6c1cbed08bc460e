//! How a run ends: what is left, and what is remembered.

use indexmap::IndexSet;

use crate::{
    End, Keys, Memory, ObjectId, Outcome, Ownership, Unfinished, Want,
    decide::{Act, Decision},
    run::Run,
    state::State,
};

impl Run<'_> {
    /// What is left, in graph order, with the title of its next step.
    pub(crate) fn unsettled(&self, state: &State) -> Vec<(ObjectId, String)> {
        let nodes = state.graph.nodes();
        nodes
            .filter_map(|(id, _)| match self.decide(state, id) {
                Decision::Act(act) => Some((id.clone(), act.title())),
                Decision::After(change) => Some((id.clone(), Act::Change(change).title())),
                Decision::Refuse(_) | Decision::Settled | Decision::Keep(_) => None,
            })
            .collect()
    }

    pub(crate) fn outcome(self) -> Outcome {
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
        } else if let Some(cause) = cause.filter(|_| !unfinished.is_empty()) {
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
        let holds = prior.holder.is_some() || !state.held.is_empty() || state.led;
        let is_taken_over = !state.graph.nodes().any(|(id, node)| {
            let seen = state.observations.seen(id);
            seen.is_some_and(|seen| self.is_to_be_held(state, id, node, seen))
        });
        Memory {
            holder: holds.then(|| self.holder.clone()),
            owner: self.owner_after(state, &prior),
            imported: prior.imported.clone().filter(|_| !is_taken_over),
            objects,
            unfinished,
            remarks: state.remarks(&prior),
            keys: self.keys_after(state, &prior),
        }
    }

    /// The owner whose mark the principal bears, as far as it is known in words.
    pub(crate) fn owner_after(&self, state: &State, prior: &Memory) -> Option<String> {
        let principal = state.graph.principal_id();
        let seen = principal.and_then(|id| state.observations.seen(id));
        match seen.map(|it| &it.ownership) {
            Some(Ownership::Ours) => Some(self.job.mark.owner.clone()),
            _ => prior.owner.clone(),
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
}
