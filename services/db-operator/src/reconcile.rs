//! One run for one object: from what it says to what is so.
//!
//! What triggers a run may be stale; what a run goes by is not. The object, its Secrets and the
//! server are read anew, and after the lock was waited for the object once more.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{
    ResourceExt as _,
    api::PostParams,
    runtime::{controller::Action, events::EventType},
};
use tokio::time::timeout;

use crate::{
    context::Context,
    converge::{converge, rotation},
    crd::{Database, RoleStatus},
    credentials::{due_at, finalizer},
    failure::{Failure, chain},
    problem::{Kind, Problem},
    reach::reach,
    remove,
    status::{Report, ready, status},
};

/// Brings about what an object says.
pub async fn reconcile(cached: Arc<Database>, context: Arc<Context>) -> Result<Action, Failure> {
    let _run = context.runs.begin();
    let name = cached.name_any();
    let run = timeout(context.run_max, run(&context, &name)).await;
    run.unwrap_or_else(|_| Err(Failure::silent("the run was given up", context.run_max)))
}

async fn run(context: &Context, name: &str) -> Result<Action, Failure> {
    let Some(mut database) = context.get(name).await? else {
        context.forget_failures(name);
        return Ok(Action::await_change());
    };
    if database.metadata.deletion_timestamp.is_some() {
        if !database.finalizers().contains(&finalizer()) {
            return Ok(Action::await_change());
        }
        return end(context, &database).await;
    }
    let report = converge(context, &mut database).await?;
    publish(context, &database, &report).await?;
    tracing::debug!(
        database = name,
        problems = report.problems.len(),
        "looked at"
    );
    if !report.problems.is_empty() {
        return Ok(Action::requeue(context.wait_after_failure(name)));
    }
    context.forget_failures(name);
    let next = next_look(context, &database, &report.roles);
    Ok(Action::requeue(next))
}

/// What to do after a run that could not even say what is wrong. What it takes is kube's choice.
#[allow(clippy::needless_pass_by_value)]
pub fn after_failure(database: Arc<Database>, failure: &Failure, context: Arc<Context>) -> Action {
    let name = database.name_any();
    let wait = context.wait_after_failure(&name);
    tracing::warn!(database = name, reason = chain(failure), "a run failed");
    Action::requeue(wait)
}

/// The end of an object.
async fn end(context: &Context, database: &Database) -> Result<Action, Failure> {
    let reached = match reach(context, database).await? {
        Ok(reached) => reached,
        Err(problem) => return put_off(context, database, problem).await,
    };
    match remove::remove(context, database, &reached).await {
        Ok(()) => {}
        Err(failure) if failure.is_passing() => return Err(failure),
        Err(failure) => {
            let problem = Problem::of(Kind::Database, &failure);
            return put_off(context, database, problem).await;
        }
    }
    let policy = database.spec.deletion_policy;
    let note = format!("what was made for it was treated as {policy} says");
    let others = database.finalizers().iter();
    let others: Vec<String> = others.filter(|it| **it != finalizer()).cloned().collect();
    context.set_finalizers(database, &others).await?;
    context
        .tell(database, EventType::Normal, "Deleted", &note)
        .await;
    context.forget_failures(&database.name_any());
    Ok(Action::await_change())
}

/// Says why the end of an object has to wait.
async fn put_off(
    context: &Context,
    database: &Database,
    mut problem: Problem,
) -> Result<Action, Failure> {
    problem.message = format!(
        "the deletion ({}) cannot be finished: {}. Without the server, take the finalizer {} away by hand: everything stays as it is then",
        database.spec.deletion_policy,
        problem.message,
        finalizer()
    );
    let report = Report {
        stopped_at: Some(problem.kind),
        problems: vec![problem],
        ..Report::as_before(database)
    };
    publish(context, database, &report).await?;
    let wait = context.wait_after_failure(&database.name_any());
    Ok(Action::requeue(wait))
}

/// Writes the status, if it says anything new, and tells of what was done.
async fn publish(context: &Context, database: &Database, report: &Report) -> Result<(), Failure> {
    let after = status(database, report);
    let before = database.status.as_ref();
    if before != Some(&after) {
        let mut written = database.clone();
        written.status = Some(after.clone());
        context
            .databases()
            .replace_status(&database.name_any(), &PostParams::default(), &written)
            .await
            .map_err(Failure::kubernetes("the status could not be written"))?;
    }
    for (reason, note) in &report.done {
        context
            .tell(database, EventType::Normal, reason, note)
            .await;
    }
    let said = |status| ready(status).map(|it| (it.status.clone(), it.message.clone()));
    if said(before) != said(Some(&after))
        && let Some(ready) = ready(Some(&after))
    {
        if ready.status == "True" {
            let note = "the database, its roles and their credentials are as specified";
            context
                .tell(database, EventType::Normal, "Ready", note)
                .await;
        } else {
            let kind = EventType::Warning;
            context
                .tell(database, kind, &ready.reason, &ready.message)
                .await;
        }
    }
    Ok(())
}

/// When the next password is due, or when to look whether all is as it was.
fn next_look(context: &Context, database: &Database, roles: &[RoleStatus]) -> Duration {
    let Ok(Some(after)) = rotation(context, &database.spec) else {
        return context.resync;
    };
    let now = Timestamp::now();
    let until = |role: &RoleStatus| {
        let left = due_at(role.last_rotation_time.0, after, now).duration_since(now);
        // A moment later than due, and not at once: what is due is seen as due.
        Duration::try_from(left).unwrap_or_default() + Duration::from_millis(50)
    };
    let next = roles.iter().map(until).min();
    next.unwrap_or(context.resync).min(context.resync)
}
