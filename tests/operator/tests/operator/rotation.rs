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
