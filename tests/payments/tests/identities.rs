//! Who is let in at db-controller, what each may call, and how certificates are renewed.

use std::time::{Duration, Instant, SystemTime};

use paymesh_beds::{Authority, Issued, Process, Subject, wait_for};
use paymesh_payments::{
    Called, Caller, Client, Member, Stack, Wire, Wires, Wishes,
    caller::{callers, methods},
    order,
    shop::folder,
    stack::identity,
};

/// How long the services may take to see that files are others now.
const SEEN_MAX: Duration = Duration::from_mins(1);

fn issue(authority: &Authority, uris: &[&str]) -> Issued {
    let subject = Subject {
        uris,
        ..Subject::default()
    };
    authority.issue(subject).unwrap()
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
    let wishes = Wishes {
        wires: Wires::Cuttable,
        ..Wishes::default()
    };
    let mut stack = Stack::start(folder.path(), wishes).unwrap();
    let client = Client::new(&stack.card.api_url, &stack.card.api_key, &stack.history()).unwrap();
    let body = order(990, "tok_approve");
    let old = issue(&stack.authority, &[&identity("payment-api")]);
    let keys = stack.keys().unwrap();
    let next = Authority::new("The next authority").unwrap();
    let members = [Member::Api, Member::Processor, Member::Controller];

    let (stop, stopped) = tokio::sync::watch::channel(false);
    // A connection that is ended costs a request; a renewal does not.
    let turns = tokio::sync::Mutex::new(());
    let (paid_by_now, mut paying) = tokio::sync::watch::channel(0);
    let load = async {
        let mut paid = 0;
        while !*stopped.borrow() {
            let turn = turns.lock().await;
            let answer = client.create(&format!("order-{paid}"), &body, 5).await;
            let answer = answer.unwrap().expect("an answer");
            assert_eq!(answer.status, 201, "{}", answer.body);
            drop(turn);
            paid += 1;
            paid_by_now.send_replace(paid);
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
        let renewals = |member| {
            stack
                .log(member)
                .matches("certificates were renewed")
                .count()
        };
        for authorities in rounds {
            let before = members.map(renewals);
            stack.certify(authorities).unwrap();
            let start = Instant::now();
            for (member, before) in members.into_iter().zip(before) {
                while renewals(member) == before {
                    assert!(start.elapsed() < SEEN_MAX, "{}", stack.log(member));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            // What is open lives on with what it was opened with: only new connections show.
            let turn = turns.lock().await;
            let cut_off = "no news of attempts";
            let count = stack.log(Member::Api).matches(cut_off).count();
            stack.sever(Wire::ApiToController);
            stack.sever(Wire::ProcessorToController);
            wait_for_log(|| stack.log(Member::Api), cut_off, count + 1);
            for member in members {
                wait_for("a service that is ready", SEEN_MAX, || {
                    let is_ready = stack.is_ready(member);
                    is_ready.then_some(()).ok_or(stack.log(member))
                })
                .unwrap();
            }
            drop(turn);
            let before = *paying.borrow_and_update();
            let went_on = paying.wait_for(|paid| *paid > before + 1);
            let went_on = tokio::time::timeout(SEEN_MAX, went_on).await;
            went_on.expect("payments go on").unwrap();
        }
        stop.send_replace(true);
    };
    let (paid, ()) = tokio::join!(load, renew);
    assert!(paid > 10, "{paid} payments");

    // Connections that are opened from now on are by the new ones, at both ends.
    // The files are written one after the other, so the last of them may be seen later.
    let start = Instant::now();
    let method = "paymesh.persistence.v1.Payments/ReadLedger";
    loop {
        let called = Caller::new(&stack.controller_address(), Some(&old)).unwrap();
        match called.call(method).await {
            Called::NoConnection => break,
            called => assert!(start.elapsed() < SEEN_MAX, "{called:?}"),
        }
    }
    stack.kill(Member::Controller);
    stack.restart(Member::Controller).unwrap();
    let answer = client.pay("after", &body, 10).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    let report = stack.report().await.unwrap();
    assert_eq!(report.payments, paid + 1, "{report}");
    check_logs(&stack, &keys);

    // A certificate by which a process would be somebody else is not taken, and is told.
    let other = issue(&next, &["spiffe://elsewhere.test/payment-api"]);
    let [certificate, key] =
        ["pem", "key"].map(|kind| stack.tls().join(format!("payment-api.{kind}")));
    paymesh_beds::write_private(&certificate, &other.certificate).unwrap();
    paymesh_beds::write_private(&key, &other.key).unwrap();
    wait_for_log(|| stack.log(Member::Api), "until it is started again", 1);

    // What cannot be used is not taken, and is told.
    let broken = stack.tls().join("payment-api.key");
    paymesh_beds::write_private(&broken, "no key at all").unwrap();
    let log = || stack.log(Member::Api);
    wait_for_log(log, "new certificates are not used", 2);
    wait_for_log(log, "the file of the key holds no private key", 1);
    let metrics = stack.metrics(Member::Api).await.unwrap();
    let counted = r#"paymesh_certificates_refused_total{files="grpc"} 2"#;
    assert!(metrics.contains(counted), "{metrics}");
    let expires = r#"paymesh_certificate_expires_seconds{files="grpc"} "#;
    let expires = metrics.lines().find_map(|line| line.strip_prefix(expires));
    let expires = Duration::from_secs_f64(expires.unwrap().parse().unwrap());
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    assert!(expires > now, "{expires:?} {now:?}");
    let answer = client.pay("still", &body, 10).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_in_time_so_an_authority_that_is_believed_no_more_is_out() {
    let folder = folder();
    let wishes = Wishes {
        connection_ms_max: Some(3_000),
        ..Wishes::default()
    };
    let stack = Stack::start(folder.path(), wishes).unwrap();
    let client = Client::new(&stack.card.api_url, &stack.card.api_key, &stack.history()).unwrap();
    let old = issue(&stack.authority, &[&identity("payment-api")]);
    let holder = Caller::new(&stack.controller_address(), Some(&old)).unwrap();
    let method = "paymesh.persistence.v1.Payments/ReadLedger";
    let called = holder.call(method).await;
    assert!(matches!(called, Called::Asked), "{called:?}");

    let next = Authority::new("The next authority").unwrap();
    stack.certify(&[&next]).unwrap();
    let log = || stack.log(Member::Controller);
    wait_for_log(log, "certificates were renewed", 1);
    let start = Instant::now();
    while matches!(holder.call(method).await, Called::Asked) {
        // Its age, its grace, and some time to see it.
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "it is still let in"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    wait_for_log(log, "it is of no authority that is trusted here", 1);
    // Those who were given new ones go on, over many new connections.
    let body = order(990, "tok_approve");
    for number in 0..10 {
        let answer = client.pay(&format!("order-{number}"), &body, 10).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.body);
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    // A stream that was open is ended after its grace, and opened anew: nobody is out of service.
    let api_log = || stack.log(Member::Api);
    wait_for_log(api_log, "no news of attempts", 1);
    let answer = client.pay("afterwards", &body, 10).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(!api_log().contains(r#""ready":false"#), "{}", api_log());
    wait_for("the processor", SEEN_MAX, || {
        let is_ready = stack.is_ready(Member::Processor);
        is_ready.then_some(()).ok_or(stack.log(Member::Processor))
    })
    .unwrap();
}
