//! One run for one object: from what it says to what is so.
//!
//! What triggers a run may be stale; what a run goes by is not. The object, its Secrets and the
//! server are read anew, and after the lock was waited for the object once more.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::{
    Api, Client, Resource as _, ResourceExt as _,
    api::{Patch, PatchParams, PostParams},
    runtime::{
        controller::Action,
        events::{Event, EventType, Recorder},
    },
};
use paymesh_operations::Secret;
use serde_json::json;

use crate::{
    crd::{Connection, Database, DatabaseSpec, RoleStatus, SslMode},
    credentials::{self, Done, Keeper, finalizer, value},
    database,
    failure::{Failure, chain},
    grants,
    mark::Mark,
    problem::{Kind, Problem, Problems},
    remove, roles,
    server::{Server, Session},
    status::{Report, ready, status},
    tls::Tls,
};

/// What every run needs.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// Where the objects are.
    pub namespace: String,
    /// Extensions that may be asked for.
    pub extensions: Vec<String>,
    /// How long until what is as it should be is looked at again.
    pub resync: Duration,
    /// How long until the first new try after a failure; each next one waits twice as long.
    pub retry: Duration,
    /// Who tells of what was done.
    pub recorder: Recorder,
    /// How often in a row an object has failed.
    pub failures: Mutex<HashMap<String, u32>>,
}

/// A server that was reached, and its lock.
pub(crate) struct Reached {
    pub(crate) server: Server,
    pub(crate) session: Session,
    authority: Option<Vec<u8>>,
}

impl Context {
    fn databases(&self) -> Api<Database> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub(crate) fn secrets(&self) -> Api<KubeSecret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn wait_after_failure(&self, name: &str) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(name.to_owned()).or_default();
        let wait = self.retry.saturating_mul(1 << (*count).min(16));
        *count += 1;
        wait.min(self.resync)
    }

    fn forget_failures(&self, name: &str) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(name);
    }

    async fn get(&self, name: &str) -> Result<Option<Database>, Failure> {
        let found = self.databases().get_opt(name).await;
        found.map_err(Failure::kubernetes("the Database could not be read"))
    }

    /// Changes the finalizers of an object as it was read.
    async fn set_finalizers(
        &self,
        database: &Database,
        finalizers: &[String],
    ) -> Result<Database, Failure> {
        let patch = json!({ "metadata": {
            "finalizers": finalizers,
            "resourceVersion": database.metadata.resource_version,
        }});
        let (name, parameters) = (database.name_any(), PatchParams::default());
        self.databases()
            .patch(&name, &parameters, &Patch::Merge(patch))
            .await
            .map_err(Failure::kubernetes("the finalizer could not be written"))
    }

    async fn tell(&self, database: &Database, type_: EventType, reason: &str, note: &str) {
        let event = Event {
            type_,
            reason: reason.to_owned(),
            // The API takes a kilobyte.
            note: Some(note.chars().take(1_000).collect()),
            action: "Reconcile".to_owned(),
            secondary: None,
        };
        let object = database.object_ref(&());
        if let Err(reason) = self.recorder.publish(&event, &object).await {
            // The status says the same.
            tracing::warn!(reason = chain(&reason), "an event was not taken");
        }
    }
}

/// Brings about what an object says.
pub async fn reconcile(cached: Arc<Database>, context: Arc<Context>) -> Result<Action, Failure> {
    let name = cached.name_any();
    let Some(mut database) = context.get(&name).await? else {
        context.forget_failures(&name);
        return Ok(Action::await_change());
    };
    let mut finalizers = database.finalizers().to_vec();
    let is_held = finalizers.contains(&finalizer());
    if database.metadata.deletion_timestamp.is_some() {
        if !is_held {
            return Ok(Action::await_change());
        }
        return end(&context, &database).await;
    }
    if !is_held {
        finalizers.push(finalizer());
        database = context.set_finalizers(&database, &finalizers).await?;
    }
    let report = converge(&context, &database).await?;
    publish(&context, &database, &report).await?;
    tracing::debug!(
        database = name,
        problems = report.problems.len(),
        "looked at"
    );
    if !report.problems.is_empty() {
        return Ok(Action::requeue(context.wait_after_failure(&name)));
    }
    context.forget_failures(&name);
    Ok(Action::requeue(next_look(
        &context,
        &database,
        &report.roles,
    )))
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
    let name = database.name_any();
    let policy = database.spec.deletion_policy;
    let done = match reach(context, database).await? {
        Ok(reached) => remove::remove(context, database, &reached)
            .await
            .map_err(|failure| {
                if failure.is_passing() {
                    Err(failure)
                } else {
                    Ok(Problem::of(Kind::Database, &failure))
                }
            }),
        Err(problem) => Err(Ok(problem)),
    };
    match done {
        Ok(()) => {
            let note = format!("what was made for it was treated as {policy} says");
            let others = database.finalizers().iter();
            let others: Vec<String> = others.filter(|it| **it != finalizer()).cloned().collect();
            context.set_finalizers(database, &others).await?;
            context
                .tell(database, EventType::Normal, "Deleted", &note)
                .await;
            context.forget_failures(&name);
            Ok(Action::await_change())
        }
        Err(Err(passing)) => Err(passing),
        Err(Ok(mut problem)) => {
            problem.message = format!(
                "the deletion ({policy}) cannot be finished: {}. Without the server, take the finalizer {} away by hand: everything stays as it is then",
                problem.message,
                finalizer()
            );
            let report = Report {
                stopped_at: Some(problem.kind),
                problems: vec![problem],
                roles: roles_before(database),
                done: Vec::new(),
            };
            publish(context, database, &report).await?;
            Ok(Action::requeue(context.wait_after_failure(&name)))
        }
    }
}

/// Makes everything as the object says, as far as it can be.
async fn converge(context: &Context, database: &Database) -> Result<Report, Failure> {
    let mut problems = Problems::default();
    let mut report = Report {
        roles: roles_before(database),
        ..Report::default()
    };
    match reach(context, database).await? {
        Ok(reached) => {
            report.stopped_at =
                converge_reached(context, database, &reached, &mut problems, &mut report).await?;
        }
        Err(problem) => {
            problems.add(problem);
            report.stopped_at = Some(Kind::Connection);
        }
    }
    report.problems = problems.0;
    Ok(report)
}

/// Gives the kind at which it had to stop, if it had to.
async fn converge_reached(
    context: &Context,
    database: &Database,
    reached: &Reached,
    problems: &mut Problems,
    report: &mut Report,
) -> Result<Option<Kind>, Failure> {
    let (spec, mark, session) = (&database.spec, Mark::of(database), &reached.session);
    let made = roles::ensure(session, spec, &mark, problems).await;
    let Some(ours) = problems.take(Kind::Roles, made)? else {
        return Ok(Some(Kind::Database));
    };
    let made = database::ensure(session, spec, &mark, &ours, problems).await;
    if problems.take(Kind::Database, made)? != Some(true) {
        return Ok(Some(Kind::Database));
    }
    let made = database::ensure_logins_act_as_roles(session, spec, &ours).await;
    problems.take(Kind::Roles, made)?;
    let inside = reached.server.session(&spec.name).await;
    let Some(inside) = problems.take(Kind::Database, inside)? else {
        return Ok(Some(Kind::Extensions));
    };
    let made = database::ensure_extensions(&inside, spec, &context.extensions, problems).await;
    problems.take(Kind::Extensions, made)?;
    let made = grants::ensure(&inside, spec, &ours).await;
    problems.take(Kind::Grants, made)?;
    let gone = remove_surplus(spec, &mark, session, &inside).await;
    problems.take(Kind::Roles, gone)?;
    let secrets = context.secrets();
    let keeper = Keeper {
        secrets: &secrets,
        server: &reached.server,
        session,
        spec,
        mark: &mark,
        authority: reached.authority.as_deref(),
    };
    let mut kept = Vec::new();
    for role in &spec.roles {
        let before = report.roles.iter().find(|it| it.name == role.name).cloned();
        let is_ours = roles::logins(&role.name).iter().all(|it| ours.contains(it));
        let made = if is_ours && ours.contains(&role.name) {
            problems.take(
                Kind::Credentials,
                keeper.ensure(role, before.as_ref()).await,
            )?
        } else {
            None
        };
        match made {
            Some(Ok((status, done))) => {
                report.done.extend(told(&status, done));
                kept.push(status);
            }
            Some(Err(problem)) => problems.add(problem),
            None => kept.extend(before),
        }
    }
    let gone = remove_old_secrets(context, database, &mark).await;
    if problems.take(Kind::Credentials, gone)?.is_some() {
        report.roles = kept;
    }
    Ok(None)
}

fn told(role: &RoleStatus, done: Done) -> Option<(&'static str, String)> {
    let (login, secret) = (&role.login, &role.secret_name);
    match done {
        Done::Nothing => None,
        Done::Rotated => Some((
            "Rotated",
            format!("{secret} has a new password for {login}"),
        )),
        Done::Mended => Some((
            "Mended",
            format!("{secret} and the password of {login} agree again"),
        )),
    }
}

/// Takes away roles that the object has no more.
async fn remove_surplus(
    spec: &DatabaseSpec,
    mark: &Mark,
    session: &Session,
    inside: &Session,
) -> Result<(), Failure> {
    let wanted = roles::names(spec);
    for role in roles::marked(session, &mark.to_string()).await? {
        if !wanted.contains(&role) {
            roles::remove(inside, &role, Some(&spec.owner)).await?;
        }
    }
    Ok(())
}

/// Takes away Secrets that the object has no more, after those in their place are there.
async fn remove_old_secrets(
    context: &Context,
    database: &Database,
    mark: &Mark,
) -> Result<(), Failure> {
    let roles = &database.spec.roles;
    let wanted: BTreeSet<&str> = roles.iter().map(|it| &*it.secret_name).collect();
    for role in roles_before(database) {
        if !wanted.contains(&*role.secret_name) {
            credentials::delete(&context.secrets(), mark, &role.secret_name).await?;
        }
    }
    Ok(())
}

/// Connects as the administrator, waits for the lock, and looks whether the object is still what it
/// was.
async fn reach(
    context: &Context,
    database: &Database,
) -> Result<Result<Reached, Problem>, Failure> {
    let connection = &database.spec.connection;
    let (server, authority) =
        match administrator(context, connection, Mark::of(database).lock()).await? {
            Ok(found) => found,
            Err(problem) => return Ok(Err(problem)),
        };
    let session = match server.session(&connection.database).await {
        Ok(session) => session,
        Err(failure) if failure.is_passing() => return Err(failure),
        Err(failure) => return Ok(Err(Problem::of(Kind::Connection, &failure))),
    };
    let now = context.get(&database.name_any()).await?;
    let is_same = now.is_some_and(|now| {
        let (now, then) = (now.metadata, &database.metadata);
        now.uid == then.uid
            && now.generation == then.generation
            && now.deletion_timestamp == then.deletion_timestamp
    });
    if !is_same {
        return Err(Failure::Changed);
    }
    Ok(Ok(Reached {
        server,
        session,
        authority,
    }))
}

/// The server, and the authority of its certificate.
async fn administrator(
    context: &Context,
    connection: &Connection,
    lock: i64,
) -> Result<Result<(Server, Option<Vec<u8>>), Problem>, Failure> {
    let named = &connection.secret_name;
    let found = context.secrets().get_opt(named).await;
    let found = found.map_err(Failure::kubernetes("the administrator's Secret"))?;
    let missing = |what: String| Ok(Err(Problem::new(Kind::Connection, "SecretMissing", what)));
    let Some(secret) = found else {
        return missing(format!(
            "the Secret {named} with the administrator's username and password does not exist"
        ));
    };
    let mut lacks = Vec::new();
    let mut key = |key: &'static str| {
        let found = value(&secret, key).filter(|it| !it.is_empty());
        if found.is_none() {
            lacks.push(key);
        }
        found.unwrap_or_default()
    };
    let (username, password) = (key("username"), key("password"));
    let authority = match connection.ssl_mode {
        SslMode::Disable => None,
        SslMode::VerifyFull => Some(key("ca.crt").into_bytes()),
    };
    let tls = authority.as_deref().map(Tls::of);
    if tls.as_ref().is_some_and(Option::is_none) && !lacks.contains(&"ca.crt") {
        lacks.push("ca.crt in PEM");
    }
    if !lacks.is_empty() {
        return missing(format!("the Secret {named} lacks {}", lacks.join(", ")));
    }
    let server = Server {
        host: connection.host.clone(),
        port: connection.port,
        tls: tls.flatten(),
        username,
        password: Secret::from(password),
        lock,
    };
    Ok(Ok((server, authority)))
}

fn roles_before(database: &Database) -> Vec<RoleStatus> {
    let status = database.status.as_ref();
    status.map_or_else(Vec::new, |status| status.roles.clone())
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
    let Some(after) = database.spec.rotation.after() else {
        return context.resync;
    };
    let until = |role: &RoleStatus| {
        let left = (role.last_rotation_time.0 + after).duration_since(Timestamp::now());
        // A moment later than due, and not at once: what is due is seen as due.
        Duration::try_from(left).unwrap_or_default() + Duration::from_millis(50)
    };
    let next = roles.iter().map(until).min();
    next.unwrap_or(context.resync).min(context.resync)
}
