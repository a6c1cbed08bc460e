//! Migration: the schema is brought up to date while payments go on, and a step that was killed goes
//! on where it was.

use std::time::{Duration, Instant};

use paymesh_beds::{Process, wait_for};
use paymesh_payments::{Client, Member, Receiver, Stack, Wishes};
use serde_json::{Value, json};
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

struct Shop {
    _folder: tempfile::TempDir,
    stack: Stack,
    client: Client,
    receiver: Receiver,
    /// Of the payment that was made first.
    event: String,
}

/// A shop with one payment, whose merchant was told of it.
async fn open_shop() -> Shop {
    let folder = tempfile::Builder::new()
        .prefix("paymesh")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let stack = Stack::start(folder.path(), Wishes::default()).unwrap();
    let client = Client::new(&stack.card.api_url, &stack.card.api_key, &stack.history()).unwrap();
    let receiver = Receiver::start().await.unwrap();
    let secret = client.add_webhook(&receiver.url).await.unwrap();
    receiver.know_secret(&secret);
    let mut shop = Shop {
        _folder: folder,
        stack,
        client,
        receiver,
        event: String::new(),
    };
    let payment = shop.pay("first").await;
    let payment = payment["id"].as_str().unwrap();
    shop.told(payment, 1);
    let (event, _) = shop.receiver.event_of(payment).unwrap();
    shop.event = event["id"].as_str().unwrap().into();
    shop
}

impl Shop {
    async fn pay(&self, key: &str) -> Value {
        let body = json!({ "amount": { "amount": 990, "currency": "EUR" }, "payment_method": "tok_approve" });
        let began = Instant::now();
        let paid = self.client.pay(key, &body.to_string(), 10).await.unwrap();
        assert_eq!(paid.status, 201, "{paid:?}");
        assert!(began.elapsed() < ANSWER_MAX, "{key}: {:?}", began.elapsed());
        paid.json()
    }

    /// Waits until a merchant was told of a payment so often.
    fn told(&self, payment: &str, count: u32) {
        wait_for("a webhook", ANSWER_MAX, || {
            let told = self.receiver.event_of(payment).map_or(0, |it| it.1);
            (told >= count).then_some(()).ok_or(format!("{told} times"))
        })
        .unwrap();
    }

    /// Payments, and a message that refers to an event from before, as each retry of one does.
    async fn goes_on(&self, name: &str) {
        let address = format!("/v1/events/{}/replay", self.event);
        let post = reqwest::Method::POST;
        let began = Instant::now();
        let replayed = self
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
            self.pay(&format!("{name}-{number}")).await;
        }
    }

    fn sql(&self, text: &str) -> String {
        self.stack.postgres.sql("payments", text).unwrap()
    }

    /// Waits until db-migrate waits for a lock with such a statement.
    fn migration_waits(&self, migration: &mut Process, start: &str) {
        wait_for("db-migrate that waits for a lock", SEEN_MAX, || {
            if let Some(end) = migration.ended() {
                return Err(end);
            }
            let waiting = self.sql(WAITING);
            let waits = !waiting.is_empty() && waiting.starts_with(start);
            waits.then_some(()).ok_or(waiting)
        })
        .unwrap();
    }

    /// Waits until db-migrate has ended.
    fn migration_ends(&self, mut migration: Process) {
        let end = wait_for("the end of db-migrate", SEEN_MAX, || {
            migration.ended().ok_or_else(|| self.sql(WAITING))
        });
        let end = end.unwrap();
        assert!(end.contains("exit status: 0"), "{end}");
    }

    /// Every event has a number of its own, and everything is sealed.
    async fn is_whole(&self) {
        let state =
            "select count(*) > 0 and count(seq) = count(*) and count(distinct seq) = count(*),
                (select indisvalid from pg_index where indexrelid = 'event_in_order'::regclass),
                (select convalidated from pg_constraint where conname = 'event_has_seq')
            from event";
        assert_eq!(self.sql(state), "t|t|t");
        self.stack.sealed(SEEN_MAX).await.unwrap();
        self.pay("afterwards").await;
        self.stack.sealed_well(SEALED_MAX).await.unwrap();
    }
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

async fn shop_at(step: &str) -> Shop {
    let mut shop = open_shop().await;
    shop.stack.kill(Member::Controller);
    shop.sql(step);
    shop.stack.restart(Member::Controller).unwrap();
    shop
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_from_before_are_numbered_while_payments_and_webhooks_go_on() {
    let shop = shop_at(BACK_TO_STEP_9).await;
    shop.goes_on("before").await;
    // The last in order: whoever does all at once has locked every other one when it waits for this.
    let last =
        "select from event where id = (select id from event order by id desc limit 1) for update";
    let work = at_work(&shop, last).await;
    let mut migration = shop.stack.begin_migration().unwrap();
    shop.migration_waits(&mut migration, "");
    shop.goes_on("meanwhile").await;
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
    shop.is_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_queues_for_long_behind_a_step_that_waits_for_its_lock() {
    let shop = shop_at(BACK_TO_STEP_8).await;
    let work = at_work(&shop, ADD_EVENT).await;
    let mut migration = shop.stack.begin_migration().unwrap();
    shop.migration_waits(&mut migration, "");
    shop.goes_on("meanwhile").await;
    work.batch_execute("commit").await.unwrap();
    shop.migration_ends(migration);
    shop.is_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_was_given_up_half_way_is_made_anew() {
    let shop = open_shop().await;
    shop.sql("drop index event_in_order; delete from migration where number = 10");
    let work = at_work(&shop, ADD_EVENT).await;
    let mut migration = shop.stack.begin_migration().unwrap();
    shop.migration_waits(&mut migration, "create unique index");
    shop.goes_on("meanwhile").await;
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
    shop.is_whole().await;
}
