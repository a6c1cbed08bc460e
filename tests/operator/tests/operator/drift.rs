//! What others change is as it was at the next look; a Secret that still works keeps its password.

use paymesh_operator_tests::{World, until};
use serde_json::json;

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn what_others_changed_is_mended_and_a_password_is_made_anew_only_when_it_is_lost() {
    let world = World::shared().await;
    let place = world.place("drift").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("tanner")).await;
    place.wait_until_ready("tanner").await;
    let secret = async |word: &str| place.secret(&format!("tanner-{word}")).await.unwrap();
    let migrate = secret("migrate").await.connect().await.unwrap();
    migrate
        .batch_execute("create table posting (id bigint)")
        .await
        .unwrap();
    let before = secret("ledger").await;
    let sql = |database: &str, text: &str| world.postgres.sql(database, text).unwrap();
    for (database, text) in [
        ("tanner", "revoke all on posting from tanner_ledger"),
        ("tanner", "grant update, delete on posting to tanner_reader"),
        ("tanner", "drop extension pgcrypto"),
        (
            "postgres",
            "alter role tanner_ledger_a password 'other' nologin",
        ),
        ("postgres", "alter role tanner_reader createdb"),
        ("postgres", "grant tanner_owner to tanner_reader_a"),
        ("postgres", "revoke tanner_reader from tanner_reader_b"),
        (
            "postgres",
            "alter role tanner_ledger_b in database tanner reset role",
        ),
        ("postgres", "grant connect on database tanner to public"),
        (
            "postgres",
            "alter role tanner_migrate_a valid until '2000-01-01' connection limit 0",
        ),
    ] {
        sql(database, text);
    }
    place
        .change_secret(
            "tanner-migrate",
            &json!({ "stringData": { "host": "elsewhere" } }),
        )
        .await;
    let wanted =
        "t f f | tanner_owner,pgcrypto | {} | {tanner_reader} | role=tanner_ledger | false";
    until("what was", async || {
        let may = sql(
            "tanner",
            "select concat_ws(' ', has_table_privilege('tanner_ledger', 'posting', 'insert'),
                    has_table_privilege('tanner_reader', 'posting', 'update'),
                    has_table_privilege('tanner_reader_a', 'posting', 'delete'))
                || ' | ' || (select pg_get_userbyid(datdba) from pg_database where datname = 'tanner')
                || ',' || coalesce((select extname from pg_extension where extname = 'pgcrypto'), '')
                || ' | ' || array(select rolname::text from pg_roles where rolname like 'tanner%' and rolcreatedb)::text
                || ' | ' || array(select roleid::regrole::text from pg_auth_members
                    where member = 'tanner_reader_b'::regrole)::text
                || ' | ' || (select setconfig[1] from pg_db_role_setting where setrole = 'tanner_ledger_b'::regrole)
                || ' | ' || exists(select from pg_database, aclexplode(datacl)
                    where datname = 'tanner' and grantee = 0)::text",
        );
        (may == wanted).then_some(()).ok_or(may)
    })
    .await;
    until("the Secret", async || {
        let secret = secret("migrate").await;
        (secret.get("host") == "127.0.0.1")
            .then_some(())
            .ok_or(format!("{:?}", secret.get("host")))
    })
    .await;
    until("a login without an end", async || {
        let limits = sql(
            "postgres",
            "select rolvaliduntil, rolconnlimit from pg_roles where rolname = 'tanner_migrate_a'",
        );
        (limits == "infinity|-1").then_some(()).ok_or(limits)
    })
    .await;
    secret("migrate").await.connect().await.unwrap();
    // PostgreSQL follows the Secret: programs notice nothing.
    assert_eq!(secret("ledger").await, before);
    until("the login", async || {
        before
            .connect()
            .await
            .map(drop)
            .map_err(|reason| format!("{reason:?}"))
    })
    .await;

    // A Secret that is lost is made again, with the other login: the lost one's users live on.
    let lost = before.connect().await.unwrap();
    place.delete_secret("tanner-ledger").await;
    let after = until("a new Secret", async || {
        place.secret("tanner-ledger").await.ok_or("none".to_owned())
    })
    .await;
    assert_eq!(after.get("username"), "tanner_ledger_b");
    after.connect().await.unwrap();
    lost.batch_execute("select 1").await.unwrap();

    // A role that is taken out loses its way in, and what it made is the owner's.
    place
        .change(
            "tanner",
            &json!({ "roles": place.database("tanner")["spec"]["roles"].as_array().unwrap()[..1] }),
        )
        .await;
    place.wait_until_ready("tanner").await;
    assert!(place.secret("tanner-ledger").await.is_none());
    let left = sql(
        "postgres",
        "select string_agg(rolname, ' ' order by rolname) from pg_roles where rolname like 'tanner%'",
    );
    assert_eq!(
        left,
        "tanner_migrate tanner_migrate_a tanner_migrate_b tanner_owner"
    );
    secret("migrate").await.connect().await.unwrap();
}
