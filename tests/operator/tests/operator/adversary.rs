//! Who writes `Database` objects, or logs in by their Secrets, gets no more than they give.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use paymesh_beds::{Authority, Issued, Subject};
use paymesh_operator_tests::{Fake, Place, World, until};
use serde_json::{Value, json};
use tokio_postgres::{Client, NoTls, error::SqlState};

/// The administrator's password, and the beginning of what is sent in its place if MD5 is asked for.
const TELLS: [&[u8]; 2] = [b"a-password-of-the-installer", b"md5"];

fn holds(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn code(login: &str) -> Option<SqlState> {
    let refused = tokio_postgres::connect(login, NoTls).await.err();
    refused.and_then(|reason| reason.code().cloned())
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn an_object_cannot_say_where_the_administrators_password_goes() {
    let world = World::shared().await;
    let place = world.place("elsewhere").await;
    let _operator = world.operator(&place, "one", &[]);
    let fake = Fake::start(b"R\0\0\0\x08\0\0\0\x03").await;
    let mut database = place.database("thatcher");
    let connection = &mut database["spec"]["connection"];
    connection["host"] = json!("127.0.0.1");
    connection["port"] = json!(fake.port);
    connection["sslMode"] = json!("Disable");
    place.make(&database).await;
    place.wait_until_ready("thatcher").await;
    assert_eq!(fake.heard(), Vec::<Vec<u8>>::new());
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_server_that_asks_for_the_password_in_clear_or_as_md5_gets_neither() {
    let world = World::shared().await;
    let place = world.place("asking").await;
    let _operator = world.operator(&place, "one", &[]);
    let (authority, issued) = certified();
    for (name, answer, words) in [
        (
            "clear",
            &b"R\0\0\0\x08\0\0\0\x03"[..],
            "the password in clear",
        ),
        (
            "md5",
            &b"R\0\0\0\x0c\0\0\0\x05salt"[..],
            "the password's MD5",
        ),
        ("trust", &b"R\0\0\0\x08\0\0\0\0"[..], "no password"),
    ] {
        let plain = Fake::start(answer).await;
        place.make_server(name, plain.port, &json!({})).await;
        gets_no_password(&place, name, &plain, words).await;
        let encrypted = Fake::start_encrypted(answer, &issued).await;
        let name = format!("{name}tls");
        place.make_server(&name, encrypted.port, &authority).await;
        gets_no_password(&place, &name, &encrypted, words).await;
    }
}

/// An authority, as a server's Secret says it, and a certificate of it for this machine.
fn certified() -> (Value, Issued) {
    let authority = Authority::new("bed").unwrap();
    let subject = Subject {
        hosts: &["127.0.0.1"],
        ..Subject::default()
    };
    let said = json!({ "sslmode": null, "ca.crt": authority.pem() });
    (said, authority.issue(subject).unwrap())
}

/// That the server of a Secret gets to know who would log in, and no more.
async fn gets_no_password(place: &Place, name: &str, fake: &Fake, words: &str) {
    let mut database = place.database(name);
    database["spec"]["connection"]["secretName"] = json!(name);
    place.make(&database).await;
    place.wait_for_condition(name, "Connected", "False").await;
    let said = place.conditions(name).await;
    assert!(said.contains(words), "{name}: {said}");
    let heard = fake.heard();
    assert!(heard.iter().any(|it| holds(it, b"installer")), "{heard:?}");
    for word in TELLS {
        assert!(!heard.iter().any(|it| holds(it, word)), "{name}");
    }
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn the_proof_of_the_password_is_bound_to_the_servers_certificate() {
    let world = World::shared().await;
    let place = world.place("bound").await;
    let _operator = world.operator(&place, "one", &[]);
    let (authority, issued) = certified();
    let asks = b"R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
    let fake = Fake::start_encrypted(asks, &issued).await;
    place.make_server("bound", fake.port, &authority).await;
    let mut database = place.database("saddlery");
    database["spec"]["connection"]["secretName"] = json!("bound");
    place.make(&database).await;
    until("the beginning of a proof", async || {
        let heard = fake.heard();
        let is_bound = heard.iter().any(|it| holds(it, b"SCRAM-SHA-256-PLUS\0"));
        is_bound.then_some(()).ok_or(format!("{heard:?}"))
    })
    .await;
}

/// Holds the number that stands for an object in the lock, as anybody can read it.
async fn hold_lock(place: &Place, name: &str, client: &Client) {
    let (_, object) = place.get(name).await;
    let uid = object["metadata"]["uid"].as_str().unwrap();
    let number = uid.replace('-', "")[..15].to_owned();
    let lock = i64::from_str_radix(&number, 16).unwrap();
    client
        .execute("select pg_advisory_lock($1)", &[&lock])
        .await
        .unwrap();
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn no_login_holds_the_operator_up_and_whoever_does_is_named() {
    let world = World::shared().await;
    let place = world.place("held").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("miller")).await;
    place.wait_until_ready("miller").await;
    let secret = place.secret("miller-migrate").await.unwrap();
    let at = |database: &str| {
        let (login, password) = (secret.get("username"), secret.get("password"));
        world.postgres.url(login, password, database)
    };
    let mut tenants = Vec::new();
    for database in ["miller", "postgres"] {
        let tenant = connect(&at(database)).await;
        hold_lock(&place, "miller", &tenant).await;
        tenants.push(tenant);
    }
    let refused = code(&at("paymesh_operator")).await;
    assert_eq!(refused, Some(SqlState::INSUFFICIENT_PRIVILEGE));
    let rotate = async |revision: i64| {
        let change = json!({ "rotation": { "revision": revision } });
        place.change("miller", &change).await;
    };
    rotate(1).await;
    place.wait_until_ready("miller").await;
    let secret = place.secret("miller-ledger").await.unwrap();
    assert_eq!(secret.get("username"), "miller_ledger_b");

    // Only the server's own people can, and then it is said who does.
    let holder = connect(&world.postgres.administrator_url("paymesh_operator")).await;
    let row = holder.query_one("select pg_backend_pid()", &[]).await;
    let pid: i32 = row.unwrap().get(0);
    hold_lock(&place, "miller", &holder).await;
    rotate(2).await;
    place
        .wait_for_condition("miller", "Connected", "False")
        .await;
    let said = place.conditions("miller").await;
    let words = format!("pg_terminate_backend({pid})");
    assert!(said.contains("Connected False Busy"), "{said}");
    assert!(said.contains(&words), "{words}: {said}");
    drop(holder);
    place.wait_until_ready("miller").await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn what_an_owner_does_to_its_database_keeps_no_password_from_being_changed() {
    let world = World::shared().await;
    let place = world.place("owner").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("smith")).await;
    place.wait_until_ready("smith").await;
    let owner = place.secret("smith-migrate").await.unwrap();
    owner
        .connect()
        .await
        .unwrap()
        .batch_execute(
            "comment on database smith is 'paymesh.dev/database somebody/else 1';
            alter database smith set default_transaction_read_only = on;
            alter database smith set role = 'smith_owner';",
        )
        .await
        .unwrap();
    let change = json!({ "rotation": { "revision": 1 }, "schemas": ["public", "yard"] });
    place.change("smith", &change).await;
    place.wait_until_ready("smith").await;
    let secret = place.secret("smith-ledger").await.unwrap();
    assert_eq!(secret.get("username"), "smith_ledger_b");
    secret.connect().await.unwrap();
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_login_that_keeps_its_own_row_locked_gets_its_new_password_all_the_same() {
    let world = World::shared().await;
    let place = world.place("row").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("glover")).await;
    place.wait_until_ready("glover").await;
    let secret = async || place.secret("glover-ledger").await.unwrap();
    let first = secret().await;
    let tenant = first.connect().await.unwrap();
    let hold = "set role none; begin; alter role glover_ledger_a password 'kept'";
    tenant.batch_execute(hold).await.unwrap();
    for (revision, login) in [(1, "glover_ledger_b"), (2, "glover_ledger_a")] {
        let change = json!({ "rotation": { "revision": revision } });
        place.change("glover", &change).await;
        place.wait_until_ready("glover").await;
        assert_eq!(secret().await.get("username"), login);
    }
    let refused = code(first.get("uri")).await;
    assert_eq!(refused, Some(SqlState::INVALID_PASSWORD));

    // The one in use, too: changed, and locked again.
    let third = secret().await;
    let tenant = third.connect().await.unwrap();
    let change_and_hold = "set role none;
        begin; alter role glover_ledger_a password 'other'; commit;
        begin; alter role glover_ledger_a password 'kept'";
    tenant.batch_execute(change_and_hold).await.unwrap();
    until("the password of the Secret", async || {
        let tried = third.connect().await.map(drop);
        tried.map_err(|reason| format!("{reason:?}"))
    })
    .await;
    until("the end of the connection", async || {
        let is_closed = tenant.is_closed();
        is_closed.then_some(()).ok_or("it is open".to_owned())
    })
    .await;
    assert_eq!(secret().await, third);
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_password_that_was_changed_to_what_cannot_be_tried_is_put_back() {
    let world = World::shared().await;
    let place = world.place("rounds").await;
    let _operator = world.operator(&place, "one", &[]);
    place.make(&place.database("farrier")).await;
    place.wait_until_ready("farrier").await;
    let secret = place.secret("farrier-ledger").await.unwrap();
    let tenant = secret.connect().await.unwrap();
    // A client that counts as many rounds as a server says would count for ever.
    let zeros = |count: usize| STANDARD.encode(vec![0; count]);
    let change = format!(
        "set role none; alter role farrier_ledger_a password 'SCRAM-SHA-256$200000:{}${}:{}'",
        zeros(16),
        zeros(32),
        zeros(32)
    );
    tenant.batch_execute(&change).await.unwrap();
    until("the password of the Secret", async || {
        let tried = secret.connect().await.map(drop);
        tried.map_err(|reason| format!("{reason:?}"))
    })
    .await;
    place.wait_until_ready("farrier").await;
    assert_eq!(place.secret("farrier-ledger").await.unwrap(), secret);
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn an_object_cannot_have_the_administrators_own_databases() {
    let world = World::shared().await;
    let place = world.place("own").await;
    let _operator = world.operator(&place, "one", &[]);
    let mut database = place.database("paymesh_operator");
    database["metadata"]["name"] = json!("home");
    let (status, answer) = place.try_to_make(&database).await;
    let said = answer["message"].as_str().unwrap_or_default();
    assert!(
        status == 422 && said.contains("or the operator's"),
        "{said}"
    );
    let settings = json!({ "database": "ostler" });
    let port = world.postgres.port();
    place.make_server("other", port, &settings).await;
    let mut database = place.database("ostler");
    database["spec"]["connection"]["secretName"] = json!("other");
    place.make(&database).await;
    until("a condition", async || {
        let said = place.conditions("ostler").await;
        let words = "the database ostler is the one that the administrator connects to first";
        said.contains(words).then_some(()).ok_or(said)
    })
    .await;
}
