//! What to do next with one object: a pure function of what is known.

use std::time::Duration;

use crate::{
    Change, Difference, Fault, FaultKind, Node, ObjectId, Observation, Ownership, Seen, Standing,
    Step, Want,
    run::{Run, State},
};

/// What comes next for a node.
pub(crate) enum Decision {
    /// It is as wanted.
    Settled,
    /// Something is to be done.
    Act(Act),
    /// It differs, but others have to catch up first.
    After(Change),
    /// It is unwanted, but not ours to delete.
    Keep(String),
    /// It cannot be done.
    Refuse(Box<Fault>),
}

/// Something to be done with an object.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Observe it; it was never seen.
    Look,
    /// Wait until what runs on it has ended.
    Rest(String),
    /// Wait until the cloud frees its name.
    AwaitName(Duration),
    /// It was confirmed and is not shown (or the reverse): look again for a while.
    Doubt,
    Create,
    Procedure,
    Hold,
    Change(Change),
    Delete,
}

impl Act {
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Look => "observe".into(),
            Self::Rest(what) => format!("wait for {what}"),
            Self::AwaitName(_) => "wait for the name".into(),
            Self::Doubt => "wait for the cloud to show it".into(),
            Self::Create => "create".into(),
            Self::Procedure => "run".into(),
            Self::Hold => "adopt".into(),
            Self::Change(change) => change.steps.first().map_or_else(
                || format!("update {}", change.paths.join(", ")),
                |it| it.title.clone(),
            ),
            Self::Delete => "delete".into(),
        }
    }
}

/// Whose an existing object is, everything considered.
enum Verdict {
    Ours,
    /// Not in memory, bears our mark: ours once adopted.
    Adoptable,
    Stale,
    Foreign(String),
}

impl Run<'_> {
    pub(crate) fn decide(&self, state: &State, id: &ObjectId) -> Decision {
        match self.decide_alone(state, id) {
            Decision::Act(Act::Change(change)) if !change.after.is_empty() => {
                let waits = change.after.iter().any(|other| {
                    state.graph.node(other).is_some()
                        && !matches!(
                            self.decide_alone(state, other),
                            Decision::Settled | Decision::Keep(_)
                        )
                });
                if waits {
                    Decision::After(change)
                } else {
                    Decision::Act(Act::Change(change))
                }
            }
            decision => decision,
        }
    }

    /// Whether `other` is settled enough for `id` to be written.
    pub(crate) fn is_settled_for(&self, state: &State, other: &ObjectId, id: &ObjectId) -> bool {
        match self.decide(state, other) {
            Decision::Settled | Decision::Keep(_) => true,
            Decision::After(change) => change.after.contains(id),
            Decision::Act(_) | Decision::Refuse(_) => false,
        }
    }

    fn decide_alone(&self, state: &State, id: &ObjectId) -> Decision {
        let Some(node) = state.graph.node(id) else {
            return Decision::Settled;
        };
        if state.assumed.contains(id) {
            return Decision::Settled;
        }
        let Some(observation) = state.observations.observation(id) else {
            return Decision::Act(Act::Look);
        };
        match node.want {
            Want::Given => Self::decide_given(id, observation),
            Want::Done => match observation {
                Observation::Present(_) => Decision::Settled,
                Observation::Absent | Observation::NameHeld(_) => {
                    Decision::Act(self.resume_or(state, id, Act::Procedure))
                }
            },
            Want::Present => self.decide_present(state, id, node, observation),
            Want::Absent => self.decide_absent(state, id, node, observation),
        }
    }

    fn decide_given(id: &ObjectId, observation: &Observation) -> Decision {
        match observation {
            Observation::Present(_) => Decision::Settled,
            Observation::Absent | Observation::NameHeld(_) => Decision::Refuse(Box::new(
                Fault::new(id.clone(), FaultKind::NeedMissing, "it does not exist.")
                    .next("Create it first, correct its name, or leave the name out."),
            )),
        }
    }

    fn decide_present(
        &self,
        state: &State,
        id: &ObjectId,
        node: &Node,
        observation: &Observation,
    ) -> Decision {
        let seen = match observation {
            Observation::Absent if state.made.contains(id) => return Decision::Act(Act::Doubt),
            Observation::Absent => {
                return Decision::Act(self.resume_or(state, id, Act::Create));
            }
            Observation::NameHeld(held) => {
                return match held.frees_in {
                    Some(wait) => Decision::Act(Act::AwaitName(wait)),
                    None => Decision::Refuse(Box::new(
                        Fault::new(id.clone(), FaultKind::NameHeld, held.why.clone())
                            .next(held.next.clone()),
                    )),
                };
            }
            Observation::Present(seen) => seen,
        };
        let verdict = self.verdict(state, id, node, seen);
        match &verdict {
            Verdict::Stale => return Decision::Refuse(Box::new(self.stale_fault(id))),
            Verdict::Foreign(whose) => {
                return Decision::Refuse(Box::new(self.foreign_fault(id, whose)));
            }
            Verdict::Ours | Verdict::Adoptable => {}
        }
        let adopting = matches!(verdict, Verdict::Adoptable);
        if adopting && self.lost_race(state, id, node, seen) {
            return Decision::Refuse(Box::new(Self::lost_race_fault(id)));
        }
        let context = self.context(state.observations.clone());
        let difference = node.object.differ(&context, seen);
        if let Difference::Replace(reasons) = &difference {
            return Decision::Refuse(Box::new(self.replace_fault(id, adopting, reasons)));
        }
        if let Some(busy) = &seen.busy
            && self.engine.protections.waits_for_operations()
        {
            return Decision::Act(Act::Rest(busy.what.clone()));
        }
        match difference {
            Difference::Replace(_) => Decision::Settled,
            _ if adopting && self.needs_hold(node, seen)
                || self.has_to_be_held(state, id, node, seen) =>
            {
                Decision::Act(Act::Hold)
            }
            Difference::Same => Decision::Settled,
            Difference::Change(change) if state.quieted.contains(id) => change
                .without_quiet_steps()
                .map_or(Decision::Settled, |change| {
                    Decision::Act(Act::Change(change))
                }),
            Difference::Change(change) => Decision::Act(Act::Change(change)),
        }
    }

    /// Waits for what an earlier run left running on `id`, or else begins with `act`.
    fn resume_or(&self, state: &State, id: &ObjectId, act: Act) -> Act {
        match state.operations.get(id) {
            Some(left) if self.engine.protections.waits_for_operations() => {
                Act::Rest(left.step.clone())
            }
            _ => act,
        }
    }

    fn decide_absent(
        &self,
        state: &State,
        id: &ObjectId,
        node: &Node,
        observation: &Observation,
    ) -> Decision {
        let Observation::Present(seen) = observation else {
            return Decision::Settled;
        };
        if state.kept.contains_key(id) || self.goes_with_parent(state, node) {
            return Decision::Settled;
        }
        match self.verdict(state, id, node, seen) {
            Verdict::Stale => Decision::Keep(
                "another state entry holds it now: not deleted, only forgotten here.".into(),
            ),
            Verdict::Foreign(whose) => Decision::Keep(format!(
                "it is not wanted, but not ours to delete ({whose})."
            )),
            Verdict::Ours | Verdict::Adoptable => match &seen.busy {
                Some(busy) if self.engine.protections.waits_for_operations() => {
                    Decision::Act(Act::Rest(busy.what.clone()))
                }
                _ if state.graph.principal_id() == Some(id)
                    && self.has_to_be_held(state, id, node, seen) =>
                {
                    Decision::Act(Act::Hold)
                }
                _ => Decision::Act(Act::Delete),
            },
        }
    }

    /// The parent is about to be deleted, and this with it.
    fn goes_with_parent(&self, state: &State, node: &Node) -> bool {
        let parent = node
            .object
            .parent()
            .filter(|_| node.object.goes_with_parent());
        parent.is_some_and(|id| {
            state
                .graph
                .node(&id)
                .is_some_and(|it| it.want == Want::Absent)
                && matches!(
                    self.decide_alone(state, &id),
                    Decision::Act(Act::Delete | Act::Rest(_))
                )
        })
    }

    /// It was absent, and is now there with another's holder: a run that lives was faster. The
    /// principal decides which run goes on; other objects follow it.
    fn lost_race(&self, state: &State, id: &ObjectId, node: &Node, seen: &Seen) -> bool {
        let decides = state
            .graph
            .principal_id()
            .is_none_or(|principal| principal == id);
        decides && state.absent_before.contains(id) && self.needs_hold(node, seen)
    }

    /// The principal exists and bears another holder than this run writes: whatever the others
    /// bear, they go with it.
    pub(crate) fn principal_is_anothers(&self, state: &State) -> bool {
        let principal = state
            .graph
            .principal_id()
            .and_then(|id| Some((state.graph.node(id)?, state.observations.seen(id)?)));
        self.engine.protections.guards()
            && principal
                .is_some_and(|(node, seen)| seen.holder.is_some() && self.needs_hold(node, seen))
    }

    /// The principal is there, and not yet this run's: it is judged and taken over before anything
    /// else is written.
    pub(crate) fn has_to_take_over(&self, state: &State) -> bool {
        let principal = state
            .graph
            .principal_id()
            .and_then(|id| Some((id, state.graph.node(id)?, state.observations.seen(id)?)));
        !self.destroying && self.principal_is_anothers(state)
            || principal.is_some_and(|(id, node, seen)| self.has_to_be_held(state, id, node, seen))
    }

    /// It came with an import and does not bear this entry's holder yet.
    pub(crate) fn has_to_be_held(
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
            && self.needs_hold(node, seen)
    }

    fn needs_hold(&self, node: &Node, seen: &Seen) -> bool {
        node.object.carries_holder() && seen.holder.as_ref() != Some(&self.holder)
    }

    fn verdict(&self, state: &State, id: &ObjectId, node: &Node, seen: &Seen) -> Verdict {
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
            Ownership::Ours if !self.engine.protections.adopts() => {
                Verdict::Foreign("adoption is switched off".into())
            }
            Ownership::Ours
                if node.object.carries_holder() && seen.holder.as_ref() == Some(&self.holder) =>
            {
                Verdict::Ours
            }
            Ownership::Ours => Verdict::Adoptable,
            Ownership::Unmarked => Verdict::Foreign("it bears no owner mark".into()),
            Ownership::Foreign(whose) => Verdict::Foreign(format!("it bears the mark of {whose}")),
            Ownership::FollowsParent if state.listed.contains(id) => {
                Verdict::Foreign("nothing says who made it".into())
            }
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
            .graph
            .principal_id()
            .and_then(|id| Some((id, state.graph.node(id)?, state.observations.seen(id)?)))
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

    /// The steps that are left on `id` alone.
    pub(crate) fn steps_of(&self, state: &State, id: &ObjectId) -> Vec<Step> {
        let Some(node) = state.graph.node(id) else {
            return Vec::new();
        };
        match self.decide(state, id) {
            Decision::Act(Act::Create | Act::Procedure | Act::AwaitName(_)) => {
                let steps = node.object.create_steps();
                if steps.is_empty() {
                    vec![Step::quiet(format!("create {}", id.brief()))]
                } else {
                    steps
                }
            }
            Decision::Act(Act::Change(change)) | Decision::After(change) => change.steps,
            Decision::Act(Act::Delete) => vec![Step::disruptive(format!("delete {}", id.brief()))],
            Decision::Act(Act::Hold) => vec![Step::quiet(format!("adopt {}", id.brief()))],
            // The cloud's own work on the object is no step of ours.
            Decision::Act(act @ Act::Rest(_)) => self.steps_beneath(state, id, node, &act),
            Decision::Act(Act::Look | Act::Doubt)
            | Decision::Settled
            | Decision::Keep(_)
            | Decision::Refuse(_) => Vec::new(),
        }
    }

    /// What is left on an object that is busy. Somebody else's operation is no difference; what
    /// an earlier run of ours left unfinished is.
    fn steps_beneath(&self, state: &State, id: &ObjectId, node: &Node, rest: &Act) -> Vec<Step> {
        let ours = state.operations.contains_key(id);
        match (node.want, state.observations.seen(id)) {
            (Want::Absent, Some(_)) => vec![Step::disruptive(format!("delete {}", id.brief()))],
            (Want::Present, Some(seen)) if !ours => {
                let context = self.context(state.observations.clone());
                match node.object.differ(&context, seen) {
                    Difference::Change(change) => change.steps,
                    Difference::Same | Difference::Replace(_) => Vec::new(),
                }
            }
            _ => vec![Step::quiet(format!("{} on {}", rest.title(), id.brief()))],
        }
    }

    pub(crate) fn stale_fault(&self, id: &ObjectId) -> Fault {
        let mark = &self.job.mark;
        Fault::new(
            id.clone(),
            FaultKind::Stale,
            format!(
                "another state entry has taken this object over; this entry ({mark}) is out of \
                 date and changes nothing."
            ),
        )
        .next(
            "Remove this entry with `terraform state rm`, or give one of the two states another \
             `owner`.",
        )
    }

    fn lost_race_fault(id: &ObjectId) -> Fault {
        let message = "another run with the same owner and name created it at the same moment, \
                       and owns it; nothing of it belongs to this one.";
        Fault::new(id.clone(), FaultKind::LostRace, message).next(
            "If another resource or another state manages it, give one of the two another name or \
             another `owner`. If it was another apply of this one, wait until that has ended, \
             then apply again.",
        )
    }

    fn foreign_fault(&self, id: &ObjectId, whose: &str) -> Fault {
        let fault = Fault::new(
            id.clone(),
            FaultKind::Foreign,
            format!("it exists already and is not ours: {whose}. It was not touched."),
        );
        match &self.job.import_advice {
            Some(advice) => fault.next(advice.clone()),
            None => fault.next("Choose another name, or import it."),
        }
    }

    fn replace_fault(&self, id: &ObjectId, adopting: bool, reasons: &[String]) -> Fault {
        let why = reasons.join("; ");
        let fault = if adopting {
            let message = format!(
                "it exists already and bears our mark, but differs in what can never change: {why}. \
                 It was not adopted."
            );
            let next = "Make the configuration match it, give the new one another name (or remove \
                        create_before_destroy), or delete it.";
            let fault = Fault::new(id.clone(), FaultKind::MustReplace, message);
            match &self.job.import_advice {
                Some(advice) => fault.next(format!("{next} {advice}")),
                None => fault.next(next),
            }
        } else {
            Fault::new(
                id.clone(),
                FaultKind::MustReplace,
                format!("it differs in what can never change: {why}."),
            )
            .next(
                "Undo the change; or let Terraform destroy it and create it anew: terraform apply \
                 -replace=ADDRESS. To destroy it as it is: terraform destroy -refresh=false.",
            )
        };
        match reasons
            .first()
            .and_then(|reason| reason.split([':', ' ']).next())
        {
            Some(attribute) if !attribute.is_empty() => fault.at(attribute),
            _ => fault,
        }
    }
}

/// The ids of the graph, each after what it waits for.
pub(crate) fn in_order(state: &State) -> Vec<ObjectId> {
    levels(state).into_iter().flatten().collect()
}

/// The ids of the graph in groups; a group waits only for earlier groups. Ids in a circle come
/// last.
pub(crate) fn levels(state: &State) -> Vec<Vec<ObjectId>> {
    let mut left: Vec<ObjectId> = state.graph.nodes().map(|(id, _)| id.clone()).collect();
    let mut levels = Vec::new();
    while !left.is_empty() {
        let (now, later): (Vec<_>, Vec<_>) = left.iter().cloned().partition(|id| {
            !state
                .graph
                .before(id)
                .iter()
                .any(|other| left.contains(other))
        });
        if now.is_empty() {
            levels.push(later);
            break;
        }
        levels.push(now);
        left = later;
    }
    levels
}
