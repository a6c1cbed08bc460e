//! What each role may do in the schemas: on what the owner has there, and on what it will make.
//!
//! More than a role should have is taken away as less is given. Of roles with the access `Connect`
//! nothing is touched: the database's own migrations grant to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    crd::{Access, DatabaseSpec, RoleSpec},
    failure::Failure,
    server::{Session, name},
};

/// The kinds of things that privileges are for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    /// Views too, which PostgreSQL counts among tables here.
    Table,
    Sequence,
}

impl Thing {
    fn of(kind: &str) -> Self {
        match kind {
            "S" => Self::Sequence,
            _ => Self::Table,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Sequence => "sequence",
            Self::Table => "table",
        }
    }
}

/// What a role with this access has on a thing; `None` if that is not said here.
fn privileges(access: Access, thing: Thing) -> Option<BTreeSet<&'static str>> {
    let list: &[&str] = match (access, thing) {
        (Access::Connect | Access::Owner, _) => return None,
        (Access::ReadOnly, _) => &["SELECT"],
        (_, Thing::Sequence) => &["SELECT", "USAGE"],
        (Access::AppendOnly, Thing::Table) => &["INSERT", "SELECT"],
        (Access::ReadWrite, Thing::Table) => &["DELETE", "INSERT", "SELECT", "UPDATE"],
    };
    Some(list.iter().copied().collect())
}

/// Makes the schemas and the privileges in them as they should be. The connection is to the database.
pub(crate) async fn ensure(
    session: &Session,
    spec: &DatabaseSpec,
    ours: &BTreeSet<String>,
) -> Result<(), Failure> {
    let mut statements = Vec::new();
    for schema in &spec.schemas {
        let query = "select 1 from pg_namespace where nspname = $1";
        let is_missing = session.read("a schema", query, &[schema]).await?.is_empty();
        if is_missing {
            let owner = name(&spec.owner);
            statements.push(format!(
                "create schema {} authorization {owner};",
                name(schema)
            ));
        }
        for role in spec.roles.iter().filter(|role| ours.contains(&role.name)) {
            if privileges(role.access, Thing::Table).is_some() {
                statements.extend(usage(session, schema, role).await?);
                statements.extend(present(session, spec, schema, role).await?);
                statements.extend(future(session, spec, schema, role).await?);
            }
        }
    }
    if statements.is_empty() {
        return Ok(());
    }
    session
        .write("what roles may do", &statements.join("\n"))
        .await
}

async fn usage(
    session: &Session,
    schema: &str,
    role: &RoleSpec,
) -> Result<Option<String>, Failure> {
    let rows = session
        .read(
            "who may use a schema",
            "select privilege_type from pg_namespace, aclexplode(nspacl)
                where nspname = $1 and grantee = (select oid from pg_roles where rolname = $2)",
            &[&schema, &role.name],
        )
        .await?;
    let has: BTreeSet<&str> = rows.iter().map(|row| row.get(0)).collect();
    let of = format!("schema {}", name(schema));
    Ok(exchange(&of, &role.name, &has, &BTreeSet::from(["USAGE"])))
}

async fn present(
    session: &Session,
    spec: &DatabaseSpec,
    schema: &str,
    role: &RoleSpec,
) -> Result<Vec<String>, Failure> {
    let rows = session
        .read(
            "what a role may do",
            "select relname::text, relkind::text, array(select privilege_type from aclexplode(relacl)
                    where grantee = (select oid from pg_roles where rolname = $2)) as has
                from pg_class where relnamespace = (select oid from pg_namespace where nspname = $1)
                and relowner = (select oid from pg_roles where rolname = $3)
                and relkind in ('r', 'p', 'v', 'm', 'f', 'S') order by relname",
            &[&schema, &role.name, &spec.owner],
        )
        .await?;
    let changes = rows.iter().filter_map(|row| {
        let thing = Thing::of(row.get(1));
        let has = row.get::<_, Vec<String>>("has");
        let has: BTreeSet<&str> = has.iter().map(String::as_str).collect();
        let of = format!("{} {}.{}", thing.words(), name(schema), name(row.get(0)));
        exchange(&of, &role.name, &has, &privileges(role.access, thing)?)
    });
    Ok(changes.collect())
}

async fn future(
    session: &Session,
    spec: &DatabaseSpec,
    schema: &str,
    role: &RoleSpec,
) -> Result<Vec<String>, Failure> {
    let rows = session
        .read(
            "what a role will be able to do",
            "select defaclobjtype::text, privilege_type from pg_default_acl, aclexplode(defaclacl)
                where defaclnamespace = (select oid from pg_namespace where nspname = $1)
                and grantee = (select oid from pg_roles where rolname = $2)
                and defaclrole = (select oid from pg_roles where rolname = $3)",
            &[&schema, &role.name, &spec.owner],
        )
        .await?;
    let mut has: BTreeMap<Thing, BTreeSet<&str>> = BTreeMap::new();
    for row in &rows {
        let thing = Thing::of(row.get(0));
        has.entry(thing).or_default().insert(row.get(1));
    }
    let prefix = format!(
        "alter default privileges for role {} in schema {}",
        name(&spec.owner),
        name(schema)
    );
    let mut statements = Vec::new();
    for thing in [Thing::Table, Thing::Sequence] {
        let has = has.remove(&thing).unwrap_or_default();
        let wanted = privileges(role.access, thing).unwrap_or_default();
        if has != wanted {
            let (kind, to) = (thing.words(), name(&role.name));
            statements.push(format!("{prefix} revoke all on {kind}s from {to};"));
            let list = wanted.into_iter().collect::<Vec<_>>().join(", ");
            statements.push(format!("{prefix} grant {list} on {kind}s to {to};"));
        }
    }
    Ok(statements)
}

/// What makes `wanted` of what a role has on a thing.
fn exchange(
    thing: &str,
    role: &str,
    has: &BTreeSet<&str>,
    wanted: &BTreeSet<&str>,
) -> Option<String> {
    let role = name(role);
    let list = wanted.iter().copied().collect::<Vec<_>>().join(", ");
    (has != wanted)
        .then(|| format!("revoke all on {thing} from {role}; grant {list} on {thing} to {role};"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_appends_changes_nothing_and_who_reads_adds_nothing() {
        let has = |access, thing| privileges(access, thing).unwrap();
        assert!(!has(Access::AppendOnly, Thing::Table).contains("UPDATE"));
        assert!(!has(Access::AppendOnly, Thing::Table).contains("DELETE"));
        for thing in [Thing::Table, Thing::Sequence] {
            assert_eq!(has(Access::ReadOnly, thing), BTreeSet::from(["SELECT"]));
        }
        assert!(privileges(Access::Connect, Thing::Table).is_none());
    }

    #[test]
    fn too_much_is_taken_away_and_enough_is_left_alone() {
        let wanted = BTreeSet::from(["SELECT"]);
        let change = |has| exchange("table t", "r", &has, &wanted);
        assert_eq!(change(BTreeSet::from(["SELECT"])), None);
        assert!(change(BTreeSet::from(["SELECT", "UPDATE"])).is_some());
        assert!(change(BTreeSet::new()).is_some());
    }
}
