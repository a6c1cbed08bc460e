//! The way to an object's server: who its administrator is, a connection, and the object's lock.

use kube::ResourceExt as _;

use crate::{
    administrator,
    context::Context,
    crd::Database,
    failure::Failure,
    home,
    mark::Mark,
    problem::{Kind, Problem},
    server::{Server, Session},
};

/// A lock that was not given so often in a row is told of.
const BUSY_MAX: u32 = 3;

/// A server that was reached, and its lock.
pub(crate) struct Reached {
    pub(crate) server: Server,
    pub(crate) session: Session,
}

/// Connects as the administrator, waits for the lock, and looks whether the object is still what it
/// was.
pub(crate) async fn reach(
    context: &Context,
    database: &Database,
) -> Result<Result<Reached, Problem>, Failure> {
    let (name, spec) = (database.name_any(), &database.spec);
    let named = &spec.connection.secret_name;
    let found = administrator::find(&context.secrets(), named, context.statement_max).await?;
    let server = match found {
        Ok(server) => server,
        Err(problem) => return Ok(Err(problem)),
    };
    if server.database == spec.name {
        let what = format!(
            "the database {} is the one that the administrator connects to first",
            spec.name
        );
        return Ok(Err(Problem::new(Kind::Connection, "Conflict", what)));
    }
    let session = match home::enter(&server, Mark::of(database).lock()).await {
        Ok(session) => session,
        Err(Failure::Busy(holder)) => {
            let count = context.count_busy(&name);
            if count < BUSY_MAX {
                return Err(Failure::Busy(holder));
            }
            return Ok(Err(busy(count, holder)));
        }
        Err(failure) if failure.is_passing() => return Err(failure),
        Err(failure) => return Ok(Err(Problem::of(Kind::Connection, &failure))),
    };
    context.forget_busy(&name);
    let now = context.get(&name).await?;
    let is_same = now.is_some_and(|now| {
        let (now, then) = (now.metadata, &database.metadata);
        now.uid == then.uid
            && now.generation == then.generation
            && now.deletion_timestamp == then.deletion_timestamp
    });
    if !is_same {
        return Err(Failure::Changed);
    }
    Ok(Ok(Reached { server, session }))
}

fn busy(count: u32, holder: Option<i32>) -> Problem {
    let whose = holder.map_or("a process that is gone".to_owned(), |pid| {
        format!(
            "the server's process {pid}; if no other operator runs, end it: SELECT pg_terminate_backend({pid})"
        )
    });
    let what = format!(
        "the lock of this object was held by somebody else {count} times in a row, now by {whose}"
    );
    Problem::new(Kind::Connection, "Busy", what)
}
