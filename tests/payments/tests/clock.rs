//! What waits for a time, when the clock of a stack is moved.

use std::time::{Duration, Instant};

use paymesh_payments::{
    Shop, Wishes, books,
    stack::{MOVED, Moved},
};
use serde_json::{Value, json};

/// How long anything may take until it is told and settled.
const SETTLED: Duration = Duration::from_secs(30);
const TWENTY_MINUTES: Duration = Duration::from_mins(20);
const EIGHT_DAYS: Duration = Duration::from_hours(8 * 24);

fn id_of(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

async fn read(shop: &Shop, payment: &Value) -> Value {
    let address = format!("/v1/payments/{}", id_of(payment));
    let read = shop.client.get("/v1/payments/{id}", &address).await;
    read.unwrap().1
}

/// Pays 1000 with a token; gives the payment in this state.
async fn pay(shop: &Shop, key: &str, token: &str, capture: &str, status: &str) -> Value {
    let body = json!({
        "amount": { "amount": 1000, "currency": "EUR" },
        "payment_method": token,
        "capture": capture,
    });
    let answer = shop.client.pay(key, &body.to_string(), 10).await.unwrap();
    let payment = answer.json();
    assert_eq!(payment["status"], status, "{payment}");
    payment
}

/// Waits until a payment is disputed; gives it.
async fn disputed(shop: &Shop, payment: &Value) -> Value {
    let start = Instant::now();
    loop {
        let payment = read(shop, payment).await;
        if payment["disputes"][0]["respond_by"].is_string() {
            return payment;
        }
        assert!(start.elapsed() < SETTLED, "{payment}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// How much of what the acquirer owes is held.
async fn held(shop: &Shop) -> Option<i64> {
    let (_, ledger) = shop.client.get("/v1/ledger", "/v1/ledger").await.unwrap();
    let balances = ledger["balances"].as_array().unwrap();
    let mut owed = balances
        .iter()
        .filter(|one| one["account"] == "acquirer_receivable");
    owed.next()?["held"].as_i64()
}

/// The only endpoint that is in use.
async fn endpoint(shop: &Shop) -> Value {
    let path = "/v1/webhook_endpoints";
    let (_, endpoints) = shop.client.get(path, path).await.unwrap();
    endpoints["data"][0].clone()
}

/// Whether a time of the API lies before another one; both are written alike.
fn is_before(one: &Value, other: &Value) -> bool {
    one.as_str().unwrap() < other.as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_ends_when_its_time_has_come_and_every_book_agrees() {
    let shop = Shop::open(Wishes::default()).await;
    shop.add_webhook().await;
    let paid = pay(&shop, "paid", "tok_dispute", "automatic", "succeeded").await;
    let paid = disputed(&shop, &paid).await;
    let told = ["dispute.opened", "payment.succeeded"];
    shop.check_told(&paid, &told).await;
    shop.check_books(SETTLED).await;
    assert_eq!(
        shop.stack.forward(Duration::from_hours(1)).await.unwrap(),
        Moved {
            disputes: 1,
            ..Moved::default()
        }
    );

    let asked = pay(&shop, "asked", "tok_action", "automatic", "requires_action").await;
    let told = ["payment.requires_action"];
    shop.check_told(&asked, &told).await;
    let reserved = pay(
        &shop,
        "reserved",
        "tok_approve",
        "manual",
        "requires_capture",
    )
    .await;
    shop.check_told(&reserved, &["payment.requires_capture"])
        .await;
    assert_eq!(held(&shop).await, Some(1000));
    let rotate = format!(
        "/v1/webhook_endpoints/{}/rotate",
        id_of(&endpoint(&shop).await)
    );
    let rotated = shop.client.call(
        reqwest::Method::POST,
        "/v1/webhook_endpoints/{id}/rotate",
        &rotate,
        Some(json!({ "overlap_seconds": 86_400 })),
    );
    let (_, rotated) = rotated.await.unwrap();
    let secret = rotated["secret"].as_str().unwrap();
    shop.merchant.know_secret(secret);
    // Whatever was told is confirmed now: nothing else waits.
    shop.check_books(SETTLED).await;

    // Past what a customer has, and nothing else.
    let moved = shop.stack.forward(TWENTY_MINUTES).await.unwrap();
    let expected = Moved {
        payments: 2,
        expiries: 2,
        disputes: 1,
        secrets: 1,
        due: 1,
        ..Moved::default()
    };
    assert_eq!(moved, expected, "{moved}");
    let told = ["payment.canceled", "payment.requires_action"];
    shop.check_told(&asked, &told).await;
    assert_eq!(read(&shop, &asked).await["status"], "canceled");
    let waiting = read(&shop, &reserved).await;
    assert_eq!(waiting["status"], "requires_capture", "{waiting}");
    assert!(is_before(&waiting["expires_at"], &reserved["expires_at"]));
    assert_eq!(held(&shop).await, Some(1000));
    assert!(endpoint(&shop).await["rotating_until"].is_string());
    shop.check_books(SETTLED).await;

    // Past everything.
    let moved = shop.stack.forward(EIGHT_DAYS).await.unwrap();
    let expected = Moved {
        payments: 1,
        expiries: 1,
        disputes: 1,
        secrets: 1,
        due: 1,
        ..Moved::default()
    };
    assert_eq!(moved, expected, "{moved}");
    let told = ["payment.canceled", "payment.requires_capture"];
    shop.check_told(&reserved, &told).await;
    let expired = read(&shop, &reserved).await;
    assert_eq!(expired["status"], "canceled", "{expired}");
    assert!(expired["expires_at"].is_null(), "{expired}");
    assert_eq!(held(&shop).await, Some(0));
    let books = books::read(&shop.stack.books()).unwrap();
    let charge = id_of(&reserved["attempts"][0]);
    let mut charges = books.charges.iter();
    assert!(charges.any(|one| one.id == charge && one.is_void));
    assert!(endpoint(&shop).await["rotating_until"].is_null());
    let after = read(&shop, &paid).await;
    let (now, dispute) = (&expired["updated_at"], &after["disputes"][0]);
    assert!(is_before(&dispute["respond_by"], now), "{dispute}");
    // It is the acquirer who ends it.
    assert_eq!(dispute["status"], "needs_response", "{dispute}");

    shop.check_books(SETTLED).await;
    let moved = shop.stack.forward(EIGHT_DAYS).await.unwrap();
    assert!(moved.is_nothing(), "{moved}");
    shop.stack.sealed_well(SETTLED).await.unwrap();
    assert_eq!(shop.merchant.forged(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_time_that_is_kept_is_moved_or_known_to_stay() {
    let shop = Shop::open(Wishes::default()).await;
    let times = shop.sql(
        "select table_name || '.' || column_name from information_schema.columns
         where table_schema = 'public' and data_type like 'timestamp%' order by 1",
    );
    let (moved, stay): (Vec<&str>, Vec<&str>) =
        times.lines().partition(|time| MOVED.contains(time));
    assert_eq!(moved, MOVED);
    // When something happened, or a lease: a time that is to come belongs into `stack/clock.rs`.
    expect_test::expect![[r#"
        api_key.created_at
        api_key.revoked_at
        audit_seal.sealed_at
        dispute.opened_at
        dispute.updated_at
        event.created_at
        idempotency.created_at
        inbox.completed_at
        lease.expires_at
        ledger_epoch.lost_since
        ledger_epoch.opened_at
        ledger_epoch.recovered_at
        ledger_epoch.settled_at
        migration.applied_at
        mismatch.noticed_at
        orphan_charge.noticed_at
        outbox.done_at
        outbox.parked_at
        payment.created_at
        payment.updated_at
        posting.created_at
        settlement_break.closed_at
        settlement_break.noticed_at
        settlement_report.closed_at
        settlement_report.read_at
        tenant.created_at
        webhook_delivery.tried_at
        webhook_endpoint.created_at
        webhook_endpoint.disabled_at
    "#]]
    .assert_eq(&(stay.join("\n") + "\n"));
}
