//! What to do next with one object: a pure function of what is known.

use std::{collections::HashSet, time::Duration};

use crate::{
    After, Change, Difference, Fault, FaultKind, Node, ObjectId, Observation, Want,
    difference::listed, run::Run, state::State, whose::Verdict,
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
    /// Do what lets it take our mark.
    Wake,
    Hold,
    Change(Change),
    Delete,
}

/// The title of looking at an object.
pub(crate) const LOOK: &str = "observe";

impl Act {
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Look => LOOK.into(),
            Self::Rest(what) => format!("wait for {what}"),
            Self::AwaitName(_) => "wait for the name".into(),
            Self::Doubt => "wait for the cloud to show it".into(),
            Self::Create => "create".into(),
            Self::Procedure => "run".into(),
            Self::Wake => "start it, to adopt it".into(),
            Self::Hold => "adopt".into(),
            Self::Change(change) => change.steps.first().map_or_else(
                || format!("update {}", listed(&change.subjects)),
                |it| it.title.clone(),
            ),
            Self::Delete => "delete".into(),
        }
    }
}

impl Run<'_> {
    pub(crate) fn decide(&self, state: &State, id: &ObjectId) -> Decision {
        match self.decide_alone(state, id) {
            Decision::Act(Act::Change(change)) if self.others_come_first(state, id, &change) => {
                Decision::After(change)
            }
            decision => decision,
        }
    }

    fn others_come_first(&self, state: &State, id: &ObjectId, change: &Change) -> bool {
        let is_unsettled = |other: &ObjectId| {
            let decision = self.decide_alone(state, other);
            !matches!(decision, Decision::Settled | Decision::Keep(_))
        };
        match &change.after {
            After::These(others) => others.iter().any(is_unsettled),
            After::Everything => {
                let mut nodes = state.graph.nodes();
                nodes.any(|(other, _)| other != id && is_unsettled(other))
            }
        }
    }

    /// Whether `other` is settled enough for `id` to be written.
    pub(crate) fn is_settled_for(&self, state: &State, other: &ObjectId, id: &ObjectId) -> bool {
        match self.decide(state, other) {
            Decision::Settled | Decision::Keep(_) => true,
            Decision::After(change) => match &change.after {
                After::These(others) => others.iter().any(|it| self.waits_for(state, it, id)),
                After::Everything => true,
            },
            Decision::Act(_) | Decision::Refuse(_) => false,
        }
    }

    /// Whether `id` is `other`, or must wait until `other` is settled.
    fn waits_for(&self, state: &State, id: &ObjectId, other: &ObjectId) -> bool {
        let (mut known, mut left) = (HashSet::new(), vec![id.clone()]);
        while let Some(id) = left.pop() {
            if id == *other {
                return true;
            }
            if !known.insert(id.clone()) {
                continue;
            }
            left.extend(state.graph.before(&id));
            if let Decision::Act(Act::Change(change)) = self.decide_alone(state, &id)
                && let After::These(others) = change.after
            {
                left.extend(others);
            }
        }
        false
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
            _ if adopting && self.needs_hold(node, seen) && !node.object.may_be_held(seen) => {
                Decision::Act(Act::Wake)
            }
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
}
