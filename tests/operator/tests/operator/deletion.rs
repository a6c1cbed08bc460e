//! What each deletion policy leaves, and that the next object of the name takes up what was left.

use paymesh_operator_tests::{Place, World};
use serde_json::json;

/// What of a database's name is on the server: the database, and its roles.
fn left(world: &World, name: &str) -> String {
    let query = format!(
        "select string_agg(it, ' ' order by it) from (
            select 'db:' || datname from pg_database where datname = '{name}'
            union all select rolname from pg_roles where rolname like '{name}\\_%') left_over(it)"
    );
    world.postgres.sql("postgres", &query).unwrap()
}

async fn make_and_delete(place: &Place, name: &str, policy: &str) {
    let mut database = place.database(name);
    database["spec"]["deletionPolicy"] = json!(policy);
    place.make(&database).await;
    place.wait_until_ready(name).await;
    let secret = place.secret(&format!("{name}-migrate")).await.unwrap();
    let program = secret.connect().await.unwrap();
    program
        .batch_execute("create table posting as select 7 as amount")
        .await
        .unwrap();
    // With the program still connected.
    place.delete(name).await;
    place.wait_until_gone(name).await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn delete_takes_everything_and_nothing_of_others() {
    let world = World::shared().await;
    let place = world.place("delete").await;
    let _operator = world.operator(&place, "one", &[]);
    place
        .make_secret("theirs", &json!({ "username": "someone" }))
        .await;
    place.make(&place.database("another")).await;
    make_and_delete(&place, "grocer", "Delete").await;
    assert_eq!(left(&world, "grocer"), "");
    assert!(place.secret("grocer-migrate").await.is_none());
    assert!(place.secret("theirs").await.is_some());
    place.wait_until_ready("another").await;
    assert!(left(&world, "another").contains("db:another"));
    assert_eq!(place.events().await, ["Deleted", "Ready", "Rotated"]);
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn retain_keeps_the_data_and_ends_access_and_the_next_object_takes_it_up() {
    let world = World::shared().await;
    let place = world.place("retain").await;
    let _operator = world.operator(&place, "one", &[]);
    make_and_delete(&place, "florist", "Retain").await;
    assert_eq!(
        left(&world, "florist"),
        "db:florist florist_ledger florist_migrate florist_owner florist_reader"
    );
    assert!(place.secret("florist-migrate").await.is_none());
    // Another object may not have it.
    let mut thief = place.database("florist");
    thief["metadata"]["name"] = json!("thief");
    place.make(&thief).await;
    place
        .wait_for_condition("thief", "DatabaseReady", "False")
        .await;
    place.delete("thief").await;
    place.wait_until_gone("thief").await;

    place.make(&place.database("florist")).await;
    place.wait_until_ready("florist").await;
    let secret = place.secret("florist-reader").await.unwrap();
    let reader = secret.connect().await.unwrap();
    let row = reader
        .query_one("select amount from posting", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn orphan_keeps_everything_and_programs_go_on_before_and_after_it_is_taken_up_again() {
    let world = World::shared().await;
    let place = world.place("orphan").await;
    let _operator = world.operator(&place, "one", &[]);
    make_and_delete(&place, "tailor", "Orphan").await;
    let secret = place.secret("tailor-ledger").await.unwrap();
    secret.connect().await.unwrap();
    place.make(&place.database("tailor")).await;
    place.wait_until_ready("tailor").await;
    let taken_up = place.secret("tailor-ledger").await.unwrap();
    assert_eq!(taken_up, secret);
    secret.connect().await.unwrap();
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_deletion_that_cannot_be_finished_says_so_and_is_finished_when_it_can_be() {
    let world = World::shared().await;
    let place = world.place("blocked").await;
    let _operator = world.operator(&place, "one", &[]);
    let mut database = place.database("cobbler");
    database["spec"]["deletionPolicy"] = json!("Delete");
    place.make(&database).await;
    place.wait_until_ready("cobbler").await;
    let sql = |text: &str| world.postgres.sql("postgres", text).unwrap();
    sql("create database elsewhere");
    sql("grant connect on database elsewhere to cobbler_reader");
    place.delete("cobbler").await;
    let said = place
        .wait_for_condition("cobbler", "DatabaseReady", "False")
        .await;
    let said = said["status"]["conditions"].to_string();
    assert!(said.contains("privileges for database elsewhere"), "{said}");
    assert!(
        said.contains("take the finalizer paymesh.dev/database away by hand"),
        "{said}"
    );
    sql("revoke connect on database elsewhere from cobbler_reader");
    place.wait_until_gone("cobbler").await;
    assert_eq!(left(&world, "cobbler"), "");
}
