//! The operator is killed before every write that it makes, and a fresh one finishes.
//!
//! The writes are counted by the operator itself (`src/writes.rs` there), in order, and are a golden.
//! A kill before a write is the same as one after the write before it, whose effect is then there and
//! nobody knows; before the first, nothing is.

use expect_test::{Expect, expect};
use futures::{StreamExt as _, stream};
use paymesh_operator_tests::{Place, World};
use serde_json::json;

/// So many kills at once, each in a namespace and a database of its own.
const AT_ONCE: usize = 4;

#[derive(Clone, Copy)]
enum Act {
    Create,
    Rotate,
    Delete(&'static str),
}

/// One case: a person's act, on a database of its own.
struct Case {
    act: Act,
    place: Place,
    name: String,
}

impl Case {
    async fn new(world: &World, act: Act, number: &str) -> Self {
        let kind = match act {
            Act::Create => "create".to_owned(),
            Act::Rotate => "rotate".to_owned(),
            Act::Delete(policy) => policy.to_lowercase(),
        };
        let name = format!("cut{kind}{number}");
        let place = world.place(&name).await;
        let case = Self { act, place, name };
        if !matches!(act, Act::Create) {
            let _operator = world.operator(&case.place, "before", &[]);
            case.make().await;
            case.place.wait_until_ready(&case.name).await;
        }
        case
    }

    async fn make(&self) {
        let mut database = self.place.database(&self.name);
        let roles = database["spec"]["roles"].as_array().unwrap()[..2].to_vec();
        database["spec"]["roles"] = json!(roles);
        if let Act::Delete(policy) = self.act {
            database["spec"]["deletionPolicy"] = json!(policy);
        }
        self.place.make(&database).await;
    }

    async fn begin(&self) {
        let revision = json!({ "rotation": { "revision": 1 } });
        match self.act {
            Act::Create => self.make().await,
            Act::Rotate => self.place.change(&self.name, &revision).await,
            Act::Delete(_) => self.place.delete(&self.name).await,
        }
    }

    async fn wait_for_end(&self) {
        match self.act {
            Act::Create | Act::Rotate => drop(self.place.wait_until_ready(&self.name).await),
            Act::Delete(_) => self.place.wait_until_gone(&self.name).await,
        }
    }

    /// What holds at every instant.
    async fn check_between(&self) {
        // Of a database that is, programs can log in with what the Secret says.
        if matches!(self.act, Act::Rotate | Act::Delete("Orphan")) {
            self.check_logins(None).await;
        }
    }

    /// That each Secret's login works, and is the one that is expected.
    async fn check_logins(&self, expected: Option<&str>) {
        for word in ["migrate", "ledger"] {
            let secret = self
                .place
                .secret(&format!("{}-{word}", self.name))
                .await
                .unwrap();
            secret.connect().await.unwrap();
            if let Some(which) = expected {
                let login = format!("{}_{word}_{which}", self.name);
                assert_eq!(secret.get("username"), login);
            }
        }
    }

    /// What holds in the end, wherever it was cut.
    async fn check_end(&self, world: &World) {
        let name = &self.name;
        let query = format!(
            "select count(*) filter (where is_database) || ' ' || count(*) filter (where not is_database)
                || ' ' || string_agg(distinct split_part(mark, ' ', 2)
                    || case when mark like '% released' then ' released' else '' end, ',')
            from (select true as is_database, shobj_description(oid, 'pg_database') from pg_database
                    where datname = '{name}'
                union all select false, shobj_description(oid, 'pg_authid') from pg_roles
                    where rolname like '{name}\\_%') it(is_database, mark)"
        );
        let left = world.postgres.sql("postgres", &query).unwrap();
        let secrets = self.place.secret(&format!("{name}-ledger")).await;
        match self.act {
            // No second login is used up, and no password made that nobody needs.
            Act::Create | Act::Delete("Orphan") => self.check_logins(Some("a")).await,
            Act::Rotate => self.check_logins(Some("b")).await,
            Act::Delete(_) => assert!(secrets.is_none()),
        }
        let released = format!("1 7 {name}/{name} released");
        let retained = format!("1 3 {name}/{name} released");
        let expected = match self.act {
            Act::Create | Act::Rotate => format!("1 7 {name}/{name}"),
            Act::Delete("Orphan") => released,
            Act::Delete("Retain") => retained,
            Act::Delete(_) => String::new(),
        };
        assert_eq!(left.trim_start_matches("0 0 "), expected, "{name}");
    }
}

/// Kills before each write of an act.
async fn cut_everywhere(act: Act, golden: Expect) {
    let world = World::shared().await;
    let whole = Case::new(&world, act, "").await;
    let operator = world.operator(&whole.place, "whole", &[]);
    whole.begin().await;
    whole.wait_for_end().await;
    whole.check_end(&world).await;
    let writes = operator.writes();
    drop(operator);
    let shown: Vec<String> = writes
        .iter()
        .map(|it| it.replace(&whole.name, "NAME"))
        .collect();
    golden.assert_eq(&format!("{}\n", shown.join("\n")));
    let points = stream::iter(1..=writes.len());
    let cases = points.map(|point| cut(&world, act, point));
    cases.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

async fn cut(world: &World, act: Act, point: usize) {
    let case = Case::new(world, act, &point.to_string()).await;
    let number = point.to_string();
    let settings = [("PAYMESH_CRASH_BEFORE_WRITE", number.as_str())];
    let mut doomed = world.operator(&case.place, "doomed", &settings);
    case.begin().await;
    let end = doomed.wait_until_ended().await;
    assert!(end.contains("crashes as it was told to"), "{point}: {end}");
    assert_eq!(doomed.writes().len(), point);
    case.check_between().await;
    let _fresh = world.operator(&case.place, "fresh", &[]);
    case.wait_for_end().await;
    case.check_end(world).await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_creation_that_is_cut_anywhere_is_finished() {
    cut_everywhere(
        Act::Create,
        expect![[r#"
            PATCH databases/NAME
            role NAME_owner
            role NAME_migrate
            role NAME_migrate_a
            role NAME_migrate_b
            role NAME_ledger
            role NAME_ledger_a
            role NAME_ledger_b
            database
            who connects
            as whom logins act
            password of NAME_migrate_a
            POST secrets
            password of NAME_ledger_a
            POST secrets
            extension pgcrypto
            what roles may do
            PUT databases/NAME/status
        "#]],
    )
    .await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_rotation_that_is_cut_anywhere_is_finished_and_the_secret_works_all_the_time() {
    cut_everywhere(
        Act::Rotate,
        expect![[r#"
            password of NAME_migrate_b
            PUT secrets/NAME-migrate
            password of NAME_ledger_b
            PUT secrets/NAME-ledger
            PUT databases/NAME/status
        "#]],
    )
    .await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_deletion_with_everything_that_is_cut_anywhere_is_finished() {
    cut_everywhere(
        Act::Delete("Delete"),
        expect![[r#"
            logins are shut out
            the database goes
            role NAME_ledger_a goes
            role NAME_ledger_b goes
            role NAME_migrate_a goes
            role NAME_migrate_b goes
            role NAME_ledger goes
            role NAME_migrate goes
            role NAME_owner goes
            DELETE secrets/NAME-ledger
            DELETE secrets/NAME-migrate
            PATCH databases/NAME
        "#]],
    )
    .await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_deletion_that_keeps_the_data_and_is_cut_anywhere_is_finished() {
    cut_everywhere(
        Act::Delete("Retain"),
        expect![[r#"
            logins are shut out
            role NAME_ledger_a goes
            role NAME_ledger_b goes
            role NAME_migrate_a goes
            role NAME_migrate_b goes
            DELETE secrets/NAME-ledger
            DELETE secrets/NAME-migrate
            what stays is released
            PATCH databases/NAME
        "#]],
    )
    .await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_deletion_that_keeps_everything_and_is_cut_anywhere_is_finished() {
    cut_everywhere(
        Act::Delete("Orphan"),
        expect![[r#"
            PUT secrets/NAME-ledger
            PUT secrets/NAME-migrate
            what stays is released
            PATCH databases/NAME
        "#]],
    )
    .await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn the_operators_own_database_is_made_wherever_that_is_cut() {
    let world = World::start().await;
    for point in 1..=3 {
        let first = "drop database if exists paymesh_operator with (force)";
        world.postgres.sql("postgres", first).unwrap();
        cut(&world, Act::Create, point).await;
    }
}
