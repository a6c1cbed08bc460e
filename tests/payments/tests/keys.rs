//! API keys, as whoever runs the services gives them out, lists them and takes them back.

use std::time::{Duration, Instant};

use paymesh_payments::{Shop, Wishes, order, stack::MERCHANT};
use reqwest::Method;
use serde_json::{Value, json};

/// How long payment-api may believe a key that was taken back.
const BELIEVED_MAX: Duration = Duration::from_secs(5);
const PAYMENTS: &str = "/v1/payments";
const ENDPOINTS: &str = "/v1/webhook_endpoints";

/// What a command of db-controller says of the merchant's keys, and each of them.
fn listed(shop: &Shop, merchant: &str) -> (String, Vec<Value>) {
    let said = shop.stack.control(&["keys", merchant]).unwrap();
    let keys = said.lines().map(|line| serde_json::from_str(line).unwrap());
    let keys = keys.collect();
    (said, keys)
}

/// The id of the only key with these scopes.
fn id_of(keys: &[Value], scopes: &Value) -> String {
    let mut found = keys.iter().filter(|key| key["scopes"] == *scopes);
    let id = found.next().and_then(|key| key["key"].as_str());
    assert_eq!(found.next(), None, "{keys:?}");
    let id = id.unwrap_or_else(|| panic!("none with {scopes}: {keys:?}"));
    assert!(id.starts_with("key_"), "{id}");
    id.to_owned()
}

/// Which scope an answer says is missing.
fn missing(answer: &(u16, Value)) -> &Value {
    let (status, error) = (answer.0, &answer.1["error"]);
    assert_eq!((status, &error["code"]), (403, &json!("missing_scope")));
    &error["param"]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_may_do_what_it_was_given_for_and_nothing_five_seconds_after_it_was_taken_back() {
    let shop = Shop::open(Wishes::default()).await;
    shop.add_webhook().await;
    shop.pay("paid").await;
    let control = |words: &[&str]| shop.stack.control(words);
    let merchant = shop.stack.merchant(MERCHANT).unwrap();
    assert!(merchant.starts_with("ten_"), "{merchant}");

    // What is given out is the key and nothing else.
    let reads = "payments:read,ledger:read,webhooks:read";
    let said = control(&["add-key", &merchant, "--scopes", reads]).unwrap();
    let key = said.strip_suffix('\n').unwrap();
    let drawn = key.strip_prefix("sk_").unwrap();
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    assert!(drawn.len() == 32 && drawn.bytes().all(is_hex), "{said:?}");

    // It reads everything, and changes nothing.
    let reading = shop.client.of_merchant(key);
    for path in [PAYMENTS, "/v1/ledger", "/v1/events", ENDPOINTS] {
        let (status, body) = reading.get(path, path).await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
    }
    let (_, endpoints) = reading.get(ENDPOINTS, ENDPOINTS).await.unwrap();
    let url = &endpoints["data"][0]["url"];
    assert_eq!(url, &json!(shop.merchant.url), "{endpoints}");
    let body = order(990, "tok_approve");
    let refused = reading.pay("reader", &body, 0).await.unwrap();
    let refused = (refused.status, refused.json());
    assert_eq!(missing(&refused), "payments:write");
    let endpoint = endpoints["data"][0]["id"].as_str().unwrap();
    let path = "/v1/webhook_endpoints/{id}";
    let address = path.replace("{id}", endpoint);
    for (method, path, address, body) in [
        (
            Method::POST,
            ENDPOINTS,
            ENDPOINTS,
            Some(json!({ "url": "https://127.0.0.1:9/" })),
        ),
        (Method::DELETE, path, &*address, None),
    ] {
        let refused = reading.call(method, path, address, body).await.unwrap();
        assert_eq!(missing(&refused), "webhooks:write", "{address}");
    }

    // A key of before there was a scope for it lists endpoints by the one to change them.
    let all = json!([
        "payments:write",
        "payments:read",
        "ledger:read",
        "webhooks:write"
    ]);
    let (_, keys) = listed(&shop, &merchant);
    id_of(&keys, &all);
    let (status, body) = shop.client.get(ENDPOINTS, ENDPOINTS).await.unwrap();
    assert_eq!(status, 200, "{body}");

    // A scope that only a later version knows does not disturb the others of its key.
    let less = shop.stack.add_key(MERCHANT, "payments:read").unwrap();
    shop.sql("update api_key set scopes = '{of:tomorrow,payments:read}' where scopes = '{payments:read}'");
    let lesser = shop.client.of_merchant(&less);
    assert_eq!(lesser.get(PAYMENTS, PAYMENTS).await.unwrap().0, 200);
    let refused = lesser.get(ENDPOINTS, ENDPOINTS).await.unwrap();
    assert_eq!(missing(&refused), "webhooks:read");

    // Mistakes make no key, and say what there is.
    let nobody = format!("ten_{}", "a".repeat(32));
    let mistakes: [(&[&str], &str); 5] = [
        (
            &["add-key", &merchant, "--scopes", "payments:all"],
            "not one of payments:write, payments:read",
        ),
        (&["add-key", &merchant], "--scopes"),
        (
            &["add-key", &nobody, "--scopes", reads],
            "there is no merchant ten_",
        ),
        (&["keys", &nobody], "there is no merchant ten_"),
        (&["revoke-key", key], "not an id that starts with `key_`"),
    ];
    for (words, reason) in mistakes {
        let said = control(words).unwrap_err().to_string();
        assert!(said.contains(reason), "{said}");
    }
    let (said, keys) = listed(&shop, &merchant);
    assert_eq!(keys.len(), 3, "{said}");
    let lives = |key: &Value| key["created_at"].is_string() && key["revoked_at"].is_null();
    assert!(keys.iter().all(lives), "{said}");
    // Neither a key nor what the database finds it by.
    let hashes = shop.sql("select encode(hash, 'hex') from api_key");
    let own = shop.stack.card.api_key.clone();
    for secret in hashes.lines().chain([key, &less, &own]) {
        let secret = secret.trim_start_matches("sk_");
        assert!(!said.contains(secret), "{said}");
    }

    // Who asks five seconds after it was taken back is not let in, and others still are.
    let scopes: Vec<&str> = reads.split(',').collect();
    let id = id_of(&keys, &json!(scopes));
    control(&["revoke-key", &id]).unwrap();
    let start = Instant::now();
    loop {
        let asked = start.elapsed();
        let (status, body) = reading.get(PAYMENTS, PAYMENTS).await.unwrap();
        if status == 401 {
            break;
        }
        assert!(asked < BELIEVED_MAX, "{status} {asked:?} after it: {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for client in [&*shop.client, &lesser] {
        assert_eq!(client.get(PAYMENTS, PAYMENTS).await.unwrap().0, 200);
    }
    let again = control(&["revoke-key", &id]).unwrap_err().to_string();
    assert!(again.contains("is in use"), "{again}");
    let (said, keys) = listed(&shop, &merchant);
    let (gone, left): (Vec<&Value>, Vec<&Value>) = keys.iter().partition(|key| key["key"] == *id);
    assert!(gone[0]["revoked_at"].is_string(), "{said}");
    assert!(left.len() == 2 && left.into_iter().all(lives), "{said}");

    let logs = shop.stack.logs();
    for secret in [key, &less, &own] {
        assert!(!logs.contains(secret), "{logs}");
    }
}
