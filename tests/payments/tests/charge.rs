//! One charge after the other, through every service, the acquirer and the ledger.

use std::time::Duration;

use paymesh_payments::{Member, Shop, Wishes, books, order};
use serde_json::{Value, json};

/// How long anything unknown may take to be settled.
const SETTLED: Duration = Duration::from_secs(30);

async fn check_pays(shop: &Shop, key: &str, token: &str, status: u16, state: &str) -> Value {
    let answer = shop.client.pay(key, &order(1250, token), 2).await.unwrap();
    assert_eq!(
        (answer.status, answer.is_replay),
        (status, false),
        "{answer:?}"
    );
    let payment = answer.json();
    assert_eq!(payment["status"], state, "{payment}");
    payment
}

async fn check_settles(shop: &Shop, payment: &Value, state: &str) -> Value {
    let id = payment["id"].as_str().unwrap();
    let settled = shop.client.end_of(id, SETTLED).await.unwrap();
    assert_eq!(settled["status"], state, "{settled}");
    settled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn charges_end_as_the_acquirer_says_and_every_book_agrees() {
    let shop = Shop::open(Wishes::default()).await;
    shop.add_webhook().await;

    // A charge, its replay, and its key with another body.
    let paid = check_pays(&shop, "paid", "tok_approve", 201, "succeeded").await;
    let replay = shop
        .client
        .pay("paid", &order(1250, "tok_approve"), 2)
        .await
        .unwrap();
    assert!(replay.is_replay);
    assert_eq!(replay.json(), paid);
    let changed = shop
        .client
        .pay("paid", &order(1251, "tok_approve"), 2)
        .await
        .unwrap();
    assert_eq!(changed.status, 422);
    assert_eq!(changed.json()["error"]["code"], "idempotency_key_reused");

    // A decline is an answer like any other.
    let declined = check_pays(&shop, "declined", "tok_decline", 201, "failed").await;
    assert_eq!(declined["failure_code"], "insufficient_funds");

    // A slow acquirer: 202 after the wait, for ever; the payment goes on.
    let body = order(1250, "tok_slow_1500");
    let slow = shop.client.pay("slow", &body, 0).await.unwrap();
    assert_eq!(
        (slow.status, slow.json()["status"].as_str()),
        (202, Some("processing"))
    );
    check_settles(&shop, &slow.json(), "succeeded").await;
    let replay = shop.client.pay("slow", &body, 0).await.unwrap();
    assert_eq!((replay.status, &replay.body), (202, &slow.body));

    // A lost answer and a lost request are unknown until the acquirer was asked.
    for (key, token) in [
        ("lost", "tok_lost"),
        ("lost-before", "tok_lost_before"),
        ("busy", "tok_busy"),
    ] {
        let answer = shop.client.pay(key, &order(1250, token), 0).await.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        let settled = check_settles(&shop, &answer.json(), "succeeded").await;
        assert_eq!(settled["attempts"].as_array().unwrap().len(), 1);
    }

    // The merchant is told, by a signed message, once for each event, also after refusing one.
    shop.merchant.refuse(1);
    let told = check_pays(&shop, "told", "tok_approve", 201, "succeeded").await;
    for payment in [&paid, &told] {
        let id = payment["id"].as_str().unwrap();
        let event = shop.merchant.wait_for_event(id, 1, SETTLED).await;
        let event = event.unwrap();
        assert_eq!(event.0["type"], "payment.succeeded");
        assert_eq!((&event.0["payment"], event.1), (payment, 1));
    }
    assert_eq!(shop.merchant.forged(), 0);

    let (_, ledger) = shop.client.get("/v1/ledger", "/v1/ledger").await.unwrap();
    let balances: Vec<(&str, i64)> = ledger["balances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|balance| {
            let posted = balance["posted"]["amount"].as_i64().unwrap();
            (balance["account"].as_str().unwrap(), posted)
        })
        .collect();
    // Six charges of 1250, a fee of 36 each (2.9 %, 36.25 rounded).
    assert_eq!(
        balances,
        [
            ("acquirer_receivable", -7500),
            ("fees", 216),
            ("merchant_payable", 7284)
        ]
    );
    check_poison(&shop, &told).await;
    shop.check_books(SETTLED).await;

    // All of it is sealed within seconds, and as it was.
    let sealed_max = Duration::from_secs(5);
    shop.stack.sealed_well(sealed_max).await.unwrap();
    let longest = shop.stack.longest_unsealed().unwrap();
    assert!(longest < sealed_max, "{longest:?}");
}

/// A message that nobody can handle, at its last try: it goes aside with its reason, is found by
/// the checker, and is handled once it is mended and given back.
async fn check_poison(shop: &Shop, told: &Value) {
    let id = told["id"].as_str().unwrap();
    let (event, before) = shop.merchant.event_of(id).unwrap();
    let event = event["id"].as_str().unwrap();
    shop.sql(&format!(
        "insert into outbox (id, consumer, partition, kind, payment_id, event_id, endpoint_id,
            available_at, failures)
         select gen_random_uuid(), 'attempts', partition, kind, payment_id, event_id, endpoint_id,
            now(), 4
         from outbox where kind = 'deliver_webhook' and try = 1 and event_id =
            (select id from event where encode(body, 'escape') like '%{event}%')"
    ));
    let mut parked = Value::Null;
    for _ in 0..300 {
        let said = shop.stack.control(&["parked"]).unwrap();
        if let Some(line) = said.lines().next() {
            parked = serde_json::from_str(line).unwrap();
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(parked["payment"], told["id"], "{parked}");
    assert_eq!(parked["reason"], "a message cannot be understood");
    let report = shop.stack.report().await.unwrap();
    assert!(report.broken[0].contains("is parked"), "{report}");
    shop.sql("update outbox set consumer = 'webhooks' where parked_at is not null");
    let message = parked["message"].as_str().unwrap();
    shop.stack.control(&["replay-parked", message]).unwrap();
    let again = shop.merchant.wait_for_event(id, before + 1, SETTLED);
    again.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_looks_like_a_card_number_is_refused_and_found_nowhere() {
    let shop = Shop::open(Wishes::default()).await;
    let canary = "4242424242424242";
    let spelt = "4242 4242-4242 4242";
    for body in [
        json!({ "amount": { "amount": 5, "currency": "EUR" }, "payment_method": "tok_approve", "reference": spelt }),
        json!({ "amount": { "amount": 5, "currency": "EUR" }, "payment_method": format!("tok_{canary}") }),
        json!({ "amount": { "amount": 4_242_424_242_424_242_i64, "currency": "EUR" }, "payment_method": "tok_approve" }),
        json!({ "amount": { "amount": 5, "currency": canary }, "payment_method": "tok_approve" }),
        json!({ canary: 1 }),
    ] {
        let answer = shop.client.pay("card", &body.to_string(), 0).await.unwrap();
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert_eq!(answer.json()["error"]["code"], "card_number_refused");
        assert!(!answer.body.contains("4242"), "{answer:?}");
    }
    let answer = shop
        .client
        .pay(canary, &order(5, "tok_approve"), 0)
        .await
        .unwrap();
    assert_eq!(answer.json()["error"]["code"], "card_number_refused");
    let address = format!("/v1/payments/{canary}");
    let (status, _) = shop
        .client
        .get("/v1/payments/{id}", &address)
        .await
        .unwrap();
    assert_eq!(status, 422);

    let logs = shop.stack.logs();
    assert!(logs.contains("card_number_refused"));
    let dump = shop
        .sql("select query_to_xml('select * from payment, idempotency, outbox', true, false, '')");
    for sink in [&logs, &dump] {
        assert!(!sink.contains(canary) && !sink.contains(spelt));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_program_is_refused_what_only_another_may_do() {
    let shop = Shop::open(Wishes::default()).await;
    check_pays(&shop, "paid", "tok_approve", 201, "succeeded").await;
    let refused = |url: String, text: &'static str| async move {
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        let error = client.batch_execute(text).await.expect_err(text);
        error.code().map(|state| state.code().to_owned())
    };
    for text in [
        "update posting set amount = 1",
        "delete from posting",
        "delete from idempotency",
        "update payment set amount = 1",
        "update account set currency = 'USD'",
        "truncate outbox",
        "create table extra ()",
        "alter table posting add column extra int",
        "insert into migration values (99, 'x', '')",
        "create role extra",
    ] {
        let state = refused(shop.stack.controller_url(), text).await;
        assert_eq!(state.as_deref(), Some("42501"), "{text}");
    }
    for text in [
        "create role extra",
        "create database extra",
        "alter system set fsync = off",
    ] {
        let state = refused(shop.stack.migrate_url(), text).await;
        assert_eq!(state.as_deref(), Some("42501"), "{text}");
    }
    // Rules that hold whoever writes: both sides in one currency, and nothing below the floor.
    for (text, wanted) in [
        (
            "insert into posting (id, payment_id, attempt_id, kind, debit_account, credit_account, currency, amount, created_at)
             select gen_random_uuid(), payment_id, attempt_id, 'fee', debit_account,
                (select id from account where currency = 'USD' and kind = 'fees'), currency, 1, now() from posting limit 1",
            "23",
        ),
        ("update balance set posted = -1 where floor = 0", "23514"),
        ("update balance set held = posted + 1 where floor = 0", "23514"),
    ] {
        let state = refused(shop.stack.card.database_url.clone(), text).await.unwrap();
        assert!(state.starts_with(wanted), "{text}: {state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acquirer_that_charged_something_else_under_our_id_is_not_believed() {
    let shop = Shop::open(Wishes::default()).await;
    let tenant = uuid::Uuid::parse_str(&shop.sql("select id from tenant")).unwrap();
    let name = [&1_u32.to_be_bytes()[..], b"clash"].concat();
    let id = books::id_of(uuid::Uuid::new_v5(&tenant, &name), "att");
    let (acquirer, token) = shop.stack.acquirer();
    let answer = reqwest::Client::new()
        .put(format!("{acquirer}/v1/charges/{id}"))
        .bearer_auth(token)
        .json(&json!({ "amount": 1, "currency": "EUR", "token": "tok_approve" }))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let body = order(1250, "tok_approve");
    let answer = shop.client.pay("clash", &body, 3).await.unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(shop.sql("select status from attempt"), "unknown");
    assert_eq!(shop.sql("select count(*) from posting"), "0");
    // Asked twice by now; each claim waits for a person once.
    assert_eq!(
        shop.sql("select claimed from mismatch order by id"),
        "id_used_for_another_charge\n1 EUR"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_rotated_events_told_again_and_endpoints_removed() {
    let shop = Shop::open(Wishes::default()).await;
    let (first_secret, merchant) = (shop.add_webhook().await, &shop.merchant);
    let act = async |method: reqwest::Method, path: &str, id: &str, body: Option<Value>| {
        let address = path.replace("{id}", id);
        shop.client
            .call(method, path, &address, body)
            .await
            .unwrap()
    };
    let endpoints = "/v1/webhook_endpoints";
    let (_, list) = act(reqwest::Method::GET, endpoints, "", None).await;
    assert_eq!(list["data"][0]["url"], *merchant.url);
    assert!(list["data"][0]["secret"].is_null(), "{list}");
    let id = list["data"][0]["id"].as_str().unwrap().to_owned();

    // Rotated twice, as after a lost answer: the secret that the merchant knows still verifies.
    let rotate = "/v1/webhook_endpoints/{id}/rotate";
    let overlap = |seconds: u32| Some(json!({ "overlap_seconds": seconds }));
    act(reqwest::Method::POST, rotate, &id, overlap(3_600)).await;
    let (status, rotated) = act(reqwest::Method::POST, rotate, &id, overlap(3_600)).await;
    let new_secret = rotated["secret"].as_str().unwrap().to_owned();
    assert_eq!(status, 200);
    assert_ne!(new_secret, first_secret);
    let during = check_pays(&shop, "during", "tok_approve", 201, "succeeded").await;
    let told_of = during["id"].as_str().unwrap();
    let first = merchant.wait_for_event(told_of, 1, SETTLED).await;
    first.unwrap();
    assert_eq!(merchant.forged(), 0);
    // And so does the new one; told again, an event keeps its id.
    merchant.know_secret(&new_secret);
    let (_, events) = act(reqwest::Method::GET, "/v1/events", "", None).await;
    let event = &events["data"][0];
    assert_eq!(event["payment"], during);
    let replay = "/v1/events/{id}/replay";
    let event_id = event["id"].as_str().unwrap();
    let (_, told) = act(reqwest::Method::POST, replay, event_id, None).await;
    assert_eq!(told["endpoints"], 1);
    let again = merchant.wait_for_event(told_of, 2, SETTLED).await;
    assert_eq!(again.unwrap().0, *event);
    assert_eq!(merchant.forged(), 0);
    // Without an overlap the earlier secret ends at once.
    act(reqwest::Method::POST, rotate, &id, overlap(0)).await;
    act(reqwest::Method::POST, replay, event_id, None).await;
    for _ in 0..300 {
        if merchant.forged() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(merchant.forged() > 0, "the earlier secret still signs");

    // What is to be told again goes nowhere once the endpoint is removed, and nothing stays open.
    let one = "/v1/webhook_endpoints/{id}";
    assert_eq!(act(reqwest::Method::DELETE, one, &id, None).await.0, 204);
    assert_eq!(act(reqwest::Method::DELETE, one, &id, None).await.0, 404);
    let (_, list) = act(reqwest::Method::GET, endpoints, "", None).await;
    assert_eq!(list["data"], json!([]));
    let too_long = act(reqwest::Method::POST, rotate, &id, overlap(604_801)).await;
    assert_eq!(too_long.0, 422);
    let gone = act(reqwest::Method::POST, rotate, &id, overlap(0)).await;
    assert_eq!(gone.0, 404);
    shop.check_books(SETTLED).await;
}

/// Tables that were read from end to end, and how much was read of indexes, since those are read from
/// end to end too. The index of what waits keeps what was done until somebody cleans it up.
const READ: &str =
    "select (select coalesce(string_agg(format('%s %s', relname, seq_scan), ', '), '')
        from pg_stat_user_tables
        where seq_scan > 0 and relname not in ('ledger_epoch', 'notice_position')),
    (select sum(idx_tup_read) from pg_stat_user_indexes
        where relname <> 'lease' and indexrelname <> 'outbox_waiting')";

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_of_a_payment_reads_a_table_from_end_to_end() {
    /// One statement that read one table whole would read half as many rows for each payment.
    const PAYMENTS: u64 = 150;
    const READ_MAX: u64 = 100;
    let mut shop = Shop::open(Wishes::default()).await;
    shop.add_webhook().await;
    let sql = |shop: &Shop, text| shop.stack.postgres.sql("payments", text).unwrap();
    sql(&shop, "select pg_stat_reset()");
    // Plans are kept from the sixth time on, when tables are all but empty.
    for number in 0..PAYMENTS {
        assert_eq!(shop.pay(&format!("order-{number}")).await.status, 201);
    }
    // A connection tells the last of what it did when it ends.
    assert!(shop.stack.stop(Member::Controller));
    let found = sql(&shop, READ);
    let (whole, read) = found.trim().rsplit_once('|').unwrap();
    assert_eq!(whole, "");
    let read = read.parse::<u64>().unwrap() / PAYMENTS;
    assert!(read <= READ_MAX, "{read} rows of indexes for each payment");
    shop.stack.restart(Member::Controller).unwrap();
    shop.check_books(SETTLED).await;
}

/// Tables that a ledger is made of which were read from end to end, and how much was read of indexes.
const READ_OF_LEDGERS: &str =
    "select (select coalesce(string_agg(format('%s %s', relname, seq_scan), ', '), '')
        from pg_stat_user_tables where seq_scan > 0
            and relname in ('account', 'balance', 'posting', 'event', 'payment')),
    (select sum(idx_tup_read) from pg_stat_user_indexes
        where relname in ('account', 'balance', 'posting', 'event', 'payment'))";

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_read_without_those_of_others() {
    /// Of others; each has a row in every table that could be read whole, and in most of them two.
    const PAYMENTS: usize = 300;
    /// Of each address.
    const READS: usize = 300;
    /// One address that read one table whole would read half as many rows for each read as there are
    /// payments, at least. What the payments did last may be counted among it.
    const READ_MAX: usize = 100;
    let mut shop = Shop::open(Wishes::default()).await;
    let quiet = shop.stack.add_merchant("Quiet shop", 290).unwrap();
    let quiet = shop.client.of_merchant(&quiet);
    let paid = quiet.pay("only", &order(1250, "tok_approve"), 10).await;
    let paid = paid.unwrap();
    assert_eq!(paid.status, 201, "{paid:?}");
    let id = paid.json()["id"].as_str().unwrap().to_owned();
    for number in 0..PAYMENTS {
        assert_eq!(shop.pay(&format!("order-{number}")).await.status, 201);
    }
    shop.sql("select pg_stat_reset()");
    for address in ["/v1/ledger".to_owned(), format!("/v1/ledger?payment={id}")] {
        for _ in 0..READS {
            let (status, ledger) = quiet.get("/v1/ledger", &address).await.unwrap();
            assert_eq!(status, 200, "{ledger}");
            let count = |list: &str| ledger[list].as_array().map(Vec::len);
            // The charge and its fee, and where both went.
            let counts = (count("balances"), count("postings"));
            assert_eq!(counts, (Some(3), Some(2)), "{address}: {ledger}");
        }
    }
    // A connection tells the last of what it did when it ends.
    assert!(shop.stack.stop(Member::Controller));
    let found = shop.sql(READ_OF_LEDGERS);
    let (whole, read) = found.trim().rsplit_once('|').unwrap();
    assert_eq!(whole, "");
    let read = read.parse::<usize>().unwrap() / (2 * READS);
    assert!(read <= READ_MAX, "{read} rows of indexes for each read");
}
