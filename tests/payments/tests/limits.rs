//! How much one merchant may ask.

use futures::future::join_all;
use paymesh_payments::{Client, Shop, Wishes, order};
use serde_json::Value;

const PATH: &str = "/v1/payments";

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_too_much_is_told_to_wait_and_nobody_else_is() {
    let wishes = Wishes {
        requests_per_second: Some(1),
        ..Wishes::default()
    };
    let shop = Shop::open(wishes).await;
    let (stack, client) = (&shop.stack, &shop.client);
    let url = &stack.card.api_url;

    let ask = reqwest::Client::new()
        .get(format!("{url}{PATH}"))
        .bearer_auth(&stack.card.api_key);
    let many = join_all((0..30).map(|_| ask.try_clone().unwrap().send())).await;
    let many = many.into_iter().map(Result::unwrap);
    let (taken, refused): (Vec<_>, Vec<_>) = many.partition(|answer| answer.status() == 200);
    assert!(!taken.is_empty(), "nobody was let in");
    assert!(!refused.is_empty(), "nobody was told to wait");
    for answer in refused {
        assert_eq!(answer.status(), 429);
        assert_eq!(answer.headers()["retry-after"], "1");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "rate_limited", "{body}");
    }

    let other = stack.add_merchant("Another shop", 0).unwrap();
    let other = Client::new(url, &other, &stack.history()).unwrap();
    assert_eq!(other.get(PATH, PATH).await.unwrap().0, 200);

    // What was refused was not begun: its key is unknown, and makes the payment once it is let in.
    let body = order(990, "tok_approve");
    let mut paid = 0;
    let key = loop {
        let key = format!("order-{paid}");
        let answer = client.create(&key, &body, 0).await.unwrap().unwrap();
        if answer.status == 429 {
            break key;
        }
        assert_eq!(answer.status, 202, "{}", answer.body);
        paid += 1;
    };
    let known = format!("select count(*) from idempotency where key = '{key}'");
    assert_eq!(shop.sql(&known), "0");
    let answer = client.pay(&key, &body, 5).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(!answer.is_replay);
    let report = stack.report().await.unwrap();
    assert_eq!(report.payments, paid + 1, "{report}");
}
