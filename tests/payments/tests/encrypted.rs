//! What is under TLS beside gRPC: the connection to PostgreSQL, and the merchants' API.

use std::{net::TcpStream, path::Path, time::Duration};

use paymesh_beds::{Authority, Issued, Subject, wait_for, write_private};
use paymesh_payments::{Client, Member, Stack, Wishes, order, shop::folder};

const SEEN_MAX: Duration = Duration::from_secs(30);
/// How often a service is started to be asked at the very moment when it says that it is ready.
const START_COUNT: u32 = 10;

fn issue(authority: &Authority, host: &str) -> Issued {
    let subject = Subject {
        hosts: &[host],
        ..Subject::default()
    };
    authority.issue(subject).unwrap()
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    write_private(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// No secret is told in what a program says.
fn check_said(stack: &Stack, said: &str) {
    assert!(!said.contains("-----BEGIN"), "{said}");
    for password in stack.database_passwords() {
        assert!(!said.contains(password), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_shows_who_it_is_as_the_connection_string_asks() {
    let folder = folder();
    let mut stack = Stack::start(folder.path(), Wishes::default()).unwrap();
    let check_refused = |stack: &Stack, options: &str, reason: &str| {
        let said = stack.migrate(options).unwrap_err().to_string();
        assert!(said.contains(reason), "{options}: {said}");
        check_said(stack, &said);
    };
    check_refused(&stack, "?sslmode=require", "server does not support TLS");
    let nowhere = "the file of the authorities cannot be read: No such file";
    check_refused(&stack, "?sslrootcert=/no/such", nowhere);

    let (ours, other) = (
        Authority::new("ours").unwrap(),
        Authority::new("other").unwrap(),
    );
    stack
        .postgres
        .serve_tls(&issue(&ours, "elsewhere.test"))
        .unwrap();
    let ours_file = file(folder.path(), "ours.pem", ours.pem());
    let other_file = file(folder.path(), "other.pem", other.pem());
    let from = |mode: &str, roots: &str| format!("?sslmode={mode}&sslrootcert={roots}");
    stack.migrate("?sslmode=require").unwrap();
    stack.migrate(&from("require", &ours_file)).unwrap();
    stack.migrate(&from("verify-ca", &ours_file)).unwrap();
    check_refused(
        &stack,
        &from("verify-full", &ours_file),
        "certificate not valid for name",
    );
    for mode in ["require", "verify-ca", "verify-full"] {
        check_refused(&stack, &from(mode, &other_file), "UnknownIssuer");
    }
    // Nobody named an authority, and those of the machine did not give it.
    check_refused(
        &stack,
        "?sslmode=verify-full",
        "error performing TLS handshake",
    );

    stack
        .postgres
        .serve_tls(&issue(&ours, "127.0.0.1"))
        .unwrap();
    stack.migrate(&from("verify-full", &ours_file)).unwrap();
    stack.kill(Member::Controller);
    stack.database_options = format!("&sslmode=verify-full&sslrootcert={ours_file}");
    stack.restart(Member::Controller).unwrap();
    let client = Client::new(&stack.card.api_url, &stack.card.api_key, &stack.history()).unwrap();
    let order = order(990, "tok_approve");
    let answer = client.pay("order", &order, 10).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    let connections = "select count(*) filter (where ssl) > 1, count(*) filter (where not ssl)
        from pg_stat_ssl join pg_stat_activity using (pid) where usename = 'paymesh_controller'";
    assert_eq!(stack.postgres.sql("postgres", connections).unwrap(), "t|0");
    let report = stack.report().await.unwrap();
    assert_eq!(report.payments, 1, "{report}");

    // A server that somebody put in its place is not spoken to, and the log says why.
    stack
        .postgres
        .serve_tls(&issue(&other, "127.0.0.1"))
        .unwrap();
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'paymesh_controller'";
    stack.postgres.sql("postgres", cut).unwrap();
    wait_for("the refusal of another server", SEEN_MAX, || {
        let log = stack.log(Member::Controller);
        let is_told =
            log.contains("no connection to the database") && log.contains("UnknownIssuer");
        (is_told && !stack.is_ready(Member::Controller))
            .then_some(())
            .ok_or(log)
    })
    .unwrap();
    stack
        .postgres
        .serve_tls(&issue(&ours, "127.0.0.1"))
        .unwrap();
    let answer = client.pay("another", &order, 10).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    check_said(&stack, &stack.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_says_it_is_ready_takes_connections() {
    let folder = folder();
    let mut stack = Stack::start(folder.path(), Wishes::default()).unwrap();
    let api = stack.card.api_url.trim_start_matches("http://").to_owned();
    for (member, address) in [
        (Member::Api, api),
        (Member::Controller, stack.controller_address()),
    ] {
        for start in 0..START_COUNT {
            stack.kill(member);
            stack.restart(member).unwrap();
            let connected = TcpStream::connect(&address);
            assert!(connected.is_ok(), "start {start}: {address}: {connected:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merchants_are_served_https_and_its_certificate_is_renewed_too() {
    let folder = folder();
    let mut stack = Stack::start(folder.path(), Wishes::default()).unwrap();
    let url = stack.card.api_url.replace("http://", "https://");
    let authorities = [
        Authority::new("first").unwrap(),
        Authority::new("next").unwrap(),
    ];
    let give = |authority: &Authority| {
        let issued = issue(authority, "127.0.0.1");
        let certificate = file(folder.path(), "api.pem", &issued.certificate);
        (certificate, file(folder.path(), "api.key", &issued.key))
    };
    let client = |authority: &Authority| {
        let root = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([root]);
        client.build().unwrap().get(format!("{url}/openapi.json"))
    };
    let (certificate, key) = give(&authorities[0]);
    stack.kill(Member::Api);
    stack.api_certificate = Some((certificate, key));
    stack.restart(Member::Api).unwrap();
    assert_eq!(client(&authorities[0]).send().await.unwrap().status(), 200);
    assert!(client(&authorities[1]).send().await.is_err());
    let plain = reqwest::get(format!("{}/openapi.json", stack.card.api_url)).await;
    assert!(plain.is_err(), "{plain:?}");

    let held = client(&authorities[0]);
    give(&authorities[1]);
    wait_for("the renewal", SEEN_MAX, || {
        let log = stack.log(Member::Api);
        log.contains("certificates were renewed")
            .then_some(())
            .ok_or(log)
    })
    .unwrap();
    assert_eq!(client(&authorities[1]).send().await.unwrap().status(), 200);
    assert!(held.send().await.is_err());
    check_said(&stack, &stack.logs());
}
