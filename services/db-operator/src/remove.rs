//! The end of a `Database`: what its deletion policy says, and then its finalizer.
//!
//! Only what bears this object's mark is touched. Every step finds by the marks what is left to do,
//! so a run that was killed is finished by the next one.

use std::collections::BTreeSet;

use crate::{
    context::Context,
    crd::{Database, DatabaseSpec, DeletionPolicy},
    credentials,
    database::{ensure_open, owner},
    failure::Failure,
    mark::Mark,
    reach::Reached,
    roles,
    server::{Session, name, text},
};

/// Does what the policy says.
pub(crate) async fn remove(
    context: &Context,
    database: &Database,
    reached: &Reached,
) -> Result<(), Failure> {
    let (spec, mark) = (&database.spec, Mark::of(database));
    let session = &reached.session;
    let marked = roles::marked(session, &mark.to_string()).await?;
    let owner = owner(session, spec).await?;
    let is_ours = owner.as_ref() == Some(&spec.owner) && marked.contains(&spec.owner);
    let secrets = secrets_of(database);
    match spec.deletion_policy {
        DeletionPolicy::Orphan => {
            for secret in &secrets {
                credentials::release(&context.secrets(), &mark, secret).await?;
            }
            release(session, &mark, &marked).await
        }
        DeletionPolicy::Retain => {
            roles::shut_out(session, &marked).await?;
            // What a login made is in the database, and has to be given away there.
            let inside = if is_ours {
                ensure_open(session, spec).await?;
                Some(reached.server.beside(session, &spec.name).await?)
            } else {
                None
            };
            let (logins, groups): (Vec<String>, Vec<String>) = marked
                .into_iter()
                .partition(|role| is_login(spec, database, role));
            for login in logins {
                let heir = inside.as_ref().map(|_| &*spec.owner);
                roles::remove(inside.as_ref().unwrap_or(session), &login, heir).await?;
            }
            delete_secrets(context, &mark, &secrets).await?;
            release(session, &mark, &groups).await
        }
        DeletionPolicy::Delete => {
            roles::shut_out(session, &marked).await?;
            if is_ours {
                let drop = format!("drop database {} with (force)", name(&spec.name));
                session.write("the database goes", &drop).await?;
            }
            for role in marked {
                roles::remove(session, &role, None).await?;
            }
            delete_secrets(context, &mark, &secrets).await
        }
    }
}

/// Whether a role of ours is the login of a role, one of the spec or one that was in it.
fn is_login(spec: &DatabaseSpec, database: &Database, role: &str) -> bool {
    let before = database.status.iter().flat_map(|status| &status.roles);
    let names = spec.roles.iter().map(|role| &role.name);
    names
        .chain(before.map(|role| &role.name))
        .any(|name| roles::logins(name).iter().any(|login| login == role))
}

/// The Secrets of an object, those of roles that were taken out too.
fn secrets_of(database: &Database) -> BTreeSet<&str> {
    let before = database.status.iter().flat_map(|status| &status.roles);
    let now = database.spec.roles.iter().map(|role| &*role.secret_name);
    now.chain(before.map(|role| &*role.secret_name)).collect()
}

async fn delete_secrets(
    context: &Context,
    mark: &Mark,
    secrets: &BTreeSet<&str>,
) -> Result<(), Failure> {
    for secret in secrets {
        credentials::delete(&context.secrets(), mark, secret).await?;
    }
    Ok(())
}

/// Writes on the roles that stay that their object is gone; on the owner's for the database too.
async fn release(session: &Session, mark: &Mark, roles: &[String]) -> Result<(), Failure> {
    let released = text(&mark.released());
    let comment = |role: &String| format!("comment on role {} is {released};", name(role));
    let statements: Vec<String> = roles.iter().map(comment).collect();
    if statements.is_empty() {
        return Ok(());
    }
    session
        .write("what stays is released", &statements.join("\n"))
        .await
}
