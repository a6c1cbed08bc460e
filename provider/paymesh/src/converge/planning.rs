//! Planning: what will happen, and everything that speaks against it.

use paymesh_engine::{Claim, FaultKind, Intent, Memory, PlannedStep};
use paymesh_plugin::{
    findings::{Findings, Severity},
    path::Path,
    resource::{DestroyPlan, DestroyRequest, Plan, PlanReason, PlanRequest},
    spec::{Attribute, Attributes, Draft, DraftObject, Spec},
    value::Value,
};

use super::{
    Act, Converged, INCOMPLETE, Place, READY, Resource, STALE, Whole, faults, graph_before, job,
    named, protection, whole,
};
use crate::codes::{self, refuse, warn_about};

pub(super) async fn plan<C: Converged>(
    request: &PlanRequest<Resource<C>>,
    plan: &mut Plan<Resource<C>>,
) {
    let session = request.call.session();
    let prior = request.prior.as_ref().and_then(whole::<C>);
    let spec = {
        let value = C::Spec::draft_value(&plan.spec);
        let known = value.is_wholly_known();
        known
            .then(|| C::Spec::recall(&value, &mut Findings::new()))
            .flatten()
    };
    if let Some(spec) = &spec {
        plan.title = format!("{} {}", C::Spec::NAME, C::title(spec));
    }
    let is_ready = prior
        .as_ref()
        .is_some_and(|(_, status)| C::standing(status) == Some(READY));
    if let (Some(prior), Some(spec)) = (&prior, &spec) {
        plan.replace.extend(C::replacements(spec, prior));
    }
    if let (Some(prior), Some(spec)) = (&prior, &spec) {
        relocate::<C>(session, plan, spec, prior);
    }
    let adds_otherwise = session.is_known()
        && prior
            .as_ref()
            .is_some_and(|prior| C::wanted(session, &prior.0) != C::applied(session, prior));
    let is_changed =
        !request.changes.is_empty() || adds_otherwise || !is_ready || plan.is_replacement();
    if is_changed {
        plan.status = unknown_where_null::<C>(&plan.status);
        C::intend(&mut plan.status, spec.as_ref(), prior.as_ref());
        let wanted = spec.as_ref().filter(|_| session.is_known());
        let wanted = wanted.map(|spec| C::wanted(session, spec));
        C::plan_additions(&mut plan.status, wanted.as_ref());
        // What was imported is taken over by the first write; what takes its place has its own.
        let memory = Memory::from_bytes(&request.private).unwrap_or_default();
        let is_written = |(before, status): &Whole<C>| {
            spec.as_ref()
                .is_none_or(|spec| !C::rests(before, spec, status))
        };
        if memory.imported.is_some() && prior.as_ref().is_some_and(is_written) {
            C::plan_holder(&mut plan.status, memory.holder.as_ref());
        }
        if plan.is_replacement() {
            // What the next one reports is its own.
            plan.status = Draft::<C::Status>::unknown();
        }
    }
    if plan.private.is_empty() {
        plan.private = Memory::default().to_bytes();
    }
    protect::<C>(request, plan, prior.as_ref(), spec.as_ref());
    if let Some(prior) = &prior {
        keeps_owner::<C>(session, &request.private, prior, &mut plan.found);
    }
    let Some(spec) = spec else { return };
    let stays = prior.as_ref().filter(|_| !plan.is_replacement());
    claim::<C>(session, &spec, stays, request, &mut plan.found);
    // The second call of a replacement sees no prior state: its warnings are dropped by core.
    C::review(session, &spec, stays, &mut plan.found).await;
    if plan.found.has_errors() || !session.is_known() {
        return;
    }
    if !is_changed {
        // An import hides nothing of what comes after it.
        if let Some(prior) = prior.as_ref().filter(|_| was_imported::<C>(request)) {
            announce::<C>(request, plan, &spec, prior).await;
        }
        return;
    }
    preflight::<C>(request, &spec, stays, &mut plan.found).await;
    if plan.found.has_errors() {
        // Steps that cannot be are no news.
        return;
    }
    let resting = |prior: &&Whole<C>| C::rests(&prior.0, &spec, &prior.1);
    if let Some(prior) = stays.filter(|prior| !resting(prior)) {
        if C::standing(&prior.1) == Some(INCOMPLETE) {
            warn_about(
                &mut plan.found,
                Path::root(),
                &codes::RESUMES,
                &named::<C>(&spec),
                "an earlier run began it and did not finish, or a part of it was deleted since",
            );
        }
        announce::<C>(request, plan, &spec, prior).await;
    }
}

/// What the cloud says against the plan. A client plans once more before it applies, and does not say
/// so: until the first apply begins, that plan asks like any other.
async fn preflight<C: Converged>(
    request: &PlanRequest<Resource<C>>,
    spec: &C::Spec,
    prior: Option<&Whole<C>>,
    found: &mut Findings,
) {
    let session = request.call.session();
    let claims = session.engine().claims();
    if claims.is_applying() {
        return;
    }
    let memory = Memory::from_bytes(&request.private).unwrap_or_default();
    let mut answers = Findings::new();
    C::preflight(session, spec, prior, &memory, &mut answers).await;
    // What was being made meanwhile would count twice: as used, and as planned.
    if !claims.is_applying() {
        found.extend(answers);
    }
}

/// An object that the configuration places elsewhere is replaced, in plain sight; one that is only
/// spelled otherwise is not.
fn relocate<C: Converged>(
    session: &crate::session::Session,
    plan: &mut Plan<Resource<C>>,
    spec: &C::Spec,
    prior: &Whole<C>,
) {
    if !session.is_known() {
        return;
    }
    match C::place(session, spec, prior) {
        Some(Place::Stays) => plan
            .replace
            .retain(|replacement| !C::only_places(&replacement.path)),
        Some(Place::Moves(why)) if !plan.is_replacement() => {
            plan.replace(Path::root().attribute("id"), why);
        }
        _ => {}
    }
}

/// The same Status with null made unknown: what was not finished is still to come.
fn unknown_where_null<C: Converged>(
    status: &paymesh_plugin::spec::Draft<C::Status>,
) -> paymesh_plugin::spec::Draft<C::Status> {
    let value = match C::Status::draft_value(status) {
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(name, value)| {
                    (
                        name,
                        if value.is_null() {
                            Value::Unknown
                        } else {
                            value
                        },
                    )
                })
                .collect(),
        ),
        other => other,
    };
    C::Status::read_state(&value, &mut Findings::new())
}

/// Refuses a replacement of what is protected, now or as it is planned. What only `-replace` asks for
/// shows in the second call alone, which sees no prior state: the first one leaves word for it.
fn protect<C: Converged>(
    request: &PlanRequest<Resource<C>>,
    plan: &mut Plan<Resource<C>>,
    prior: Option<&Whole<C>>,
    spec: Option<&C::Spec>,
) {
    let was_protected = prior.is_some_and(|(before, _)| C::is_protected(before));
    let is_replaced = match request.reason {
        PlanReason::Create => false,
        PlanReason::Update => plan.is_replacement(),
        PlanReason::Replacement => true,
    };
    if was_protected {
        plan.private = protection::note(&plan.private);
    }
    let is_protected = was_protected
        || protection::is_noted(&request.private)
        || spec.is_some_and(C::is_protected);
    if !is_replaced || !is_protected {
        return;
    }
    let because: Vec<String> = plan
        .replace
        .iter()
        .map(|replacement| match &replacement.why {
            Some(why) => format!("{}: {why}", replacement.path),
            None => replacement.path.to_string(),
        })
        .collect();
    let detail = if because.is_empty() {
        "-replace would destroy it and create another".to_owned()
    } else {
        format!(
            "it would be destroyed and created anew because of {}",
            because.join(", ")
        )
    };
    let path = plan
        .replace
        .first()
        .map_or_else(Path::root, |first| first.path.clone());
    let row = &codes::PROTECTED_FROM_REPLACEMENT;
    refuse(&mut plan.found, path, row, detail);
}

/// Refuses another owner for what is in state, in place or as a replacement: two owners would each
/// take it for their own. A destroy goes by what the cluster bears.
fn keeps_owner<C: Converged>(
    session: &crate::session::Session,
    private: &[u8],
    (spec, status): &Whole<C>,
    found: &mut Findings,
) {
    let memory = Memory::from_bytes(private).unwrap_or_default();
    let Some(owner) = memory.owner else { return };
    // What another state has overtaken is only forgotten.
    if !session.is_known() || owner == session.owner() || C::standing(status) == Some(STALE) {
        return;
    }
    let detail = format!(
        "{} {} bears the mark of {owner:?}, and the provider block says owner = {:?}",
        C::Spec::NAME,
        C::title(spec),
        session.owner()
    );
    refuse(found, Path::root(), &codes::ANOTHER_OWNER, detail);
}

fn claim<C: Converged>(
    session: &crate::session::Session,
    spec: &C::Spec,
    prior: Option<&Whole<C>>,
    request: &PlanRequest<Resource<C>>,
    found: &mut Findings,
) {
    if !session.is_known() {
        return;
    }
    let Some(graph) = C::graph(session, spec, prior, &mut Findings::new()) else {
        return;
    };
    let Some(object) = graph.principal_id().cloned() else {
        return;
    };
    let claim = Claim {
        object,
        resource_type: C::Spec::NAME.to_owned(),
        import_id: C::import_id(session, spec).unwrap_or_default(),
        intent: Intent::Keep,
        second_half_of_replace: request.reason == PlanReason::Replacement,
        stale: false,
    };
    if let Err(mut fault) = session.engine().claims().claim(&claim) {
        fault.attribute.get_or_insert_with(|| "name".to_owned());
        faults::report(found, &fault, Severity::Error);
    }
}

/// Whether the entry came with an import and has written nothing yet.
fn was_imported<C: Converged>(request: &PlanRequest<Resource<C>>) -> bool {
    let memory = Memory::from_bytes(&request.private);
    memory.is_ok_and(|memory| memory.imported.is_some())
}

/// Says which steps apply will take, when they disturb what runs, or when an import hides them.
async fn announce<C: Converged>(
    request: &PlanRequest<Resource<C>>,
    plan: &mut Plan<Resource<C>>,
    spec: &C::Spec,
    prior: &Whole<C>,
) {
    let wanted = C::wanted(&request.call, spec);
    let Some(graph) = C::graph(&request.call, &wanted, Some(prior), &mut plan.found) else {
        return;
    };
    let memory = Memory::from_bytes(&request.private).unwrap_or_default();
    let mut job = job::<C>(&request.call, graph, spec, Some(memory), Act::Read);
    job.before = graph_before::<C>(&request.call, prior);
    let reading = match request.call.engine().observe(&job).await {
        Ok(reading) => reading,
        Err(list) => {
            let (found, cloud) = (&mut plan.found, C::cloud(spec));
            faults::report_new(found, &list, &request.call, cloud, Severity::Warning);
            return;
        }
    };
    // What apply would refuse is an error now. But a destroy plans like this first, and an entry
    // that another state has overtaken must still be forgotten; and so does `-replace`, which is the
    // way out where the whole can only be made anew.
    let principal = job.graph.principal_id();
    for fault in &reading.refusals {
        let severity = match fault.kind {
            FaultKind::Stale => Severity::Warning,
            FaultKind::MustReplace if principal == Some(&fault.object) => Severity::Warning,
            _ => Severity::Error,
        };
        faults::report(&mut plan.found, fault, severity);
    }
    for (number, step) in reading.steps.iter().enumerate() {
        tracing::info!(number, object = %step.object, step = step.title, "planned");
    }
    C::beware(&wanted, &reading.observations, &job.graph, &mut plan.found);
    // Where the read before this plan saw that something differs, it said so.
    let is_new = C::standing(&prior.1) == Some(READY);
    if is_new && was_imported::<C>(request) && !reading.steps.is_empty() {
        warn_about(
            &mut plan.found,
            Path::root(),
            &codes::IMPORTED_DIFFERS,
            &named::<C>(spec),
            format!(
                "the import itself changes nothing. The first apply that follows it does, also \
                 without a change of the configuration; (disturbs) marks what those who use it \
                 may feel:\n\n{}",
                marked(&reading.steps)
            ),
        );
    }
    if let Some(text) = steps(&reading.steps) {
        warn_about(
            &mut plan.found,
            Path::root(),
            &codes::DISRUPTION,
            &named::<C>(spec),
            format!("in this order:\n\n{text}"),
        );
    }
}

/// The steps as a list in which the disruptive ones are marked.
pub(super) fn marked(steps: &[PlannedStep]) -> String {
    let lines = steps.iter().map(|step| {
        let mark = if step.disruptive { " (disturbs)" } else { "" };
        format!("  - {} ({}){mark}", step.title, step.object.kind)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn steps(steps: &[PlannedStep]) -> Option<String> {
    steps.iter().any(|step| step.disruptive).then(|| {
        let lines = steps.iter().enumerate().map(|(number, step)| {
            format!("  {}. {} ({})", number + 1, step.title, step.object.kind)
        });
        lines.collect::<Vec<_>>().join("\n")
    })
}

pub(super) fn plan_destroy<C: Converged>(
    request: &DestroyRequest<Resource<C>>,
    plan: &mut DestroyPlan,
) {
    if plan.private.is_empty() {
        plan.private = Memory::default().to_bytes();
    }
    let Some(prior) = whole::<C>(&request.prior) else {
        return;
    };
    let session = request.call.session();
    // An entry that another state has overtaken destroys nothing.
    let is_stale = C::standing(&prior.1) == Some(STALE);
    if C::is_protected(&prior.0) && !is_stale {
        refuse(
            &mut plan.found,
            Path::root().attribute("deletion_protection"),
            &codes::PROTECTED_FROM_DESTRUCTION,
            format!("{} would be destroyed", named::<C>(&prior.0)),
        );
        return;
    }
    if !session.is_known() {
        return;
    }
    let Some(graph) = C::graph(session, &prior.0, Some(&prior), &mut Findings::new()) else {
        return;
    };
    let Some(object) = graph.principal_id().cloned() else {
        return;
    };
    let claim = Claim {
        object,
        resource_type: C::Spec::NAME.to_owned(),
        import_id: C::import_id(session, &prior.0).unwrap_or_default(),
        intent: Intent::Destroy,
        second_half_of_replace: false,
        stale: is_stale,
    };
    if let Err(fault) = session.engine().claims().claim(&claim) {
        faults::report(&mut plan.found, &fault, Severity::Error);
    }
}
