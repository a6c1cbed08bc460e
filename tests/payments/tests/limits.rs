//! How much one merchant may ask.

use futures::future::join_all;
use paymesh_payments::{Client, Stack, Wishes, check};
use serde_json::{Value, json};

const PATH: &str = "/v1/payments";

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_too_much_is_told_to_wait_and_nobody_else_is() {
    let folder = tempfile::Builder::new()
        .prefix("paymesh")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let wishes = Wishes {
        requests_per_second: Some(1),
        ..Wishes::default()
    };
    let stack = Stack::start(folder.path(), wishes).unwrap();
    let (url, history) = (&stack.card.api_url, stack.history());
    let client = Client::new(url, &stack.card.api_key, &history).unwrap();

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
    let other = Client::new(url, &other, &history).unwrap();
    assert_eq!(other.get(PATH, PATH).await.unwrap().0, 200);

    // What was refused was not begun: its key is unknown, and makes the payment once it is let in.
    let body =
        json!({ "amount": { "amount": 990, "currency": "EUR" }, "payment_method": "tok_approve" })
            .to_string();
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
    assert_eq!(stack.postgres.sql("payments", &known).unwrap(), "0");
    let answer = client.pay(&key, &body, 5).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert!(!answer.is_replay);
    let report = check(&stack.card.database_url, &stack.books(), &history)
        .await
        .unwrap();
    assert_eq!(report.payments, paid + 1, "{report}");
}
