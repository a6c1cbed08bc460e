//! The operator's own database on a server, where it locks its objects.
//!
//! Of two operators that both believe to lead, one waits: whoever works on an object holds an
//! advisory lock in this database. An advisory lock is of one database, and here nobody connects but
//! the administrator, so nobody else can hold one. Two objects need no lock between them: whose a
//! role is, is decided by who makes it.

use tokio_postgres::error::SqlState;

use crate::{
    failure::Failure,
    server::{Server, Session, name},
};

/// Its name; no object has a database of this name.
pub(crate) const HOME: &str = "paymesh_operator";

/// A connection that holds the lock of an object: one number for each.
pub(crate) async fn enter(server: &Server, lock: i64) -> Result<Session, Failure> {
    let not_open = [
        SqlState::UNDEFINED_DATABASE,
        // It takes no connections yet.
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
    ];
    let session = match server.administrator(HOME).await {
        Err(failure) if failure.has_code(&not_open) => {
            make(server).await?;
            server.administrator(HOME).await?
        }
        entered => entered?,
    };
    check(&session).await?;
    let query = "select pg_advisory_lock($1)";
    let locked = session.read("the lock", query, &[&lock]).await;
    match locked {
        Err(failure) if failure.has_code(&[SqlState::LOCK_NOT_AVAILABLE]) => {
            Err(Failure::Busy(holder(&session, lock).await?))
        }
        locked => locked.map(|_| session),
    }
}

/// Makes the database. It takes no connections before all others are shut out.
async fn make(server: &Server) -> Result<(), Failure> {
    let first = server.administrator(&server.database).await?;
    let query = "select 1 from pg_database where datname = $1";
    let found = first
        .read("the operator's database", query, &[&HOME])
        .await?;
    let home = name(HOME);
    if found.is_empty() {
        let create = format!("create database {home} template template0 allow_connections false");
        let made = first.write("the operator's database", &create).await;
        let by_another = [SqlState::DUPLICATE_DATABASE, SqlState::UNIQUE_VIOLATION];
        made.map_err(|failure| {
            if failure.has_code(&by_another) {
                Failure::Changed
            } else {
                failure
            }
        })?;
    }
    let open = format!(
        "revoke all on database {home} from public; alter database {home} allow_connections true;"
    );
    first.write("only the operator enters", &open).await
}

/// That nobody else may connect.
async fn check(session: &Session) -> Result<(), Failure> {
    let query = "select pg_get_userbyid(datdba) = current_user as is_ours,
            exists(select from aclexplode(coalesce(datacl, acldefault('d', datdba)))
                where grantee <> datdba) as is_open
        from pg_database where datname = current_database()";
    let rows = session.read("the operator's database", query, &[]).await?;
    let is = |what: &str| rows.first().is_some_and(|row| row.get(what));
    if is("is_ours") && !is("is_open") {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "others than the administrator may connect to the database {HOME}, and could keep the operator from its work: it has to be the administrator's, and nobody may have rights in it (REVOKE ALL ON DATABASE {HOME} FROM PUBLIC)"
    )))
}

/// The server's process that holds a lock.
async fn holder(session: &Session, lock: i64) -> Result<Option<i32>, Failure> {
    let query = "select pid from pg_locks where locktype = 'advisory' and granted and objsubid = 1
        and database = (select oid from pg_database where datname = current_database())
        and (classid::bigint << 32) | objid::bigint = $1";
    let rows = session.read("who holds the lock", query, &[&lock]).await?;
    Ok(rows.first().map(|row| row.get(0)))
}
