//! Money that customers take back by way of their banks.

use std::time::{Duration, Instant};

use paymesh_beds::Trap;
use paymesh_payments::{Member, Shop, Wire, Wires, Wishes};
use serde_json::{Value, json};

/// How long anything may take to be heard and settled.
const SETTLED: Duration = Duration::from_secs(30);
/// A request that has nothing to say, or means all that is left.
const WHOLE: &str = "{}";
const EVIDENCE: &str = r#"{"explanation":"Signed for by the customer."}"#;

async fn open_shop(wires: Wires) -> Shop {
    let wishes = Wishes {
        wires,
        ..Wishes::default()
    };
    let shop = Shop::open(wishes).await;
    shop.add_webhook().await;
    shop
}

fn id_of(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// What the acquirer calls the charge of a payment.
fn charge_of(payment: &Value) -> &str {
    id_of(&payment["attempts"][0])
}

/// Pays 1000 with a token.
async fn pay(shop: &Shop, key: &str, token: &str, capture: &str) -> Value {
    let body = json!({
        "amount": { "amount": 1000, "currency": "EUR" },
        "payment_method": token,
        "capture": capture,
    });
    let answer = shop.client.pay(key, &body.to_string(), 5).await.unwrap();
    shop.client
        .end_of(id_of(&answer.json()), SETTLED)
        .await
        .unwrap()
}

/// Waits until the only dispute of a payment is in a state; the payment then.
async fn disputed(shop: &Shop, payment: &Value, status: &str) -> Value {
    let start = Instant::now();
    let address = format!("/v1/payments/{}", id_of(payment));
    loop {
        let read = shop.client.get("/v1/payments/{id}", &address).await;
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
async fn answer(shop: &Shop, key: &str, payment: &Value, what: &str) -> (u16, Value) {
    let dispute = id_of(&payment["disputes"][0]);
    let body = if what == "contest" { EVIDENCE } else { WHOLE };
    let of = (id_of(payment), dispute);
    let answer = shop.client.answer_dispute(key, of, what, body).await;
    let answer = answer.unwrap();
    (answer.status, answer.json())
}

/// What a person does at the acquirer with a dispute, by its name.
async fn by_hand(shop: &Shop, address: &str) -> Value {
    let done = shop.stack.ask_acquirer(address).await.unwrap();
    done.unwrap_or_else(|| panic!("the acquirer refuses {address}"))
}

/// Credits less debits of one account.
async fn balance(shop: &Shop, account: &str) -> i64 {
    let (_, ledger) = shop.client.get("/v1/ledger", "/v1/ledger").await.unwrap();
    let balances = ledger["balances"].as_array().unwrap();
    let found = balances.iter().find(|one| one["account"] == account);
    found.map_or(0, |one| one["posted"]["amount"].as_i64().unwrap())
}

async fn check_balances(shop: &Shop, payable: i64, debt: i64) {
    let found = (
        balance(shop, "merchant_payable").await,
        balance(shop, "merchant_debt").await,
    );
    assert_eq!(found, (payable, debt));
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
    shop.sql(&sql);
    let lost = check_lost(&shop).await;
    check_won_and_accepted(&shop).await;
    check_kills(&mut shop).await;
    shop.check_books(SETTLED).await;
    check_contradiction(&shop, &lost).await;
}

/// Beyond what the merchant has it is their debt; a dispute is answered once, and its money is not
/// refunded too. Gives the payment and what the acquirer calls its dispute.
async fn check_lost(shop: &Shop) -> (Value, String) {
    let paid = pay(shop, "lost", "tok_dispute", "automatic").await;
    let paid = disputed(shop, &paid, "needs_response").await;
    assert_eq!(paid["status"], "succeeded", "{paid}");
    assert!(paid["disputes"][0]["respond_by"].is_string(), "{paid}");
    check_balances(shop, 0, -29).await;
    let refund = shop.client.act("back", id_of(&paid), "refunds", WHOLE);
    let refund = refund.await.unwrap();
    assert_eq!(refund.json()["error"]["code"], "amount_too_large");
    let (status, after) = answer(shop, "lost-contest", &paid, "contest").await;
    assert_eq!(status, 200, "{after}");
    assert_eq!(after["disputes"][0]["status"], "under_review", "{after}");
    let (status, again) = answer(shop, "lost-contest", &paid, "contest").await;
    assert_eq!((status, again), (200, after));
    let (_, refused) = answer(shop, "lost-accept", &paid, "accept").await;
    assert_eq!(refused["error"]["code"], "payment_state", "{refused}");
    let books = paymesh_payments::books::read(&shop.stack.books()).unwrap();
    let charge = charge_of(&paid);
    let told = books.disputes.values().find(|one| one.charge == charge);
    let name = told.unwrap().dispute.clone();
    by_hand(shop, &format!("disputes/{name}/lost")).await;
    disputed(shop, &paid, "lost").await;
    // Again, and late: nothing comes of it.
    for late in ["lost/3", "under_review/2", "needs_response/1"] {
        by_hand(shop, &format!("disputes/{name}/astray/{late}")).await;
    }
    check_balances(shop, 0, -29).await;
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
    let won = pay(shop, "won", "tok_dispute_won", "manual").await;
    let part = r#"{"amount":{"amount":600,"currency":"EUR"}}"#;
    let captured = shop.client.act("won-part", id_of(&won), "capture", part);
    assert_eq!(captured.await.unwrap().status, 200);
    let won = disputed(shop, &won, "needs_response").await;
    assert_eq!(won["disputes"][0]["amount"]["amount"], 600, "{won}");
    // 583 of it were there.
    check_balances(shop, 0, -29 - 17).await;
    answer(shop, "won-contest", &won, "contest").await;
    disputed(shop, &won, "won").await;
    check_balances(shop, 583, -29).await;
    let accepted = pay(shop, "accepted", "tok_dispute", "automatic").await;
    let accepted = disputed(shop, &accepted, "needs_response").await;
    let (status, after) = answer(shop, "accept", &accepted, "accept").await;
    assert_eq!(
        (status, &after["disputes"][0]["status"]),
        (200, &json!("lost"))
    );
    check_balances(shop, 554, -29).await;
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
    let lossy = pay(shop, "lossy", "tok_lost", "automatic").await;
    let other = pay(shop, "other", "tok_approve", "automatic").await;
    shop.stack.kill(Member::Processor);
    let part = format!("charges/{}/dispute?amount=300", charge_of(&lossy));
    by_hand(shop, &part).await;
    by_hand(shop, &format!("charges/{}/dispute", charge_of(&other))).await;
    shop.stack.kill(Member::Acquirer);
    shop.stack.restart(Member::Processor).unwrap();
    shop.stack.restart(Member::Acquirer).unwrap();
    let lossy = disputed(shop, &lossy, "needs_response").await;
    let other = disputed(shop, &other, "needs_response").await;
    answer(shop, "lossy-contest", &lossy, "contest").await;
    disputed(shop, &lossy, "under_review").await;
    // Nobody at the acquirer answers: it is on its way until somebody does.
    shop.stack.kill(Member::Acquirer);
    let (status, waiting) = answer(shop, "other-contest", &other, "contest").await;
    assert_eq!(status, 202, "{waiting}");
    let (_, refused) = answer(shop, "other-accept", &other, "accept").await;
    assert_eq!(refused["error"]["code"], "payment_state", "{refused}");
    shop.stack.kill(Member::Controller);
    shop.stack.restart(Member::Controller).unwrap();
    shop.stack.restart(Member::Acquirer).unwrap();
    disputed(shop, &other, "under_review").await;
}

/// An acquirer that says the opposite of an end is noted, and the first word stands.
async fn check_contradiction(shop: &Shop, (lost, name): &(Value, String)) {
    by_hand(shop, &format!("disputes/{name}/astray/won/9")).await;
    let start = Instant::now();
    let noted = "select recorded || ', ' || claimed from mismatch";
    loop {
        let found = shop.sql(noted);
        if found.trim() == format!("dispute lost, dispute {name} won 1000 EUR") {
            break;
        }
        assert!(start.elapsed() < SETTLED, "noted is {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    disputed(shop, lost, "lost").await;
    let report = shop.stack.settled(SETTLED).await.unwrap();
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
        let paid = pay(&shop, &key, "tok_approve", "automatic").await;
        shop.check_books(SETTLED).await;
        // The end of the last answer may still be on the wire.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let raise = format!("charges/{}/dispute", charge_of(&paid));
        let Some(known) = &steps else {
            shop.stack.tap(wire).reset(None);
            by_hand(&shop, &raise).await;
            shop.check_books(SETTLED).await;
            let heard = shop.stack.tap(wire).steps();
            let commit = heard.iter().position(|step| step == "COMMIT is answered");
            let heard = heard[..=commit.unwrap()].to_vec();
            let writes: Vec<&str> = heard
                .iter()
                .filter(|step| is_write(step))
                .map(String::as_str)
                .collect();
            expect_test::expect![[r#"
                insert dispute, posting, event, outbox; update payment, balance
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
        by_hand(&shop, &raise).await;
        let step = shop.stack.tap(wire).wait_until_sprung(SETTLED).unwrap();
        assert_eq!(step, known[at]);
        shop.stack.kill(Member::Controller);
        shop.stack.tap(wire).reset(None);
        shop.stack.restart(Member::Controller).unwrap();
        number = at + 1;
    }
    shop.check_books(SETTLED).await;
}
