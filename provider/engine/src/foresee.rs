//! Foreseeing: the steps of a run in the order in which it will take them, without taking any.
//!
//! The plan of an upgrade has to show the pools' steps too, although nothing differs on a pool
//! before its control plane has moved. So the decisions of a run are made over observations that
//! are moved on by hand, step by step.

use crate::{
    Difference, Node, ObjectId, Observation, PlannedStep, Seen, Step, Want,
    decide::{Act, Decision},
    run::Run,
    state::State,
};

/// Rounds through the graph. A version path has far fewer steps; a plan has to end.
const ROUNDS_MAX: usize = 64;

impl Run<'_> {
    /// The steps that are left, as a plan prints them.
    pub(crate) fn planned_steps(&self) -> Vec<PlannedStep> {
        let mut state = self.state().clone();
        state.takes_over = false;
        let mut steps = Vec::new();
        for _ in 0..ROUNDS_MAX {
            let mut moved = false;
            for id in in_order(&state) {
                moved |= self.take_next_step(&mut state, &id, &mut steps);
            }
            if !moved {
                break;
            }
        }
        // What waits for something that will be refused.
        for id in in_order(&state) {
            let left = self.steps_of(&state, &id);
            steps.extend(left.into_iter().map(|step| planned(&id, step)));
        }
        steps
    }

    /// Notes what would be done next with `id` if it were its turn, and moves `state` on.
    fn take_next_step(
        &self,
        state: &mut State,
        id: &ObjectId,
        steps: &mut Vec<PlannedStep>,
    ) -> bool {
        let Decision::Act(act) = self.decide(state, id) else {
            return false;
        };
        let before = state.graph.before(id);
        if before
            .iter()
            .any(|other| !self.is_settled_for(state, other, id))
        {
            return false;
        }
        if matches!(act, Act::Rest(_)) && Self::let_rest(state, id) {
            if state.operations.shift_remove(id).is_some() {
                steps.push(planned(
                    id,
                    Step::quiet(format!("{} on {}", act.title(), id.brief())),
                ));
            }
            return true;
        }
        let mut now = self.steps_of(state, id);
        let next = match &act {
            Act::Change(_) => self.after_step(state, id, &now),
            _ => None,
        };
        if let Some((_, taken)) = &next {
            now.truncate(*taken);
        }
        let is_quiet = !now.iter().any(|step| step.disruptive);
        for step in now {
            let step = planned(id, step);
            // What the foreseen state still lacks was listed with the step that leads there.
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        match (act, next) {
            (_, Some((next, _))) => {
                state.quieted.insert(id.clone());
                state.note(id, Observation::Present(next));
            }
            // Disruptive steps may follow when others have moved.
            (Act::Change(_), None) if is_quiet => {
                state.quieted.insert(id.clone());
            }
            _ => {
                state.assumed.insert(id.clone());
            }
        }
        true
    }

    /// Ends what runs on a wanted object, so that what comes after it can be foreseen.
    fn let_rest(state: &mut State, id: &ObjectId) -> bool {
        let wanted = state
            .graph
            .node(id)
            .is_some_and(|node| node.want == Want::Present);
        let Some(mut seen) = state.observations.seen(id).filter(|_| wanted).cloned() else {
            return false;
        };
        seen.busy = None;
        state.note(id, Observation::Present(seen));
        true
    }

    /// What would be seen of `id` after the first of the steps in `now`, and how many of them lead
    /// there; if that leaves fewer.
    fn after_step(&self, state: &State, id: &ObjectId, now: &[Step]) -> Option<(Seen, usize)> {
        let object = &state.graph.node(id)?.object;
        let context = self.context(state.observations.clone());
        let next = object.foresee(&context, state.observations.seen(id)?)?;
        let mut left = match object.differ(&context, &next) {
            Difference::Same => Vec::new(),
            Difference::Change(left) => left.steps,
            Difference::Replace(_) => return None,
        };
        // The quiet ones among them may have been taken by an earlier step.
        left.retain(|step| now.contains(step));
        let last = now.iter().rposition(|step| !left.contains(step))?;
        Some((next, last + 1))
    }

    /// The steps that are left on `id` alone.
    fn steps_of(&self, state: &State, id: &ObjectId) -> Vec<Step> {
        let Some(node) = state.graph.node(id) else {
            return Vec::new();
        };
        match self.decide(state, id) {
            // Only what a listing brought into the graph was never looked at: what has to be done
            // before a child goes.
            Decision::Act(Act::Look) => node.object.create_steps(),
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
            Decision::Act(Act::Wake) => vec![
                Step::disruptive(format!("start {}", id.brief())),
                Step::quiet(format!("adopt {}", id.brief())),
            ],
            Decision::Act(Act::Hold) => vec![Step::quiet(format!("adopt {}", id.brief()))],
            // The cloud's own work on the object is no step of ours.
            Decision::Act(act @ Act::Rest(_)) => self.steps_beneath(state, id, node, &act),
            Decision::Act(Act::Doubt)
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
}

/// The ids of the graph, each after what it waits for.
fn in_order(state: &State) -> Vec<ObjectId> {
    let levels = state
        .graph
        .levels(|id| state.graph.before(id).into_iter().collect());
    levels.into_iter().flatten().collect()
}

fn planned(id: &ObjectId, Step { title, disruptive }: Step) -> PlannedStep {
    PlannedStep {
        object: id.clone(),
        title,
        disruptive,
    }
}
