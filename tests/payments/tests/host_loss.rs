//! The primary's host is lost with all it held: a plain kill keeps the page cache and cannot see a
//! durability defect.

use std::{sync::Arc, time::Duration};

use paymesh_payments::{Client, Report, Stack, Wishes, check};
use serde_json::json;

struct Shop {
    _folder: tempfile::TempDir,
    stack: Stack,
    client: Arc<Client>,
}

fn open_shop(standby_list_is_empty: bool) -> Shop {
    let folder = tempfile::Builder::new()
        .prefix("paymesh")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let wishes = Wishes {
        standbys: true,
        standby_list_is_empty,
        ..Wishes::default()
    };
    let stack = Stack::start(folder.path(), wishes).unwrap();
    let durability = stack.postgres.durability().unwrap();
    println!("{durability}");
    assert_eq!(
        durability.ends_with("synchronous_standby_names="),
        standby_list_is_empty
    );
    let client = Client::new(&stack.card.api_url, &stack.card.api_key, &stack.history()).unwrap();
    Shop {
        _folder: folder,
        stack,
        client: Arc::new(client),
    }
}

fn order(token: &str) -> String {
    json!({ "amount": { "amount": 990, "currency": "EUR" }, "payment_method": token }).to_string()
}

impl Shop {
    async fn report(&self) -> Report {
        let card = &self.stack.card;
        let mut report = Report::default();
        for _ in 0..120 {
            report = check(
                &card.database_url,
                &self.stack.books(),
                &self.stack.history(),
            )
            .await
            .unwrap();
            if report.open.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        report
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_host_takes_no_acknowledged_payment_with_it() {
    let mut shop = open_shop(false);
    let payers: Vec<_> = (0..6)
        .map(|payer| {
            let client = shop.client.clone();
            tokio::spawn(async move {
                for round in 0..8 {
                    let token = ["tok_approve", "tok_slow_200"][round % 2];
                    let key = format!("payer-{payer}-{round}");
                    client.pay(&key, &order(token), 5).await.unwrap();
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
    let report = shop.report().await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.payments, 48);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_standby_writes_wait_and_nothing_is_lost() {
    let mut shop = open_shop(false);
    shop.client
        .pay("before", &order("tok_approve"), 5)
        .await
        .unwrap();
    shop.stack.cut_standbys_off().unwrap();
    let client = shop.client.clone();
    let waiting = tokio::spawn(async move { client.pay("during", &order("tok_approve"), 5).await });
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(
        !waiting.is_finished(),
        "a payment was acknowledged that one server has"
    );
    shop.stack.lose_primary().unwrap();
    // The wait for its end may have been used up by then.
    let answer = waiting.await.unwrap().unwrap();
    assert!(matches!(answer.status, 201 | 202), "{answer:?}");
    let report = shop.report().await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.payments, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_standby_list_is_found() {
    let mut shop = open_shop(true);
    shop.stack.cut_standbys_off().unwrap();
    let answer = shop
        .client
        .pay("gone", &order("tok_approve"), 5)
        .await
        .unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    shop.stack.lose_primary().unwrap();
    let card = &shop.stack.card;
    let report = check(
        &card.database_url,
        &shop.stack.books(),
        &shop.stack.history(),
    )
    .await
    .unwrap();
    assert_eq!(report.lost.len(), 1, "{report}");
    // The same key reaches the acquirer under the same attempt id: charged once, also after a loss.
    let again = shop
        .client
        .pay("gone", &order("tok_approve"), 5)
        .await
        .unwrap();
    assert_eq!((again.status, again.is_replay), (201, false), "{again:?}");
    let books = std::fs::read_to_string(shop.stack.books()).unwrap();
    assert_eq!(books.lines().count(), 1);
}
