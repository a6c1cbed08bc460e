//! Who says nothing is not waited for: neither a server, nor one of its processes.

use paymesh_operator_tests::{Fake, World, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio_postgres::NoTls;

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn servers_that_say_nothing_are_given_up_and_others_are_worked_on() {
    let world = World::shared().await;
    let place = world.place("silent").await;
    let mut operator = world.operator(&place, "one", &[]);
    let fake = Fake::start(b"").await;
    place.make_server("silent", fake.port, &json!({})).await;
    // More than are worked on at once.
    let names: Vec<String> = (1..6).map(|number| format!("mute{number}")).collect();
    for name in &names {
        let mut database = place.database(name);
        database["spec"]["connection"]["secretName"] = json!("silent");
        place.make(&database).await;
    }
    until("all hands at the silent server", async || {
        let count = fake.heard().len();
        (count >= 4).then_some(()).ok_or(count.to_string())
    })
    .await;
    place.make(&place.database("glazier")).await;
    place.wait_until_ready("glazier").await;
    for name in &names {
        place.wait_for_condition(name, "Connected", "False").await;
        let said = place.conditions(name).await;
        assert!(said.contains("no answer within 10 seconds"), "{said}");
    }
    assert_eq!(operator.process.ended(), None);
}

/// A process that stands still, at the longest until this is dropped.
struct Still(Pid);

impl Still {
    fn stop(pid: i32) -> Self {
        let pid = Pid::from_raw(pid).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        Self(pid)
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        // It may be gone.
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_process_of_the_server_that_stops_in_a_statement_is_given_up_and_named() {
    let world = World::start().await;
    let place = world.place("stopped").await;
    let limit = [("PAYMESH_STATEMENT_MS", "6000")];
    let _operator = world.operator(&place, "one", &limit);
    place.make(&place.database("quarry")).await;
    place.wait_until_ready("quarry").await;
    // It waits for this, and is stopped meanwhile.
    let url = world.postgres.administrator_url("postgres");
    let (blocker, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let block = "begin; alter role quarry_migrate_b connection limit 5";
    blocker.batch_execute(block).await.unwrap();
    place
        .change("quarry", &json!({ "rotation": { "revision": 1 } }))
        .await;
    let waits = "select pid from pg_stat_activity where query like '%quarry_migrate_b%'
        and application_name = 'paymesh-db-operator' and wait_event_type = 'Lock'";
    let pid = until("a statement that waits", async || {
        let found = world.postgres.sql("postgres", waits).unwrap();
        found.parse::<i32>().map_err(|_| found)
    })
    .await;
    let still = Still::stop(pid);
    blocker.batch_execute("rollback").await.unwrap();
    let seen = |words: String| {
        let place = &place;
        async move {
            until(&words, async || {
                let said = place.conditions("quarry").await;
                said.contains(&words).then_some(()).ok_or(said)
            })
            .await;
        }
    };
    seen("there was no answer within 11 seconds".to_owned()).await;
    place.make(&place.database("mason")).await;
    place.wait_until_ready("mason").await;
    // It has the lock still.
    seen(format!("pg_terminate_backend({pid})")).await;
    drop(still);
    place.wait_until_ready("quarry").await;
    let secret = place.secret("quarry-migrate").await.unwrap();
    assert_eq!(secret.get("username"), "quarry_migrate_b");
    secret.connect().await.unwrap();
}
