//! What operators see: every service counts what it does, and nothing of it is a secret.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    time::{Duration, Instant},
};

use expect_test::expect_file;
use paymesh_beds::Subject;
use paymesh_payments::{Caller, Member, Shop, Stack, Wishes, order, stack::identity};

const SEEN_MAX: Duration = Duration::from_secs(30);
const SERVICES: [Member; 5] = [
    Member::Api,
    Member::Processor,
    Member::Controller,
    Member::Probe,
    Member::Page,
];

/// The value of the series whose name and labels are `series`.
fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series))?;
    line.trim().parse().ok()
}

/// One metric, as its service describes it.
#[derive(Default)]
struct Family {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

fn families(metrics: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in metrics.lines() {
        if let Some((name, help)) = told(line, "# HELP ") {
            help.clone_into(&mut families.entry(name.to_owned()).or_default().help);
        } else if let Some((name, kind)) = told(line, "# TYPE ") {
            kind.clone_into(&mut families.entry(name.to_owned()).or_default().kind);
        } else if let Some((series, labels)) = line.split_once('{') {
            let parts = ["_bucket", "_sum", "_count"];
            let name = parts.iter().find_map(|part| series.strip_suffix(part));
            let family = families.entry(name.unwrap_or(series).to_owned());
            let names = labels
                .split("\",")
                .filter_map(|label| label.split_once('='));
            let names = names.map(|(name, _)| name.to_owned());
            family
                .or_default()
                .labels
                .extend(names.filter(|name| name != "le"));
        }
    }
    families
}

fn told<'a>(line: &'a str, what: &str) -> Option<(&'a str, &'a str)> {
    line.strip_prefix(what)?.split_once(' ')
}

/// Every metric of every service, for people.
async fn page(stack: &Stack) -> String {
    let mut page = "# Metrics of the payment services\n\n`GET /metrics` at `PAYMESH_HEALTH_LISTEN` of each service, \
        in the text format of Prometheus.\n"
        .to_owned();
    for member in SERVICES {
        let name = member.program().trim_start_matches("paymesh-");
        writeln!(
            page,
            "\n## {name}\n| metric | kind | labels | what it tells |\n|---|---|---|---|"
        )
        .unwrap();
        for (name, family) in families(&stack.metrics(member).await.unwrap()) {
            let labels = family.labels.iter().map(|label| format!("`{label}`"));
            let labels = labels.collect::<Vec<_>>().join(", ");
            let Family { kind, help, .. } = family;
            writeln!(page, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
        }
    }
    page
}

async fn check_comes_to(stack: &Stack, member: Member, series: &str, holds: impl Fn(f64) -> bool) {
    let start = Instant::now();
    loop {
        let metrics = stack.metrics(member).await.unwrap();
        if value(&metrics, series).is_some_and(&holds) {
            return;
        }
        assert!(start.elapsed() < SEEN_MAX, "{series} in\n{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_tell_what_was_done_what_waits_and_no_secret() {
    let wishes = Wishes {
        probe_every_ms: Some(60_000),
        ..Wishes::default()
    };
    let mut shop = Shop::open(wishes).await;
    let secret = shop.add_webhook().await;
    let probed = shop.stack.wait_for_runs("ok", 1, SEEN_MAX).await;
    probed.unwrap();
    let (stack, client) = (&mut shop.stack, &shop.client);
    stack.open_page().unwrap();
    let nowhere = format!("{}/v1/nothing-4111111111111111", stack.card.api_url);
    let refused = reqwest::Client::new().put(nowhere).send().await.unwrap();
    assert_eq!(refused.status(), 404);
    let (good, bad) = (order(990, "tok_approve"), order(990, "tok_decline"));
    client.pay("good", &good, 10).await.unwrap();
    client.pay("bad", &bad, 10).await.unwrap();

    let created = r#"paymesh_http_requests_total{method="POST",path="/v1/payments",status="201"}"#;
    check_comes_to(stack, Member::Api, created, |count| count >= 2.0).await;
    let unknown = r#"paymesh_http_requests_total{method="other",path="other",status="404"}"#;
    check_comes_to(stack, Member::Api, unknown, |count| count >= 1.0).await;
    for outcome in ["approved", "declined"] {
        let attempts = format!(r#"paymesh_attempt_duration_seconds_count{{outcome="{outcome}"}}"#);
        check_comes_to(stack, Member::Processor, &attempts, |count| count >= 1.0).await;
    }
    let committed = r#"paymesh_commit_duration_seconds_count{outcome="committed"}"#;
    check_comes_to(stack, Member::Controller, committed, |count| count >= 4.0).await;

    let told = r#"paymesh_webhook_tries_total{outcome="delivered"}"#;
    check_comes_to(stack, Member::Processor, told, |count| count >= 2.0).await;
    for member in SERVICES {
        check_comes_to(stack, member, "paymesh_ready", |ready| ready >= 1.0).await;
    }

    // Without the acquirer nobody knows what became of an attempt.
    let unknown = "paymesh_unknown_attempts";
    check_comes_to(stack, Member::Controller, unknown, |count| count == 0.0).await;
    stack.kill(Member::Acquirer);
    client.create("unheard", &good, 0).await.unwrap();
    check_comes_to(stack, Member::Controller, unknown, |count| count >= 1.0).await;
    stack.restart(Member::Acquirer).unwrap();
    check_comes_to(stack, Member::Controller, unknown, |count| count == 0.0).await;

    // Without a processor what is to be done waits, and gets older.
    stack.kill(Member::Processor);
    client.create("late", &good, 0).await.unwrap();
    let waiting = r#"paymesh_outbox_waiting_messages{consumer="attempts"}"#;
    check_comes_to(stack, Member::Controller, waiting, |count| count >= 1.0).await;
    let age = r#"paymesh_outbox_oldest_seconds{consumer="attempts"}"#;
    check_comes_to(stack, Member::Controller, age, |seconds| seconds > 0.5).await;
    stack.restart(Member::Processor).unwrap();
    check_comes_to(stack, Member::Controller, waiting, |count| count == 0.0).await;
    let under_way = "paymesh_commands_in_progress";
    check_comes_to(stack, Member::Controller, under_way, |count| count == 0.0).await;

    // Somebody of the same authority who may not call.
    let shop = identity("shop");
    let subject = Subject {
        uris: &[&shop],
        ..Subject::default()
    };
    let shop = stack.authority.issue(subject).unwrap();
    let shop = Caller::new(&stack.controller_address(), Some(&shop)).unwrap();
    shop.call("paymesh.persistence.v1.Queue/Claim").await;
    let labels = r#"caller="other",method="/paymesh.persistence.v1.Queue/Claim""#;
    let refused = format!("paymesh_grpc_calls_refused_total{{{labels}}}");
    check_comes_to(stack, Member::Controller, &refused, |count| count >= 1.0).await;

    expect_file!["../../../services/metrics.md"].assert_eq(&page(stack).await);
    for member in SERVICES {
        let metrics = stack.metrics(member).await.unwrap();
        for secret in [
            stack.card.api_key.as_str(),
            secret.as_str(),
            "127.0.0.1",
            "4111111111111111",
            "good",
            "tok_",
        ] {
            assert!(!metrics.contains(secret), "{secret} in\n{metrics}");
        }
    }
}
