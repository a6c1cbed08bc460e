//! One payment is one trace, nothing in it is a secret, and nobody waits for whoever collects it.

use std::{
    io,
    time::{Duration, Instant},
};

use paymesh_beds::reserve_port;
use paymesh_payments::{Bus, Collector, Member, Shop, Wishes};
use serde_json::{Value, json};

const SERVICES: [Member; 3] = [Member::Processor, Member::Controller, Member::Api];
const SEEN_MAX: Duration = Duration::from_secs(30);

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const REFUND_TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const UNSEEN_TRACE: &str = "aaaa2222bbbb3333cccc4444dddd5555";
const MERCHANT_SPAN: &str = "b7ad6b7169203331";

const PAYMENT: &str = "\
POST /v1/payments [payment-api]
  create payment [db-controller]
    hand out [db-controller]
      send attempt [payment-processor]
        acquirer [payment-processor]
        complete [db-controller]
          hand out [db-controller]
            deliver webhook [payment-processor]
              complete [db-controller]
                transaction [db-controller]
              merchant [payment-processor]
          transaction [db-controller]
    transaction [db-controller]
";

const REFUND: &str = "\
POST /v1/payments/{id}/refunds [payment-api]
  act [db-controller]
    hand out [db-controller]
      send operation [payment-processor]
        acquirer [payment-processor]
        complete [db-controller]
          hand out [db-controller]
            deliver webhook [payment-processor]
              complete [db-controller]
                transaction [db-controller]
              merchant [payment-processor]
          transaction [db-controller]
    transaction [db-controller]
";

/// A merchant whose requests belong to traces.
struct Traced {
    inner: Shop,
    http: reqwest::Client,
}

impl Traced {
    /// Asks for something under a key, with a trace that is seen or not, or with none.
    async fn ask(
        &self,
        address: &str,
        key: &str,
        trace: Option<(&str, &str)>,
        body: &str,
    ) -> Value {
        let card = &self.inner.stack.card;
        let mut request = self
            .http
            .post(format!("{}{address}", card.api_url))
            .bearer_auth(&card.api_key)
            .header("idempotency-key", key)
            .header("prefer", "wait=20")
            .header("content-type", "application/json")
            .body(body.to_owned());
        if let Some((trace, flags)) = trace {
            request = request.header("traceparent", format!("00-{trace}-{MERCHANT_SPAN}-{flags}"));
        }
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn check_told(&self, payment: &str, events: usize) {
        let start = Instant::now();
        while self.inner.merchant.told_of(payment).len() < events {
            assert!(start.elapsed() < SEEN_MAX, "no webhook of {payment}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the services one after the other, each before those it needs: they send their last spans.
    fn end(&mut self) {
        for member in SERVICES {
            assert!(
                self.inner.stack.stop(member),
                "{}",
                self.inner.stack.log(member)
            );
        }
    }

    /// Starts them again, with spans sent somewhere else.
    fn begin(&mut self, collector: Option<String>) -> io::Result<()> {
        self.inner.stack.collector_url = collector;
        for member in [Member::Controller, Member::Processor, Member::Api] {
            self.inner.stack.restart(member)?;
        }
        Ok(())
    }

    /// Payments end well, and every service that has spans loses them and counts that.
    async fn check_goes_on(&self, name: &str) {
        for number in 0..20 {
            let paid = self
                .ask("/v1/payments", &format!("{name}-{number}"), None, &order())
                .await;
            assert_eq!(paid["status"], "succeeded", "{paid}");
        }
        for member in SERVICES {
            self.check_loses(member).await;
        }
    }

    async fn check_loses(&self, member: Member) {
        let start = Instant::now();
        let lost = "paymesh_spans_lost_total{reason=\"refused\"} ";
        loop {
            let metrics = self.inner.stack.metrics(member).await.unwrap();
            let value = metrics.lines().find_map(|line| line.strip_prefix(lost));
            if value
                .and_then(|value| value.parse().ok())
                .is_some_and(|spans: f64| spans >= 1.0)
            {
                return;
            }
            assert!(start.elapsed() < SEEN_MAX, "{member:?}:\n{metrics}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn order() -> String {
    json!({
        "amount": { "amount": 990, "currency": "EUR" },
        "payment_method": "tok_approve",
        "reference": "canary reference",
    })
    .to_string()
}

async fn start(bus: Bus) -> (Traced, String) {
    let wishes = Wishes {
        bus,
        ..Wishes::default()
    };
    let inner = Shop::open(wishes).await;
    let secret = inner.add_webhook().await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    (Traced { inner, http }, secret)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payment_is_one_trace_without_a_secret() {
    check_traces(Bus::Embedded).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Apache Kafka: PAYMESH_KAFKA, or the stage `kafka` of make test"]
async fn over_kafka_it_is_the_same_trace() {
    check_traces(Bus::Kafka).await;
}

async fn check_traces(bus: Bus) {
    let (mut shop, secret) = start(bus).await;
    let collector = Collector::start().await.unwrap();
    shop.end();
    shop.begin(Some(collector.url.clone())).unwrap();

    // Who says that their trace is not seen is heard.
    let unseen = Some((UNSEEN_TRACE, "00"));
    let unseen = shop
        .ask("/v1/payments", "canary-unseen", unseen, &order())
        .await;
    shop.check_told(unseen["id"].as_str().unwrap(), 1).await;

    let seen = Some((TRACE, "01"));
    let paid = shop.ask("/v1/payments", "canary-key", seen, &order()).await;
    assert_eq!(paid["status"], "succeeded", "{paid}");
    let id = paid["id"].as_str().unwrap().to_owned();
    shop.check_told(&id, 1).await;
    let refunds = format!("/v1/payments/{id}/refunds");
    let seen = Some((REFUND_TRACE, "01"));
    let refunded = shop.ask(&refunds, "canary-refund", seen, "{}").await;
    assert_eq!(refunded["refunded"]["amount"], 990, "{refunded}");
    shop.check_told(&id, 2).await;

    // A card number is refused, wherever it stands, and told to nobody.
    let card = order().replace("tok_approve", "4111111111111111");
    let refused = shop.ask("/v1/payments", "canary-card", None, &card).await;
    assert!(refused["error"].is_object(), "{refused}");
    shop.ask("/v1/4111111111111111", "canary-path", None, "{}")
        .await;

    shop.end();
    assert_eq!(collector.tree(TRACE, MERCHANT_SPAN), PAYMENT);
    assert_eq!(collector.tree(REFUND_TRACE, MERCHANT_SPAN), REFUND);
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace != UNSEEN_TRACE));
    // All of a trace is in its tree; the refused request began one of its own.
    let of = |trace: &str| spans.iter().filter(|span| span.trace == trace).count();
    assert_eq!(of(TRACE), PAYMENT.lines().count());
    assert_eq!(of(REFUND_TRACE), REFUND.lines().count());
    let others = spans.len() - of(TRACE) - of(REFUND_TRACE);
    let begun = spans.iter().filter(|span| span.parent.is_empty()).count();
    assert_eq!((others, begun), (1, 1), "{spans:?}");

    assert!(collector.has(&id), "a span tells which payment it is of");
    let (_, acquirer_token) = shop.inner.stack.acquirer();
    for canary in [
        shop.inner.stack.card.api_key.as_str(),
        secret.as_str(),
        acquirer_token,
        shop.inner.merchant.url.as_str(),
        "4111111111111111",
        "tok_approve",
        "canary",
        "127.0.0.1",
        "Bearer",
    ] {
        assert!(!collector.has(canary), "{canary} is in a span");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_go_on_while_the_collector_hangs_and_while_it_is_away() {
    let (mut shop, _) = start(Bus::Embedded).await;
    let collector = Collector::start().await.unwrap();
    collector.hang();
    shop.end();
    shop.begin(Some(collector.url.clone())).unwrap();
    shop.check_goes_on("hanging").await;
    shop.end();
    let nobody = format!("http://127.0.0.1:{}/v1/traces", reserve_port().unwrap());
    shop.begin(Some(nobody)).unwrap();
    shop.check_goes_on("away").await;
    shop.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_nothing_is_kept_of_a_trace() {
    let (shop, _) = start(Bus::Embedded).await;
    let seen = Some((TRACE, "01"));
    let paid = shop.ask("/v1/payments", "untraced", seen, &order()).await;
    assert_eq!(paid["status"], "succeeded", "{paid}");
    let kept = "select count(*) from outbox where trace is not null";
    assert_eq!(shop.inner.sql(kept), "0");
}
