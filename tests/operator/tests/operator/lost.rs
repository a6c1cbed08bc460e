//! A database that was there and is gone is a person's matter.

use paymesh_operator_tests::{World, until};

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_database_that_is_lost_is_not_made_anew_before_a_person_says_so() {
    let world = World::shared().await;
    let place = world.place("lost").await;
    let operator = world.operator(&place, "one", &[]);
    place.make(&place.database("cooper")).await;
    let made = place.wait_until_ready("cooper").await;
    let first = made["status"]["databaseSince"].as_str().unwrap().to_owned();
    // A word that is said before there is a loss is used up.
    place
        .annotate("cooper", "paymesh.dev/make-anew", &first)
        .await;
    let since = until("another time", async || {
        let (_, found) = place.get("cooper").await;
        let since = found["status"]["databaseSince"].as_str().unwrap();
        (since != first)
            .then(|| since.to_owned())
            .ok_or(first.clone())
    })
    .await;
    let lose = "drop database cooper with (force)";
    world.postgres.sql("postgres", lose).unwrap();
    until("a word about the loss", async || {
        let said = place.conditions("cooper").await;
        let is_said = said.contains("DatabaseReady False Lost")
            && said.contains(&format!("paymesh.dev/make-anew={since}"));
        is_said.then_some(()).ok_or(said)
    })
    .await;
    let looks = || operator.process.log().matches("looked at").count();
    let two_more_looks = async || {
        let before = looks();
        until("two more looks", async || {
            let count = looks();
            (count >= before + 2)
                .then_some(())
                .ok_or(format!("{count} after {before}"))
        })
        .await;
    };
    two_more_looks().await;
    let there = "select count(*) from pg_database where datname = 'cooper'";
    assert_eq!(world.postgres.sql("postgres", there).unwrap(), "0");
    // A word about another loss is none about this one.
    place
        .annotate("cooper", "paymesh.dev/make-anew", "2020-01-01T00:00:00Z")
        .await;
    two_more_looks().await;
    assert_eq!(world.postgres.sql("postgres", there).unwrap(), "0");
    place
        .annotate("cooper", "paymesh.dev/make-anew", &since)
        .await;
    let again = place.wait_until_ready("cooper").await;
    assert_ne!(again["status"]["databaseSince"], since);
    let secret = place.secret("cooper-ledger").await.unwrap();
    secret.connect().await.unwrap();
}
