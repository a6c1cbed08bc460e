//! What a run knows so far: what was seen, what is ours, what runs and what failed.

use std::{collections::HashSet, sync::Arc};

use indexmap::{IndexMap, IndexSet};
use paymesh_clock::Moment;

use crate::{
    Fault, Graph, Memory, Note, ObjectId, Observation, Observations, Remark, Seen, Unfinished, Want,
};

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
    /// Objects that this run writes to, or waits for its write to.
    pub(crate) writing: HashSet<ObjectId>,
    /// What a plan takes as done, while it foresees the steps.
    pub(crate) assumed: HashSet<ObjectId>,
    /// Objects whose quiet steps a plan takes as done.
    pub(crate) quieted: HashSet<ObjectId>,
    /// An imported entry takes over what it owns before it writes anything else. It is no step of
    /// a plan: an import has nothing to do.
    pub(crate) takes_over: bool,
}

impl State {
    /// Notes the newest observation of `id`.
    pub(crate) fn note(&mut self, id: &ObjectId, observation: Observation) {
        if observation == Observation::Absent {
            self.absent_before.insert(id.clone());
        }
        Arc::make_mut(&mut self.observations).insert(id.clone(), observation);
    }

    /// Forgets that something runs on `id`.
    pub(crate) fn forget_busy(&mut self, id: &ObjectId) {
        let Some(seen) = self.observations.seen(id).filter(|it| it.busy.is_some()) else {
            return;
        };
        let seen = Seen {
            busy: None,
            ..seen.clone()
        };
        self.note(id, Observation::Present(seen));
    }

    /// Whether `id` and `other` admit one writer between them.
    fn share_a_lock(&self, id: &ObjectId, other: &ObjectId) -> bool {
        let locks = |id: &ObjectId| self.graph.node(id).map(|it| it.object.locks());
        let (ours, theirs) = (locks(id), locks(other));
        ours.zip(theirs)
            .is_some_and(|(ours, theirs)| ours.iter().any(|key| theirs.contains(key)))
    }

    /// Whether this run writes to something with which `id` admits one writer.
    pub(crate) fn writes_beside(&self, id: &ObjectId) -> bool {
        self.writing.iter().any(|it| self.share_a_lock(id, it))
    }

    /// The others that exist, of which only one may be written at a time with `id`, and that this run
    /// does not write.
    pub(crate) fn neighbours(&self, id: &ObjectId) -> Vec<ObjectId> {
        let present = self.observations.present().map(|(other, _)| other);
        present
            .filter(|other| *other != id && !self.writing.contains(*other))
            .filter(|other| self.share_a_lock(id, other))
            .cloned()
            .collect()
    }

    /// Another has the principal, and all that goes with it: also what this run made for it.
    pub(crate) fn disown_all(&mut self) {
        self.owned.clear();
        self.operations.clear();
    }

    /// What the objects of the graph want to have remembered: what they said last, or, of those
    /// that were not seen to say anything, what is remembered already.
    pub(crate) fn remarks(&self, prior: &Memory) -> Vec<Remark> {
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
    pub(crate) fn importable(&self) -> IndexSet<ObjectId> {
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
