//! The database itself: made once, owned by its owner, open to its roles only.

use std::collections::BTreeSet;

use tokio_postgres::Row;

use crate::{
    crd::{DatabaseSpec, RoleSpec},
    failure::Failure,
    problem::{Kind, Problem, Problems},
    roles::{acts_as, logins},
    server::{Session, name, text},
};

const LOOK: &str = "select pg_get_userbyid(datdba)::text as owner,
        array(select distinct coalesce(pg_roles.rolname, 'public')::text
            from aclexplode(coalesce(datacl, acldefault('d', datdba)))
            left join pg_roles on pg_roles.oid = grantee where grantee <> datdba) as guests,
        array(select rolname::text from aclexplode(datacl)
            join pg_roles on pg_roles.oid = grantee where privilege_type = 'CONNECT') as callers,
        not datallowconn as is_shut, datconnlimit <> -1 as is_limited
    from pg_database where datname = $1";

/// How its owner can shut a database, as [`LOOK`] has it, and what opens it.
const SHUT: [(&str, &str); 2] = [
    ("is_shut", "allow_connections true"),
    ("is_limited", "connection limit -1"),
];

/// Who owns the database; `None` if there is none.
pub(crate) async fn owner(
    session: &Session,
    spec: &DatabaseSpec,
) -> Result<Option<String>, Failure> {
    let rows = session.read("the database", LOOK, &[&spec.name]).await?;
    Ok(rows.first().map(|row| row.get("owner")))
}

/// Makes the database as it should be, if it was missing from the beginning; says whether it is this
/// object's. It is, if its owner's role is: nobody else makes a database for that role.
pub(crate) async fn ensure(
    session: &Session,
    spec: &DatabaseSpec,
    roles: &BTreeSet<String>,
    was_missing: bool,
    problems: &mut Problems,
) -> Result<bool, Failure> {
    let (of, heir) = (name(&spec.name), name(&spec.owner));
    let is_owner_ours = roles.contains(&spec.owner);
    match owner(session, spec).await? {
        None if !is_owner_ours => return Ok(false),
        None if !was_missing => return Err(Failure::Changed),
        None => {
            let make = format!("create database {of} owner {heir}");
            session.write("database", &make).await?;
        }
        Some(owner) if is_owner_ours && owner == spec.owner => {}
        Some(owner) => {
            let message = format!(
                "the database {} exists and belongs to {owner}, not to a role {} that was made for this Database; it is left alone. Choose another name, or hand it over: ALTER DATABASE {of} OWNER TO {heir}",
                spec.name, spec.owner
            );
            problems.add(Problem::new(Kind::Database, "Conflict", message));
            return Ok(false);
        }
    }
    Ok(true)
}

async fn look(session: &Session, spec: &DatabaseSpec) -> Result<Row, Failure> {
    let rows = session.read("the database", LOOK, &[&spec.name]).await?;
    rows.into_iter().next().ok_or(Failure::Changed)
}

/// Opens the database, if its owner shut it.
pub(crate) async fn ensure_open(session: &Session, spec: &DatabaseSpec) -> Result<(), Failure> {
    let row = look(session, spec).await?;
    let mut statements = Vec::new();
    for (is_so, open) in SHUT {
        if row.get(is_so) {
            statements.push(format!("alter database {} {open};", name(&spec.name)));
        }
    }
    if statements.is_empty() {
        return Ok(());
    }
    session
        .write("the database is open", &statements.join("\n"))
        .await
}

/// Lets the roles connect to the database, and nobody else.
pub(crate) async fn ensure_who_connects(
    session: &Session,
    spec: &DatabaseSpec,
    roles: &BTreeSet<String>,
) -> Result<(), Failure> {
    let of = name(&spec.name);
    let row = look(session, spec).await?;
    let mut statements = Vec::new();
    let guests: BTreeSet<String> = row.get::<_, Vec<String>>("guests").into_iter().collect();
    let wanted: BTreeSet<String> = spec.roles.iter().map(|role| role.name.clone()).collect();
    for guest in guests.difference(&wanted) {
        let guest = if guest == "public" {
            guest.clone()
        } else {
            name(guest)
        };
        statements.push(format!("revoke all on database {of} from {guest};"));
    }
    let callers: BTreeSet<String> = row.get::<_, Vec<String>>("callers").into_iter().collect();
    for guest in wanted.difference(&callers).filter(|it| roles.contains(*it)) {
        let guest = name(guest);
        statements.push(format!(
            "grant connect, temporary on database {of} to {guest};"
        ));
    }
    if statements.is_empty() {
        return Ok(());
    }
    session.write("who connects", &statements.join("\n")).await
}

/// Makes each login act as its role in the database.
pub(crate) async fn ensure_logins_act_as_roles(
    session: &Session,
    spec: &DatabaseSpec,
    roles: &BTreeSet<String>,
) -> Result<(), Failure> {
    let mut statements = Vec::new();
    for role in &spec.roles {
        for login in logins(&role.name).iter().filter(|it| roles.contains(*it)) {
            statements.extend(act_as(session, spec, role, login).await?);
        }
    }
    if statements.is_empty() {
        return Ok(());
    }
    session
        .write("as whom logins act", &statements.join("\n"))
        .await
}

async fn act_as(
    session: &Session,
    spec: &DatabaseSpec,
    role: &RoleSpec,
    login: &str,
) -> Result<Option<String>, Failure> {
    let rows = session
        .read(
            "the settings of a login",
            "select setting from pg_db_role_setting, unnest(setconfig) setting
                where setrole = (select oid from pg_roles where rolname = $1)
                and setdatabase = (select oid from pg_database where datname = $2)
                and setting like 'role=%'",
            &[&login, &spec.name],
        )
        .await?;
    let actor = acts_as(spec, role);
    let is_so = rows
        .first()
        .is_some_and(|row| row.get::<_, &str>(0) == format!("role={actor}"));
    Ok((!is_so).then(|| {
        format!(
            "alter role {} in database {} set role to {};",
            name(login),
            name(&spec.name),
            text(actor)
        )
    }))
}

/// Makes the extensions that are missing. The connection is to the database.
pub(crate) async fn ensure_extensions(
    session: &Session,
    spec: &DatabaseSpec,
    allowed: &[String],
    problems: &mut Problems,
) -> Result<(), Failure> {
    let query = "select extname::text from pg_extension";
    let rows = session.read("the extensions", query, &[]).await?;
    let there: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    for extension in &spec.extensions {
        if !allowed.contains(extension) {
            let message = format!(
                "the extension {extension} is not allowed; allowed are {} (PAYMESH_EXTENSIONS of the operator)",
                allowed.join(", ")
            );
            problems.add(Problem::new(Kind::Extensions, "NotAllowed", message));
        } else if !there.contains(extension) {
            let make = format!("create extension {} schema public", name(extension));
            let result = session
                .write(&format!("extension {extension}"), &make)
                .await;
            problems.take(Kind::Extensions, result)?;
        }
    }
    Ok(())
}
