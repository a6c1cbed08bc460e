//! What is away for a while is waited for; what was begun is finished when it is back.

use std::time::Duration;

use paymesh_operator_tests::{World, until};
use serde_json::json;

/// A lease that ends soon.
const SHORT: [(&str, &str); 1] = [("PAYMESH_LEASE_MS", "3000")];

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn without_postgresql_the_condition_says_so_and_the_work_goes_on_when_it_is_back() {
    let mut world = World::start().await;
    let place = world.place("no-postgres").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("before")).await;
    place.wait_until_ready("before").await;
    let secret = place.secret("before-ledger").await.unwrap();
    world.postgres.kill();
    place.make(&place.database("shop")).await;
    place.wait_for_condition("shop", "Connected", "False").await;
    let said = place
        .wait_for_condition("before", "Connected", "False")
        .await;
    let said = said["status"]["conditions"].to_string();
    assert!(
        said.contains("does not take the administrator's connection"),
        "{said}"
    );
    // No password is changed that could not be tried.
    place
        .change("before", &json!({ "rotation": { "revision": 1 } }))
        .await;
    place
        .wait_for_condition("before", "Connected", "False")
        .await;
    assert_eq!(place.secret("before-ledger").await.unwrap(), secret);
    world.postgres.run().unwrap();
    for name in ["before", "shop"] {
        place.wait_until_ready(name).await;
        let secret = place.secret(&format!("{name}-ledger")).await.unwrap();
        secret.connect().await.unwrap();
    }
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn without_the_api_server_it_writes_nothing_and_a_fresh_one_goes_on_when_it_is_back() {
    let mut world = World::start().await;
    let place = world.place("no-api").await;
    let mut operator = world.operator(&place, "one", &SHORT);
    place.make(&place.database("shop")).await;
    place.wait_until_ready("shop").await;
    let secret = place.secret("shop-ledger").await.unwrap();
    place
        .change("shop", &json!({ "rotation": { "interval": "3s" } }))
        .await;
    world.kubernetes.kill();
    // It cannot renew its lease, so it ends, as it would to be started again by the cluster.
    let end = operator.wait_until_ended().await;
    assert!(end.contains("it leads no more"), "{end}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    secret.connect().await.unwrap();
    world.kubernetes.run().unwrap();
    world.wait_for_api().await;
    let _fresh = world.operator(&place, "one", &SHORT);
    // What the object says may be from before.
    let after = until("a rotation", async || {
        let now = place.secret("shop-ledger").await;
        now.filter(|now| *now != secret)
            .ok_or("none yet".to_owned())
    });
    after.await.connect().await.unwrap();
    place.wait_until_ready("shop").await;
}
