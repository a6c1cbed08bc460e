//! Who is let in at db-controller, what each may call, and how certificates are renewed.

use std::time::{Duration, Instant};

use paymesh_beds::{Authority, Issued, Process, Subject, wait_for};
use paymesh_payments::{
    Called, Caller, Client, Member, Stack, Wishes,
    caller::{callers, methods},
    check,
    stack::identity,
};
use serde_json::json;

/// How long the services may take to see that files are others now.
const SEEN_MAX: Duration = Duration::from_mins(1);

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("paymesh")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap()
}

fn issue(authority: &Authority, uris: &[&str]) -> Issued {
    let subject = Subject {
        uris,
        ..Subject::default()
    };
    authority.issue(subject).unwrap()
}

fn order() -> String {
    json!({ "amount": { "amount": 990, "currency": "EUR" }, "payment_method": "tok_approve" })
        .to_string()
}

/// No log has a key, or any other file, in it.
fn check_logs(stack: &Stack, keys: &[String]) {
    let logs = stack.logs();
    assert!(!logs.contains("-----BEGIN"), "a file is in a log");
    for part in stack.keys().unwrap().iter().chain(keys) {
        assert!(!logs.contains(part.as_str()), "a key is in a log");
    }
}

async fn check_counted(stack: &Stack, line: &str) {
    let metrics = stack.metrics(Member::Controller).await.unwrap();
    assert!(metrics.contains(line), "{line} in\n{metrics}");
}

fn wait_for_log(process: impl Fn() -> String, what: &str, times: usize) {
    wait_for(what, SEEN_MAX, || {
        let log = process();
        let is_there = log.matches(what).count() >= times;
        is_there.then_some(()).ok_or(log)
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_method_is_open_to_its_callers_and_to_no_other_certificate_of_the_same_authority() {
    let folder = folder();
    let stack = Stack::start(folder.path(), Wishes::default()).unwrap();
    let methods = methods();
    assert!(methods.len() > 20, "{methods:?}");
    for method in &methods {
        assert!(!callers(method).is_empty(), "nobody may call {method}");
    }
    let elsewhere = "spiffe://elsewhere.test/payment-api".to_owned();
    let names = ["payment-api", "payment-processor", "db-controller", "shop"];
    let all = names.iter().map(|name| (*name, identity(name)));
    for (name, uri) in all.chain([("of another domain", elsewhere)]) {
        let issued = issue(&stack.authority, &[&uri]);
        let somebody = Caller::new(&stack.controller_address(), Some(&issued)).unwrap();
        for method in &methods {
            let called = somebody.call(method).await;
            if callers(method).contains(name) {
                assert!(
                    matches!(called, Called::Asked),
                    "{uri} {method}: {called:?}"
                );
                continue;
            }
            let text = format!("{uri} may not call {method}");
            assert!(
                matches!(&called, Called::Refused(said) if *said == text),
                "{uri} {method}: {called:?}"
            );
        }
        let called = somebody.call("paymesh.persistence.v1.Queue/Steal").await;
        assert!(matches!(called, Called::Refused(_)), "{called:?}");
    }
    let log = stack.log(Member::Controller);
    assert!(log.contains("a call is refused"), "{log}");
    assert!(log.contains(&identity("shop")), "{log}");
    let method = "/paymesh.persistence.v1.Payments/Act";
    for caller in ["payment-processor", "db-controller"] {
        let labels = format!(r#"caller="{caller}",method="{method}""#);
        let line = format!("paymesh_grpc_calls_refused_total{{{labels}}} 1");
        check_counted(&stack, &line).await;
    }
    let line = format!(r#"paymesh_grpc_calls_refused_total{{caller="other",method="{method}"}} 2"#);
    check_counted(&stack, &line).await;
    check_logs(&stack, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_show_who_they_are_is_not_let_in_and_the_log_says_why() {
    let folder = folder();
    let stack = Stack::start(folder.path(), Wishes::default()).unwrap();
    let (ours, others) = (&stack.authority, Authority::new("Somebody else").unwrap());
    let api = identity("payment-api");
    let expired = ours.issue(Subject {
        uris: &[&api],
        is_expired: true,
        ..Subject::default()
    });
    let host = ours.issue(Subject {
        hosts: &["payment-api"],
        ..Subject::default()
    });
    let two = issue(ours, &[&api, &identity("payment-processor")]);
    let strangers = [
        (
            Some(issue(&others, &[&api])),
            "it is of no authority that is trusted here",
        ),
        (Some(expired.unwrap()), "expired"),
        (Some(host.unwrap()), "it has not one URI"),
        (Some(two), "it has not one URI"),
        (
            Some(issue(ours, &["https://paymesh.test/payment-api"])),
            "it has not one URI",
        ),
        (None, "it shows no certificate"),
    ];
    let address = stack.controller_address();
    let method = "paymesh.persistence.v1.Payments/ReadLedger";
    let log = || stack.log(Member::Controller);
    for (shown, reason) in &strangers {
        let before = log().len();
        let somebody = Caller::new(&address, shown.as_ref()).unwrap();
        let called = somebody.call(method).await;
        assert!(
            matches!(called, Called::NoConnection),
            "{reason}: {called:?}"
        );
        wait_for_log(|| log()[before..].to_owned(), reason, 1);
    }
    let called = Caller::plain(&address).unwrap().call(method).await;
    assert!(matches!(called, Called::NoConnection), "{called:?}");
    wait_for_log(log, "it does not speak TLS", 1);
    let line = format!("paymesh_connections_refused_total {}", strangers.len() + 1);
    check_counted(&stack, &line).await;

    // The other way: who is told to believe somebody else does not speak to db-controller.
    let bundle = stack.tls().join("theirs.pem");
    paymesh_beds::write_private(&bundle, others.pem()).unwrap();
    let mine = issue(&others, &[&identity("payment-processor")]);
    let (certificate, key) = (stack.tls().join("mine.pem"), stack.tls().join("mine.key"));
    paymesh_beds::write_private(&certificate, &mine.certificate).unwrap();
    paymesh_beds::write_private(&key, &mine.key).unwrap();
    let settings = [
        ("PAYMESH_TLS_CERTIFICATE", certificate.to_str().unwrap()),
        ("PAYMESH_TLS_KEY", key.to_str().unwrap()),
        ("PAYMESH_TLS_CA", bundle.to_str().unwrap()),
    ];
    let (process, _) = stack.begin_processor("misled", &settings).unwrap();
    wait_for_log(
        || process.log(),
        "its certificate is refused: it is of no authority",
        1,
    );
    wait_for_log(log, "it refuses our certificate", 1);
    check_logs(&stack, &[]);
    assert!(!process.log().contains("-----BEGIN"), "{}", process.log());

    // Settings that cannot be used end the start, each with its name.
    let settings = [
        ("PAYMESH_TLS_CERTIFICATE", ""),
        ("PAYMESH_TLS_KEY", ""),
        ("PAYMESH_TLS_CA", ""),
        ("PAYMESH_ACQUIRER_TOKEN", ""),
    ];
    let text = refused_start(&stack, "bare", &settings);
    for (name, _) in settings {
        assert!(text.contains(&format!("{name} is missing")), "{text}");
    }
    assert!(text.contains("PAYMESH_GRPC_PLAINTEXT=true"), "{text}");
    let api = stack.tls().join("payment-api.pem");
    let settings = [("PAYMESH_TLS_CERTIFICATE", api.to_str().unwrap())];
    let text = refused_start(&stack, "masked", &settings);
    assert!(
        text.contains("it is of spiffe://paymesh.test/payment-api"),
        "{text}"
    );
}

/// What a processor says that does not start with these settings.
fn refused_start(stack: &Stack, name: &str, settings: &[(&str, &str)]) -> String {
    let (mut process, _): (Process, _) = stack.begin_processor(name, settings).unwrap();
    wait_for("the end of its start", SEEN_MAX, || {
        process.ended().ok_or_else(|| process.log())
    })
    .unwrap();
    process.log()
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_under_load_and_nobody_notices() {
    let folder = folder();
    let mut stack = Stack::start(folder.path(), Wishes::default()).unwrap();
    let history = stack.history();
    let client = Client::new(&stack.card.api_url, &stack.card.api_key, &history).unwrap();
    let old = issue(&stack.authority, &[&identity("payment-api")]);
    let keys = stack.keys().unwrap();
    let next = Authority::new("The next authority").unwrap();
    let members = [Member::Api, Member::Processor, Member::Controller];

    let (stop, stopped) = tokio::sync::watch::channel(false);
    let load = async {
        let body = order();
        let mut paid = 0;
        while !*stopped.borrow() {
            let answer = client.create(&format!("order-{paid}"), &body, 5).await;
            let answer = answer.unwrap().expect("an answer");
            assert_eq!(answer.status, 201, "{}", answer.body);
            paid += 1;
        }
        paid
    };
    // New certificates of the old authority, then of the next one while both are believed, then of the
    // next one alone.
    let renew = async {
        let rounds: [&[&Authority]; 4] = [
            &[&stack.authority],
            &[&stack.authority, &next],
            &[&next, &stack.authority],
            &[&next],
        ];
        for (round, authorities) in rounds.into_iter().enumerate() {
            stack.certify(authorities).unwrap();
            let start = Instant::now();
            for member in members {
                while stack
                    .log(member)
                    .matches("certificates were renewed")
                    .count()
                    <= round
                {
                    assert!(start.elapsed() < SEEN_MAX, "{}", stack.log(member));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        stop.send_replace(true);
    };
    let (paid, ()) = tokio::join!(load, renew);
    assert!(paid > 10, "{paid} payments");

    // Connections that are opened from now on are by the new ones, at both ends.
    let called = Caller::new(&stack.controller_address(), Some(&old)).unwrap();
    let called = called
        .call("paymesh.persistence.v1.Payments/ReadLedger")
        .await;
    assert!(matches!(called, Called::NoConnection), "{called:?}");
    stack.kill(Member::Controller);
    stack.restart(Member::Controller).unwrap();
    let answer = client.pay("after", &order(), 10).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    let report = check(&stack.card.database_url, &stack.books(), &history)
        .await
        .unwrap();
    assert_eq!(report.payments, paid + 1, "{report}");
    check_logs(&stack, &keys);

    // What cannot be used is not taken, and is told.
    let broken = stack.tls().join("payment-api.key");
    paymesh_beds::write_private(&broken, "no key at all").unwrap();
    let log = || stack.log(Member::Api);
    wait_for_log(log, "new certificates are not used", 1);
    wait_for_log(log, "the file of the key holds no private key", 1);
    let answer = client.pay("still", &order(), 10).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
}
