//! Who owns a database can shut it, and keep its row locked, and keeps no password from being changed
//! and no login from going.

use paymesh_operator_tests::{Login, Place, World, until};
use serde_json::json;
use tokio_postgres::{Client, Error, NoTls, error::SqlState};

/// Connects to the database that is everybody's.
async fn enter(world: &World, login: &Login) -> Result<Client, Error> {
    let (username, password) = (login.get("username"), login.get("password"));
    let url = world.postgres.url(username, password, "postgres");
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A connection of the owner's login, from which the database can be shut.
async fn owner(world: &World, place: &Place, name: &str) -> Client {
    let secret = place.secret(&format!("{name}-migrate")).await.unwrap();
    enter(world, &secret).await.unwrap()
}

/// Shuts a database, and lets nobody open it for as long as the connection lives.
async fn shut(world: &World, place: &Place, name: &str) -> Client {
    let owner = owner(world, place, name).await;
    let change_and_hold = format!(
        "begin; alter database {name} allow_connections false;
        grant connect on database {name} to public; commit;
        begin; grant temporary on database {name} to public"
    );
    owner.batch_execute(&change_and_hold).await.unwrap();
    owner
}

async fn wait_until_closed(client: &Client) {
    until("the end of a connection", async || {
        let is_closed = client.is_closed();
        is_closed.then_some(()).ok_or("it is open".to_owned())
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_database_that_its_owner_shut_is_opened_and_its_passwords_are_changed() {
    let world = World::shared().await;
    let place = world.place("opened").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("smelter")).await;
    place.wait_until_ready("smelter").await;
    for (revision, login, way) in [
        (1, "smelter_ledger_b", "connection limit 0"),
        (2, "smelter_ledger_a", "allow_connections false"),
        (
            3,
            "smelter_ledger_b",
            "set local_preload_libraries = 'nonesuch'",
        ),
    ] {
        let owner = owner(&world, &place, "smelter").await;
        let change = format!("alter database smelter {way}");
        owner.batch_execute(&change).await.unwrap();
        let change = json!({ "rotation": { "revision": revision } });
        place.change("smelter", &change).await;
        place.wait_until_ready("smelter").await;
        let secret = place.secret("smelter-ledger").await.unwrap();
        assert_eq!(secret.get("username"), login);
        enter(&world, &secret).await.unwrap();
    }
    let state = "select datallowconn, datconnlimit from pg_database where datname = 'smelter'";
    assert_eq!(world.postgres.sql("postgres", state).unwrap(), "t|-1");
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn passwords_are_changed_while_nobody_can_open_the_database_and_then_somebody_can() {
    let world = World::shared().await;
    let place = world.place("locked").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("founder")).await;
    place.wait_until_ready("founder").await;
    let tenant = shut(&world, &place, "founder").await;
    for (revision, login) in [(1, "founder_ledger_b"), (2, "founder_ledger_a")] {
        let change = json!({ "rotation": { "revision": revision } });
        place.change("founder", &change).await;
        until(login, async || {
            let secret = place.secret("founder-ledger").await.unwrap();
            let username = secret.get("username");
            (username == login).then_some(()).ok_or(username.to_owned())
        })
        .await;
    }
    // With the second change the turn is that of the login that holds it.
    wait_until_closed(&tenant).await;
    place.wait_until_ready("founder").await;
    let secret = place.secret("founder-ledger").await.unwrap();
    secret.connect().await.unwrap();
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_role_that_is_taken_out_is_shut_out_although_its_database_cannot_be_entered() {
    let world = World::shared().await;
    let place = world.place("out").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("sawyer")).await;
    place.wait_until_ready("sawyer").await;
    let reader = place.secret("sawyer-reader").await.unwrap();
    let program = enter(&world, &reader).await.unwrap();
    let tenant = shut(&world, &place, "sawyer").await;
    let roles = place.database("sawyer")["spec"]["roles"].clone();
    let roles = &roles.as_array().unwrap()[..2];
    place.change("sawyer", &json!({ "roles": roles })).await;
    wait_until_closed(&program).await;
    until("no way in", async || {
        let refused = enter(&world, &reader).await.err();
        let code = refused.and_then(|reason| reason.code().cloned());
        (code == Some(SqlState::INVALID_PASSWORD))
            .then_some(())
            .ok_or(format!("{code:?}"))
    })
    .await;
    // What it owns can be looked for when the database can be entered.
    drop(tenant);
    place.wait_until_ready("sawyer").await;
    let left = "select count(*) from pg_roles where rolname like 'sawyer\\_reader%'";
    assert_eq!(world.postgres.sql("postgres", left).unwrap(), "0");
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_deletion_is_finished_although_the_owner_shut_the_database() {
    let world = World::shared().await;
    let place = world.place("ended").await;
    let _operator = world.operator(&place, "one", &[]);
    for (name, policy, left) in [("carver", "Retain", "4"), ("ropemaker", "Delete", "0")] {
        let mut database = place.database(name);
        database["spec"]["deletionPolicy"] = json!(policy);
        place.make(&database).await;
        place.wait_until_ready(name).await;
        let tenant = shut(&world, &place, name).await;
        place.delete(name).await;
        place.wait_until_gone(name).await;
        wait_until_closed(&tenant).await;
        let roles = format!("select count(*) from pg_roles where rolname like '{name}\\_%'");
        assert_eq!(world.postgres.sql("postgres", &roles).unwrap(), left);
    }
}
