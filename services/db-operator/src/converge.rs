//! From what an object says to what is so, on its server and in its Secrets, as far as it can be.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;

use crate::{
    context::Context,
    crd::{Database, DatabaseSpec, RoleStatus},
    credentials::{self, Done, Keeper, finalizer},
    database,
    failure::Failure,
    grants,
    mark::Mark,
    problem::{Kind, Problem, Problems},
    reach::{Reached, reach},
    roles,
    server::Session,
    status::{Report, now, roles_before},
};

/// With the time when the database was first seen: that it is lost, and may be made anew, empty.
const MAKE_ANEW: &str = "paymesh.dev/make-anew";

/// Makes everything as the object says, as far as it can be.
pub(crate) async fn converge(
    context: &Context,
    database: &mut Database,
) -> Result<Report, Failure> {
    let mut problems = Problems::default();
    let mut report = Report::as_before(database);
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

/// Gives the kind at which it had to stop, if it had to. What is of the server comes first, passwords
/// too: nobody who owns a database can keep that from being done.
async fn converge_reached(
    context: &Context,
    database: &mut Database,
    reached: &Reached,
    problems: &mut Problems,
    report: &mut Report,
) -> Result<Option<Kind>, Failure> {
    let session = &reached.session;
    let found = database::owner(session, &database.spec).await;
    let Some(owner) = problems.take(Kind::Database, found)? else {
        return Ok(Some(Kind::Roles));
    };
    let (is_missing, may_be_made_anew) = (owner.is_none(), may_be_made_anew(database));
    if let Some(since) = &report.database_since
        && is_missing
        && !may_be_made_anew
    {
        problems.add(lost(database, since));
        return Ok(Some(Kind::Roles));
    }
    hold(context, database).await?;
    let (spec, mark) = (&database.spec, Mark::of(database));
    let made = roles::ensure(session, spec, &mark, problems).await;
    let Some(ours) = problems.take(Kind::Roles, made)? else {
        return Ok(Some(Kind::Database));
    };
    let gone = shut_out_surplus(spec, &mark, session).await;
    problems.take(Kind::Roles, gone)?;
    let made = database::ensure(session, spec, &ours, is_missing, problems).await;
    if problems.take(Kind::Database, made)? != Some(true) {
        return Ok(Some(Kind::Database));
    }
    // A word that it may be made anew is of one loss.
    if is_missing || may_be_made_anew || report.database_since.is_none() {
        report.database_since = Some(now());
    }
    // Its owner can keep these from being done; passwords do not wait for them.
    let made = database::ensure_open(session, spec).await;
    problems.take(Kind::Database, made)?;
    let made = database::ensure_who_connects(session, spec, &ours).await;
    problems.take(Kind::Database, made)?;
    let made = database::ensure_logins_act_as_roles(session, spec, &ours).await;
    problems.take(Kind::Roles, made)?;
    ensure_credentials(context, database, reached, &ours, problems, report).await?;
    let inside = reached.server.beside(session, &spec.name).await;
    let Some(inside) = problems.take(Kind::Database, inside)? else {
        return Ok(Some(Kind::Extensions));
    };
    let made = database::ensure_extensions(&inside, spec, &context.extensions, problems).await;
    problems.take(Kind::Extensions, made)?;
    let made = grants::ensure(&inside, spec, &ours).await;
    problems.take(Kind::Grants, made)?;
    let gone = remove_surplus(spec, &mark, session, &inside).await;
    problems.take(Kind::Roles, gone)?;
    Ok(None)
}

/// Whether a person said so of the database that the status speaks of.
fn may_be_made_anew(database: &Database) -> bool {
    let since = database.status.as_ref();
    let since = since.and_then(|status| status.database_since.as_ref());
    since.is_some_and(|since| database.annotations().get(MAKE_ANEW) == Some(&since.0.to_string()))
}

/// What is wrong if the database was there and is missing.
fn lost(database: &Database, since: &Time) -> Problem {
    let (name, object, since) = (&database.spec.name, database.name_any(), since.0);
    let message = format!(
        "the database {name} is not there any more, and was since {since}; it is not made again, because it would be empty. Restore it, or have it made anew: kubectl annotate database.paymesh.dev {object} {MAKE_ANEW}={since} --overwrite"
    );
    Problem::new(Kind::Database, "Lost", message)
}

/// Keeps an object from being gone before what was made for it is treated as it says.
async fn hold(context: &Context, database: &mut Database) -> Result<(), Failure> {
    let mut finalizers = database.finalizers().to_vec();
    if !finalizers.contains(&finalizer()) {
        finalizers.push(finalizer());
        *database = context.set_finalizers(database, &finalizers).await?;
    }
    Ok(())
}

/// Makes the Secrets and passwords as they should be.
async fn ensure_credentials(
    context: &Context,
    database: &Database,
    reached: &Reached,
    ours: &BTreeSet<String>,
    problems: &mut Problems,
    report: &mut Report,
) -> Result<(), Failure> {
    let (spec, mark) = (&database.spec, Mark::of(database));
    let after = rotation(context, spec).unwrap_or_else(|problem| {
        problems.add(problem);
        None
    });
    let secrets = context.secrets();
    let keeper = Keeper {
        secrets: &secrets,
        server: &reached.server,
        session: &reached.session,
        spec,
        mark: &mark,
        after,
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
    Ok(())
}

/// How long a password is used.
pub(crate) fn rotation(
    context: &Context,
    spec: &DatabaseSpec,
) -> Result<Option<SignedDuration>, Problem> {
    let after = spec.rotation.after(context.rotation_min);
    after.map_err(|what| Problem::new(Kind::Credentials, "NotAllowed", what))
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

/// Roles that the object has no more.
async fn surplus(
    spec: &DatabaseSpec,
    mark: &Mark,
    session: &Session,
) -> Result<Vec<String>, Failure> {
    let wanted = roles::names(spec);
    let mut marked = roles::marked(session, &mark.to_string()).await?;
    marked.retain(|role| !wanted.contains(role));
    Ok(marked)
}

/// Ends the access of roles that the object has no more.
async fn shut_out_surplus(
    spec: &DatabaseSpec,
    mark: &Mark,
    session: &Session,
) -> Result<(), Failure> {
    roles::shut_out(session, &surplus(spec, mark, session).await?).await
}

/// Takes away roles that the object has no more; what they own is in the database.
async fn remove_surplus(
    spec: &DatabaseSpec,
    mark: &Mark,
    session: &Session,
    inside: &Session,
) -> Result<(), Failure> {
    for role in surplus(spec, mark, session).await? {
        roles::remove(inside, &role, Some(&spec.owner)).await?;
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
