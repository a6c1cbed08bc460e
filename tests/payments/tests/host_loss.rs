//! The primary's host is lost with all it held: a plain kill keeps the page cache and cannot see a
//! durability defect.

use std::{ops::RangeInclusive, time::Duration};

use paymesh_beds::{Flow, Postgres, Subject, wait_for};
use paymesh_payments::{
    Called, Caller, Member, Shop, Wire, Wires, Wishes, books::id_of, order, stack::identity,
    torture::not_durable,
};
use prost::Message as _;
use serde_json::json;
use uuid::Uuid;

/// How long everything may take to come to its end.
const SETTLED: Duration = Duration::from_mins(1);
/// How many charges are nobody's where giving them back, one after the other over a slow wire, has to
/// last longer than a promotion.
const STRANGERS: u128 = 100;

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

/// Charges somebody at the acquirer, past us, once for each of these numbers; gives the ids.
async fn charge_past_us(shop: &Shop, numbers: RangeInclusive<u128>) -> Vec<String> {
    let (acquirer, token) = shop.stack.acquirer();
    let client = reqwest::Client::new();
    let mut ids = Vec::new();
    for number in numbers {
        let id = id_of(Uuid::from_u128(number), "att");
        let answer = client
            .put(format!("{acquirer}/v1/charges/{id}"))
            .bearer_auth(token)
            .json(&json!({ "amount": 77, "currency": "EUR", "token": "tok_approve" }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        ids.push(id);
    }
    ids
}

/// The lines of the acquirer's books that give something back.
fn voids(shop: &Shop) -> Vec<String> {
    let books = std::fs::read_to_string(shop.stack.books()).unwrap();
    let voids = books.lines().filter(|line| line.contains("void\""));
    voids.map(str::to_owned).collect()
}

/// What is nobody's was given back, each once, and nothing else.
#[track_caller]
fn check_voided(shop: &Shop, strangers: &[String]) {
    let voids = voids(shop);
    assert_eq!(voids.len(), strangers.len(), "{voids:?}");
    for stranger in strangers {
        let is_void = voids.iter().any(|line| line.contains(stranger));
        assert!(is_void, "{stranger} in {voids:?}");
    }
}

/// Waits until a server says this.
#[track_caller]
fn wait_until(server: &Postgres, text: &str, wanted: &str) {
    let said = wait_for(text, SETTLED, || {
        let said = server.sql("payments", text);
        let said = said.map_err(|reason| reason.to_string())?;
        if said == wanted { Ok(()) } else { Err(said) }
    });
    said.unwrap();
}

/// Has the acquirer asked for everything, as after promotions of two minutes ago that lost what was
/// made since so many seconds ago, and waits until it was.
fn recover(shop: &Shop, lost_since: &[i32]) {
    let rows: Vec<String> = (1..)
        .zip(lost_since)
        .map(|(number, seconds)| format!("({number}, {seconds})"))
        .collect();
    shop.sql(&format!(
        "insert into ledger_epoch (epoch, timeline, opened_at, lost_since)
         select last.epoch + n.number, last.timeline, clock_timestamp() - interval '2 minutes',
             clock_timestamp() - n.seconds * interval '1 second'
         from (select max(epoch) as epoch, max(timeline) as timeline from ledger_epoch) last,
             (values {}) n (number, seconds)",
        rows.join(", ")
    ));
    let open = "select count(*) from ledger_epoch where settled_at is null";
    wait_until(&shop.stack.postgres, open, "0");
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
    let stranger = charge_past_us(&shop, 1..=1).await;
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

/// Nothing new is taken in.
async fn check_recovering(shop: &Shop) {
    let late = order(990, "tok_approve");
    let late = shop.client.create("late", &late, 0).await;
    let late = late.unwrap().unwrap();
    assert_eq!(
        (late.status, late.json()["error"]["code"].as_str()),
        (503, Some("recovering"))
    );
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
    let stranger = charge_past_us(&shop, 1..=1).await;
    shop.stack.kill(Member::Acquirer);
    let unsent = shop
        .client
        .pay("unsent", &order(990, "tok_approve"), 0)
        .await
        .unwrap();
    assert_eq!(unsent.status, 202, "{unsent:?}");
    shop.stack.lose_primary().unwrap();

    // Until the acquirer was asked nothing new is taken in.
    check_recovering(&shop).await;
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

/// `FinishRecoveryRequest` of the protocol.
#[derive(Clone, PartialEq, prost::Message)]
struct FinishRecovery {
    #[prost(int64, tag = "1")]
    epoch: i64,
    #[prost(int64, tag = "2")]
    asked_ms: i64,
}

/// Tells db-controller that the acquirer was asked for what an epoch had lost, long after that was
/// opened.
async fn finish(shop: &Shop, epoch: i64) {
    let uri = identity("payment-processor");
    let subject = Subject {
        uris: &[&uri],
        ..Subject::default()
    };
    let issued = shop.stack.authority.issue(subject).unwrap();
    let processor = Caller::new(&shop.stack.controller_address(), Some(&issued)).unwrap();
    let later = "select ((extract(epoch from clock_timestamp()) + 120) * 1000)::int8";
    let asked_ms = shop.sql(later).parse().unwrap();
    let message = FinishRecovery { epoch, asked_ms }.encode_to_vec();
    let method = "paymesh.persistence.v1.Queue/FinishRecovery";
    let called = processor.say(method, &message).await;
    assert!(matches!(called, Called::Asked), "{called:?}");
}

fn newest_epoch(shop: &Shop) -> i64 {
    let newest = shop.sql("select max(epoch) from ledger_epoch");
    newest.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_promotion_interrupts_the_question_for_an_older_one_and_covers_it() {
    let recovering = "select count(*) from ledger_epoch where recovered_at is null";
    let is_charged = "select count(*) from payment where idempotency_key = 'charged'";
    let is_reserved = "select count(*) from payment where idempotency_key = 'reserved'";
    let wire = Wire::ProcessorToAcquirer;
    let wishes = Wishes {
        standbys: true,
        standby_list_is_empty: true,
        wires: Wires::Cuttable,
        ..Wishes::default()
    };
    let mut shop = Shop::open(wishes).await;
    let epoch = newest_epoch(&shop);
    let strangers = charge_past_us(&shop, 1..=STRANGERS).await;
    // Noted already: a note that is lost behind its void is not made again.
    shop.sql(&format!(
        "insert into orphan_charge (attempt_id, epoch, amount, currency, reason)
         select lpad(to_hex(number), 32, '0')::uuid, {epoch}, 77, 'EUR', 'a test noted it'
         from generate_series(1, {STRANGERS}) number"
    ));
    for standby in &shop.stack.standbys {
        let noted = "select count(*) from orphan_charge";
        wait_until(standby, noted, &STRANGERS.to_string());
    }

    // The first promotion loses two payments.
    shop.stack.cut_standbys_off().unwrap();
    let body = order(990, "tok_approve");
    let charged = shop.client.pay("charged", &body, 5).await.unwrap();
    let body = json!({
        "amount": { "amount": 500, "currency": "EUR" },
        "payment_method": "tok_approve",
        "capture": "manual",
    });
    let reserved = shop.client.pay("reserved", &body.to_string(), 5).await;
    let reserved = reserved.unwrap();
    assert_eq!((charged.status, reserved.status), (201, 201));
    let paid_at = shop.sql("select clock_timestamp()");
    shop.stack.set_wire(wire, Flow::Cut, Flow::Cut);
    shop.stack.lose_primary().unwrap();
    shop.stack.replace_lost().unwrap();
    wait_until(&shop.stack.postgres, recovering, "1");
    // The last lease says what time is lost: as if the second promotion came five minutes later, what
    // that alone may have lost begins after both payments.
    shop.sql(
        "update lease set holder = gen_random_uuid(), reader = null,
             expires_at = clock_timestamp() + interval '5 minutes'
         where consumer = 'webhooks' and partition = 15",
    );
    for standby in &shop.stack.standbys {
        let lasting = "select count(*) from lease
             where expires_at > clock_timestamp() + interval '3 minutes'";
        wait_until(standby, lasting, "1");
    }

    // The question finds one of them again, and then gives back for long what is nobody's before it
    // comes to the other.
    shop.stack.cut_standbys_off().unwrap();
    let slow = Flow::Slow(Duration::from_millis(400));
    shop.stack.set_wire(wire, slow, slow);
    wait_until(&shop.stack.postgres, is_charged, "1");
    check_recovering(&shop).await;
    let newcomer = charge_past_us(&shop, 1_000..=1_000).await;
    for standby in &shop.stack.standbys {
        let found = standby.sql("payments", is_charged).unwrap();
        assert_eq!(found, "0", "a standby that was cut off follows");
    }
    assert_eq!(shop.sql(is_reserved), "0", "the question is over");

    // The second promotion loses what was found, and does not wait for the end of that question.
    shop.stack.lose_primary().unwrap();
    wait_until(&shop.stack.postgres, is_charged, "1");
    let given_back = voids(&shop).len();
    shop.stack.set_wire(wire, Flow::Cut, Flow::Cut);
    assert!(
        given_back < strangers.len(),
        "the older question came to its end before the newer one began"
    );
    assert_eq!(newest_epoch(&shop), epoch + 2);
    let window = format!(
        "select lost_since > '{paid_at}' from ledger_epoch where epoch = {}",
        epoch + 2
    );
    assert_eq!(shop.sql(&window), "t", "it covers the payments by itself");

    // While the newer question is not answered nothing ends, whatever is said of the older one.
    assert_eq!(shop.sql(recovering), "2");
    check_recovering(&shop).await;
    finish(&shop, epoch + 1).await;
    assert_eq!(shop.sql(recovering), "2", "an older answer counts");
    check_recovering(&shop).await;

    shop.stack.set_wire(wire, Flow::Open, Flow::Open);
    let body = order(990, "tok_approve");
    let late = shop.client.pay("late", &body, 5).await.unwrap();
    assert_eq!(late.status, 201, "{late:?}");
    assert_eq!(shop.sql(recovering), "0");
    for (paid, status) in [(&charged, "succeeded"), (&reserved, "requires_capture")] {
        let id = paid.json()["id"].as_str().unwrap().to_owned();
        let found = shop.client.end_of(&id, SETTLED).await.unwrap();
        assert_eq!(found["status"], status, "{found}");
    }
    let report = shop.stack.settled(SETTLED).await.unwrap();
    assert_eq!(report.payments, 3, "{report}");
    for found in [
        &report.lost,
        &report.doubled,
        &report.imbalance,
        &report.open,
    ] {
        assert!(found.is_empty(), "{report}");
    }
    // What was lost with its payment is the word that the merchant was given.
    let is_word = |line: &String| line.starts_with("the answer kept for ");
    assert!(report.broken.iter().all(is_word), "{report}");
    check_voided(&shop, &[strangers, newcomer].concat());
    let noted = shop.sql("select count(*) from orphan_charge");
    assert_eq!(noted, (STRANGERS + 1).to_string());
}
