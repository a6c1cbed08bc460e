//! Observing: one object, all objects in order of need, and the children of parents.

use futures::{StreamExt, stream};

use crate::{
    Child, Fault, FaultKind, Note, ObjectId, Observation, Ownership, Want, act::Halt, decide::Act,
    run::Run, state::State,
};

impl Run<'_> {
    /// Observes `id` and notes what was seen.
    pub(crate) async fn look(&self, id: &ObjectId) -> Result<Observation, Halt> {
        let observation = self.observe(id).await?;
        self.note(id, &observation);
        Ok(observation)
    }

    async fn observe(&self, id: &ObjectId) -> Result<Observation, Halt> {
        let (object, context, parent_absent) = {
            let state = self.state();
            let Some(node) = state.graph.node(id) else {
                return Ok(Observation::Absent);
            };
            let parent = node.object.parent();
            let parent_absent = parent
                .and_then(|id| {
                    state
                        .observations
                        .observation(&id)
                        .map(|it| it.seen().is_none())
                })
                .unwrap_or(false);
            (
                node.object.clone(),
                self.context(state.observations.clone()),
                parent_absent,
            )
        };
        if parent_absent {
            return Ok(Observation::Absent);
        }
        let observed = tokio::select! {
            biased;
            observed = object.observe(&context) => observed,
            halt = self.halted() => return Err(halt),
        };
        match observed {
            Err(fault) if fault.kind == FaultKind::Missing => Ok(Observation::Absent),
            observed => Ok(observed?),
        }
    }

    fn note(&self, id: &ObjectId, observation: &Observation) {
        let mut state = self.state();
        let leads = state.graph.principal_id() == Some(id);
        if let Some(seen) = observation.seen().filter(|_| leads) {
            state.led |= seen.holder.as_ref() == Some(&self.holder);
        }
        state.note(id, observation.clone());
    }

    /// Observes everything, what is needed first, then the children of every parent that is
    /// ours. An object in memory counts as gone only after several reads in a row.
    pub(crate) async fn look_at_all(&self) -> Result<(), Halt> {
        let levels = read_levels(&self.state());
        let mut faults = Vec::new();
        for level in levels {
            if self.stop_cause().is_some() {
                return Err(Halt::Stopped);
            }
            // Collected first: a closure inside the stream could not be proven Send.
            let looks: Vec<_> = level.iter().map(|id| self.look_twice_if_gone(id)).collect();
            let results: Vec<_> = stream::iter(looks)
                .buffer_unordered(self.job.limits.width.max(1))
                .collect()
                .await;
            for result in results {
                match result {
                    Ok(()) => {}
                    Err(Halt::Stopped) => return Err(Halt::Stopped),
                    Err(Halt::Faults(more)) => faults.extend(more),
                }
            }
        }
        if !faults.is_empty() {
            return Err(Halt::Faults(faults));
        }
        if self.destroying {
            Ok(())
        } else {
            self.list_children().await
        }
    }

    async fn look_twice_if_gone(&self, id: &ObjectId) -> Result<(), Halt> {
        let mut observation = self.observe(id).await?;
        let expected = {
            let state = self.state();
            let wanted = state
                .graph
                .node(id)
                .is_some_and(|it| it.want == Want::Present);
            let remembered = self
                .job
                .memory
                .as_ref()
                .is_some_and(|it| it.objects.contains(id));
            let parent = state.graph.node(id).and_then(|it| it.object.parent());
            let parent_there = parent.is_none_or(|id| {
                state
                    .observations
                    .observation(&id)
                    .is_none_or(|it| it.seen().is_some())
            });
            let leaves = self.destroying
                && state
                    .graph
                    .node(id)
                    .is_some_and(|it| it.want == Want::Absent);
            (wanted || leaves) && remembered && parent_there
        };
        if expected {
            observation = self.doubt_absence(id, observation).await?;
        }
        self.note(id, &observation);
        Ok(())
    }

    /// Looks at what may have been there a moment ago.
    pub(crate) async fn look_again(&self, id: &ObjectId) -> Result<(), Halt> {
        let was_there = self.state().observations.seen(id).is_some();
        let mut observation = self.observe(id).await?;
        if was_there {
            observation = self.doubt_absence(id, observation).await?;
        }
        self.note(id, &observation);
        Ok(())
    }

    /// Looks at what a failed `act` left. Whether a creation left something decides what is
    /// remembered. What was there before stays remembered though this one read shows nothing: it
    /// may tell of the past, and what is forgotten is never taken away.
    pub(crate) async fn look_at_what_is_left(&self, id: &ObjectId, act: &Act) {
        let Ok(observation) = self.observe(id).await else {
            return;
        };
        if observation == Observation::Absent {
            let memory = self.job.memory.as_ref();
            let is_remembered = memory.is_some_and(|it| it.objects.contains(id));
            if is_remembered || !matches!(act, Act::Create) {
                return;
            }
            self.state().owned.shift_remove(id);
        }
        self.note(id, &observation);
    }

    /// What runs on the principal may be another run that takes it over: whose it is shows after
    /// that.
    pub(crate) async fn settle_principal(&self) -> Result<(), Halt> {
        let (id, object, context) = {
            let state = self.state();
            let principal = state.principal();
            let Some((id, node, _)) = principal.filter(|(.., seen)| seen.busy.is_some()) else {
                return Ok(());
            };
            let context = self.context(state.observations.clone());
            (id.clone(), node.object.clone(), context)
        };
        let is_outdated = tokio::select! {
            biased;
            settled = object.settle_mark(&context) => settled?,
            halt = self.halted() => return Err(halt),
        };
        if is_outdated {
            self.look_again(&id).await?;
        }
        Ok(())
    }

    /// That something is gone is believed, and told to those that depend on it, only after several
    /// reads in a row.
    async fn doubt_absence(
        &self,
        id: &ObjectId,
        mut observation: Observation,
    ) -> Result<Observation, Halt> {
        let mut reads = 1;
        while observation == Observation::Absent && reads < self.job.limits.absent_reads {
            self.pause(self.job.limits.pause).await?;
            observation = self.observe(id).await?;
            reads += 1;
        }
        Ok(observation)
    }

    async fn list_children(&self) -> Result<(), Halt> {
        let parents: Vec<_> = {
            let state = self.state();
            let nodes = state.graph.nodes();
            nodes
                .filter(|(_, node)| node.want == Want::Present)
                .filter_map(|(id, node)| {
                    let seen = state.observations.seen(id)?.clone();
                    (self.is_import() || self.may_have_children_of_ours(&state, id))
                        .then(|| (node.object.clone(), seen))
                })
                .collect()
        };
        let context = self.context(self.state().observations.clone());
        let context = &context;
        let listings: Vec<_> = parents
            .into_iter()
            .map(|(object, seen)| async move { object.children(context, &seen).await })
            .collect();
        let listing = stream::iter(listings)
            .buffer_unordered(self.job.limits.width.max(1))
            .collect();
        let results: Vec<Result<Vec<Child>, Fault>> = tokio::select! {
            biased;
            results = listing => results,
            halt = self.halted() => return Err(halt),
        };
        let mut faults = Vec::new();
        for result in results {
            match result {
                Ok(children) => children
                    .into_iter()
                    .for_each(|child| self.take_note_of(child)),
                // The parent vanished between the two reads: it has no children.
                Err(fault) if fault.kind == FaultKind::Missing => {}
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Halt::Faults(faults))
        }
    }

    fn may_have_children_of_ours(&self, state: &State, id: &ObjectId) -> bool {
        self.is_ours(state, id)
            || state
                .observations
                .seen(id)
                .is_some_and(|it| it.ownership == Ownership::Ours)
    }

    /// An unwanted child is ours to delete if memory lists it or it bears our mark; else it is
    /// reported.
    fn take_note_of(&self, Child { object, seen }: Child) {
        let id = object.id();
        let mut state = self.state();
        if state.graph.node(&id).is_some() && !state.listed.contains(&id) {
            return;
        }
        let ours = state.owned.contains(&id) || seen.ownership == Ownership::Ours;
        if ours || self.is_import() {
            state.graph.retire(object, &[]);
            state.listed.insert(id.clone());
            state.note(&id, Observation::Present(seen));
        } else {
            let whose = match seen.ownership {
                Ownership::Foreign(whose) => format!("it bears the mark of {whose}"),
                _ => "nothing says who made it".into(),
            };
            let note = Note {
                object: id,
                message: format!("it is not in the configuration and was left alone: {whose}."),
            };
            if !state.notes.contains(&note) {
                state.notes.push(note);
            }
        }
    }
}

/// The ids in groups for reading: each after those whose observation it looks at. An object that
/// memory lists does not wait for a parent that memory lists too: both are most likely there.
fn read_levels(state: &State) -> Vec<Vec<ObjectId>> {
    let waits_for = |id: &ObjectId| {
        let object = &state.graph.node(id)?.object;
        let parent = object.parent().filter(|parent| {
            let known = state.owned.contains(id) && state.owned.contains(parent);
            !known || object.observed_after().contains(parent)
        });
        Some([object.observed_after(), parent.into_iter().collect()].concat())
    };
    state.graph.levels(|id| waits_for(id).unwrap_or_default())
}
