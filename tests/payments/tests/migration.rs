//! Migration: the schema is brought up to date while payments go on, and a step that was killed goes
//! on where it was.

use std::time::{Duration, Instant};

use paymesh_beds::{Process, wait_for};
use paymesh_payments::{Member, Shop, Wishes};
use serde_json::Value;
use tokio_postgres::NoTls;

/// How long a payment or a webhook may take while the schema changes.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long a row may wait for its seal.
const SEALED_MAX: Duration = Duration::from_secs(5);
/// How long everything else may take.
const SEEN_MAX: Duration = Duration::from_mins(1);

/// The schema as step 8 left it, with events from then: more than are numbered at once.
const BACK_TO_STEP_8: &str = "drop table audit_seal;
    drop function if exists audit_seal_follows;
    delete from lease where consumer = 'audit';
    alter table event drop column seq;
    delete from migration where number in (9, 10);
    insert into event (id, tenant_id, payment_id, kind, body, created_at)
    select gen_random_uuid(), tenant_id, payment_id, kind, body, created_at
    from event, generate_series(1, 5000)";

/// The schema as step 9 left it, with events from then: more than are numbered at once.
const BACK_TO_STEP_9: &str = "drop index event_in_order;
    alter table event drop constraint event_has_seq;
    delete from audit_seal where shard = 'event';
    update event set seq = null;
    insert into event (id, tenant_id, payment_id, kind, body, created_at, seq)
    select gen_random_uuid(), tenant_id, payment_id, kind, body, created_at, null
    from event, generate_series(1, 5000);
    alter table event add constraint event_has_seq check (seq is not null) not valid;
    delete from migration where number = 10";

const ADD_EVENT: &str = "insert into event (id, tenant_id, payment_id, kind, body, created_at)
    select gen_random_uuid(), tenant_id, payment_id, kind, body, clock_timestamp()
    from event limit 1";

/// What db-migrate waits for a lock with.
const WAITING: &str = "select left(query, 30) from pg_stat_activity
    where usename = 'paymesh_migrate' and wait_event_type = 'Lock'";

/// A shop with one payment, whose merchant was told of it; gives the event too.
async fn open_shop() -> (Shop, String) {
    let shop = Shop::open(Wishes::default()).await;
    shop.add_webhook().await;
    let payment = pay(&shop, "first").await;
    let payment = payment["id"].as_str().unwrap();
    let event = shop.merchant.wait_for_event(payment, 1, ANSWER_MAX).await;
    let (event, _) = event.unwrap();
    let event = event["id"].as_str().unwrap().to_owned();
    (shop, event)
}

async fn pay(shop: &Shop, key: &str) -> Value {
    let began = Instant::now();
    let paid = shop.pay(key).await;
    assert_eq!(paid.status, 201, "{paid:?}");
    assert!(began.elapsed() < ANSWER_MAX, "{key}: {:?}", began.elapsed());
    paid.json()
}

/// Payments, and a message that refers to an event from before, as each retry of one does.
async fn goes_on(shop: &Shop, event: &str, name: &str) {
    let address = format!("/v1/events/{event}/replay");
    let post = reqwest::Method::POST;
    let began = Instant::now();
    let replayed = shop
        .client
        .call(post, "/v1/events/{id}/replay", &address, None)
        .await
        .unwrap();
    assert_eq!(replayed.0, 200, "{}", replayed.1);
    assert!(
        began.elapsed() < ANSWER_MAX,
        "{name}: {:?}",
        began.elapsed()
    );
    for number in 0..5 {
        pay(shop, &format!("{name}-{number}")).await;
    }
}

/// Waits until db-migrate waits for a lock with such a statement.
fn migration_waits(shop: &Shop, migration: &mut Process, start: &str) {
    wait_for("db-migrate that waits for a lock", SEEN_MAX, || {
        if let Some(end) = migration.ended() {
            return Err(end);
        }
        let waiting = shop.sql(WAITING);
        let waits = !waiting.is_empty() && waiting.starts_with(start);
        waits.then_some(()).ok_or(waiting)
    })
    .unwrap();
}

/// Waits until db-migrate has ended.
fn migration_ends(shop: &Shop, mut migration: Process) {
    let end = wait_for("the end of db-migrate", SEEN_MAX, || {
        migration.ended().ok_or_else(|| shop.sql(WAITING))
    });
    let end = end.unwrap();
    assert!(end.contains("exit status: 0"), "{end}");
}

/// Every event has a number of its own, and everything is sealed.
async fn is_whole(shop: &Shop) {
    let state = "select count(*) > 0 and count(seq) = count(*) and count(distinct seq) = count(*),
            (select indisvalid from pg_index where indexrelid = 'event_in_order'::regclass),
            (select convalidated from pg_constraint where conname = 'event_has_seq')
        from event";
    assert_eq!(shop.sql(state), "t|t|t");
    shop.stack.sealed(SEEN_MAX).await.unwrap();
    pay(shop, "afterwards").await;
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
}

/// Somebody at work in the database, until they are dropped.
async fn at_work(shop: &Shop, text: &str) -> tokio_postgres::Client {
    let (client, connection) = tokio_postgres::connect(&shop.stack.card.database_url, NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(&format!("begin; {text}"))
        .await
        .unwrap();
    client
}

async fn shop_at(step: &str) -> (Shop, String) {
    let (mut shop, event) = open_shop().await;
    shop.stack.kill(Member::Controller);
    shop.sql(step);
    shop.stack.restart(Member::Controller).unwrap();
    (shop, event)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_from_before_are_numbered_while_payments_and_webhooks_go_on() {
    let (shop, event) = shop_at(BACK_TO_STEP_9).await;
    goes_on(&shop, &event, "before").await;
    // The last in order: whoever does all at once has locked every other one when it waits for this.
    let last =
        "select from event where id = (select id from event order by id desc limit 1) for update";
    let work = at_work(&shop, last).await;
    let mut migration = shop.stack.begin_migration().unwrap();
    migration_waits(&shop, &mut migration, "");
    goes_on(&shop, &event, "meanwhile").await;
    wait_for("numbers of events", SEEN_MAX, || {
        let count = shop.sql("select count(seq) from event");
        let is_some = count.parse::<u32>().unwrap() >= 2_000;
        is_some.then_some(()).ok_or(count)
    })
    .unwrap();
    // What was done stays done, and what was not is done by the next.
    migration.kill();
    drop(work);
    shop.stack.migrate("").unwrap();
    is_whole(&shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_queues_for_long_behind_a_step_that_waits_for_its_lock() {
    let (shop, event) = shop_at(BACK_TO_STEP_8).await;
    let work = at_work(&shop, ADD_EVENT).await;
    let mut migration = shop.stack.begin_migration().unwrap();
    migration_waits(&shop, &mut migration, "");
    goes_on(&shop, &event, "meanwhile").await;
    work.batch_execute("commit").await.unwrap();
    migration_ends(&shop, migration);
    is_whole(&shop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_was_given_up_half_way_is_made_anew() {
    let (shop, event) = open_shop().await;
    shop.sql("drop index event_in_order; delete from migration where number = 10");
    let work = at_work(&shop, ADD_EVENT).await;
    let mut migration = shop.stack.begin_migration().unwrap();
    migration_waits(&shop, &mut migration, "create unique index");
    goes_on(&shop, &event, "meanwhile").await;
    shop.sql(
        "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'paymesh_migrate'",
    );
    let end = wait_for("the end of db-migrate", SEEN_MAX, || {
        migration.ended().ok_or_else(|| "it runs".to_owned())
    });
    assert!(end.unwrap().contains("exit status: 1"));
    let is_valid = "select indisvalid from pg_index where indexrelid = 'event_in_order'::regclass";
    assert_eq!(shop.sql(is_valid), "f");
    work.batch_execute("rollback").await.unwrap();
    shop.stack.migrate("").unwrap();
    is_whole(&shop).await;
}
