//! Where telling a merchant's endpoints of an event stands, as the merchant reads it.

use std::time::{Duration, Instant};

use paymesh_payments::{Member, Receiver, Shop, Wishes};
use serde_json::{Value, json};

/// How long anything may take until it is seen.
const SEEN_MAX: Duration = Duration::from_secs(30);
/// Longer than the first pause between two tries, and as long as the longest.
const PAUSE: Duration = Duration::from_hours(6);
const PATH: &str = "/v1/events/{id}/deliveries";

fn address_of(event: &str) -> String {
    PATH.replace("{id}", event)
}

/// Pays; gives the id of the event that tells of it.
async fn event_of_payment(shop: &Shop, key: &str) -> String {
    let paid = shop.pay(key).await;
    assert_eq!(paid.status, 201, "{paid:?}");
    let (_, events) = shop.client.get("/v1/events", "/v1/events").await.unwrap();
    let newest = &events["data"][0];
    assert_eq!(newest["payment"]["id"], paid.json()["id"], "{events}");
    newest["id"].as_str().unwrap().to_owned()
}

async fn deliveries(shop: &Shop, event: &str) -> Vec<Value> {
    let (status, list) = shop.client.get(PATH, &address_of(event)).await.unwrap();
    assert_eq!(status, 200, "{list}");
    list["data"].as_array().unwrap().clone()
}

/// Waits until an endpoint was tried so often, and telling it stands so; gives that.
async fn stands(shop: &Shop, event: &str, endpoint: &str, status: &str, tries: u32) -> Value {
    let start = Instant::now();
    loop {
        let found = deliveries(shop, event).await;
        let mut of_it = found.iter().filter(|one| one["endpoint"] == endpoint);
        let (one, other) = (of_it.next(), of_it.next());
        assert_eq!(other, None, "an endpoint is listed twice");
        if let Some(one) = one.filter(|one| one["status"] == status && one["tries"] == tries) {
            return one.clone();
        }
        let limit = start.elapsed() < SEEN_MAX;
        assert!(limit, "never {status} after {tries} tries: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether a time of the API lies before another one; both are written alike.
fn is_before(one: &Value, other: &Value) -> bool {
    one.as_str().unwrap() < other.as_str().unwrap()
}

/// The id of the endpoint that was added last.
async fn newest_endpoint(shop: &Shop) -> String {
    let path = "/v1/webhook_endpoints";
    let (_, list) = shop.client.get(path, path).await.unwrap();
    list["data"][0]["id"].as_str().unwrap().to_owned()
}

async fn replay(shop: &Shop, event: &str) {
    let path = "/v1/events/{id}/replay";
    let (post, address) = (reqwest::Method::POST, path.replace("{id}", event));
    let (status, told) = shop.client.call(post, path, &address, None).await.unwrap();
    assert_eq!(status, 200, "{told}");
}

async fn remove(shop: &Shop, endpoint: &str) {
    let path = "/v1/webhook_endpoints/{id}";
    let (delete, address) = (reqwest::Method::DELETE, path.replace("{id}", endpoint));
    let removed = shop.client.call(delete, path, &address, None).await;
    assert_eq!(removed.unwrap().0, 204);
}

/// It has nothing to tell of a next try.
fn is_over(delivery: &Value) -> bool {
    delivery["next_try_at"].is_null()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merchant_reads_how_far_each_endpoint_was_told_of_an_event() {
    let shop = Shop::open(Wishes::default()).await;
    let alone = event_of_payment(&shop, "alone").await;
    assert_eq!(deliveries(&shop, &alone).await, Vec::<Value>::new());

    // Refused once: it waits for its time, which comes.
    shop.add_webhook().await;
    let first = newest_endpoint(&shop).await;
    shop.merchant.refuse(1);
    let event = event_of_payment(&shop, "first").await;
    let waiting = stands(&shop, &event, &first, "pending", 1).await;
    let (tried, next) = (&waiting["last_try_at"], &waiting["next_try_at"]);
    assert!(is_before(tried, next), "{waiting}");
    assert!(waiting["delivered_at"].is_null(), "{waiting}");
    shop.stack.forward(PAUSE).await.unwrap();
    let told = stands(&shop, &event, &first, "delivered", 2).await;
    assert!(is_over(&told), "{told}");
    assert_eq!(told["delivered_at"], told["last_try_at"], "{told}");
    assert!(is_before(tried, &told["delivered_at"]), "{told}");

    // Of nobody else's, and of none.
    let other = shop.stack.add_merchant("Other shop", 100).unwrap();
    let other = shop.client.of_merchant(&other);
    let nobody = format!("evt_{}", "a".repeat(32));
    for (client, id) in [(&other, event.as_str()), (&*shop.client, nobody.as_str())] {
        let (status, body) = client.get(PATH, &address_of(id)).await.unwrap();
        assert_eq!((status, &body["error"]["code"]), (404, &json!("not_found")));
    }

    // Told again it waits again, and what was confirmed before stays so.
    shop.merchant.refuse(1);
    replay(&shop, &event).await;
    let again = stands(&shop, &event, &first, "pending", 3).await;
    assert_eq!(again["delivered_at"], told["delivered_at"], "{again}");
    shop.stack.forward(PAUSE).await.unwrap();
    let again = stands(&shop, &event, &first, "delivered", 4).await;
    assert!(is_before(&told["delivered_at"], &again["delivered_at"]));

    // Two endpoints, the newer one first, of which one never confirms.
    let deaf = Receiver::start().await.unwrap();
    deaf.know_secret(&shop.client.add_webhook(&deaf.url).await.unwrap());
    deaf.refuse(1_000);
    let second = newest_endpoint(&shop).await;
    let both = event_of_payment(&shop, "both").await;
    stands(&shop, &both, &first, "delivered", 1).await;
    for tries in 1..24 {
        let waiting = stands(&shop, &both, &second, "pending", tries).await;
        assert!(!is_over(&waiting), "{waiting}");
        shop.stack.forward(PAUSE).await.unwrap();
    }
    let given_up = stands(&shop, &both, &second, "given_up", 24).await;
    assert!(is_over(&given_up), "{given_up}");
    assert!(given_up["delivered_at"].is_null(), "{given_up}");
    let listed = deliveries(&shop, &both).await;
    let listed: Vec<&Value> = listed.iter().map(|one| &one["endpoint"]).collect();
    assert_eq!(listed, [&json!(second), &json!(first)]);

    // Without its endpoint nothing is tried, also what waits; what was confirmed stays so.
    let last = event_of_payment(&shop, "last").await;
    stands(&shop, &last, &second, "pending", 1).await;
    stands(&shop, &last, &first, "delivered", 1).await;
    for endpoint in [&first, &second] {
        remove(&shop, endpoint).await;
    }
    for _ in 0..2 {
        let given_up = stands(&shop, &last, &second, "given_up", 1).await;
        assert!(is_over(&given_up), "{given_up}");
        stands(&shop, &last, &first, "delivered", 1).await;
        // Then its message ends untried.
        shop.stack.forward(PAUSE).await.unwrap();
        shop.check_books(SEEN_MAX).await;
    }
    assert_eq!((shop.merchant.forged(), deaf.forged()), (0, 0));
}

/// Tables of events that were read from end to end, and how much was read of their indexes, since those
/// are read from end to end too. The index of what waits keeps what was done until somebody cleans it
/// up, and knows no event.
const READ: &str = "select (select coalesce(string_agg(relname, ', '), '') from pg_stat_user_tables
        where seq_scan > 0
            and relname in ('event', 'outbox', 'webhook_delivery', 'webhook_endpoint')),
    (select sum(idx_tup_read) from pg_stat_user_indexes
        where relname in ('event', 'outbox', 'webhook_delivery', 'webhook_endpoint')
            and indexrelname <> 'outbox_waiting')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_table_is_read_from_end_to_end_to_know_it() {
    /// An index that is read whole is of as many rows for each read, at least.
    const EVENTS: usize = 100;
    const ROUNDS: usize = 5;
    /// What the payments did last may be counted among it: 100 rows for each are too many elsewhere.
    const READ_MAX: usize = 50;
    let mut shop = Shop::open(Wishes::default()).await;
    shop.add_webhook().await;
    let endpoint = newest_endpoint(&shop).await;
    let mut events = Vec::new();
    for number in 0..EVENTS {
        events.push(event_of_payment(&shop, &format!("order-{number}")).await);
    }
    for event in &events {
        stands(&shop, event, &endpoint, "delivered", 1).await;
    }
    shop.sql("select pg_stat_reset()");
    for _ in 0..ROUNDS {
        for event in &events {
            assert_eq!(deliveries(&shop, event).await.len(), 1);
        }
    }
    // A connection tells the last of what it did when it ends.
    assert!(shop.stack.stop(Member::Controller));
    let found = shop.sql(READ);
    let (whole, read) = found.trim().rsplit_once('|').unwrap();
    assert_eq!(whole, "");
    let read = read.parse::<usize>().unwrap() / (EVENTS * ROUNDS);
    assert!(read <= READ_MAX, "{read} rows of indexes for each read");
    shop.stack.restart(Member::Controller).unwrap();
    shop.check_books(SEEN_MAX).await;
}
