//! A run that only reads: what a refresh, a plan and an import see.

use crate::{
    Difference, Fault, FaultKind, Imported, Object, ObjectId, Observation, Reading, Reason,
    Subject, Want, act::Halt, run::Run, state::State,
};

impl Run<'_> {
    /// Observes everything and reports, writing nothing.
    pub(crate) async fn read(self) -> Result<Reading, Vec<Fault>> {
        let looked = async {
            self.look_at_all().await?;
            self.settle_principal().await
        };
        looked.await.map_err(|halt| match halt {
            Halt::Faults(faults) => faults.into_iter().map(unread).collect(),
            Halt::Stopped => vec![self.stopped_reading()],
        })?;
        // An entry whose private data was lost with the provider's process reads like an import, and
        // may know objects that are gone.
        let differing = self.differing();
        let (steps, refusals) = if self.is_import() {
            (Vec::new(), Vec::new())
        } else {
            (self.planned_steps(), self.refusals())
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
        memory.owner = self.owner_after(&state, &prior);
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
                    Difference::Change(change) => attributes(change.subjects.iter()),
                    Difference::Replace(reasons) if principal != Some(id) => {
                        of_itself(&*node.object, &reasons)
                    }
                    Difference::Same | Difference::Replace(_) => Vec::new(),
                }
            }
            Some(Observation::Absent) => node.object.attribute().into_iter().collect(),
            _ => Vec::new(),
        });
        attributes.collect()
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
}

fn attributes<'a>(subjects: impl Iterator<Item = &'a Subject>) -> Vec<String> {
    let attributes = subjects.filter_map(Subject::attribute);
    attributes.map(str::to_owned).collect()
}

/// The attributes among `reasons` that belong to `object` alone. Who wants another there can want
/// another object; what it has in common with others, nobody can change here.
fn of_itself(object: &dyn Object, reasons: &[Reason]) -> Vec<String> {
    let own = object.attribute();
    let mut all = attributes(reasons.iter().map(|reason| &reason.subject));
    all.retain(|it| own.as_ref().is_some_and(|own| it.starts_with(own)));
    all
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
