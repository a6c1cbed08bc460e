//! What a run refuses to do: what happened, and what the user does next.

use crate::{Fault, FaultKind, ObjectId, Ownership, Reason, decide::Decision, run::Run};

impl Run<'_> {
    /// Every refusal that can be known before the first write, in graph order.
    pub(crate) fn refusals(&self) -> Vec<Fault> {
        let state = self.state();
        let decisions = state.graph.nodes().map(|(id, _)| self.decide(&state, id));
        decisions
            .filter_map(|decision| match decision {
                Decision::Refuse(fault) => Some(*fault),
                _ => None,
            })
            .collect()
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

    pub(crate) fn lost_race_fault(id: &ObjectId) -> Fault {
        let message = "another run with the same owner and name created it at the same moment, \
                       and owns it; nothing of it belongs to this one.";
        Fault::new(id.clone(), FaultKind::LostRace, message).next(
            "If another resource or another state manages it, give one of the two another name or \
             another `owner`. If it was another apply of this one, wait until that has ended, \
             then apply again.",
        )
    }

    pub(crate) fn foreign_fault(&self, id: &ObjectId, whose: &str) -> Fault {
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

    /// The principal was imported, is somebody else's, and nothing of what is wanted lets it take our
    /// mark: then nothing beside it is written either.
    pub(crate) fn stays_anothers_fault(&self) -> Option<Fault> {
        let state = self.state();
        let (id, node, seen) = state.principal()?;
        let Ownership::Foreign(whose) = &seen.ownership else {
            return None;
        };
        let stays = self.stays_anothers(&state, id, node, seen)
            && matches!(self.decide(&state, id), Decision::Settled);
        stays.then(|| {
            let message = format!(
                "it was imported and bears the mark of {whose}; as long as it is stopped it takes no \
                 other. Nothing was changed."
            );
            Fault::new(id.clone(), FaultKind::Foreign, message)
                .next("Start it in the same change, and it is taken over; or take it out of this state.")
        })
    }

    pub(crate) fn replace_fault(&self, id: &ObjectId, adopting: bool, reasons: &[Reason]) -> Fault {
        let all: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        let why = all.join("; ");
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
            let is_part = self
                .job
                .graph
                .principal_id()
                .is_some_and(|principal| principal != id);
            let next = if is_part {
                format!(
                    "Undo the change; or delete {} in the cloud, then run terraform apply: it is \
                     made anew. To destroy all as it is: terraform destroy -refresh=false.",
                    id.brief()
                )
            } else {
                "Undo the change; or let Terraform destroy it and create it anew: terraform apply \
                 -replace=ADDRESS. To destroy it as it is: terraform destroy -refresh=false."
                    .to_owned()
            };
            Fault::new(
                id.clone(),
                FaultKind::MustReplace,
                format!("it differs in what can never change: {why}."),
            )
            .next(next)
        };
        match reasons
            .first()
            .and_then(|reason| reason.subject.attribute())
        {
            Some(attribute) => fault.at(attribute),
            None => fault,
        }
    }
}
