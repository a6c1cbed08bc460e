//! Passwords change without an outage: what is connected stays, what is in the Secret works.

use std::time::Duration;

use paymesh_operator_tests::{World, until};
use serde_json::json;
use tokio_postgres::error::SqlState;

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn old_connections_live_the_new_secret_works_and_the_password_before_last_is_refused() {
    let world = World::shared().await;
    let place = world.place("rotation").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("butcher")).await;
    place.wait_until_ready("butcher").await;
    let secret = async || place.secret("butcher-ledger").await.unwrap();
    let rotate = async |revision: i64| {
        let before = secret().await;
        place
            .change("butcher", &json!({ "rotation": { "revision": revision } }))
            .await;
        place.wait_until_ready("butcher").await;
        let after = secret().await;
        assert_ne!(after.get("password"), before.get("password"));
        after
    };
    let first = secret().await;
    let old = first.connect().await.unwrap();
    let second = rotate(1).await;
    assert_eq!(
        (first.get("username"), second.get("username")),
        ("butcher_ledger_a", "butcher_ledger_b")
    );
    old.batch_execute("select 1").await.unwrap();
    second.connect().await.unwrap();
    // A program that has not read the new Secret yet comes back with the old one.
    first.connect().await.unwrap();
    // Nothing is rotated again by itself.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(secret().await, second);

    let third = rotate(2).await;
    assert_eq!(third.get("username"), "butcher_ledger_a");
    let refused = first.connect().await.unwrap_err();
    assert_eq!(refused.code(), Some(&SqlState::INVALID_PASSWORD));
    until("the end of the oldest connection", async || {
        old.is_closed().then_some(()).ok_or("it is open".to_owned())
    })
    .await;
    second.connect().await.unwrap();
    third.connect().await.unwrap();

    place
        .change(
            "butcher",
            &json!({ "rotation": { "revision": 2, "interval": "1s" } }),
        )
        .await;
    until("a rotation by the clock", async || {
        let now = secret().await;
        (now != third)
            .then_some(())
            .ok_or("the Secret is as it was".to_owned())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_login_with_a_new_password_has_no_settings_of_who_had_the_one_before() {
    let world = World::shared().await;
    let place = world.place("settings").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("joiner")).await;
    place.wait_until_ready("joiner").await;
    let secret = place.secret("joiner-ledger").await.unwrap();
    let leave = "set role none; alter role joiner_ledger_a set search_path = elsewhere;
        alter role joiner_ledger_a in database joiner set statement_timeout = 1;";
    let login = secret.connect().await.unwrap();
    login.batch_execute(leave).await.unwrap();
    for revision in 1..3 {
        place
            .change("joiner", &json!({ "rotation": { "revision": revision } }))
            .await;
        place.wait_until_ready("joiner").await;
    }
    let settings = "select string_agg(setting, ' ') from pg_db_role_setting,
        unnest(setconfig) setting where setrole = 'joiner_ledger_a'::regrole";
    let left = world.postgres.sql("postgres", settings).unwrap();
    assert_eq!(left, "role=joiner_ledger");
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_time_that_cannot_be_is_no_time_and_an_interval_that_is_too_short_is_said() {
    let world = World::shared().await;
    let place = world.place("times").await;
    let settings = [("PAYMESH_ROTATION_MIN_MS", "300000")];
    let _operator = world.operator(&place, "one", &settings);
    let mut database = place.database("turner");
    database["spec"]["rotation"] = json!({ "interval": "720h" });
    place.make(&database).await;
    place.wait_until_ready("turner").await;
    let before = place.secret("turner-ledger").await.unwrap();
    let time = json!({ "paymesh.dev/rotated-at": "9999-12-30T12:00:00Z" });
    place
        .change_secret(
            "turner-ledger",
            &json!({ "metadata": { "annotations": time } }),
        )
        .await;
    until("a new password", async || {
        let now = place.secret("turner-ledger").await.unwrap();
        (now != before)
            .then_some(())
            .ok_or("the Secret is as it was".to_owned())
    })
    .await;
    place.wait_until_ready("turner").await;
    for (interval, words) in [
        ("299s", "299s is too short: at least 300 seconds"),
        ("9999999999999999999999h", "is no time"),
    ] {
        let change = json!({ "rotation": { "interval": interval } });
        place.change("turner", &change).await;
        place
            .wait_for_condition("turner", "CredentialsReady", "False")
            .await;
        let said = place.conditions("turner").await;
        assert!(said.contains(words), "{said}");
    }
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_login_that_the_server_does_not_let_in_is_said_and_not_mended_for_ever() {
    let world = World::start().await;
    let place = world.place("shut").await;
    let operator = world.operator(&place, "one", &[]);
    place.make(&place.database("chandler")).await;
    place.wait_until_ready("chandler").await;
    let rules = world
        .postgres
        .log()
        .with_file_name("data")
        .join("pg_hba.conf");
    let before = std::fs::read_to_string(&rules).unwrap();
    let shut = format!("host all chandler_ledger_a 127.0.0.1/32 reject\n{before}");
    std::fs::write(&rules, shut).unwrap();
    let reload = "select pg_reload_conf()";
    world.postgres.sql("postgres", reload).unwrap();
    place
        .wait_for_condition("chandler", "CredentialsReady", "False")
        .await;
    let said = place.conditions("chandler").await;
    assert!(
        said.contains("chandler_ledger_a cannot log in with the password that it was just given"),
        "{said}"
    );
    // It was not mended, so nothing says that it was.
    until("the event", async || {
        let events = place.events().await;
        (events == ["Failed", "Ready", "Rotated"])
            .then_some(())
            .ok_or(format!("{events:?}"))
    })
    .await;
    std::fs::write(&rules, before).unwrap();
    world.postgres.sql("postgres", reload).unwrap();
    place.wait_until_ready("chandler").await;
    assert!(!operator.process.log().contains("panicked"));
}
