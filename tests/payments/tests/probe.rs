//! The synthetic probe: what it pays comes back, what it says is so, and it leaves nothing behind.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use paymesh_beds::{Authority, Flow, Link, Subject, wait_for, write_private};
use paymesh_payments::{Client, Member, Shop, Wishes, shop::folder};
use reqwest::Url;
use serde_json::{Value, json};

const SEEN_MAX: Duration = Duration::from_mins(1);
const REFERENCE: &str = "synthetic probe";
const EVERY: (&str, &str) = ("PAYMESH_PROBE_EVERY_MS", "150");

/// A stack without a probe yet, and the merchant that the probe will be.
struct Bed {
    shop: Shop,
    api_key: String,
    merchant: Client,
}

impl Bed {
    async fn open(fee_basis_points: u32) -> Self {
        let shop = Shop::open(Wishes::default()).await;
        let api_key = shop.stack.add_merchant("Synthetic probe", fee_basis_points);
        let api_key = api_key.unwrap();
        // Without a history: the probe asks under keys of its own.
        let merchant = shop.client.of_merchant(&api_key);
        Self {
            shop,
            api_key,
            merchant,
        }
    }

    fn start(&mut self, settings: &[(&str, &str)]) {
        self.shop.stack.add_probe(&self.api_key, settings).unwrap();
    }

    async fn wait_for_more(&self, outcome: &str, more: u32) {
        let stack = &self.shop.stack;
        let before = stack.probe_runs(outcome).await.unwrap();
        let runs = stack.wait_for_runs(outcome, before + more, SEEN_MAX);
        runs.await.unwrap();
    }

    /// What the probe said of runs that failed, first to last.
    fn complaints(&self) -> Vec<Value> {
        let log = self.shop.stack.log(Member::Probe);
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Value| line["message"] == "the probe could not pay")
            .collect()
    }

    fn wait_for_complaint(&self, what: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, SEEN_MAX, || {
            let mut told = self.complaints().into_iter();
            let log = || self.shop.stack.log(Member::Probe);
            told.find(&is_meant).ok_or_else(log)
        })
        .unwrap()
    }

    /// The payments of the probe, newest first.
    async fn payments(&self) -> Vec<Value> {
        let mut payments = Vec::new();
        let mut address = "/v1/payments?limit=100".to_owned();
        loop {
            let (status, page) = self.merchant.get("/v1/payments", &address).await.unwrap();
            assert_eq!(status, 200, "{page}");
            let all = page["data"].as_array().unwrap().iter();
            payments.extend(all.filter(|one| one["reference"] == REFERENCE).cloned());
            match page["next"].as_str() {
                None => return payments,
                Some(next) => address = format!("/v1/payments?limit=100&after={next}"),
            }
        }
    }

    async fn payment(&self, id: &str) -> Value {
        let address = format!("/v1/payments/{id}");
        let (status, payment) = self
            .merchant
            .get("/v1/payments/{id}", &address)
            .await
            .unwrap();
        assert_eq!(status, 200, "{payment}");
        payment
    }

    async fn balance(&self, account: &str) -> i64 {
        let (status, ledger) = self.merchant.get("/v1/ledger", "/v1/ledger").await.unwrap();
        assert_eq!(status, 200, "{ledger}");
        let mut balances = ledger["balances"].as_array().unwrap().iter();
        let found = balances.find(|one| one["account"] == account);
        let found = found.unwrap_or_else(|| panic!("no {account} in {ledger}"));
        assert_eq!(found["posted"]["currency"], "USD", "{ledger}");
        assert_eq!(found["held"], 0, "{ledger}");
        found["posted"]["amount"].as_i64().unwrap()
    }

    /// Waits until no run left anything but the one that is under way.
    async fn wait_until_swept(&self) {
        let start = Instant::now();
        loop {
            let payments = self.payments().await;
            let mut earlier = payments.iter().skip(1);
            let Some(left) = earlier.find(|payment| !is_refunded_once(payment)) else {
                return;
            };
            let log = self.shop.stack.log(Member::Probe);
            assert!(start.elapsed() < SEEN_MAX, "{left} in\n{log}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the probe, whose key and token nobody told, and checks that all it paid came back once;
    /// gives how often it paid.
    async fn end(&mut self) -> i64 {
        let stack = &self.shop.stack;
        let metrics = stack.metrics(Member::Probe).await.unwrap();
        let log = stack.log(Member::Probe);
        assert!(!stack.logs().contains(&self.api_key), "{}", stack.logs());
        for said in [metrics, log] {
            for secret in [self.api_key.as_str(), "tok_"] {
                assert!(!said.contains(secret), "{secret} in\n{said}");
            }
        }
        assert!(self.shop.stack.stop(Member::Probe), "it did not end");
        let payments = self.payments().await;
        for payment in &payments {
            assert!(is_refunded_once(payment), "{payment}");
        }
        self.shop.check_books(SEEN_MAX).await;
        i64::try_from(payments.len()).unwrap()
    }
}

fn attempts(payment: &Value) -> Vec<String> {
    let attempts = payment["attempts"].as_array().unwrap().iter();
    let word = |attempt: &Value, name: &str| attempt[name].as_str().unwrap().to_owned();
    attempts
        .map(|attempt| [word(attempt, "kind"), word(attempt, "status")].join(" "))
        .collect()
}

fn is_refunded_once(payment: &Value) -> bool {
    let unit = json!({ "amount": 100, "currency": "USD" });
    payment["status"] == "succeeded"
        && [&payment["captured"], &payment["refunded"]] == [&unit, &unit]
        && attempts(payment) == ["charge approved", "refund approved"]
}

/// The value of the series whose name and labels are `series`.
fn value(metrics: &str, series: &str) -> f64 {
    let mut lines = metrics.lines();
    let found = lines.find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("no {series} in\n{metrics}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unit_goes_there_and_back_again_and_again_and_nothing_else_is_touched() {
    let mut bed = Bed::open(290).await;
    // The fees of the runs are paid of it, and its reference is nearly that of the probe.
    let other = json!({
        "amount": { "amount": 10_000, "currency": "USD" },
        "payment_method": "tok_approve",
        "reference": "synthetic probes",
    });
    let other = bed.merchant.pay("other", &other.to_string(), 10).await;
    let other = other.unwrap();
    assert_eq!(other.status, 201, "{}", other.body);
    let other = other.json();

    bed.start(&[EVERY]);
    bed.wait_for_more("ok", 5).await;
    let metrics = bed.shop.stack.metrics(Member::Probe).await.unwrap();
    let failed = value(&metrics, r#"paymesh_probe_runs_total{outcome="failed"}"#);
    assert!(failed < 1.0, "{:?}", bed.complaints());
    for step in [
        "charge",
        "charge_ledger",
        "event",
        "refund",
        "refund_ledger",
    ] {
        let series = format!(r#"paymesh_probe_step_duration_seconds_count{{step="{step}"}}"#);
        assert!(value(&metrics, &series) >= 5.0, "{series} in\n{metrics}");
        let series = format!(r#"paymesh_probe_step_failures_total{{step="{step}"}}"#);
        assert!(value(&metrics, &series) < 1.0, "{series} in\n{metrics}");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let last_ok = value(&metrics, "paymesh_probe_last_ok_seconds");
    assert!((now.as_secs_f64() - last_ok).abs() < 60.0, "{last_ok}");

    let runs = bed.end().await;
    assert!(runs >= 5, "{runs}");
    let other = bed.payment(other["id"].as_str().unwrap()).await;
    assert_eq!(attempts(&other), ["charge approved"]);
    assert!(other["refunded"].is_null(), "{other}");
    // 2.9 % of 100.00 and of each 1.00, which stay.
    let fees = 290 + 3 * runs;
    assert_eq!(bed.balance("acquirer_receivable").await, -10_000);
    assert_eq!(bed.balance("merchant_payable").await, 10_000 - fees);
    assert_eq!(bed.balance("fees").await, fees);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_is_told_with_its_step_and_the_next_ones_leave_nothing_of_it() {
    let mut bed = Bed::open(0).await;
    bed.start(&[EVERY]);
    bed.wait_for_more("ok", 1).await;

    bed.shop.stack.kill(Member::Processor);
    let told = bed.wait_for_complaint("a charge that fails", |line| line["step"] == "charge");
    assert_eq!(told["expected"], "a payment that succeeded");
    assert_eq!(told["came"], "a payment of USD 1.00 that is processing");
    assert!(told["next"].as_str().unwrap().contains("PaymeshProbeFails"));
    let unpaid = told["payment"].as_str().unwrap();
    assert!(
        bed.shop.stack.is_ready(Member::Probe),
        "who tells stays there"
    );
    let metrics = bed.shop.stack.metrics(Member::Probe).await.unwrap();
    let failures = value(
        &metrics,
        r#"paymesh_probe_step_failures_total{step="charge"}"#,
    );
    assert!(failures >= 1.0, "{metrics}");
    bed.shop.stack.restart(Member::Processor).unwrap();
    bed.wait_for_more("ok", 2).await;

    bed.shop.stack.kill(Member::Api);
    let told = bed.wait_for_complaint("an API that is away", |line| {
        let came = line["came"].as_str().unwrap_or_default();
        came.starts_with("no connection")
    });
    assert!(told["status"].is_null(), "{told}");
    bed.shop.stack.restart(Member::Api).unwrap();
    bed.wait_for_more("ok", 2).await;

    bed.wait_until_swept().await;
    let failed = bed.shop.stack.probe_runs("failed").await.unwrap();
    let complaints = bed.complaints();
    assert_eq!(complaints.len(), failed as usize, "{complaints:?}");
    assert!(is_refunded_once(&bed.payment(unpaid).await));
    bed.end().await;
    for account in ["acquirer_receivable", "merchant_payable"] {
        assert_eq!(bed.balance(account).await, 0, "{account}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_killed_before_its_refund_makes_it_when_it_comes_back_and_once() {
    const SLOW: Flow = Flow::Slow(Duration::from_millis(250));
    let mut bed = Bed::open(0).await;
    let api = Url::parse(&bed.shop.stack.card.api_url).unwrap();
    // Two requests lie between its charge and its refund, so there is a second to kill it in.
    let wire = Link::to(api.port().unwrap()).unwrap();
    wire.set(SLOW, SLOW);
    let url = format!("http://127.0.0.1:{}", wire.port());
    bed.start(&[
        ("PAYMESH_PROBE_API_URL", url.as_str()),
        ("PAYMESH_PROBE_MS_MAX", "20000"),
    ]);
    let start = Instant::now();
    let id = loop {
        let payments = bed.payments().await;
        let is_taken = |payment: &&Value| payment["status"] == "succeeded";
        if let Some(taken) = payments.iter().find(is_taken) {
            break taken["id"].as_str().unwrap().to_owned();
        }
        assert!(start.elapsed() < SEEN_MAX, "{payments:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    bed.shop.stack.kill(Member::Probe);
    wire.sever();
    let left = bed.payment(&id).await;
    assert_eq!(attempts(&left), ["charge approved"]);

    wire.set(Flow::Open, Flow::Open);
    // Five steps of three seconds: so long the run of another probe may take.
    let step_max = ("PAYMESH_PROBE_MS_MAX", "3000");
    bed.start(&[("PAYMESH_PROBE_EVERY_MS", "1000"), step_max]);
    while !is_refunded_once(&bed.payment(&id).await) {
        let log = bed.shop.stack.log(Member::Probe);
        assert!(start.elapsed() < 2 * SEEN_MAX, "{log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It may have been charged a moment before `start`.
    let left_alone = start.elapsed();
    assert!(left_alone >= Duration::from_secs(14), "{left_alone:?}");
    // Its refund is seen before the probe has the answer.
    bed.wait_for_more("ok", 1).await;
    let log = bed.shop.stack.log(Member::Probe);
    let told = |line: &&str| line.contains("what was left is refunded") && line.contains(&id);
    assert_eq!(log.lines().filter(told).count(), 1, "{log}");
    let runs = bed.end().await;
    assert!(runs >= 2, "{runs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_acquirer_declines_is_told_with_its_reason_and_money_that_stays_away_once() {
    let mut bed = Bed::open(0).await;
    let token = |token| [EVERY, ("PAYMESH_PROBE_PAYMENT_METHOD", token)];
    bed.start(&token("tok_decline"));
    let told = bed.wait_for_complaint("a declined charge", |line| line["step"] == "charge");
    assert_eq!(told["came"], "a payment of USD 1.00 that is failed");
    assert_eq!(told["code"], "insufficient_funds");

    bed.start(&token("tok_refund_declined"));
    let told = bed.wait_for_complaint("a declined refund", |line| line["step"] == "refund");
    assert_eq!(told["came"], "a payment of which nothing is refunded");
    assert_eq!(told["code"], "declined_on_purpose");
    let id = told["payment"].as_str().unwrap();
    bed.wait_for_more("failed", 3).await;
    let log = bed.shop.stack.log(Member::Probe);
    let stuck = "what the probe left behind is not refunded";
    let is_of_it = |line: &&str| line.contains(stuck) && line.contains(id);
    assert_eq!(log.lines().filter(is_of_it).count(), 1, "{log}");
    let declined = ["charge approved", "refund declined"];
    assert_eq!(attempts(&bed.payment(id).await), declined);

    bed.wait_for_complaint("a run that charges nothing", |line| {
        let came = line["came"].as_str().unwrap_or_default();
        came.contains("so nothing is charged")
    });
    bed.wait_for_more("failed", 3).await;
    let payments = bed.payments().await;
    let kept = payments.iter().filter(|one| attempts(one) == declined);
    assert!(kept.count() <= 6, "{payments:?}");
    assert!(bed.shop.stack.stop(Member::Probe), "it did not end");
    bed.shop.check_books(SEEN_MAX).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_https_the_api_has_to_be_the_one_that_the_authority_knows() {
    let folder = folder();
    let mut bed = Bed::open(0).await;
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        write_private(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let [ours, other] = ["ours", "other"].map(|name| Authority::new(name).unwrap());
    let subject = Subject {
        hosts: &["127.0.0.1"],
        ..Subject::default()
    };
    let issued = ours.issue(subject).unwrap();
    let stack = &mut bed.shop.stack;
    let url = stack.card.api_url.replace("http://", "https://");
    stack.kill(Member::Api);
    let certificate = file("api.pem", &issued.certificate);
    stack.api_certificate = Some((certificate, file("api.key", &issued.key)));
    stack.restart(Member::Api).unwrap();

    let ours = file("ours.pem", ours.pem());
    let other = file("other.pem", other.pem());
    let api = ("PAYMESH_PROBE_API_URL", url.as_str());
    bed.start(&[EVERY, api, ("PAYMESH_PROBE_CA", other.as_str())]);
    bed.wait_for_complaint("a certificate of nobody", |line| {
        let came = line["came"].as_str().unwrap_or_default();
        came.contains("UnknownIssuer")
    });
    bed.start(&[EVERY, api, ("PAYMESH_PROBE_CA", ours.as_str())]);
    bed.wait_for_more("ok", 1).await;
    let failed = bed.shop.stack.probe_runs("failed").await.unwrap();
    assert_eq!(failed, 0, "{:?}", bed.complaints());
}
