//! Of two operators one leads; and two that both believe to lead do no harm.

use paymesh_operator_tests::{World, until};
use rustix::process::Signal;
use serde_json::json;
use tokio_postgres::NoTls;

/// A lease that ends soon.
const SHORT: [(&str, &str); 1] = [("PAYMESH_LEASE_MS", "3000")];

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn one_leads_the_other_waits_and_takes_over_when_the_first_is_killed_or_stands_still() {
    let world = World::shared().await;
    let place = world.place("lease").await;
    let leads = |log: &str| log.contains("\"leads\"");
    let first = world.operator(&place, "shared", &SHORT);
    let mut log = String::new();
    until("a leader", async || {
        log = first.process.log();
        leads(&log).then_some(()).ok_or(log.clone())
    })
    .await;
    // The second writes to the same log.
    let mut second = world.operator(&place, "shared", &SHORT);
    until("readiness", async || second.is_ready()).await;
    place.make(&place.database("cutler")).await;
    place.wait_until_ready("cutler").await;
    assert_eq!(second.process.log().matches("\"leads\"").count(), 1);
    // It stands still for longer than its lease holds.
    first.process.signal(Signal::STOP);
    until("another leader", async || {
        let log = second.process.log();
        (log.matches("\"leads\"").count() == 2)
            .then_some(())
            .ok_or(log)
    })
    .await;
    place
        .change("cutler", &json!({ "rotation": { "revision": 1 } }))
        .await;
    place.wait_until_ready("cutler").await;
    let secret = place.secret("cutler-ledger").await.unwrap();
    let mut first = first;
    first.process.signal(Signal::CONT);
    let end = first.wait_until_ended().await;
    assert!(end.contains("it leads no more"), "{end}");
    assert_eq!(place.secret("cutler-ledger").await.unwrap(), secret);
    secret.connect().await.unwrap();
    // One that is asked to end gives its lease back.
    assert!(second.process.stop(Signal::TERM));
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn one_that_stands_still_in_the_middle_of_its_work_keeps_the_next_waiting_for_seconds_only() {
    let world = World::shared().await;
    let place = world.place("midway").await;
    let mut first = world.operator(&place, "shared", &SHORT);
    place.make(&place.database("potter")).await;
    place.wait_until_ready("potter").await;
    // It waits for this in a statement, with its lock, and is stopped meanwhile.
    let url = world.postgres.administrator_url("postgres");
    let (blocker, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let block = "begin; alter role potter_migrate_b connection limit 5";
    blocker.batch_execute(block).await.unwrap();
    place
        .change("potter", &json!({ "rotation": { "revision": 1 } }))
        .await;
    let waits = "select pid from pg_stat_activity where query like '%potter_migrate_b%'
        and application_name = 'paymesh-db-operator' and wait_event_type = 'Lock'";
    until("a statement that waits", async || {
        let found = world.postgres.sql("postgres", waits).unwrap();
        (!found.is_empty()).then_some(()).ok_or(found)
    })
    .await;
    first.process.signal(Signal::STOP);
    blocker.batch_execute("rollback").await.unwrap();
    let _second = world.operator(&place, "shared", &SHORT);
    place.wait_until_ready("potter").await;
    let secret = place.secret("potter-migrate").await.unwrap();
    assert_eq!(secret.get("username"), "potter_migrate_b");
    first.process.signal(Signal::CONT);
    let end = first.wait_until_ended().await;
    assert!(end.contains("it leads no more"), "{end}");
    assert_eq!(place.secret("potter-migrate").await.unwrap(), secret);
    secret.connect().await.unwrap();
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn two_that_lead_at_once_make_one_of_each_and_every_secret_works() {
    let world = World::shared().await;
    let place = world.place("both").await;
    let operators = [
        world.operator(&place, "one", &[]),
        world.operator(&place, "two", &[]),
    ];
    let names = ["north", "south", "east", "west"];
    for name in names {
        place.make(&place.database(name)).await;
    }
    for name in names {
        place.wait_until_ready(name).await;
    }
    for revision in 1..4 {
        for name in names {
            place
                .change(name, &json!({ "rotation": { "revision": revision } }))
                .await;
        }
        for name in names {
            place.wait_until_ready(name).await;
            for word in ["migrate", "ledger", "reader"] {
                let secret = place.secret(&format!("{name}-{word}")).await.unwrap();
                // Each password was changed once for each revision, by one of both.
                let login = ["a", "b"][usize::try_from(revision % 2).unwrap()];
                assert_eq!(secret.get("username"), format!("{name}_{word}_{login}"));
                secret.connect().await.unwrap();
            }
        }
    }
    let both: Vec<usize> = operators.iter().map(|it| it.writes().len()).collect();
    assert!(
        both.iter().all(|writes| *writes > 0),
        "both write: {both:?}"
    );
    for name in names {
        place.delete(name).await;
    }
    for name in names {
        place.wait_until_gone(name).await;
    }
}
