//! A database is made, its roles may do what they should, and nothing else is written or told.

use expect_test::expect;
use paymesh_operator_tests::{World, until};

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_database_is_made_its_roles_do_what_they_may_and_a_second_look_writes_nothing() {
    let world = World::shared().await;
    let place = world.place("life").await;
    let mut operator = world.operator(&place, "first", &[]);
    until("readiness", async || operator.is_ready()).await;
    place.make(&place.database("bakery")).await;
    let made = place.wait_until_ready("bakery").await;
    expect![[r#"
        Ready True AsSpecified
        Connected True AsSpecified
        RolesReady True AsSpecified
        DatabaseReady True AsSpecified
        CredentialsReady True AsSpecified
        ExtensionsReady True AsSpecified
        GrantsReady True AsSpecified
    "#]]
    .assert_eq(&place.conditions("bakery").await);
    assert_eq!(made["status"]["roles"][0]["login"], "bakery_migrate_a");

    let login = async |word: &str| place.secret(&format!("bakery-{word}")).await.unwrap();
    let migrate = login("migrate").await.connect().await.unwrap();
    let table = "create table posting (id bigint generated always as identity, amount bigint)";
    migrate.batch_execute(table).await.unwrap();
    // What a login makes is the owner's, whichever of the two it is.
    let owner = migrate.query_one(
        "select tableowner::text from pg_tables where tablename = 'posting'",
        &[],
    );
    assert_eq!(owner.await.unwrap().get::<_, String>(0), "bakery_owner");
    let ledger = login("ledger").await.connect().await.unwrap();
    let reader = login("reader").await.connect().await.unwrap();
    let add = "insert into posting (amount) values (5)";
    ledger.batch_execute(add).await.unwrap();
    reader.batch_execute("select * from posting").await.unwrap();
    for (who, refused) in [
        (&ledger, "update posting set amount = 6"),
        (&ledger, "delete from posting"),
        (&ledger, "create table more ()"),
        (&ledger, "alter table posting disable trigger all"),
        (&reader, add),
        (&reader, "set role bakery_owner"),
        (&reader, "create role another"),
        (&reader, "select pg_read_file('postgresql.conf')"),
    ] {
        let reason = who.batch_execute(refused).await.unwrap_err();
        let code = reason.code().map(|code| code.code().to_owned());
        assert_eq!(code.as_deref(), Some("42501"), "{refused}: {reason}");
    }
    // Nobody else connects: another database's role has no way in.
    world
        .postgres
        .sql("postgres", "create role stranger login password 'stranger'")
        .unwrap();
    let stranger = world.postgres.url("stranger", "stranger", "bakery");
    assert!(
        tokio_postgres::connect(&stranger, tokio_postgres::NoTls)
            .await
            .is_err()
    );

    operator.process.stop(rustix::process::Signal::TERM);
    let first = operator.process.log();
    let again = world.operator(&place, "second", &[]);
    until("two looks", async || {
        let log = again.process.log();
        (log.matches("looked at").count() >= 2)
            .then_some(())
            .ok_or(log)
    })
    .await;
    assert_eq!(again.writes(), Vec::<String>::new());
    place.wait_until_ready("bakery").await;
    assert_eq!(place.events().await, ["Ready", "Rotated"]);

    let told = [
        first,
        again.process.log(),
        place.shown().await,
        std::fs::read_to_string(world.postgres.log()).unwrap(),
    ];
    assert!(
        told[3].contains("SCRAM-SHA-256$4096"),
        "statements are logged"
    );
    for word in ["migrate", "ledger", "reader"] {
        let secret = login(word).await;
        assert!(
            told.iter().all(|it| !it.contains(secret.get("password"))),
            "{word}"
        );
    }
}
