//! What is somebody else's is left alone, and all that is wrong is said at once.

use expect_test::expect;
use paymesh_operator_tests::World;
use serde_json::json;

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn two_objects_for_one_database_have_one_winner_and_the_other_says_what_to_do() {
    let world = World::shared().await;
    let place = world.place("two").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("chemist")).await;
    place.wait_until_ready("chemist").await;
    let secret = place.secret("chemist-ledger").await.unwrap();
    let mut second = place.database("chemist");
    second["metadata"]["name"] = json!("second");
    second["spec"]["owner"] = json!("second_owner");
    second["spec"]["deletionPolicy"] = json!("Delete");
    place.make(&second).await;
    place.wait_for_condition("second", "Ready", "False").await;
    let said = place.conditions("second").await;
    for words in [
        "RolesReady False Conflict the role chemist_migrate exists",
        "the role chemist_ledger exists and was not made for this Database (it says \"paymesh.dev/database two/chemist",
        "DatabaseReady False Conflict the database chemist exists",
        "CredentialsReady Unknown",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Deleting the loser takes nothing of the winner's.
    place.delete("second").await;
    place.wait_until_gone("second").await;
    assert_eq!(place.secret("chemist-ledger").await.unwrap(), secret);
    secret.connect().await.unwrap();
    let owner = "select count(*) from pg_roles where rolname = 'second_owner'";
    assert_eq!(world.postgres.sql("postgres", owner).unwrap(), "0");
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn everything_that_is_wrong_is_said_at_once_and_what_can_be_done_is_done() {
    let world = World::shared().await;
    let place = world.place("wrong").await;
    let _operator = world.operator(&place, "one", &[]);
    world
        .postgres
        .sql("postgres", "create role draper_reader login")
        .unwrap();
    place
        .make_secret("draper-ledger", &json!({ "password": "theirs" }))
        .await;
    let mut database = place.database("draper");
    database["spec"]["extensions"] = json!(["pgcrypto", "file_fdw"]);
    place.make(&database).await;
    place.wait_for_condition("draper", "Ready", "False").await;
    expect![[r#"
        Ready False Conflict the role draper_reader exists and was not made for this Database (nothing says whose it is); it is left alone. Choose another name, or hand it over: COMMENT ON ROLE "draper_reader" IS 'paymesh.dev/database wrong/draper released'
            the Secret draper-ledger exists and was not made for this Database (nothing says whose it is); it is left alone. Choose another name, or hand it over: kubectl annotate secret draper-ledger 'paymesh.dev/database=paymesh.dev/database wrong/draper released'
            the extension file_fdw is not allowed; allowed are btree_gin, btree_gist, citext, hstore, intarray, ltree, pg_trgm, pgcrypto, tablefunc, unaccent, uuid-ossp (PAYMESH_EXTENSIONS of the operator)
        Connected True AsSpecified
        RolesReady False Conflict the role draper_reader exists and was not made for this Database (nothing says whose it is); it is left alone. Choose another name, or hand it over: COMMENT ON ROLE "draper_reader" IS 'paymesh.dev/database wrong/draper released'
        DatabaseReady True AsSpecified
        CredentialsReady False Conflict the Secret draper-ledger exists and was not made for this Database (nothing says whose it is); it is left alone. Choose another name, or hand it over: kubectl annotate secret draper-ledger 'paymesh.dev/database=paymesh.dev/database wrong/draper released'
        ExtensionsReady False NotAllowed the extension file_fdw is not allowed; allowed are btree_gin, btree_gist, citext, hstore, intarray, ltree, pg_trgm, pgcrypto, tablefunc, unaccent, uuid-ossp (PAYMESH_EXTENSIONS of the operator)
        GrantsReady True AsSpecified
    "#]]
    .assert_eq(&place.conditions("draper").await);
    place
        .secret("draper-migrate")
        .await
        .unwrap()
        .connect()
        .await
        .unwrap();
    assert_eq!(
        place.secret("draper-ledger").await.unwrap().get("password"),
        "theirs"
    );
    // Handed over as it says, both are taken.
    let hand_over = "comment on role draper_reader is 'paymesh.dev/database wrong/draper released'";
    let granted = "grant draper_reader to installer with admin option";
    world
        .postgres
        .sql("postgres", &format!("{hand_over}; {granted}"))
        .unwrap();
    let mark = json!({ "paymesh.dev/database": "paymesh.dev/database wrong/draper released" });
    place
        .change_secret(
            "draper-ledger",
            &json!({ "metadata": { "annotations": mark } }),
        )
        .await;
    place
        .change("draper", &json!({ "extensions": ["pgcrypto"] }))
        .await;
    place.wait_until_ready("draper").await;
    for word in ["reader", "ledger"] {
        let secret = place.secret(&format!("draper-{word}")).await.unwrap();
        secret.connect().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn the_api_server_refuses_what_is_wrong_in_the_object_itself() {
    let world = World::shared().await;
    let place = world.place("refused").await;
    place.make(&place.database("hatter")).await;
    for (spec, reason) in [
        (json!({ "name": "other" }), "a database is not renamed"),
        (json!({ "owner": "other" }), "an owner is not exchanged"),
        (
            json!({ "connection": { "secretName": "elsewhere" } }),
            "another server is another database",
        ),
        (
            json!({ "rotation": { "interval": "soon" } }),
            "spec.rotation.interval",
        ),
        (
            json!({ "rotation": { "interval": "1s1h" } }),
            "spec.rotation.interval",
        ),
        (
            json!({ "roles": [{ "name": "public", "access": "ReadOnly", "secretName": "s" }] }),
            "public is everybody",
        ),
        (
            json!({ "deletionPolicy": "Recycle" }),
            "spec.deletionPolicy",
        ),
        (json!({ "extensions": ["a", "a"] }), "spec.extensions"),
        (
            json!({ "roles": [{ "name": "pg_monitor", "access": "ReadOnly", "secretName": "s" }] }),
            "names that start with pg_",
        ),
        (
            json!({ "roles": [
                { "name": "one", "access": "ReadOnly", "secretName": "s" },
                { "name": "two", "access": "ReadOnly", "secretName": "s" },
            ] }),
            "each role has a Secret of its own",
        ),
        (
            json!({ "roles": [
                { "name": "one", "access": "ReadOnly", "secretName": "s" },
                { "name": "one_a", "access": "ReadOnly", "secretName": "t" },
            ] }),
            "are the logins of the role",
        ),
        (
            json!({ "roles": [{ "name": "hatter_owner", "access": "Owner", "secretName": "s" }] }),
            "the owner is nobody's login",
        ),
    ] {
        let (status, answer) = place.try_to_change("hatter", &spec).await;
        let said = answer["message"].as_str().unwrap_or_default();
        assert!(
            status == 422 && said.contains(reason),
            "{spec}: {status} {said}"
        );
    }
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn without_an_administrator_the_condition_says_why_and_nothing_keeps_the_object() {
    let world = World::shared().await;
    let place = world.place("lacks").await;
    let _operator = world.operator(&place, "one", &[]);
    let port = world.postgres.port();
    let lacks = json!({ "password": null, "host": null, "sslmode": null });
    place.make_server("empty", port, &lacks).await;
    let far = json!({ "host": "192.0.2.1" });
    place.make_server("far", port, &far).await;
    let (username, password) = ("installer", "a-password-of-the-installer");
    let unlabelled = json!({ "username": username, "password": password, "host": "127.0.0.1" });
    place.make_secret("unlabelled", &unlabelled).await;
    for (secret, words) in [
        (
            "empty",
            "the Secret empty lacks password, and lacks host, and lacks ca.crt",
        ),
        ("far", "says sslmode=disable of a host that is not this one"),
        (
            "unlabelled",
            "it lacks the label paymesh.dev/database-server=true",
        ),
        ("none", "the Secret none with the server"),
    ] {
        let name = format!("saddler{secret}");
        let mut database = place.database(&name);
        database["spec"]["connection"]["secretName"] = json!(secret);
        place.make(&database).await;
        let found = place.wait_for_condition(&name, "Connected", "False").await;
        let said = place.conditions(&name).await;
        assert!(said.contains(words), "{words}: {said}");
        // Nothing was made for it.
        assert_eq!(found["metadata"]["finalizers"], json!(null));
        place.delete(&name).await;
        place.wait_until_gone(&name).await;
    }
}
