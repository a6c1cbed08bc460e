//! Planning: what will happen, and everything that speaks against it.

use paymesh_engine::{Claim, Fault, FaultKind, Intent, Memory, PlannedStep, Standing};
use paymesh_plugin::{
    findings::{Findings, Severity},
    path::Path,
    resource::{DestroyPlan, DestroyRequest, Plan, PlanReason, PlanRequest},
    spec::{Attribute, Attributes, Draft, DraftObject, Spec},
    value::Value,
};

use super::{
    Act, Converged, INCOMPLETE, Place, READY, Resource, STALE, Whole, faults, graph_before, job,
    named, protection, told, whole,
};
use crate::{
    codes::{self, refuse, warn_about},
    session::Session,
};

/// How to go on when something stands in the way of a destroy. It plans first and does not say so, so
/// an entry that could be destroyed is told of it in every plan. What this process has read has one,
/// also where its plan knows nothing of it: tainted, or gone since.
const WAY_OUT: &str = "To destroy it: `terraform destroy -refresh=false` asks none of this.";

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
    let stands = |standing: &str| {
        let prior = prior.as_ref();
        prior.is_some_and(|(_, status)| C::standing(status) == Some(standing))
    };
    let (is_ready, is_stale) = (stands(READY), stands(STALE));
    if let Some(prior) = &prior
        && !keeps_owner::<C>(session, &request.private, prior, &mut plan.found)
    {
        // Nothing that follows from another owner is worth telling beside it.
        plan.replace.clear();
        return;
    }
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
    let is_anothers = is_stale && !plan.is_replacement();
    if is_anothers {
        // Apply refuses. It cannot be refused here: a destroy plans like this first, and has to
        // forget the entry.
        plan.status = unknown_where::<C>(&plan.status, |name, _| name == "status");
    } else if is_changed {
        // What was not finished is still to come.
        plan.status = unknown_where::<C>(&plan.status, |_, value| value.is_null());
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
    let was_protected = prior.as_ref().is_some_and(|it| C::is_protected(&it.0));
    if was_protected {
        plan.private = protection::note(&plan.private);
    }
    let Some(spec) = spec else {
        protect::<C>(request, plan, was_protected, None);
        return;
    };
    let stays = prior.as_ref().filter(|_| !plan.is_replacement());
    claim::<C>(session, &spec, stays, request, &mut plan.found);
    // The second call of a replacement sees no prior state: its warnings are dropped by core.
    let mut answers = Findings::new();
    C::review(session, &spec, stays, &mut answers).await;
    let is_sound = !plan.found.has_errors() && !answers.has_errors();
    let asks = is_sound && session.is_known() && is_changed && !is_anothers;
    let has_place = !asks || locate::<C>(request, &spec, stays, &mut answers).await;
    if has_place {
        protect::<C>(request, plan, was_protected, Some(&spec));
    } else {
        // What would follow from being there is no news.
        plan.replace.clear();
    }
    if asks && has_place && !plan.found.has_errors() {
        preflight::<C>(request, &spec, stays, &mut answers).await;
    }
    let has_entry = answers.has_errors()
        && (request.prior.is_some()
            || request.reason == PlanReason::Replacement
            || was_read::<C>(session, &spec));
    for mut finding in answers {
        if has_entry && finding.severity == Severity::Error {
            finding.next_step.extend([" ", WAY_OUT]);
        }
        plan.found.add(finding);
    }
    // Steps that cannot be are no news.
    if !has_place || plan.found.has_errors() || !session.is_known() || is_anothers {
        return;
    }
    if !is_changed {
        // An import hides nothing of what comes after it.
        if let Some(prior) = stays.filter(|_| was_imported::<C>(request)) {
            announce::<C>(request, plan, &spec, prior, is_changed).await;
        }
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
        announce::<C>(request, plan, &spec, prior, is_changed).await;
    }
}

/// Whether the object can be where it is planned, as far as that is asked.
async fn locate<C: Converged>(
    request: &PlanRequest<Resource<C>>,
    spec: &C::Spec,
    prior: Option<&Whole<C>>,
    found: &mut Findings,
) -> bool {
    let session = request.call.session();
    session.engine().claims().is_applying() || C::locate(session, spec, prior, found).await
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
    session: &Session,
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

/// The same Status with each attribute made unknown of which `is_open` holds.
fn unknown_where<C: Converged>(
    status: &Draft<C::Status>,
    is_open: impl Fn(&str, &Value) -> bool,
) -> Draft<C::Status> {
    let value = match C::Status::draft_value(status) {
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(name, value)| {
                    let value = if is_open(&name, &value) {
                        Value::Unknown
                    } else {
                        value
                    };
                    (name, value)
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
    was_protected: bool,
    spec: Option<&C::Spec>,
) {
    let is_replaced = match request.reason {
        PlanReason::Create => false,
        PlanReason::Update => plan.is_replacement(),
        PlanReason::Replacement => true,
    };
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
/// take it for their own. A destroy goes by what the cluster bears. Whether the owner is the same.
fn keeps_owner<C: Converged>(
    session: &Session,
    private: &[u8],
    (spec, status): &Whole<C>,
    found: &mut Findings,
) -> bool {
    let memory = Memory::from_bytes(private).unwrap_or_default();
    let Some(owner) = memory.owner else {
        return true;
    };
    // What another state has overtaken is only forgotten.
    if !session.is_known() || owner == session.owner() || C::standing(status) == Some(STALE) {
        return true;
    }
    let detail = format!(
        "{} {} bears the mark of {owner:?}, and the provider block says owner = {:?}",
        C::Spec::NAME,
        C::title(spec),
        session.owner()
    );
    refuse(found, Path::root(), &codes::ANOTHER_OWNER, detail);
    false
}

fn claim<C: Converged>(
    session: &Session,
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

/// Whether this process has read what `spec` describes.
fn was_read<C: Converged>(session: &Session, spec: &C::Spec) -> bool {
    if !session.is_known() {
        return false;
    }
    let graph = C::graph(session, spec, None, &mut Findings::new());
    let principal = graph.as_ref().and_then(|it| it.principal_id());
    principal.is_some_and(|id| session.has_read(id))
}

/// Whether the entry came with an import and has written nothing yet.
fn was_imported<C: Converged>(request: &PlanRequest<Resource<C>>) -> bool {
    let memory = Memory::from_bytes(&request.private);
    memory.is_ok_and(|memory| memory.imported.is_some())
}

/// Says which steps apply will take, when they disturb what runs, or when an import hides them.
///
/// Terraform plans once more in the process that applies, and shows what that plan says after the
/// apply. It asks there as it asks under `-refresh=false` (`provider/plugin/tests/calls`), whose plan
/// must not keep still about a disruption. Only an import is always read by the process that plans it.
async fn announce<C: Converged>(
    request: &PlanRequest<Resource<C>>,
    plan: &mut Plan<Resource<C>>,
    spec: &C::Spec,
    prior: &Whole<C>,
    is_changed: bool,
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
    // The state was not refreshed.
    if reading.standing == Standing::Stale {
        told::stale::<C>(prior, &mut plan.found);
        return;
    }
    // What apply would refuse is an error now. But `-replace` plans like this first, and is the way
    // out where the whole can only be made anew.
    let principal = job.graph.principal_id();
    for fault in &reading.refusals {
        let severity = match fault.kind {
            FaultKind::MustReplace if principal == Some(&fault.object) => Severity::Warning,
            _ => Severity::Error,
        };
        faults::report(&mut plan.found, fault, severity);
    }
    for (number, step) in reading.steps.iter().enumerate() {
        tracing::info!(number, object = %step.object, step = step.title, "planned");
    }
    C::beware(&wanted, &reading.observations, &job.graph, &mut plan.found);
    // Where the read before this plan saw that something differs, it said so; and after the apply
    // there is nothing to tell.
    let is_new = C::standing(&prior.1) == Some(READY)
        && principal.is_some_and(|id| request.call.session().has_read(id));
    if is_new && was_imported::<C>(request) && !reading.steps.is_empty() {
        let when = if is_changed {
            "it was imported. Apply changes, where"
        } else {
            "the import itself changes nothing. The first apply that follows it does, also without a \
             change of the configuration;"
        };
        warn_about(
            &mut plan.found,
            Path::root(),
            &codes::IMPORTED_DIFFERS,
            &named::<C>(spec),
            format!(
                "{when} (disturbs) marks what those who use it may feel:\n\n{}",
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
    // What another resource of this plan wants was renamed: its protection is not the matter.
    if let Err(fault) = claim_destroy::<C>(session, &prior, is_stale) {
        faults::report(&mut plan.found, &fault, Severity::Error);
    } else if C::is_protected(&prior.0) && !is_stale {
        refuse(
            &mut plan.found,
            Path::root().attribute("deletion_protection"),
            &codes::PROTECTED_FROM_DESTRUCTION,
            format!("{} would be destroyed", named::<C>(&prior.0)),
        );
    }
}

fn claim_destroy<C: Converged>(
    session: &Session,
    prior: &Whole<C>,
    stale: bool,
) -> Result<(), Box<Fault>> {
    let is_known = session.is_known();
    let graph = is_known.then(|| C::graph(session, &prior.0, Some(prior), &mut Findings::new()));
    let Some(object) = graph.flatten().and_then(|it| it.principal_id().cloned()) else {
        return Ok(());
    };
    session.engine().claims().claim(&Claim {
        object,
        resource_type: C::Spec::NAME.to_owned(),
        import_id: C::import_id(session, &prior.0).unwrap_or_default(),
        intent: Intent::Destroy,
        second_half_of_replace: false,
        stale,
    })
}
