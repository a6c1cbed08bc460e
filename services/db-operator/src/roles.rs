//! Roles: the owner, for each role of the spec one that has privileges, and its two logins.
//!
//! A role is made together with its mark in one transaction, so none is ever without. Only what
//! differs is written.

use std::collections::BTreeSet;

use crate::{
    crd::{Access, DatabaseSpec, RoleSpec},
    failure::Failure,
    mark::{Mark, Whose},
    problem::{Kind, Problem, Problems},
    server::{Session, name, text},
};

/// The two logins of a role.
pub(crate) fn logins(role: &str) -> [String; 2] {
    [format!("{role}_a"), format!("{role}_b")]
}

/// As whom a role's logins act, and whose is what they make.
pub(crate) fn acts_as<'a>(spec: &'a DatabaseSpec, role: &'a RoleSpec) -> &'a str {
    match role.access {
        Access::Owner => &spec.owner,
        _ => &role.name,
    }
}

/// A role as it should be.
struct Wanted {
    name: String,
    can_login: bool,
    member_of: BTreeSet<String>,
}

fn wanted(spec: &DatabaseSpec) -> Vec<Wanted> {
    let role = |name: &str, can_login, member_of: Option<&str>| Wanted {
        name: name.to_owned(),
        can_login,
        member_of: member_of.into_iter().map(ToOwned::to_owned).collect(),
    };
    let mut all = vec![role(&spec.owner, false, None)];
    for of in &spec.roles {
        let group = (of.access == Access::Owner).then_some(&*spec.owner);
        all.push(role(&of.name, false, group));
        all.extend(logins(&of.name).map(|login| role(&login, true, Some(&of.name))));
    }
    all
}

/// Every role that an object has.
pub(crate) fn names(spec: &DatabaseSpec) -> BTreeSet<String> {
    wanted(spec).into_iter().map(|role| role.name).collect()
}

/// What none of these roles may do, as the catalog has it and as a statement takes it away. Each by
/// itself: who is no superuser may not even name the first.
const MIGHTS: [(&str, &str); 5] = [
    ("rolsuper", "nosuperuser"),
    ("rolcreatedb", "nocreatedb"),
    ("rolcreaterole", "nocreaterole"),
    ("rolreplication", "noreplication"),
    ("rolbypassrls", "nobypassrls"),
];

/// What would shut a login out that has the right password.
const LIMITS: [(&str, &str); 2] = [
    ("is_limited", "connection limit -1"),
    ("has_end", "valid until 'infinity'"),
];

const LOOK: &str = "select rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication,
        rolbypassrls, rolinherit, rolconnlimit <> -1 as is_limited,
        coalesce(rolvaliduntil < 'infinity', false) as has_end,
        shobj_description(oid, 'pg_authid') as mark, pg_has_role(current_user, oid, 'usage') as is_ours,
        array(select group_role.rolname::text from pg_auth_members
            join pg_roles group_role on group_role.oid = roleid where member = pg_roles.oid) as groups
    from pg_roles where rolname = $1";

/// Makes all roles as they should be. Says which of them are this object's now.
pub(crate) async fn ensure(
    session: &Session,
    spec: &DatabaseSpec,
    mark: &Mark,
    problems: &mut Problems,
) -> Result<BTreeSet<String>, Failure> {
    let mut ours = BTreeSet::new();
    for role in wanted(spec) {
        // Nobody is made a member of what is somebody else's.
        if !role.member_of.is_subset(&ours) {
            continue;
        }
        let made = ensure_one(session, &role, mark).await;
        match problems.take(Kind::Roles, made)? {
            Some(None) => {
                ours.insert(role.name);
            }
            Some(Some(problem)) => problems.add(problem),
            None => {}
        }
    }
    Ok(ours)
}

async fn ensure_one(
    session: &Session,
    role: &Wanted,
    mark: &Mark,
) -> Result<Option<Problem>, Failure> {
    let of = name(&role.name);
    let rows = session.read("a role", LOOK, &[&role.name]).await?;
    let marked = format!("comment on role {of} is {};", text(&mark.to_string()));
    let login = if role.can_login { "login" } else { "nologin" };
    let mut statements = Vec::new();
    let groups: BTreeSet<String>;
    if let Some(row) = rows.first() {
        match mark.read(row.get("mark")) {
            Whose::Ours => {}
            Whose::Released => statements.push(marked),
            Whose::Others(words) => {
                return Ok(Some(Problem::not_ours(
                    Kind::Roles,
                    &format!("the role {}", role.name),
                    words.as_deref(),
                    &format!("COMMENT ON ROLE {of} IS '{}'", mark.released()),
                )));
            }
        }
        if row.get::<_, bool>("rolcanlogin") != role.can_login {
            statements.push(format!("alter role {of} {login};"));
        }
        if !row.get::<_, bool>("rolinherit") {
            statements.push(format!("alter role {of} inherit;"));
        }
        for (is_so, without) in MIGHTS.iter().chain(&LIMITS) {
            if row.get(is_so) {
                statements.push(format!("alter role {of} {without};"));
            }
        }
        if !row.get::<_, bool>("is_ours") {
            statements.push(format!("grant {of} to current_user;"));
        }
        groups = row.get::<_, Vec<String>>("groups").into_iter().collect();
    } else {
        statements.push(format!("create role {of} {login};"));
        statements.push(marked);
        // Who is no superuser can give away and end only what he is a member of.
        statements.push(format!(
            "do $$ begin if not pg_has_role(current_user, {}, 'usage') then
                grant {of} to current_user; end if; end $$;",
            text(&role.name)
        ));
        groups = BTreeSet::new();
    }
    for group in groups.difference(&role.member_of) {
        statements.push(format!("revoke {} from {of};", name(group)));
    }
    for group in role.member_of.difference(&groups) {
        statements.push(format!("grant {} to {of};", name(group)));
    }
    if !statements.is_empty() {
        let what = format!("role {}", role.name);
        session.write(&what, &statements.join("\n")).await?;
    }
    Ok(None)
}

/// Roles that bear this object's mark, the logins first.
pub(crate) async fn marked(session: &Session, mark: &str) -> Result<Vec<String>, Failure> {
    let rows = session
        .read(
            "roles",
            "select rolname::text from pg_roles where shobj_description(oid, 'pg_authid') = $1
                order by rolcanlogin desc, rolname",
            &[&mark],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// What ends the connections of a login. What they hold is free for the statements after it.
pub(crate) fn end_connections(login: &str) -> String {
    format!(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = {};",
        text(login)
    )
}

/// Shuts roles out: none of them can log in any more, and their connections end. Nothing of that
/// needs a database that somebody owns.
pub(crate) async fn shut_out(session: &Session, roles: &[String]) -> Result<(), Failure> {
    let query = "select rolname::text from pg_roles where rolname = any($1) and (rolcanlogin
            or exists(select from pg_stat_activity where usename = rolname)) order by rolname";
    let rows = session.read("who can log in", query, &[&roles]).await?;
    let open: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    if open.is_empty() {
        return Ok(());
    }
    let end = open.iter().map(|role| end_connections(role));
    let shut = |role: &&str| format!("alter role {} nologin password null;", name(role));
    let statements: Vec<String> = end.chain(open.iter().map(shut)).collect();
    session
        .write("logins are shut out", &statements.join("\n"))
        .await
}

/// Drops a role. What it owns in the session's database, if that is the database, is the owner's
/// from then on; its connections end.
pub(crate) async fn remove(
    session: &Session,
    role: &str,
    heir: Option<&str>,
) -> Result<(), Failure> {
    let of = name(role);
    let inherit = heir.map_or(String::new(), |heir| {
        format!(
            "reassign owned by {of} to {}; drop owned by {of};",
            name(heir)
        )
    });
    let what = format!("role {role} goes");
    let statements = format!("{} {inherit} drop role {of};", end_connections(role));
    session.write(&what, &statements).await
}
