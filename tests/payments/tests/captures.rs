//! Money that is reserved, captured, let go and given back.

use std::time::Duration;

use paymesh_payments::{Shop, Wishes};
use serde_json::{Value, json};

/// How long anything unknown may take to be settled.
const SETTLED: Duration = Duration::from_secs(30);
/// Longer than money is reserved.
const RESERVED: Duration = Duration::from_hours(8 * 24);
/// Longer than a customer has.
const ACTION: Duration = Duration::from_mins(20);

fn share(amount: i64) -> String {
    json!({ "amount": { "amount": amount, "currency": "EUR" } }).to_string()
}

fn id_of(payment: &Value) -> &str {
    payment["id"].as_str().unwrap()
}

/// Pays 1000 with a token; gives the payment when nothing of it is on its way.
async fn pay(shop: &Shop, key: &str, token: &str, capture: &str, status: &str) -> Value {
    let body = json!({
        "amount": { "amount": 1000, "currency": "EUR" },
        "payment_method": token,
        "capture": capture,
    });
    let answer = shop.client.pay(key, &body.to_string(), 5).await.unwrap();
    let payment = settled_payment(shop, id_of(&answer.json())).await;
    assert_eq!(payment["status"], status, "{payment}");
    payment
}

async fn read(shop: &Shop, id: &str) -> Value {
    let address = format!("/v1/payments/{id}");
    let read = shop.client.get("/v1/payments/{id}", &address).await;
    read.unwrap().1
}

async fn settled_payment(shop: &Shop, id: &str) -> Value {
    let start = std::time::Instant::now();
    loop {
        let payment = read(shop, id).await;
        let attempts = payment["attempts"].as_array().unwrap();
        let is_open = |one: &Value| one["status"] == "pending" || one["status"] == "unknown";
        if !attempts.iter().any(is_open) {
            return payment;
        }
        assert!(start.elapsed() < SETTLED, "{payment}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Does something with a payment that comes to `status`; the payment afterwards.
async fn check_act(
    shop: &Shop,
    key: &str,
    payment: &Value,
    act: &str,
    body: &str,
    status: &str,
) -> Value {
    let answer = shop.client.act(key, id_of(payment), act, body).await;
    let answer = answer.unwrap();
    assert!(matches!(answer.status, 200 | 202), "{answer:?}");
    let after = settled_payment(shop, id_of(payment)).await;
    assert_eq!(after["status"], status, "{after}");
    after
}

async fn check_refused(shop: &Shop, key: &str, payment: &Value, act: &str, body: &str, code: &str) {
    let answer = shop.client.act(key, id_of(payment), act, body).await;
    let answer = answer.unwrap();
    assert_eq!(answer.status, 422, "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], code, "{answer:?}");
}

async fn confirm(shop: &Shop, payment: &Value) -> Value {
    let address = format!("/v1/payments/{}/confirm", id_of(payment));
    let path = "/v1/payments/{id}/confirm";
    let post = reqwest::Method::POST;
    let (status, payment) = shop.client.call(post, path, &address, None).await.unwrap();
    assert_eq!(status, 200, "{payment}");
    payment
}

/// What the customer says at their bank.
async fn answer_bank(payment: &Value, word: &str) {
    let address = payment["next_action"]["redirect_url"].as_str().unwrap();
    let address = format!("{address}/{word}");
    let answer = reqwest::Client::new().post(address).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Credits less debits and what is held, of one account.
async fn balance(shop: &Shop, account: &str) -> (i64, i64) {
    let (_, ledger) = shop.client.get("/v1/ledger", "/v1/ledger").await.unwrap();
    let balances = ledger["balances"].as_array().unwrap();
    let found = balances
        .iter()
        .find(|balance| balance["account"] == account);
    found.map_or((0, 0), |balance| {
        let posted = balance["posted"]["amount"].as_i64().unwrap();
        (posted, balance["held"].as_i64().unwrap())
    })
}

/// An empty request, or all that is left.
const WHOLE: &str = "{}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reserved_taken_or_required_ends_once_and_every_book_agrees() {
    let shop = Shop::open(Wishes::default()).await;
    shop.add_webhook().await;
    check_reservations(&shop).await;
    check_refunds(&shop).await;
    check_refunds_at_once(&shop).await;
    check_actions(&shop).await;
    shop.check_books(SETTLED).await;
}

async fn check_reservations(shop: &Shop) {
    // Reserved: held, not booked. A part is captured, once; the rest is let go.
    let part = pay(shop, "part", "tok_approve", "manual", "requires_capture").await;
    assert_eq!(balance(shop, "acquirer_receivable").await, (0, 1000));
    check_refused(
        shop,
        "part-more",
        &part,
        "capture",
        &share(1001),
        "amount_too_large",
    )
    .await;
    check_refused(shop, "part-back", &part, "refunds", WHOLE, "payment_state").await;
    let captured = check_act(
        shop,
        "part-capture",
        &part,
        "capture",
        &share(600),
        "succeeded",
    )
    .await;
    assert_eq!(captured["captured"]["amount"], 600);
    assert_eq!(captured["attempts"][1]["kind"], "capture");
    check_refused(shop, "part-again", &part, "capture", WHOLE, "payment_state").await;
    check_refused(shop, "part-cancel", &part, "cancel", WHOLE, "payment_state").await;
    assert_eq!(balance(shop, "acquirer_receivable").await, (-600, 0));
    // The same key is the same capture, and no other.
    let body = share(600);
    let answer = shop
        .client
        .act("part-capture", id_of(&part), "capture", &body)
        .await;
    assert!(answer.unwrap().is_replay);
    check_refused(
        shop,
        "part-capture",
        &part,
        "capture",
        WHOLE,
        "idempotency_key_reused",
    )
    .await;
    shop.check_told(&part, &["payment.requires_capture", "payment.succeeded"])
        .await;

    // Let go by its merchant, and by time.
    let canceled = pay(shop, "canceled", "tok_lost", "manual", "requires_capture").await;
    check_act(shop, "cancel", &canceled, "cancel", WHOLE, "canceled").await;
    let expired = pay(shop, "expired", "tok_approve", "manual", "requires_capture").await;
    assert!(expired["expires_at"].is_string(), "{expired}");
    shop.stack.forward(RESERVED).await.unwrap();
    shop.check_told(&expired, &["payment.canceled", "payment.requires_capture"])
        .await;
    assert_eq!(read(shop, id_of(&expired)).await["status"], "canceled");
    assert_eq!(balance(shop, "acquirer_receivable").await, (-600, 0));

    // What the acquirer does not capture stays reserved.
    let kept = pay(
        shop,
        "kept",
        "tok_capture_declined",
        "manual",
        "requires_capture",
    )
    .await;
    let declined = check_act(
        shop,
        "kept-capture",
        &kept,
        "capture",
        WHOLE,
        "requires_capture",
    )
    .await;
    assert_eq!(
        declined["attempts"][1]["failure_code"],
        "declined_on_purpose"
    );
}

async fn check_refunds(shop: &Shop) {
    // Given back in parts, also when an answer is lost; a declined refund gives nothing back.
    let paid = pay(shop, "paid", "tok_lost", "automatic", "succeeded").await;
    check_act(shop, "back-1", &paid, "refunds", &share(300), "succeeded").await;
    let left = check_act(shop, "back-2", &paid, "refunds", &share(100), "succeeded").await;
    assert_eq!(left["refunded"]["amount"], 400);
    check_refused(
        shop,
        "back-3",
        &paid,
        "refunds",
        &share(601),
        "amount_too_large",
    )
    .await;
    let stuck = pay(
        shop,
        "stuck",
        "tok_refund_declined",
        "automatic",
        "succeeded",
    )
    .await;
    let refused = check_act(shop, "stuck-back", &stuck, "refunds", WHOLE, "succeeded").await;
    assert!(refused["refunded"].is_null(), "{refused}");
    shop.check_told(&stuck, &["payment.succeeded", "refund.failed"])
        .await;
    // 600 + 1000 + 1000 were taken, 17 + 29 + 29 of it are fees, 400 went back.
    assert_eq!(balance(shop, "merchant_payable").await, (2125, 0));
}

async fn check_refunds_at_once(shop: &Shop) {
    // Many at once: never more than was taken, never more than the merchant has.
    let raced = pay(shop, "raced", "tok_slow_80", "automatic", "succeeded").await;
    let body = share(400);
    let keys: Vec<String> = (0..6).map(|number| format!("race-{number}")).collect();
    let acts = keys
        .iter()
        .map(|key| shop.client.act(key, id_of(&raced), "refunds", &body));
    let answers = futures::future::join_all(acts).await;
    let is_done = |answer: &&std::io::Result<_>| {
        let answer: &paymesh_payments::client::Answer = answer.as_ref().unwrap();
        answer.status == 200
    };
    assert_eq!(answers.iter().filter(is_done).count(), 2, "{answers:?}");
    let raced = settled_payment(shop, id_of(&raced)).await;
    assert_eq!(raced["refunded"]["amount"], 800);
}

/// A customer who has to go to their bank: says yes, says no, does not come back, is not waited
/// for.
async fn check_actions(shop: &Shop) {
    let asked = pay(shop, "action", "tok_action", "automatic", "requires_action").await;
    // Nothing is done before the customer did something.
    let confirmed = confirm(shop, &asked).await;
    assert_eq!(confirmed["status"], "requires_action", "{confirmed}");
    answer_bank(&asked, "approve").await;
    let paid = confirm(shop, &asked).await;
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert!(paid["next_action"].is_null(), "{paid}");
    shop.check_told(&asked, &["payment.requires_action", "payment.succeeded"])
        .await;
    let reserved = pay(
        shop,
        "action-later",
        "tok_action",
        "manual",
        "requires_action",
    )
    .await;
    answer_bank(&reserved, "approve").await;
    let reserved = confirm(shop, &reserved).await;
    assert_eq!(reserved["status"], "requires_capture", "{reserved}");
    let denied = pay(
        shop,
        "action-no",
        "tok_action",
        "automatic",
        "requires_action",
    )
    .await;
    answer_bank(&denied, "deny").await;
    let denied = confirm(shop, &denied).await;
    assert_eq!(denied["failure_code"], "authentication_failed", "{denied}");
    let left = pay(
        shop,
        "action-left",
        "tok_action",
        "automatic",
        "requires_action",
    )
    .await;
    check_act(shop, "left", &left, "cancel", WHOLE, "canceled").await;
    let late = pay(
        shop,
        "action-late",
        "tok_action",
        "automatic",
        "requires_action",
    )
    .await;
    shop.stack.forward(ACTION).await.unwrap();
    shop.check_told(&late, &["payment.canceled", "payment.requires_action"])
        .await;
}
