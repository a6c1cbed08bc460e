//! The primary's host is lost with all it held: a plain kill keeps the page cache and cannot see a
//! durability defect.

use std::time::Duration;

use paymesh_beds::{Flow, wait_for};
use paymesh_payments::{Member, Shop, Wire, Wires, Wishes, order, torture::not_durable};
use serde_json::json;

/// How long everything may take to come to its end.
const SETTLED: Duration = Duration::from_mins(1);

async fn open_shop(standby_list_is_empty: bool) -> Shop {
    let wishes = Wishes {
        standbys: true,
        standby_list_is_empty,
        ..Wishes::default()
    };
    let shop = Shop::open(wishes).await;
    let durability = shop.stack.durability().unwrap();
    println!("{durability}");
    assert_eq!(
        durability.ends_with("synchronous_standby_names="),
        standby_list_is_empty
    );
    shop
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_host_takes_no_acknowledged_payment_with_it() {
    let mut shop = open_shop(false).await;
    let payers: Vec<_> = (0..6)
        .map(|payer| {
            let client = shop.client.clone();
            tokio::spawn(async move {
                for round in 0..8 {
                    let token = ["tok_approve", "tok_slow_200"][round % 2];
                    let key = format!("payer-{payer}-{round}");
                    client.pay(&key, &order(990, token), 5).await.unwrap();
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(
        payers.iter().any(|payer| !payer.is_finished()),
        "nothing was in flight"
    );
    shop.stack.lose_primary().unwrap();
    for payer in payers {
        payer.await.unwrap();
    }
    let report = shop.check_books(SETTLED).await;
    assert_eq!(report.payments, 48);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_standby_writes_wait_and_nothing_is_lost() {
    let mut shop = open_shop(false).await;
    shop.client
        .pay("before", &order(990, "tok_approve"), 5)
        .await
        .unwrap();
    shop.stack.cut_standbys_off().unwrap();
    let client = shop.client.clone();
    let waiting =
        tokio::spawn(async move { client.pay("during", &order(990, "tok_approve"), 5).await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(
        !waiting.is_finished(),
        "a payment was acknowledged that one server has"
    );
    shop.stack.lose_primary().unwrap();
    // The wait for its end may have been used up by then.
    let answer = waiting.await.unwrap().unwrap();
    assert!(matches!(answer.status, 201 | 202), "{answer:?}");
    let report = shop.check_books(SETTLED).await;
    assert_eq!(report.payments, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_one_server_has_is_not_acknowledged_after_a_crash_either() {
    let mut shop = open_shop(false).await;
    shop.client
        .pay("before", &order(990, "tok_approve"), 5)
        .await
        .unwrap();
    shop.stack.cut_standbys_off().unwrap();
    let client = shop.client.clone();
    let waiting =
        tokio::spawn(async move { client.pay("alone", &order(990, "tok_approve"), 5).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    // After this crash the server shows the payment, although no standby ever had it.
    shop.stack.kill(Member::Postgres);
    shop.stack.restart(Member::Postgres).unwrap();
    assert_eq!(shop.sql("select count(*) from payment"), "2");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(
        !waiting.is_finished(),
        "a payment was acknowledged that one server has"
    );
    shop.stack.lose_primary().unwrap();
    waiting.await.unwrap().unwrap();
    let report = shop.check_books(SETTLED).await;
    assert_eq!(report.payments, 2);
}

/// Charges somebody at the acquirer, past us.
async fn charge_past_us(shop: &Shop) -> String {
    let (acquirer, token) = shop.stack.acquirer();
    let id = format!("att_{}", "p".repeat(32));
    let answer = reqwest::Client::new()
        .put(format!("{acquirer}/v1/charges/{id}"))
        .bearer_auth(token)
        .json(&json!({ "amount": 77, "currency": "EUR", "token": "tok_approve" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    id
}

/// What is nobody's was given back, and nothing else.
#[track_caller]
fn check_voided(shop: &Shop, stranger: &str) {
    let books = std::fs::read_to_string(shop.stack.books()).unwrap();
    let voids: Vec<_> = books
        .lines()
        .filter(|line| line.contains("void\""))
        .collect();
    assert_eq!(voids.len(), 1, "{books}");
    assert!(voids[0].contains(stranger), "{books}");
}

/// Has the acquirer asked for everything, as after promotions of two minutes ago that lost what was
/// made since so many seconds ago, and waits until it was.
fn recover(shop: &Shop, lost_since: &[i32]) {
    let sql = |text: &str| shop.stack.postgres.sql("payments", text);
    let rows: Vec<String> = (1..)
        .zip(lost_since)
        .map(|(number, seconds)| format!("({number}, {seconds})"))
        .collect();
    let promoted = sql(&format!(
        "insert into ledger_epoch (epoch, timeline, opened_at, lost_since)
         select last.epoch + n.number, last.timeline, clock_timestamp() - interval '2 minutes',
             clock_timestamp() - n.seconds * interval '1 second'
         from (select max(epoch) as epoch, max(timeline) as timeline from ledger_epoch) last,
             (values {}) n (number, seconds)",
        rows.join(", ")
    ));
    promoted.unwrap();
    wait_for("the end of a recovery", SETTLED, || {
        let left = sql("select count(*) from ledger_epoch where settled_at is null");
        match left.map_err(|reason| reason.to_string())?.trim() {
            "0" => Ok(()),
            left => Err(format!("{left} to recover")),
        }
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_acquirer_is_asked_once_for_all_that_is_open_however_long_it_takes() {
    let wishes = Wishes {
        wires: Wires::Cuttable,
        ..Wishes::default()
    };
    let shop = Shop::open(wishes).await;
    // Longer than db-controller waits before it looks what is to be recovered.
    let slow = Flow::Slow(Duration::from_millis(400));
    shop.stack.set_wire(Wire::ProcessorToAcquirer, slow, slow);
    recover(&shop, &[180]);
    recover(&shop, &[180]);
    // Of two promotions the earlier one alone had lost this.
    let stranger = charge_past_us(&shop).await;
    recover(&shop, &[180, -180]);
    check_voided(&shop, &stranger);
    let asked = || {
        let log = shop.stack.log(Member::Processor);
        log.matches("was asked for everything").count()
    };
    // The last is written down after it.
    let end = wait_for("what the processor says of it", SETTLED, || {
        let asked = asked();
        (asked >= 3)
            .then_some(asked)
            .ok_or_else(|| format!("asked {asked} times"))
    });
    assert_eq!(end.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_standby_list_loses_payments_and_those_the_acquirer_knows_are_found_again() {
    let mut shop = open_shop(true).await;
    shop.stack.cut_standbys_off().unwrap();
    let paid = shop
        .client
        .pay("paid", &order(990, "tok_approve"), 5)
        .await
        .unwrap();
    assert_eq!(paid.status, 201, "{paid:?}");
    let id = paid.json()["id"].as_str().unwrap().to_owned();
    let half = r#"{"amount":{"amount":495,"currency":"EUR"}}"#;
    let refunded = shop.client.act("back", &id, "refunds", half).await.unwrap();
    assert_eq!(refunded.status, 200, "{refunded:?}");
    let stranger = charge_past_us(&shop).await;
    shop.stack.kill(Member::Acquirer);
    let unsent = shop
        .client
        .pay("unsent", &order(990, "tok_approve"), 0)
        .await
        .unwrap();
    assert_eq!(unsent.status, 202, "{unsent:?}");
    shop.stack.lose_primary().unwrap();

    // Until the acquirer was asked nothing new is taken in.
    let late = shop
        .client
        .create("late", &order(990, "tok_approve"), 0)
        .await;
    let late = late.unwrap().unwrap();
    assert_eq!(
        (late.status, late.json()["error"]["code"].as_str()),
        (503, Some("recovering"))
    );
    shop.stack.restart(Member::Acquirer).unwrap();
    let late = shop.client.pay("late", &order(990, "tok_approve"), 5).await;
    assert_eq!(late.unwrap().status, 201);

    let report = shop.stack.settled(SETTLED).await.unwrap();
    // What was acknowledged and never sent is gone, and the checker says so.
    assert_eq!(report.lost.len(), 1, "{report}");
    assert!(report.lost[0].contains("key unsent"), "{report}");
    // What was charged and given back is there again, without the merchant's doing.
    assert_eq!(report.payments, 2, "{report}");
    let found = shop.client.end_of(&id, SETTLED).await.unwrap();
    assert_eq!(found["status"], "succeeded", "{found}");
    assert_eq!(found["refunded"]["amount"], 495, "{found}");
    assert!(report.doubled.is_empty(), "{report}");
    assert!(report.imbalance.is_empty(), "{report}");
    check_voided(&shop, &stranger);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_wait_for_no_standby_are_refused_by_the_torture_run_and_found_by_the_checker()
{
    let mut shop = open_shop(false).await;
    let local = "alter role paymesh_controller set synchronous_commit = local";
    shop.sql(local);
    shop.stack.kill(Member::Controller);
    shop.stack.restart(Member::Controller).unwrap();
    let refusal = not_durable(&shop.stack.durability().unwrap());
    assert_eq!(refusal.as_deref(), Some("synchronous_commit is local"));
    shop.stack.kill(Member::Acquirer);
    shop.stack.cut_standbys_off().unwrap();
    let answer = shop
        .client
        .pay("local", &order(990, "tok_approve"), 0)
        .await
        .unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    shop.stack.lose_primary().unwrap();
    let report = shop.stack.report().await.unwrap();
    assert_eq!(report.lost.len(), 1, "{report}");
}
