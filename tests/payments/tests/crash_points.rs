//! Every statement and every message of one payment and the webhook about it, and a kill at each.
//!
//! What one payment says to the database and on the bus, the embedded one and Kafka, is a golden: a
//! new step shows in review, and is a new place to be killed at.

use std::time::{Duration, Instant};

use expect_test::{Expect, expect};
use paymesh_beds::{Tap, Trap, wait_for};
use paymesh_payments::{Bus, Client, Member, Pauses, Shop, Wire, Wires, Wishes, order};

/// How long a payment may take to get to a step, and to its end after a kill.
const SETTLED: Duration = Duration::from_mins(1);

async fn open_shop(defect: Option<&'static str>) -> Shop {
    open_shop_over(Bus::Embedded, defect).await
}

async fn open_shop_over(bus: Bus, defect: Option<&'static str>) -> Shop {
    let wishes = Wishes {
        wires: Wires::Counted,
        pauses: Pauses::Endless,
        bus,
        defect,
        ..Wishes::default()
    };
    let shop = Shop::open(wishes).await;
    shop.add_webhook().await;
    shop
}

/// Gives a payment back.
async fn refund(client: &Client, key: &str, payment: &str) {
    let body = r#"{"amount":{"amount":1,"currency":"EUR"}}"#;
    client.act(key, payment, "refunds", body).await.unwrap();
}

/// The steps of one payment on a wire, when nothing goes wrong.
async fn steps(shop: &Shop, wire: Wire, key: &str) -> Vec<String> {
    let tap = shop.stack.tap(wire);
    tap.reset(None);
    shop.pay(key).await;
    shop.check_books(SETTLED).await;
    // The end of the last answer may still be on the wire.
    tokio::time::sleep(Duration::from_millis(300)).await;
    tap.steps()
}

/// Kills `member` when the step with this number, whose name begins so, is on the wire: of a new
/// payment, or of one more refund of the payment that is `refunded`.
async fn kill_at(
    shop: &mut Shop,
    wire: Wire,
    (number, expected): (usize, &str),
    member: Member,
    refunded: Option<&str>,
) {
    // Nothing of an earlier payment may be on the wire, or another step has this number.
    shop.check_books(SETTLED).await;
    let tap = shop.stack.tap(wire);
    tap.reset(Some(Trap::Number(number)));
    let (client, key) = (shop.client.clone(), format!("{member:?}-{number}"));
    let (refunded, body) = (refunded.map(str::to_owned), order(990, "tok_approve"));
    let payer = tokio::spawn(async move {
        match refunded {
            None => drop(client.pay(&key, &body, 5).await.unwrap()),
            Some(payment) => refund(&client, &key, &payment).await,
        }
    });
    let sprung = tap.wait_until_sprung(SETTLED);
    let step =
        sprung.unwrap_or_else(|late| panic!("{late}: {:#?}\n{}", tap.steps(), shop.stack.logs()));
    let steps = tap.steps();
    assert!(
        step.starts_with(expected),
        "{expected}, {number}: {steps:#?}"
    );
    shop.stack.kill(member);
    shop.stack.tap(wire).reset(None);
    shop.stack.restart(member).unwrap();
    payer.await.unwrap();
    if expected.to_lowercase().starts_with("commit") {
        shop.check_books(SETTLED).await;
        wait_until_quiet(shop.stack.tap(wire)).await;
    }
}

/// A completion whose COMMIT went through without an answer is tried again a quarter of a second
/// later, and no book shows it.
async fn wait_until_quiet(tap: &Tap) {
    let limit = Instant::now() + SETTLED;
    loop {
        tap.reset(None);
        tokio::time::sleep(Duration::from_millis(500)).await;
        let steps = tap.steps();
        if steps.is_empty() {
            return;
        }
        assert!(Instant::now() < limit, "it goes on and on: {steps:#?}");
    }
}

/// The wire to the broker.
fn bus(shop: &Shop) -> &Tap {
    shop.stack.kafka.as_ref().unwrap().tap()
}

/// Waits until everything is done, and the groups have told how far they have come: who was
/// killed before that takes the same records again, and tells then.
async fn wait_until_bus_is_quiet(shop: &Shop) {
    shop.check_books(SETTLED).await;
    let kafka = shop.stack.kafka.as_ref().unwrap();
    for topic in ["paymesh.attempts", "paymesh.webhooks"] {
        wait_for("the group's last commit", SETTLED, || {
            match kafka.lag(topic) {
                Ok(0) => Ok(()),
                Ok(lag) => Err(format!("{topic}: {lag} records")),
                Err(reason) => Err(reason.to_string()),
            }
        })
        .unwrap();
    }
}

/// Kills a service, or else the broker, when this step of a new payment is on the bus behind so
/// many others of its name.
async fn kill_on_bus(
    shop: &mut Shop,
    key: String,
    step: &'static str,
    others: usize,
    member: Option<Member>,
) {
    wait_until_bus_is_quiet(shop).await;
    bus(shop).reset(Some(Trap::Behind(step, others)));
    let client = shop.client.clone();
    let payer = tokio::spawn(async move {
        let body = order(990, "tok_approve");
        client.pay(&key, &body, 5).await.unwrap();
    });
    let sprung = bus(shop).wait_until_sprung(SETTLED);
    let found = sprung
        .unwrap_or_else(|late| panic!("{late}: {:#?}\n{}", bus(shop).steps(), shop.stack.logs()));
    assert_eq!(found, step);
    if let Some(member) = member {
        shop.stack.kill(member);
        bus(shop).reset(None);
        shop.stack.restart(member).unwrap();
    } else {
        shop.stack.kafka.as_mut().unwrap().kill();
        bus(shop).reset(None);
        let kafka = shop.stack.kafka.as_mut().unwrap();
        kafka.launch().unwrap();
        kafka.wait().unwrap();
    }
    payer.await.unwrap();
}

async fn check_all(shop: &Shop, payments: usize) {
    let report = shop.check_books(SETTLED).await;
    assert_eq!((report.payments, report.keys), (payments, payments));
    assert_eq!(shop.merchant.events(), payments, "events that came");
    assert_eq!(shop.merchant.forged(), 0);
}

/// Whether a step commits, or says that something was committed: a write in no transaction is one.
fn is_commit(steps: &[String], number: usize) -> bool {
    let step = &steps[number];
    let is_own = |next: &String| next.ends_with("is answered") && next != "COMMIT is answered";
    step == "commit" || step.ends_with("is answered") || steps.get(number + 1).is_some_and(is_own)
}

fn check_steps(steps: &[String], expected: &Expect) {
    expected.assert_eq(&(steps.join("\n") + "\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_statement_of_a_payment_loses_and_doubles_nothing() {
    let mut shop = open_shop(None).await;
    let wire = Wire::ControllerToPostgres;
    shop.pay("first").await;
    shop.check_books(SETTLED).await;
    let steps = steps(&shop, wire, "counted").await;
    check_steps(
        &steps,
        &expect![[r#"
            select i.tenant_id, i.key, i.fingerp
            select n.now_ms, n.is_recovered, t.i
            insert payment, idempotency, attempt, outbox
            INSERT is answered
            begin
            select p.id, p.tenant_id, p.idempote
            select b.account_id, b.posted, b.hel
            select o.id, o.consumer, o.kind, o.p
            select i.tenant_id, i.key, i.fingerp
            select a.payment_id, a.id, a.number,
            select n.now_ms, n.is_recovered, t.i
            insert posting, event, outbox, inbox; update payment, attempt, balance, idempotency, outbox
            commit
            COMMIT is answered
            begin
            select o.id, o.consumer, o.kind, o.p
            select n.now_ms, n.is_recovered, t.i
            insert inbox, webhook_delivery; update outbox
            commit
            COMMIT is answered
        "#]],
    );
    for (number, step) in steps.iter().enumerate() {
        let at = (number, step.as_str());
        kill_at(&mut shop, wire, at, Member::Controller, None).await;
        // Around a commit it matters who is killed: the one who asks or the one who does it.
        if is_commit(&steps, number) {
            kill_at(&mut shop, wire, at, Member::Postgres, None).await;
        }
    }
    let commits = (0..steps.len()).filter(|number| is_commit(&steps, *number));
    check_all(&shop, 2 + steps.len() + commits.count()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_write_of_a_refund_loses_and_doubles_nothing() {
    let mut shop = open_shop(None).await;
    let wire = Wire::ControllerToPostgres;
    shop.pay("spare").await;
    let paid = shop.pay("paid").await.json();
    let payment = paid["id"].as_str().unwrap().to_owned();
    shop.check_books(SETTLED).await;
    shop.stack.tap(wire).reset(None);
    refund(&shop.client, "counted", &payment).await;
    shop.check_books(SETTLED).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let steps = shop.stack.tap(wire).steps();
    check_steps(
        &steps,
        &expect![[r#"
            select o.id, p.id, p.tenant_id, p.cu
            begin
            select p.id, p.tenant_id, p.idempote
            select b.account_id, b.posted, b.hel
            select i.tenant_id, i.key, i.fingerp
            select a.payment_id, a.id, a.number,
            select n.now_ms, n.is_recovered, t.i
            insert idempotency, attempt, outbox; update payment, balance
            commit
            COMMIT is answered
            begin
            select p.id, p.tenant_id, p.idempote
            select b.account_id, b.posted, b.hel
            select o.id, o.consumer, o.kind, o.p
            select i.tenant_id, i.key, i.fingerp
            select a.payment_id, a.id, a.number,
            select n.now_ms, n.is_recovered, t.i
            insert posting, event, outbox, inbox; update payment, attempt, balance, idempotency, outbox
            commit
            COMMIT is answered
            begin
            select o.id, o.consumer, o.kind, o.p
            select n.now_ms, n.is_recovered, t.i
            insert inbox, webhook_delivery; update outbox
            commit
            COMMIT is answered
        "#]],
    );
    // A kill while something is only read is a kill before the next write.
    let is_write = |step: &str| {
        !["begin", "select"]
            .iter()
            .any(|read| step.starts_with(read))
    };
    let mut refunds = 1;
    for (number, expected) in steps.iter().enumerate() {
        if is_write(expected) {
            let refunded = Some(payment.as_str());
            kill_at(
                &mut shop,
                wire,
                (number, expected),
                Member::Controller,
                refunded,
            )
            .await;
            refunds += 1;
        }
    }
    let report = shop.check_books(SETTLED).await;
    assert_eq!(report.keys, 2 + refunds);
    let (_, after) = {
        let address = format!("/v1/payments/{payment}");
        shop.client
            .get("/v1/payments/{id}", &address)
            .await
            .unwrap()
    };
    assert_eq!(after["refunded"]["amount"], refunds);
    assert_eq!(shop.merchant.events(), 2 + refunds, "events that came");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_message_of_a_payment_loses_and_doubles_nothing() {
    let mut shop = open_shop(None).await;
    let wire = Wire::ProcessorToController;
    shop.pay("first").await;
    shop.check_books(SETTLED).await;
    let mut steps = steps(&shop, wire, "counted").await;
    // Two consumers share the wire, so that only the number of each is always the same.
    steps.sort_unstable();
    check_steps(
        &steps,
        &expect![[r#"
        < data
        < data
        < data
        < data
        < headers
        < headers
        < headers
        < headers
        > data
        > data
        > headers
        > headers
    "#]],
    );
    for number in 0..steps.len() {
        // Whose message it is differs.
        kill_at(&mut shop, wire, (number, ""), Member::Processor, None).await;
    }
    check_all(&shop, 2 + steps.len()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: PAYMESH_KAFKA, or the stage `kafka` of make test"]
async fn a_kill_at_any_step_of_a_payment_over_kafka_loses_and_doubles_nothing() {
    let mut shop = open_shop_over(Bus::Kafka, None).await;
    let body = order(990, "tok_approve");
    shop.client.pay("first", &body, 20).await.unwrap();
    wait_until_bus_is_quiet(&shop).await;
    bus(&shop).reset(None);
    shop.client.pay("counted", &body, 20).await.unwrap();
    wait_until_bus_is_quiet(&shop).await;
    let mut steps = bus(&shop).steps();
    // The payment and its webhook; a record may come to who reads before who put it has an answer.
    steps.sort_unstable();
    check_steps(
        &steps,
        &expect![[r#"
        < fetch
        < fetch
        < offset commit
        < offset commit
        < produce
        < produce
        > offset commit
        > offset commit
        > produce
        > produce
    "#]],
    );
    let (controller, processor) = (Some(Member::Controller), Some(Member::Processor));
    let mut kills = 0;
    for (step, killed) in [
        // The broker too: whether it has a record is what an answer tells.
        ("> produce", &[controller, None][..]),
        ("< produce", &[controller, None]),
        ("< fetch", &[processor]),
        ("> offset commit", &[processor]),
        ("< offset commit", &[processor]),
    ] {
        let times = steps.iter().filter(|one| *one == step).count();
        for others in 0..times {
            for member in killed {
                let key = format!("order-{kills}");
                kill_on_bus(&mut shop, key, step, others, *member).await;
                kills += 1;
            }
        }
    }
    check_all(&shop, 2 + kills).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_row_outside_the_transaction_is_found() {
    let mut shop = open_shop(Some("key-apart")).await;
    let wire = Wire::ControllerToPostgres;
    shop.pay("first").await;
    let tap = shop.stack.tap(wire);
    tap.reset(Some(Trap::Name("insert into idempotency")));
    let client = shop.client.clone();
    let payer =
        tokio::spawn(async move { client.create("torn", &order(990, "tok_approve"), 5).await });
    tap.wait_until_sprung(SETTLED).unwrap();
    shop.stack.kill(Member::Controller);
    shop.stack.tap(wire).reset(None);
    shop.stack.restart(Member::Controller).unwrap();
    let _ = payer.await.unwrap();
    let report = shop.stack.report().await.unwrap();
    assert!(
        report
            .broken
            .iter()
            .any(|found| found.contains("has no idempotency row")),
        "{report}"
    );
}
