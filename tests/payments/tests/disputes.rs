//! Money that customers take back by way of their banks.

use std::time::{Duration, Instant};

use paymesh_beds::Trap;
use paymesh_payments::{Client, Member, Receiver, Report, Stack, Wire, Wires, Wishes, check};
use serde_json::{Value, json};

/// How long anything may take to be heard and settled.
const SETTLED: Duration = Duration::from_secs(30);
/// A request that has nothing to say, or means all that is left.
const WHOLE: &str = "{}";
const EVIDENCE: &str = r#"{"explanation":"Signed for by the customer."}"#;

struct Shop {
    _folder: tempfile::TempDir,
    stack: Stack,
    client: Client,
    merchant: Receiver,
}

async fn open_shop(wires: Wires) -> Shop {
    let folder = tempfile::Builder::new()
        .prefix("paymesh")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let wishes = Wishes {
        wires,
        ..Wishes::default()
    };
    let stack = Stack::start(folder.path(), wishes).unwrap();
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

fn id_of(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// What the acquirer calls the charge of a payment.
fn charge_of(payment: &Value) -> &str {
    id_of(&payment["attempts"][0])
}

impl Shop {
    /// Pays 1000 with a token.
    async fn pay(&self, key: &str, token: &str, capture: &str) -> Value {
        let body = json!({
            "amount": { "amount": 1000, "currency": "EUR" },
            "payment_method": token,
            "capture": capture,
        });
        let answer = self.client.pay(key, &body.to_string(), 5).await.unwrap();
        self.client
            .end_of(id_of(&answer.json()), SETTLED)
            .await
            .unwrap()
    }

    /// Waits until the only dispute of a payment is in a state; the payment then.
    async fn disputed(&self, payment: &Value, status: &str) -> Value {
        let start = Instant::now();
        let address = format!("/v1/payments/{}", id_of(payment));
        loop {
            let read = self.client.get("/v1/payments/{id}", &address).await;
            let payment = read.unwrap().1;
            if payment["disputes"][0]["status"] == status {
                assert!(payment["disputes"][1].is_null(), "{payment}");
                return payment;
            }
            assert!(start.elapsed() < SETTLED, "never {status}: {payment}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Answers the only dispute of a payment; the status, and the payment or the error.
    async fn answer(&self, key: &str, payment: &Value, what: &str) -> (u16, Value) {
        let dispute = id_of(&payment["disputes"][0]);
        let body = if what == "contest" { EVIDENCE } else { WHOLE };
        let of = (id_of(payment), dispute);
        let answer = self.client.answer_dispute(key, of, what, body).await;
        let answer = answer.unwrap();
        (answer.status, answer.json())
    }

    /// What a person does at the acquirer with a dispute, by its name.
    async fn by_hand(&self, address: &str) -> Value {
        let done = self.stack.ask_acquirer(address).await.unwrap();
        done.unwrap_or_else(|| panic!("the acquirer refuses {address}"))
    }

    /// Credits less debits of one account.
    async fn balance(&self, account: &str) -> i64 {
        let (_, ledger) = self.client.get("/v1/ledger", "/v1/ledger").await.unwrap();
        let balances = ledger["balances"].as_array().unwrap();
        let found = balances.iter().find(|one| one["account"] == account);
        found.map_or(0, |one| one["posted"]["amount"].as_i64().unwrap())
    }

    async fn check_balances(&self, payable: i64, debt: i64) {
        let found = (
            self.balance("merchant_payable").await,
            self.balance("merchant_debt").await,
        );
        assert_eq!(found, (payable, debt));
    }

    async fn check_told(&self, payment: &Value, expected: &[&str]) {
        let start = Instant::now();
        while self.merchant.told_of(id_of(payment)) != expected {
            let told = self.merchant.told_of(id_of(payment));
            assert!(start.elapsed() < SETTLED, "was told {told:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn settled(&self) -> Report {
        let start = Instant::now();
        loop {
            let (card, stack) = (&self.stack.card, &self.stack);
            let report = check(&card.database_url, &stack.books(), &stack.history()).await;
            let report = report.unwrap();
            if report.open.is_empty() || start.elapsed() > SETTLED {
                return report;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn check_books(&self) {
        let report = self.settled().await;
        assert!(report.is_clean(), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dispute_takes_the_money_at_once_and_ends_once_whatever_is_told_of_it() {
    let mut shop = open_shop(Wires::None).await;
    // A merchant from before there were disputes has no account for debts.
    let debts = "(select id from account where kind = 'merchant_debt')";
    let sql = format!(
        "delete from balance where account_id in {debts};
         delete from account where kind = 'merchant_debt'"
    );
    shop.stack.postgres.sql("payments", &sql).unwrap();
    let lost = check_lost(&shop).await;
    check_won_and_accepted(&shop).await;
    check_kills(&mut shop).await;
    shop.check_books().await;
    check_contradiction(&shop, &lost).await;
}

/// Beyond what the merchant has it is their debt; a dispute is answered once, and its money is not
/// refunded too. Gives the payment and what the acquirer calls its dispute.
async fn check_lost(shop: &Shop) -> (Value, String) {
    let paid = shop.pay("lost", "tok_dispute", "automatic").await;
    let paid = shop.disputed(&paid, "needs_response").await;
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert!(paid["disputes"][0]["respond_by"].is_string(), "{paid}");
    shop.check_balances(0, -29).await;
    let refund = shop.client.act("back", id_of(&paid), "refunds", WHOLE);
    let refund = refund.await.unwrap();
    assert_eq!(refund.json()["error"]["code"], "amount_too_large");
    let (status, after) = shop.answer("lost-contest", &paid, "contest").await;
    assert_eq!(status, 200, "{after}");
    assert_eq!(after["disputes"][0]["status"], "under_review", "{after}");
    let (status, again) = shop.answer("lost-contest", &paid, "contest").await;
    assert_eq!((status, again), (200, after));
    let (_, refused) = shop.answer("lost-accept", &paid, "accept").await;
    assert_eq!(refused["error"]["code"], "payment_state", "{refused}");
    let books = paymesh_payments::books::read(&shop.stack.books()).unwrap();
    let charge = charge_of(&paid);
    let told = books.disputes.values().find(|one| one.charge == charge);
    let name = told.unwrap().dispute.clone();
    shop.by_hand(&format!("disputes/{name}/lost")).await;
    shop.disputed(&paid, "lost").await;
    // Again, and late: nothing comes of it.
    for late in ["lost/3", "under_review/2", "needs_response/1"] {
        shop.by_hand(&format!("disputes/{name}/astray/{late}"))
            .await;
    }
    shop.check_balances(0, -29).await;
    let told = [
        "dispute.contested",
        "dispute.lost",
        "dispute.opened",
        "payment.succeeded",
    ];
    shop.check_told(&paid, &told).await;
    (paid, name)
}

/// What is won comes back to where it was taken from; what is accepted does not.
async fn check_won_and_accepted(shop: &Shop) {
    let won = shop.pay("won", "tok_dispute_won", "manual").await;
    let part = r#"{"amount":{"amount":600,"currency":"EUR"}}"#;
    let captured = shop.client.act("won-part", id_of(&won), "capture", part);
    assert_eq!(captured.await.unwrap().status, 200);
    let won = shop.disputed(&won, "needs_response").await;
    assert_eq!(won["disputes"][0]["amount"]["amount"], 600, "{won}");
    // 583 of it were there.
    shop.check_balances(0, -29 - 17).await;
    shop.answer("won-contest", &won, "contest").await;
    shop.disputed(&won, "won").await;
    shop.check_balances(583, -29).await;
    let accepted = shop.pay("accepted", "tok_dispute", "automatic").await;
    let accepted = shop.disputed(&accepted, "needs_response").await;
    let (status, after) = shop.answer("accept", &accepted, "accept").await;
    assert_eq!(
        (status, &after["disputes"][0]["status"]),
        (200, &json!("lost"))
    );
    shop.check_balances(554, -29).await;
    let told = [
        "dispute.accepted",
        "dispute.lost",
        "dispute.opened",
        "payment.succeeded",
    ];
    shop.check_told(&accepted, &told).await;
}

/// Disputes that are raised and answered while somebody is away, and answers that are lost.
async fn check_kills(shop: &mut Shop) {
    let lossy = shop.pay("lossy", "tok_lost", "automatic").await;
    let other = shop.pay("other", "tok_approve", "automatic").await;
    shop.stack.kill(Member::Processor);
    let part = format!("charges/{}/dispute?amount=300", charge_of(&lossy));
    shop.by_hand(&part).await;
    shop.by_hand(&format!("charges/{}/dispute", charge_of(&other)))
        .await;
    shop.stack.kill(Member::Acquirer);
    shop.stack.restart(Member::Processor).unwrap();
    shop.stack.restart(Member::Acquirer).unwrap();
    let lossy = shop.disputed(&lossy, "needs_response").await;
    let other = shop.disputed(&other, "needs_response").await;
    shop.answer("lossy-contest", &lossy, "contest").await;
    shop.disputed(&lossy, "under_review").await;
    // Nobody at the acquirer answers: it is on its way until somebody does.
    shop.stack.kill(Member::Acquirer);
    let (status, waiting) = shop.answer("other-contest", &other, "contest").await;
    assert_eq!(status, 202, "{waiting}");
    let (_, refused) = shop.answer("other-accept", &other, "accept").await;
    assert_eq!(refused["error"]["code"], "payment_state", "{refused}");
    shop.stack.kill(Member::Controller);
    shop.stack.restart(Member::Controller).unwrap();
    shop.stack.restart(Member::Acquirer).unwrap();
    shop.disputed(&other, "under_review").await;
}

/// An acquirer that says the opposite of an end is noted, and the first word stands.
async fn check_contradiction(shop: &Shop, (lost, name): &(Value, String)) {
    shop.by_hand(&format!("disputes/{name}/astray/won/9")).await;
    let start = Instant::now();
    let noted = "select recorded || ', ' || claimed from mismatch";
    loop {
        let found = shop.stack.postgres.sql("payments", noted).unwrap();
        if found.trim() == format!("dispute lost, dispute {name} won 1000 EUR") {
            break;
        }
        assert!(start.elapsed() < SETTLED, "noted is {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shop.disputed(lost, "lost").await;
    let report = shop.settled().await;
    assert_eq!(report.broken, ["1 contradictions of the acquirer"]);
    assert!(report.imbalance.is_empty(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_write_of_a_dispute_loses_and_doubles_nothing() {
    let mut shop = open_shop(Wires::Counted).await;
    let wire = Wire::ControllerToPostgres;
    let is_write = |step: &String| !step.starts_with("begin") && !step.starts_with("select");
    let mut steps: Option<Vec<String>> = None;
    let mut number = 0;
    for made in 0.. {
        let key = format!("paid-{made}");
        let paid = shop.pay(&key, "tok_approve", "automatic").await;
        shop.check_books().await;
        // The end of the last answer may still be on the wire.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let raise = format!("charges/{}/dispute", charge_of(&paid));
        let Some(known) = &steps else {
            shop.stack.tap(wire).reset(None);
            shop.by_hand(&raise).await;
            shop.check_books().await;
            let heard = shop.stack.tap(wire).steps();
            let commit = heard.iter().position(|step| step == "COMMIT is answered");
            let heard = heard[..=commit.unwrap()].to_vec();
            let writes: Vec<&str> = heard
                .iter()
                .filter(|step| is_write(step))
                .map(String::as_str)
                .collect();
            expect_test::expect![[r#"
                update payment p set status = c.stat
                insert into dispute (id, payment_id,
                insert into posting (id, payment_id,
                update balance b set posted = b.post
                insert into event (id, tenant_id, pa
                insert into outbox (id, consumer, pa
                commit
                COMMIT is answered
            "#]]
            .assert_eq(&(writes.join("\n") + "\n"));
            steps = Some(heard);
            continue;
        };
        let next = (number..known.len()).find(|at| is_write(&known[*at]));
        let Some(at) = next else { break };
        shop.stack.tap(wire).reset(Some(Trap::Number(at)));
        shop.by_hand(&raise).await;
        let step = shop.stack.tap(wire).wait_until_sprung(SETTLED).unwrap();
        assert_eq!(step, known[at]);
        shop.stack.kill(Member::Controller);
        shop.stack.tap(wire).reset(None);
        shop.stack.restart(Member::Controller).unwrap();
        number = at + 1;
    }
    let report = shop.settled().await;
    assert!(report.is_clean(), "{report}");
}
