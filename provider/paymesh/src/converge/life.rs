//! Apply, delete and read, through the engine.

use paymesh_engine::{
    End, Graph, Holder, Memory, ObjectId, Outcome, Ownership, PlannedStep, Reading, Standing,
    StopCause, Unfinished, Want,
};
use paymesh_plugin::{
    findings::{Findings, Severity},
    path::Path,
    resource::{Applied, ApplyRequest, DeleteRequest, Deleted, ReadRequest, Seen, State},
    spec::{Attribute, Attributes, Draft},
    value::Value,
};

use super::{
    Act, Converged, DRIFTED, INCOMPLETE, READY, Resource, STALE, Whole, drift, faults,
    graph_before, job, named, told, whole,
};
use crate::codes::{self, refuse};

pub(super) async fn apply<C: Converged>(
    request: ApplyRequest<Resource<C>>,
) -> Applied<Resource<C>> {
    let mut found = Findings::new();
    let session = request.call.session();
    session.engine().claims().apply_began();
    let prior = request.prior.as_ref().and_then(whole::<C>);
    let memory = match &prior {
        None => None,
        Some(_) => match memory(&request.private, &mut found) {
            Some(memory) => Some(memory),
            None => return failed::<C>(request.prior, request.private, found),
        },
    };
    let is_untouched = |memory: &Memory| memory.unfinished.is_empty();
    let prior = match prior {
        // The plan lets nothing change that the cloud would have to be told.
        Some((before, status))
            if C::rests(&before, &request.spec, &status)
                && C::standing(&status) == Some(READY)
                && memory.as_ref().is_some_and(is_untouched) =>
        {
            return Applied::done(request.spec, as_planned::<C>(status, &request.planned))
                .with_private(request.private);
        }
        prior => prior,
    };
    let wanted = C::wanted(session, &request.spec);
    let Some(graph) = C::graph(session, &wanted, prior.as_ref(), &mut found) else {
        return failed::<C>(request.prior, request.private, found);
    };
    let act = if prior.is_some() {
        Act::Update
    } else {
        Act::Create
    };
    let mut job = job::<C>(&request.call, graph, &request.spec, memory, act);
    job.before = prior
        .as_ref()
        .and_then(|prior| graph_before::<C>(session, prior));
    let outcome = session.engine().converge(&job).await;
    faults::notes(&mut found, &outcome.notes);
    let private = outcome.memory.to_bytes();
    let mut status = C::status(&wanted, prior.as_ref(), &outcome.observations, &job.graph);
    C::set_holder(&mut status, outcome.memory.borne_holder());
    if outcome.is_finished() {
        C::complete(session, prior.as_ref(), &request.spec, &mut status).await;
        C::set_standing(&mut status, READY);
        return Applied::done(request.spec, as_planned::<C>(status, &request.planned))
            .with_private(private)
            .with_found(found);
    }
    C::set_standing(&mut status, INCOMPLETE);
    match prior {
        None if !outcome.exists() => {
            unfinished::<C>(&mut found, &request.spec, &outcome, act, Severity::Error);
            Applied::nothing(found)
        }
        None => {
            unfinished::<C>(&mut found, &request.spec, &outcome, act, Severity::Warning);
            // What was adopted may not be as planned yet. Core would taint it for that.
            Applied::done(request.spec, as_planned::<C>(status, &request.planned))
                .with_private(private)
                .with_found(found)
        }
        Some(prior) => {
            unfinished::<C>(&mut found, &request.spec, &outcome, act, Severity::Error);
            let mut status = last_seen::<C>(session, &prior, &outcome, &job.graph).await;
            C::set_holder(&mut status, outcome.memory.borne_holder());
            Applied::done(prior.0, status)
                .with_private(private)
                .with_found(found)
        }
    }
}

/// The Status of `prior` as `outcome` left it. The Spec stays that of `prior`.
async fn last_seen<C: Converged>(
    session: &crate::session::Session,
    prior: &Whole<C>,
    outcome: &Outcome,
    graph: &Graph,
) -> C::Status {
    let mut principal = graph.principal_id().into_iter();
    let mut status = if principal.any(|id| outcome.observations.seen(id).is_some()) {
        let applied = C::applied(session, prior);
        let mut status = C::status(&applied, Some(prior), &outcome.observations, graph);
        C::complete(session, Some(prior), &prior.0, &mut status).await;
        C::as_chosen(&mut status, &prior.1);
        status
    } else {
        prior.1.clone()
    };
    C::set_standing(&mut status, INCOMPLETE);
    status
}

/// The Status with what the plan promised: what the cloud changed meanwhile by itself (a patch that
/// its channel installed) is for the next read to tell.
fn as_planned<C: Converged>(status: C::Status, planned: &Draft<C::Status>) -> C::Status {
    let value = promised(status.encode(), &C::Status::draft_value(planned));
    C::Status::recall(&value, &mut Findings::new()).unwrap_or(status)
}

/// `seen` with all that is known in `planned`.
fn promised(seen: Value, planned: &Value) -> Value {
    match (seen, planned) {
        (_, planned) if planned.is_wholly_known() => planned.clone(),
        (Value::Map(mut seen), Value::Map(planned)) => {
            Value::map(planned.iter().map(|(key, planned)| {
                let seen = seen.remove(key).unwrap_or_default();
                (key.clone(), promised(seen, planned))
            }))
        }
        (seen, _) => seen,
    }
}

fn failed<C: Converged>(
    prior: Option<State<C::Spec>>,
    private: Vec<u8>,
    found: Findings,
) -> Applied<Resource<C>> {
    match prior {
        Some(prior) => Applied::state(prior)
            .with_private(private)
            .with_found(found),
        None => Applied::nothing(found),
    }
}

fn memory(private: &[u8], found: &mut Findings) -> Option<Memory> {
    match Memory::from_bytes(private) {
        Ok(memory) => Some(memory),
        Err(error) => {
            let row = &codes::UNREADABLE_PRIVATE_DATA;
            refuse(found, Path::root(), row, error.to_string());
            None
        }
    }
}

/// Says what is left to do and why.
fn unfinished<C: Converged>(
    found: &mut Findings,
    spec: &C::Spec,
    outcome: &Outcome,
    act: Act,
    severity: Severity,
) {
    let command = if act == Act::Delete {
        "destroy"
    } else {
        "apply"
    };
    match &outcome.end {
        End::Finished => {}
        End::Failed(list) => {
            for fault in list {
                faults::report_of(found, fault, act, severity);
            }
        }
        End::Stopped { cause, unfinished } => {
            let why = match cause {
                StopCause::Asked => format!("the {command} was interrupted"),
                StopCause::TimedOut => "the time limit was reached".to_owned(),
            };
            let detail = match listed(unfinished) {
                left if left.is_empty() => format!("{why} before what is there had been seen"),
                left => format!("{why}; left to do:\n{left}"),
            };
            let row = &codes::INTERRUPTED;
            let mut finding = row.finding_about(&named::<C>(spec), severity, Path::root(), detail);
            finding.hint(format!(
                "run `terraform {command}` again: it resumes there. What the cloud has begun goes on \
                 meanwhile"
            ));
            found.add(finding);
        }
    }
}

/// What is left to do; to look at something is nothing to tell of.
fn listed(unfinished: &[Unfinished]) -> String {
    let told = unfinished.iter().filter(|left| !left.only_looks());
    let lines = told.map(|left| match &left.operation {
        Some(operation) => format!("  - {}: {} (operation {operation})", left.object, left.step),
        None => format!("  - {}: {}", left.object, left.step),
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) async fn delete<C: Converged>(
    request: DeleteRequest<Resource<C>>,
) -> Deleted<Resource<C>> {
    let mut found = Findings::new();
    let session = request.call.session();
    session.engine().claims().apply_began();
    let Some(prior) = whole::<C>(&request.prior) else {
        refuse(
            &mut found,
            Path::root(),
            &codes::STATE_NOT_WHOLE,
            "an attribute that it needs is null",
        );
        return Deleted::failed(found);
    };
    let Some(mut memory) = memory(&request.private, &mut found) else {
        return Deleted::failed(found);
    };
    let Some(graph) = C::graph(session, &prior.0, Some(&prior), &mut found) else {
        return Deleted::failed(found);
    };
    // A tainted object comes without its private data: the state says who holds it.
    if let (None, Some(holder), Some(principal)) =
        (&memory.holder, C::holder(&prior.1), graph.principal_id())
    {
        memory.holder = Some(Holder::found(holder));
        memory.objects.insert(principal.clone());
    }
    let job = job::<C>(&request.call, graph, &prior.0, Some(memory), Act::Delete);
    if C::is_protected(&prior.0) && !is_elsewhere(&request, &job).await {
        refuse(
            &mut found,
            Path::root().attribute("deletion_protection"),
            &codes::TAINTED_OBJECT_IS_PROTECTED,
            format!(
                "{} is tainted, so Terraform wants to destroy it, which no plan was asked about",
                named::<C>(&prior.0)
            ),
        );
        return Deleted::failed(found);
    }
    let outcome = session.engine().destroy(&job).await;
    faults::notes(&mut found, &outcome.notes);
    if outcome.is_finished() {
        let mut gone = Deleted::gone();
        gone.found = found;
        return gone;
    }
    unfinished::<C>(&mut found, &prior.0, &outcome, Act::Delete, Severity::Error);
    let mut status = last_seen::<C>(session, &prior, &outcome, &job.graph).await;
    C::set_holder(&mut status, C::holder(&prior.1).map(Holder::found).as_ref());
    Deleted {
        remains: Some(State::new(prior.0, status)),
        private: outcome.memory.to_bytes(),
        found,
    }
}

/// Whether another entry holds the object, or nobody does any more: then nothing is destroyed.
async fn is_elsewhere<C: Converged>(
    request: &DeleteRequest<Resource<C>>,
    job: &paymesh_engine::Job,
) -> bool {
    let reading = request.call.engine().observe(job).await;
    reading.is_ok_and(|reading| reading.standing != Standing::Current)
}

pub(super) async fn read<C: Converged>(request: ReadRequest<Resource<C>>) -> Seen<Resource<C>> {
    let session = request.call.session();
    let mut found = Findings::new();
    let keep = |found: Findings, private: Vec<u8>| Seen {
        state: Some(request.prior.clone()),
        private,
        found,
    };
    if !session.is_known() {
        return keep(found, request.private);
    }
    let prior = match whole::<C>(&request.prior) {
        Some(prior) => prior,
        // A `moved` block from another type knows the id and nothing else.
        None => match found_by_id::<C>(session, &request.prior, &mut found).await {
            Some(prior) => prior,
            None => return keep(found, request.private),
        },
    };
    let Some(memory) = memory(&request.private, &mut found) else {
        return keep(found, request.private);
    };
    let applied = C::applied(session, &prior);
    let Some(graph) = C::graph(session, &applied, Some(&prior), &mut found) else {
        return keep(found, request.private);
    };
    let job = job::<C>(&request.call, graph, &prior.0, Some(memory), Act::Read);
    session.note_read(job.graph.principal_id());
    let reading = session.engine().observe(&job).await;
    let mut reading = match reading {
        Ok(reading) => reading,
        Err(list) => {
            let cloud = C::cloud(&prior.0);
            faults::report_new(&mut found, &list, session, cloud, Severity::Error);
            if let Some(last) = list.last() {
                tracing::warn!(fault = %last, "the object cannot be read");
            }
            return keep(found, request.private);
        }
    };
    if reading.standing == Standing::Gone
        && request.private.is_empty()
        && let Some(left) = left_behind::<C>(&prior, &reading, &job.graph)
    {
        reading.standing = Standing::Remains;
        reading.memory = left;
    }
    faults::notes(&mut found, &reading.notes);
    let is_imported = reading.memory.imported.is_some();
    let foreign_owner = foreign_owner(&reading, &job.graph).filter(|_| is_imported);
    match reading.standing {
        Standing::Gone => {
            return Seen {
                state: None,
                private: Vec::new(),
                found,
            };
        }
        Standing::Stale => {
            told::stale::<C>(&prior, &mut found);
            let (spec, mut status) = prior;
            C::set_standing(&mut status, STALE);
            return Seen {
                state: Some(State::new(spec, status)),
                private: request.private,
                found,
            };
        }
        Standing::Remains => told::remains::<C>(&prior, &mut found),
        Standing::Current => {}
    }
    let mut status = C::status(&applied, Some(&prior), &reading.observations, &job.graph);
    let rests = C::rests(&prior.0, &prior.0, &status);
    if let Some(owner) = foreign_owner {
        told::foreign::<C>(&prior, owner, rests, &mut found);
    }
    let seen = drift::spec::<C>(session, (&prior.0, &status), &reading);
    C::complete(session, Some(&prior), &seen, &mut status).await;
    let principal = job.graph.principal_id();
    let principal = principal.and_then(|id| reading.observations.seen(id));
    let is_busy = principal.is_some_and(|principal| principal.busy.is_some());
    let is_leaving = principal.is_some_and(|principal| C::is_leaving(&prior.0, principal));
    // Where the Spec stays, because it rests or what is seen is not the last word.
    if rests || is_busy {
        C::as_chosen(&mut status, &prior.1);
    }
    let spec = if rests {
        C::as_applied(&mut status, &prior.1);
        prior.0.clone()
    } else {
        seen
    };
    let was_incomplete = C::standing(&prior.1) == Some(INCOMPLETE);
    let is_headless = reading.standing == Standing::Remains;
    let is_drifted = !reading.steps.is_empty() || !reading.refusals.is_empty();
    // What bears our mark and no memory lists, a run began that was killed: nobody changed it outside.
    let is_new = |PlannedStep { object, .. }: &PlannedStep| {
        let memory = job.memory.as_ref();
        let seen = reading.observations.seen(object);
        memory.is_some_and(|memory| !memory.objects.contains(object))
            && seen.is_some_and(|seen| seen.ownership == Ownership::Ours)
    };
    let is_begun = !is_imported && reading.steps.iter().any(is_new);
    let is_unfinished = is_begun || !reading.memory.unfinished.is_empty();
    let standing = if is_unfinished || was_incomplete || is_headless || is_leaving {
        INCOMPLETE
    } else if rests || (!is_drifted && foreign_owner.is_none()) {
        READY
    } else {
        DRIFTED
    };
    if is_drifted && standing != INCOMPLETE && !rests && is_imported {
        told::imported_differs::<C>(&prior, &reading, &mut found);
    } else if is_drifted && standing != INCOMPLETE {
        told::drifted::<C>(&prior, &reading, rests, &mut found);
    }
    if is_leaving {
        C::forget_incarnation(&mut status);
        told::leaving::<C>(&prior, &mut found);
    }
    C::set_standing(&mut status, standing);
    // An entry whose private data is lost reads like an import, and the state alone says whose it was;
    // were it tainted, what another run has made since would be destroyed in its place. What is really
    // imported bears the holder that the state says, until an apply takes it over.
    let was_held = C::holder(&prior.1).map(Holder::found);
    let was_held = was_held.filter(|_| is_imported);
    let holder = was_held.as_ref().or(reading.memory.borne_holder());
    C::set_holder(&mut status, holder);
    Seen {
        state: Some(State::new(spec, status)),
        private: reading.memory.to_bytes(),
        found,
    }
}

async fn found_by_id<C: Converged>(
    session: &crate::session::Session,
    state: &State<C::Spec>,
    found: &mut Findings,
) -> Option<Whole<C>> {
    let value = C::Status::draft_value(&state.status);
    let status = C::Status::recall(&value, &mut Findings::new())?;
    C::find(session, C::id(&status)?, found).await
}

/// Whose mark the object bears, if it is not ours.
fn foreign_owner<'a>(reading: &'a Reading, graph: &Graph) -> Option<&'a str> {
    let seen = reading.observations.seen(graph.principal_id()?)?;
    match &seen.ownership {
        Ownership::Foreign(owner) => Some(owner),
        Ownership::Ours | Ownership::Unmarked | Ownership::FollowsParent => None,
    }
}

/// What is left of an object that is gone where the private data is lost: Terraform loses it with a
/// provider that is killed. The state still says whose it was, and the marks what belongs to it.
fn left_behind<C: Converged>(prior: &Whole<C>, reading: &Reading, graph: &Graph) -> Option<Memory> {
    let holder = Holder::found(C::holder(&prior.1)?);
    let is_left = |id: &ObjectId| {
        let seen = reading.observations.seen(id);
        seen.is_some_and(|seen| {
            seen.ownership == Ownership::Ours && seen.holder.as_ref().is_none_or(|it| *it == holder)
        })
    };
    let nodes = graph.nodes().filter(|(_, node)| node.want == Want::Present);
    let left: Vec<_> = nodes.map(|(id, _)| id.clone()).filter(is_left).collect();
    (!left.is_empty()).then(|| Memory {
        holder: Some(holder),
        objects: left.into_iter().collect(),
        ..Memory::default()
    })
}
