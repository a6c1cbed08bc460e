//! Money that is reserved, captured, let go and given back.

use std::time::Duration;

use paymesh_payments::{Client, Receiver, Report, Stack, Wishes, check};
use serde_json::{Value, json};

/// How long anything unknown may take to be settled.
const SETTLED: Duration = Duration::from_secs(30);

struct Shop {
    _folder: tempfile::TempDir,
    stack: Stack,
    client: Client,
    merchant: Receiver,
}

async fn open_shop() -> Shop {
    let folder = tempfile::Builder::new()
        .prefix("paymesh")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let stack = Stack::start(folder.path(), Wishes::default()).unwrap();
    let client = Client::new(&stack.card.api_url, &stack.card.api_key, &stack.history()).unwrap();
    let merchant = Receiver::start().await.unwrap();
    merchant.know_secret(&client.add_webhook(&merchant.url).await.unwrap());
    Shop {
        _folder: folder,
        stack,
        client,
        merchant,
    }
}

fn share(amount: i64) -> String {
    json!({ "amount": { "amount": amount, "currency": "EUR" } }).to_string()
}

fn id_of(payment: &Value) -> &str {
    payment["id"].as_str().unwrap()
}

impl Shop {
    /// Pays 1000 with a token; gives the payment when nothing of it is on its way.
    async fn pay(&self, key: &str, token: &str, capture: &str, status: &str) -> Value {
        let body = json!({
            "amount": { "amount": 1000, "currency": "EUR" },
            "payment_method": token,
            "capture": capture,
        });
        let answer = self.client.pay(key, &body.to_string(), 5).await.unwrap();
        let payment = self.settled_payment(id_of(&answer.json())).await;
        assert_eq!(payment["status"], status, "{payment}");
        payment
    }

    async fn read(&self, id: &str) -> Value {
        let address = format!("/v1/payments/{id}");
        let read = self.client.get("/v1/payments/{id}", &address).await;
        read.unwrap().1
    }

    async fn settled_payment(&self, id: &str) -> Value {
        let start = std::time::Instant::now();
        loop {
            let payment = self.read(id).await;
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
        &self,
        key: &str,
        payment: &Value,
        act: &str,
        body: &str,
        status: &str,
    ) -> Value {
        let answer = self.client.act(key, id_of(payment), act, body).await;
        let answer = answer.unwrap();
        assert!(matches!(answer.status, 200 | 202), "{answer:?}");
        let after = self.settled_payment(id_of(payment)).await;
        assert_eq!(after["status"], status, "{after}");
        after
    }

    async fn check_refused(&self, key: &str, payment: &Value, act: &str, body: &str, code: &str) {
        let answer = self.client.act(key, id_of(payment), act, body).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(answer.json()["error"]["code"], code, "{answer:?}");
    }

    async fn confirm(&self, payment: &Value) -> Value {
        let address = format!("/v1/payments/{}/confirm", id_of(payment));
        let path = "/v1/payments/{id}/confirm";
        let post = reqwest::Method::POST;
        let (status, payment) = self.client.call(post, path, &address, None).await.unwrap();
        assert_eq!(status, 200, "{payment}");
        payment
    }

    /// What the customer says at their bank.
    async fn answer_bank(&self, payment: &Value, word: &str) {
        let address = payment["next_action"]["redirect_url"].as_str().unwrap();
        let address = format!("{address}/{word}");
        let answer = reqwest::Client::new().post(address).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Credits less debits and what is held, of one account.
    async fn balance(&self, account: &str) -> (i64, i64) {
        let (_, ledger) = self.client.get("/v1/ledger", "/v1/ledger").await.unwrap();
        let balances = ledger["balances"].as_array().unwrap();
        let found = balances
            .iter()
            .find(|balance| balance["account"] == account);
        found.map_or((0, 0), |balance| {
            let posted = balance["posted"]["amount"].as_i64().unwrap();
            (posted, balance["held"].as_i64().unwrap())
        })
    }

    async fn check_told(&self, payment: &Value, expected: &[&str]) {
        let start = std::time::Instant::now();
        while self.merchant.told_of(id_of(payment)) != expected {
            let told = self.merchant.told_of(id_of(payment));
            assert!(start.elapsed() < SETTLED, "was told {told:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Lets a reservation expire now.
    fn let_time_pass(&self, payment: &Value) {
        let sql = |text: &str| self.stack.postgres.sql("payments", text).unwrap();
        let place = format!(
            "(select payment_id from event where encode(body, 'escape') like '%{}%' limit 1)",
            id_of(payment)
        );
        sql(&format!(
            "update payment set expires_at = now() where id = {place}"
        ));
        sql(&format!(
            "update outbox set available_at = now() where kind = 'expire' and payment_id = {place}"
        ));
    }

    async fn check_books(&self) {
        let start = std::time::Instant::now();
        let mut report = Report::default();
        while start.elapsed() < SETTLED {
            let card = &self.stack.card;
            report = check(
                &card.database_url,
                &self.stack.books(),
                &self.stack.history(),
            )
            .await
            .unwrap();
            if report.open.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(report.is_clean(), "{report}");
    }
}

/// An empty request, or all that is left.
const WHOLE: &str = "{}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_reserved_taken_or_required_ends_once_and_every_book_agrees() {
    let shop = open_shop().await;
    check_reservations(&shop).await;
    check_refunds(&shop).await;
    check_refunds_at_once(&shop).await;
    check_actions(&shop).await;
    shop.check_books().await;
}

async fn check_reservations(shop: &Shop) {
    // Reserved: held, not booked. A part is captured, once; the rest is let go.
    let part = shop
        .pay("part", "tok_approve", "manual", "requires_capture")
        .await;
    assert_eq!(shop.balance("acquirer_receivable").await, (0, 1000));
    shop.check_refused(
        "part-more",
        &part,
        "capture",
        &share(1001),
        "amount_too_large",
    )
    .await;
    shop.check_refused("part-back", &part, "refunds", WHOLE, "payment_state")
        .await;
    let captured = shop
        .check_act("part-capture", &part, "capture", &share(600), "succeeded")
        .await;
    assert_eq!(captured["captured"]["amount"], 600);
    assert_eq!(captured["attempts"][1]["kind"], "capture");
    shop.check_refused("part-again", &part, "capture", WHOLE, "payment_state")
        .await;
    shop.check_refused("part-cancel", &part, "cancel", WHOLE, "payment_state")
        .await;
    assert_eq!(shop.balance("acquirer_receivable").await, (-600, 0));
    // The same key is the same capture, and no other.
    let body = share(600);
    let answer = shop
        .client
        .act("part-capture", id_of(&part), "capture", &body)
        .await;
    assert!(answer.unwrap().is_replay);
    shop.check_refused(
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
    let canceled = shop
        .pay("canceled", "tok_lost", "manual", "requires_capture")
        .await;
    shop.check_act("cancel", &canceled, "cancel", WHOLE, "canceled")
        .await;
    let expired = shop
        .pay("expired", "tok_approve", "manual", "requires_capture")
        .await;
    assert!(expired["expires_at"].is_string(), "{expired}");
    shop.let_time_pass(&expired);
    shop.check_told(&expired, &["payment.canceled", "payment.requires_capture"])
        .await;
    assert_eq!(shop.read(id_of(&expired)).await["status"], "canceled");
    assert_eq!(shop.balance("acquirer_receivable").await, (-600, 0));

    // What the acquirer does not capture stays reserved.
    let kept = shop
        .pay("kept", "tok_capture_declined", "manual", "requires_capture")
        .await;
    let declined = shop
        .check_act("kept-capture", &kept, "capture", WHOLE, "requires_capture")
        .await;
    assert_eq!(
        declined["attempts"][1]["failure_code"],
        "declined_on_purpose"
    );
}

async fn check_refunds(shop: &Shop) {
    // Given back in parts, also when an answer is lost; a declined refund gives nothing back.
    let paid = shop.pay("paid", "tok_lost", "automatic", "succeeded").await;
    shop.check_act("back-1", &paid, "refunds", &share(300), "succeeded")
        .await;
    let left = shop
        .check_act("back-2", &paid, "refunds", &share(100), "succeeded")
        .await;
    assert_eq!(left["refunded"]["amount"], 400);
    shop.check_refused("back-3", &paid, "refunds", &share(601), "amount_too_large")
        .await;
    let stuck = shop
        .pay("stuck", "tok_refund_declined", "automatic", "succeeded")
        .await;
    let refused = shop
        .check_act("stuck-back", &stuck, "refunds", WHOLE, "succeeded")
        .await;
    assert!(refused["refunded"].is_null(), "{refused}");
    shop.check_told(&stuck, &["payment.succeeded", "refund.failed"])
        .await;
    // 600 + 1000 + 1000 were taken, 17 + 29 + 29 of it are fees, 400 went back.
    assert_eq!(shop.balance("merchant_payable").await, (2125, 0));
}

async fn check_refunds_at_once(shop: &Shop) {
    // Many at once: never more than was taken, never more than the merchant has.
    let raced = shop
        .pay("raced", "tok_slow_80", "automatic", "succeeded")
        .await;
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
    let raced = shop.settled_payment(id_of(&raced)).await;
    assert_eq!(raced["refunded"]["amount"], 800);
}

/// A customer who has to go to their bank: says yes, says no, does not come back, is not waited
/// for.
async fn check_actions(shop: &Shop) {
    let asked = shop
        .pay("action", "tok_action", "automatic", "requires_action")
        .await;
    // Nothing is done before the customer did something.
    let confirmed = shop.confirm(&asked).await;
    assert_eq!(confirmed["status"], "requires_action", "{confirmed}");
    shop.answer_bank(&asked, "approve").await;
    let paid = shop.confirm(&asked).await;
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert!(paid["next_action"].is_null(), "{paid}");
    shop.check_told(&asked, &["payment.requires_action", "payment.succeeded"])
        .await;
    let reserved = shop
        .pay("action-later", "tok_action", "manual", "requires_action")
        .await;
    shop.answer_bank(&reserved, "approve").await;
    let reserved = shop.confirm(&reserved).await;
    assert_eq!(reserved["status"], "requires_capture", "{reserved}");
    let denied = shop
        .pay("action-no", "tok_action", "automatic", "requires_action")
        .await;
    shop.answer_bank(&denied, "deny").await;
    let denied = shop.confirm(&denied).await;
    assert_eq!(denied["failure_code"], "authentication_failed", "{denied}");
    let left = shop
        .pay("action-left", "tok_action", "automatic", "requires_action")
        .await;
    shop.check_act("left", &left, "cancel", WHOLE, "canceled")
        .await;
    let late = shop
        .pay("action-late", "tok_action", "automatic", "requires_action")
        .await;
    shop.let_time_pass(&late);
    shop.check_told(&late, &["payment.canceled", "payment.requires_action"])
        .await;
}
