//! Whose an object is: by memory, by its mark and holder, and by whom the principal belongs to.

use crate::{Node, ObjectId, Observation, Ownership, Seen, Standing, Want, run::Run, state::State};

/// Whose an existing object is, everything considered.
pub(crate) enum Verdict {
    Ours,
    /// Not in memory, bears our mark: ours once adopted.
    Adoptable,
    Stale,
    Foreign(String),
}

impl Run<'_> {
    /// It was absent, and is now there with another's holder: a run that lives was faster. The
    /// principal decides which run goes on; other objects follow it.
    pub(crate) fn lost_race(&self, state: &State, id: &ObjectId, node: &Node, seen: &Seen) -> bool {
        let decides = state
            .graph
            .principal_id()
            .is_none_or(|principal| principal == id);
        decides && state.absent_before.contains(id) && self.needs_hold(node, seen)
    }

    /// The principal exists and bears another holder than this run writes: whatever the others
    /// bear, they go with it.
    pub(crate) fn principal_is_anothers(&self, state: &State) -> bool {
        self.engine.protections.guards()
            && state
                .principal()
                .is_some_and(|(_, node, seen)| seen.holder.is_some() && self.needs_hold(node, seen))
    }

    /// The principal is there, and not yet this run's: it is judged and taken over before anything
    /// else is written.
    pub(crate) fn has_to_take_over(&self, state: &State) -> bool {
        !self.destroying && self.principal_is_anothers(state)
            || state.principal().is_some_and(|(id, node, seen)| {
                self.has_to_be_held(state, id, node, seen)
                    || self.stays_anothers(state, id, node, seen)
            })
    }

    /// It came with an import, bears another owner's mark, and can take no other as it is.
    pub(crate) fn stays_anothers(
        &self,
        state: &State,
        id: &ObjectId,
        node: &Node,
        seen: &Seen,
    ) -> bool {
        self.engine.protections.guards()
            && matches!(seen.ownership, Ownership::Foreign(_))
            && self.is_to_be_held(state, id, node, seen)
            && !node.object.may_be_held(seen)
    }

    /// It came with an import, does not bear this entry's holder yet, and can.
    pub(crate) fn has_to_be_held(
        &self,
        state: &State,
        id: &ObjectId,
        node: &Node,
        seen: &Seen,
    ) -> bool {
        self.is_to_be_held(state, id, node, seen) && node.object.may_be_held(seen)
    }

    /// It came with an import and does not bear this entry's holder yet.
    pub(crate) fn is_to_be_held(
        &self,
        state: &State,
        id: &ObjectId,
        node: &Node,
        seen: &Seen,
    ) -> bool {
        state.takes_over
            && state.owned.contains(id)
            && !state.kept.contains_key(id)
            && node.want != Want::Given
            && self.lacks_holder(node, seen)
    }

    /// What is found where an entry begins is woken for it; an entry that knows its object waits.
    pub(crate) fn needs_hold(&self, node: &Node, seen: &Seen) -> bool {
        let begins = self.job.memory.is_none() && !self.destroying;
        self.lacks_holder(node, seen) && (begins || node.object.may_be_held(seen))
    }

    fn lacks_holder(&self, node: &Node, seen: &Seen) -> bool {
        node.object.carries_holder() && seen.holder.as_ref() != Some(&self.holder)
    }

    pub(crate) fn verdict(
        &self,
        state: &State,
        id: &ObjectId,
        node: &Node,
        seen: &Seen,
    ) -> Verdict {
        if !self.engine.protections.guards() {
            return Verdict::Ours;
        }
        if self.is_stale(state, id, node, seen) {
            return Verdict::Stale;
        }
        if state.owned.contains(id) && !self.was_taken_over(state, id, node, seen) {
            return Verdict::Ours;
        }
        match &seen.ownership {
            Ownership::Ours
                if node.object.carries_holder() && seen.holder.as_ref() == Some(&self.holder) =>
            {
                Verdict::Ours
            }
            Ownership::Ours
                if node.object.carries_holder() && !self.engine.protections.adopts() =>
            {
                Verdict::Foreign("adoption is switched off".into())
            }
            Ownership::Ours => Verdict::Adoptable,
            Ownership::Unmarked => Verdict::Foreign("it bears no owner mark".into()),
            Ownership::Foreign(whose) => Verdict::Foreign(format!("it bears the mark of {whose}")),
            Ownership::FollowsParent => self.verdict_of_parent(state, node),
        }
    }

    fn verdict_of_parent(&self, state: &State, node: &Node) -> Verdict {
        let parent = node.object.parent();
        let known = parent
            .as_ref()
            .and_then(|id| Some((id, state.graph.node(id)?, state.observations.seen(id)?)));
        match known {
            // Inside something given, a deterministic name of ours is all there is.
            Some((_, above, _)) if above.want == Want::Given => Verdict::Adoptable,
            Some((id, above, seen)) => self.verdict(state, id, above, seen),
            None => Verdict::Foreign("nothing says who made it".into()),
        }
    }

    /// Memory knows a holder, and the cloud another. The principal speaks for all. Without one, an
    /// apply creates, and takes over what a run left that was killed before making it anew; a
    /// destroy takes what is left of a principal that it has deleted, and otherwise leaves each
    /// object to whom it says. A missing holder proves nothing. Of two runs that create the same
    /// thing at once, the one whose principal it is goes on.
    fn is_stale(&self, state: &State, id: &ObjectId, node: &Node, seen: &Seen) -> bool {
        if Self::principal_is_absent(state) && (!self.destroying || state.led) {
            return false;
        }
        let principal = state
            .principal()
            .filter(|(_, node, _)| node.object.carries_holder());
        let held_now = principal.is_some_and(|(id, ..)| state.shown.contains(id));
        let (id, node, seen) = principal.unwrap_or((id, node, seen));
        let remembered = self
            .job
            .memory
            .as_ref()
            .is_some_and(|it| it.holder.is_some() && it.objects.contains(id));
        let imported = self.job.memory.as_ref().and_then(|it| it.imported.as_ref());
        let found = imported.and_then(|it| it.holder.as_ref());
        node.object.carries_holder()
            && (remembered || held_now)
            && seen
                .holder
                .as_ref()
                .is_some_and(|holder| *holder != self.holder && (held_now || Some(holder) != found))
    }

    /// A part of ours that another run wrote its holder to: one that lost the race for the
    /// principal, or one that was killed before making it anew. It is taken back.
    fn was_taken_over(&self, state: &State, id: &ObjectId, node: &Node, seen: &Seen) -> bool {
        let Some(principal) = state.graph.principal_id().filter(|it| *it != id) else {
            return false;
        };
        let memory = self.job.memory.as_ref();
        let may_take = match state.observations.observation(principal) {
            Some(Observation::Present(seen)) => seen.holder.as_ref() == Some(&self.holder),
            // Two that create at once would take it from each other for ever.
            Some(Observation::Absent) => {
                memory.is_some_and(|memory| memory.objects.contains(id)) && !state.held.contains(id)
            }
            _ => false,
        };
        may_take
            && matches!(seen.ownership, Ownership::Ours)
            && seen.holder.is_some()
            && self.needs_hold(node, seen)
    }

    fn principal_is_absent(state: &State) -> bool {
        let principal = state.graph.principal_id();
        let seen = principal.and_then(|id| state.observations.observation(id));
        matches!(seen, Some(Observation::Absent))
    }

    /// Whether an existing object may be remembered as ours.
    pub(crate) fn is_ours(&self, state: &State, id: &ObjectId) -> bool {
        let Some(node) = state.graph.node(id) else {
            return false;
        };
        let Some(seen) = state.observations.seen(id) else {
            return false;
        };
        node.want == Want::Present
            && match self.verdict(state, id, node, seen) {
                Verdict::Ours => true,
                Verdict::Adoptable => !node.object.carries_holder(),
                Verdict::Stale | Verdict::Foreign(_) => false,
            }
    }

    /// How memory stands to the cloud, by the principal.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.state();
        let Some(id) = state.graph.principal_id() else {
            return Standing::Current;
        };
        let Some(node) = state.graph.node(id) else {
            return Standing::Current;
        };
        match state.observations.observation(id) {
            Some(Observation::Present(seen)) => {
                // An entry that knows its holder deletes nothing of another's, listed or not.
                let knows_holder = self
                    .job
                    .memory
                    .as_ref()
                    .is_some_and(|it| it.holder.is_some());
                let is_anothers = self.destroying
                    && knows_holder
                    && !self.has_to_be_held(&state, id, node, seen)
                    && self.principal_is_anothers(&state);
                let is_anothers =
                    is_anothers || self.destroying && self.stays_anothers(&state, id, node, seen);
                let guarded = self.engine.protections.guards();
                if guarded && (is_anothers || self.is_stale(&state, id, node, seen)) {
                    Standing::Stale
                } else {
                    Standing::Current
                }
            }
            Some(_) if self.anything_remains(&state) => Standing::Remains,
            Some(_) => Standing::Gone,
            None => Standing::Current,
        }
    }

    /// Whether memory lists anything of the graph that exists, or an operation that may yet make
    /// it.
    fn anything_remains(&self, state: &State) -> bool {
        let remembered = |id: &ObjectId| {
            let memory = self.job.memory.as_ref();
            memory.is_some_and(|memory| memory.objects.contains(id))
        };
        !state.operations.is_empty()
            || state.graph.nodes().any(|(id, node)| {
                node.want != Want::Given && remembered(id) && self.is_ours(state, id)
            })
    }
}

impl State {
    /// The object that stands for the whole, if it was seen to exist.
    pub(crate) fn principal(&self) -> Option<(&ObjectId, &Node, &Seen)> {
        let id = self.graph.principal_id()?;
        Some((id, self.graph.node(id)?, self.observations.seen(id)?))
    }
}
