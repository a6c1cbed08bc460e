//! Card numbers are sent wherever something can be sent, each place its own, and looked for
//! wherever something is written: no log, span, metric, record, table or file has one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use paymesh_payments::{
    Bus, Client, Collector, Member, Receiver, Stack, Wishes,
    canary::{canary, numbers_in, spellings},
    shop::folder,
};
use reqwest::{
    Method, RequestBuilder,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::{Value, json};

const SERVICES: [Member; 3] = [Member::Processor, Member::Controller, Member::Api];
const SEEN_MAX: Duration = Duration::from_secs(30);

/// The digits of a text as a number.
fn digits(text: &str) -> u64 {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn order() -> Value {
    json!({ "amount": { "amount": 990, "currency": "EUR" }, "payment_method": "tok_approve" })
}

/// An order with one member exchanged or added.
fn order_with(name: &str, value: Value) -> Value {
    let mut order = order();
    order[name] = value;
    order
}

fn euros(amount: u64) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

type Body = fn(&str) -> Value;

/// Every field of every request, and what is no field.
const BODIES: [(&str, Body); 24] = [
    ("/v1/payments", |it| order_with("amount", euros(digits(it)))),
    ("/v1/payments", |it| {
        order_with("amount", json!({ "amount": 990, "currency": it }))
    }),
    ("/v1/payments", |it| {
        order_with("payment_method", format!("tok_{it}").into())
    }),
    ("/v1/payments", |it| order_with("payment_method", it.into())),
    ("/v1/payments", |it| order_with("reference", it.into())),
    ("/v1/payments", |it| {
        order_with("reference", format!("order {it} of today").into())
    }),
    ("/v1/payments", |it| order_with("capture", it.into())),
    ("/v1/payments", |it| {
        order_with("metadata", json!({ "card": it }))
    }),
    ("/v1/payments", |it| {
        order_with("list", json!([[{ "deep": [it] }]]))
    }),
    ("/v1/payments", |it| order_with(it, 1.into())),
    (
        "/v1/payments/{payment}/capture",
        |it| json!({ "amount": euros(digits(it)) }),
    ),
    (
        "/v1/payments/{payment}/capture",
        |it| json!({ "amount": { "amount": 1, "currency": it } }),
    ),
    ("/v1/payments/{payment}/cancel", |it| json!({ "note": it })),
    (
        "/v1/payments/{payment}/refunds",
        |it| json!({ "amount": euros(digits(it)) }),
    ),
    (
        "/v1/payments/{payment}/refunds",
        |it| json!({ "reason": it }),
    ),
    (
        "/v1/payments/{disputed}/disputes/{dispute}/contest",
        |it| json!({ "explanation": format!("Paid with\n{it}.") }),
    ),
    (
        "/v1/payments/{disputed}/disputes/{dispute}/accept",
        |it| json!({ "note": it }),
    ),
    (
        "/v1/webhook_endpoints",
        |it| json!({ "url": format!("https://shop.example/{it}") }),
    ),
    (
        "/v1/webhook_endpoints",
        |it| json!({ "url": format!("https://shop.example/?card={it}") }),
    ),
    (
        "/v1/webhook_endpoints",
        |it| json!({ "url": format!("https://shop.example/?card=%20{it}") }),
    ),
    (
        "/v1/webhook_endpoints",
        |it| json!({ "url": format!("https://{it}.example/") }),
    ),
    (
        "/v1/webhook_endpoints",
        |it| json!({ "url": format!("https://{it}@shop.example/") }),
    ),
    (
        "/v1/webhook_endpoints/{endpoint}/rotate",
        |it| json!({ "overlap_seconds": digits(it) }),
    ),
    (
        "/v1/webhook_endpoints/{endpoint}/rotate",
        |it| json!({ "overlap_seconds": 60, "secret": it }),
    ),
];

/// Headers that are read, that proxies and browsers add, and one that nobody knows.
const HEADERS: [&str; 14] = [
    "idempotency-key",
    "prefer",
    "authorization",
    "content-type",
    "user-agent",
    "accept",
    "accept-language",
    "cookie",
    "referer",
    "x-forwarded-for",
    "baggage",
    "tracestate",
    "paymesh-signature",
    "x-card",
];

const ADDRESSES: [(&str, &str); 19] = [
    ("GET", "/{}"),
    ("GET", "/v1/{}"),
    ("GET", "/openapi.json?{}"),
    ("GET", "/v1/payments?limit={}"),
    ("GET", "/v1/payments?after={}"),
    ("GET", "/v1/payments?before={}"),
    ("GET", "/v1/payments?{}=1"),
    ("GET", "/v1/payments/{}"),
    ("POST", "/v1/payments/{}/capture"),
    ("POST", "/v1/payments/{}/cancel"),
    ("POST", "/v1/payments/{}/refunds"),
    ("POST", "/v1/payments/{}/confirm"),
    ("POST", "/v1/payments/{payment}/disputes/{}/contest"),
    ("GET", "/v1/ledger?payment={}"),
    ("GET", "/v1/events?after={}"),
    ("POST", "/v1/events/{}/replay"),
    ("GET", "/v1/events/{}/deliveries"),
    ("POST", "/v1/webhook_endpoints/{}/rotate"),
    ("DELETE", "/v1/webhook_endpoints/{}"),
];

/// Who sends canaries, and what each was sent as.
struct Sender {
    http: reqwest::Client,
    base: String,
    api_key: String,
    /// What stands for the things that exist in an address.
    names: Vec<(&'static str, String)>,
    sent: BTreeMap<u64, String>,
}

impl Sender {
    /// A number that nobody sent before; it is known by `place` from now on.
    fn next(&mut self, place: &str) -> u64 {
        let number = canary(self.sent.len() + 1);
        self.sent.insert(number, place.to_owned());
        number
    }

    fn request(&self, method: Method, address: &str) -> RequestBuilder {
        let mut address = address.to_owned();
        for (name, id) in &self.names {
            address = address.replace(name, id);
        }
        self.http
            .request(method, format!("{}{address}", self.base))
            .bearer_auth(&self.api_key)
            .header("idempotency-key", format!("key {}", self.sent.len()))
    }

    /// Sends a place's canaries; all of them have to be refused as card numbers.
    async fn refused(&mut self, place: &str, request: impl Fn(&Self, &str) -> RequestBuilder) {
        for way in 0..3 {
            let text = &spellings(self.next(place))[way];
            let answer = request(self, text).send().await.unwrap();
            let said = answer.text().await.unwrap();
            assert!(
                said.contains("card_number_refused"),
                "{place} {text}: {said}"
            );
            assert!(numbers_in(said.as_bytes()).is_empty(), "{place}: {said}");
        }
    }

    /// Sends a place's canaries where some may be passed over, as long as they are not kept.
    async fn passed_over(
        &mut self,
        place: &str,
        request: impl Fn(&Self, &str) -> Option<RequestBuilder>,
    ) {
        for way in 0..3 {
            let text = &spellings(self.next(place))[way];
            let Some(request) = request(self, text) else {
                continue;
            };
            let answer = request.send().await.unwrap();
            let status = answer.status();
            assert!(!status.is_server_error(), "{place} {text}: {status}");
        }
    }

    async fn send_bodies(&mut self) {
        for (number, (address, body)) in BODIES.into_iter().enumerate() {
            let place = format!("body {number} of {address}");
            let ask =
                |this: &Self, text: &str| this.request(Method::POST, address).json(&body(text));
            self.refused(&place, ask).await;
        }
        // Nobody reads these to their end.
        for address in [
            "/v1/payments/{payment}/confirm",
            "/v1/events/{event}/replay",
            "/v1/nowhere",
        ] {
            let body = |text: &str| json!({ "card": text });
            self.passed_over(&format!("body of {address}"), |this, text| {
                Some(this.request(Method::POST, address).json(&body(text)))
            })
            .await;
        }
        for (place, before, after) in [
            ("broken JSON", "{\"reference\":\"", String::new()),
            ("no JSON", "reference=", String::new()),
            (
                "large body",
                "{\"reference\":\"",
                " ".repeat(70_000) + "\"}",
            ),
        ] {
            self.passed_over(place, |this, text| {
                let body = format!("{before}{text}{after}");
                Some(this.request(Method::POST, "/v1/payments").body(body))
            })
            .await;
        }
    }

    async fn send_headers(&mut self) {
        for name in HEADERS {
            for method in [Method::POST, Method::GET] {
                let ask = |this: &Self, text: &str| {
                    let scheme = if name == "authorization" {
                        "Bearer "
                    } else {
                        ""
                    };
                    let value = HeaderValue::try_from(format!("{scheme}{text}")).unwrap();
                    let headers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
                    let request = this.request(method.clone(), "/v1/payments");
                    request.json(&order()).headers(headers)
                };
                self.refused(&format!("header {name} of {method}"), ask)
                    .await;
            }
        }
        self.passed_over("name of a header", |this, text| {
            let name = HeaderName::try_from(format!("x-{text}")).ok()?;
            Some(this.request(Method::GET, "/v1/payments").header(name, "1"))
        })
        .await;
        for (place, before, after) in [
            ("trace", "00-0000000000000000", "-b7ad6b7169203331-01"),
            ("span", "00-0af7651916cd43dd8448eb211c80319c-", "-01"),
        ] {
            self.passed_over(place, |this, text| {
                let request = this.request(Method::POST, "/v1/payments").json(&order());
                Some(request.header("traceparent", format!("{before}{text}{after}")))
            })
            .await;
        }
    }

    async fn send_addresses(&mut self) {
        for (method, address) in ADDRESSES {
            let ask = |this: &Self, text: &str| {
                let method = Method::try_from(method).unwrap();
                let request = this.request(method, &address.replace("{}", text));
                Some(request.json(&json!({})))
            };
            self.passed_over(&format!("{method} {address}"), ask).await;
        }
        self.passed_over("method", |this, text| {
            let method = Method::try_from(text).ok()?;
            Some(this.request(method, "/v1/payments"))
        })
        .await;
    }
}

/// Every file in a folder, with all that is in it.
fn read_all(folder: &Path, top: &Path, found: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, top, found)?;
        } else if path.is_file() {
            let name = path
                .strip_prefix(top)
                .unwrap_or(&path)
                .display()
                .to_string();
            match fs::read(&path) {
                Ok(bytes) => found.push((name, bytes)),
                // A server that runs removes files of its own.
                Err(reason) if reason.kind() == io::ErrorKind::NotFound => {}
                Err(reason) => return Err(reason),
            }
        }
    }
    Ok(())
}

fn dumps(stack: &Stack) -> Vec<(String, Vec<u8>)> {
    let databases = "select datname from pg_database where not datistemplate";
    let databases = stack.postgres.sql("postgres", databases).unwrap();
    let dump = |name: &str| {
        let mut command = stack.postgres.client("pg_dump", name);
        let printed = stack.postgres.printed(&mut command).unwrap();
        (format!("dump of {name}"), printed.into_bytes())
    };
    databases.lines().map(dump).collect()
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < SEEN_MAX, "no {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn id_of(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_number_that_is_sent_anywhere_is_written_nowhere() {
    check_canaries(Bus::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka: PAYMESH_KAFKA, or the stage `kafka` of make test"]
async fn over_kafka_it_is_in_no_topic_either() {
    check_canaries(Bus::Kafka).await;
}

async fn check_canaries(bus: Bus) {
    let folder = folder();
    let wishes = Wishes {
        bus,
        ..Wishes::default()
    };
    let mut stack = Stack::start(folder.path(), wishes).unwrap();
    let collector = Collector::start().await.unwrap();
    for member in SERVICES {
        assert!(stack.stop(member), "{}", stack.log(member));
    }
    stack.collector_url = Some(collector.url.clone());
    for member in [Member::Controller, Member::Processor, Member::Api] {
        stack.restart(member).unwrap();
    }
    let (base, api_key) = (stack.card.api_url.clone(), stack.card.api_key.clone());
    let client = Client::without_history(&base, &api_key).unwrap();
    let merchant = Receiver::start().await.unwrap();
    merchant.know_secret(&client.add_webhook(&merchant.url).await.unwrap());

    // One of everything that a request can be about.
    let body = order_with("capture", "manual".into()).to_string();
    let payment = id_of(&client.pay("reserved", &body, 20).await.unwrap().json());
    let body = order_with("payment_method", "tok_dispute".into()).to_string();
    let disputed = id_of(&client.pay("disputed", &body, 20).await.unwrap().json());
    let get = async |path: &str, address: &str| client.get(path, address).await.unwrap().1;
    let dispute = until("dispute", async || {
        let seen = get("/v1/payments/{id}", &format!("/v1/payments/{disputed}")).await;
        seen["disputes"][0]["id"].as_str().map(str::to_owned)
    })
    .await;
    let endpoints = get("/v1/webhook_endpoints", "/v1/webhook_endpoints").await;
    let events = get("/v1/events", "/v1/events").await;
    let mut sender = Sender {
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        base,
        api_key,
        names: vec![
            ("{payment}", payment),
            ("{disputed}", disputed),
            ("{dispute}", dispute),
            ("{endpoint}", id_of(&endpoints["data"][0])),
            ("{event}", id_of(&events["data"][0])),
        ],
        sent: BTreeMap::new(),
    };
    sender.send_bodies().await;
    sender.send_headers().await;
    sender.send_addresses().await;

    // A number like the others, but for its check digit, is no card number: it is kept and told, so
    // it shows where a canary would have been found. A merchant who refuses it answers with one.
    let control = canary(0) ^ 1;
    merchant.say(&spellings(sender.next("a merchant's answer")).join(", "));
    merchant.refuse(1);
    let body = order_with("reference", control.to_string().into()).to_string();
    let paid = client.pay("control", &body, 20).await.unwrap();
    assert_eq!(paid.status, 201, "{}", paid.body);
    let paid = id_of(&paid.json());
    until("webhook", async || merchant.event_of(&paid)).await;

    let mut sinks = Vec::new();
    for member in SERVICES {
        let metrics = stack.metrics(member).await.unwrap();
        assert!(metrics.contains("paymesh_ready"), "{metrics}");
        sinks.push((format!("metrics of {member:?}"), metrics.into_bytes()));
    }
    for member in SERVICES {
        assert!(stack.stop(member), "{}", stack.log(member));
    }
    let spans = collector.spans();
    let ids = spans
        .iter()
        .map(|span| format!("{} / {}\n", span.trace, span.parent));
    sinks.push((
        "ids of spans".to_owned(),
        ids.collect::<String>().into_bytes(),
    ));
    sinks.push(("spans".to_owned(), collector.all()));
    sinks.push(("webhooks".to_owned(), merchant.all().into_bytes()));
    sinks.extend(dumps(&stack));
    stack.postgres.sql("postgres", "checkpoint").unwrap();
    let planted = spellings(sender.next("a file")).join(", ");
    fs::write(folder.path().join("planted"), planted).unwrap();
    read_all(folder.path(), folder.path(), &mut sinks).unwrap();

    let mut with_control = BTreeSet::new();
    let mut leaks = Vec::new();
    for (sink, bytes) in &sinks {
        for number in numbers_in(bytes) {
            if number == control {
                with_control.insert(sink.as_str());
            } else if let Some(place) = sender.sent.get(&number) {
                leaks.push(format!("{place} in {sink}"));
            }
        }
    }
    assert_eq!(leaks, ["a file in planted"]);
    let is_seen = |name: &str| spans.iter().any(|span| span.name == name);
    assert!(is_seen("POST /v1/payments") && is_seen("other /v1/payments"));
    for sink in ["webhooks", "dump of payments"] {
        assert!(with_control.contains(sink), "{sink}: {with_control:?}");
    }
    let is_of_server = |sink: &&str| sink.starts_with("postgres/data/base/");
    assert!(with_control.iter().any(is_of_server), "{with_control:?}");
    let logs: Vec<&str> = sinks.iter().map(|(sink, _)| sink.as_str()).collect();
    for log in [
        "paymesh-payment-api.log",
        "paymesh-db-controller.log",
        "postgres/log",
    ] {
        assert!(logs.contains(&log), "{logs:?}");
    }
    println!(
        "{} canaries, {} places to look",
        sender.sent.len(),
        sinks.len()
    );
}
