//! Defects put in on purpose: each must turn the checker red, or its green means nothing.

use std::time::Duration;

use paymesh_payments::{Client, Receiver, Report, Stack, Wishes, check};

struct Shop {
    _folder: tempfile::TempDir,
    stack: Stack,
    client: Client,
}

fn open_shop(defect: &'static str) -> Shop {
    let folder = tempfile::Builder::new()
        .prefix("paymesh")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let wishes = Wishes {
        defect: Some(defect),
        ..Wishes::default()
    };
    let stack = Stack::start(folder.path(), wishes).unwrap();
    let client = Client::new(&stack.card.api_url, &stack.card.api_key, &stack.history()).unwrap();
    Shop {
        _folder: folder,
        stack,
        client,
    }
}

impl Shop {
    async fn report(&self) -> Report {
        let card = &self.stack.card;
        check(
            &card.database_url,
            &self.stack.books(),
            &self.stack.history(),
        )
        .await
        .unwrap()
    }
}

async fn report_with(defect: &'static str, token: &str) -> Report {
    let shop = open_shop(defect);
    let body = serde_json::json!({
        "amount": { "amount": 700, "currency": "EUR" }, "payment_method": token
    });
    // With such a defect it may never come to its end; what matters is what was done meanwhile.
    let answer = shop.client.pay("one", &body.to_string(), 5).await.unwrap();
    assert!(matches!(answer.status, 201 | 202), "{answer:?}");
    shop.report().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_without_an_inbox_is_found() {
    let report = report_with("inbox-off", "tok_approve").await;
    assert!(
        report
            .doubled
            .iter()
            .any(|found| found.contains("inbox rows")),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_that_forgets_attempt_ids_is_found() {
    let report = report_with("attempt-id-regenerated", "tok_lost").await;
    assert!(
        report
            .doubled
            .iter()
            .any(|found| found.contains("no attempt of ours")),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_webhook_that_is_forgotten_is_found() {
    let shop = open_shop("webhook-dropped");
    let merchant = Receiver::start().await.unwrap();
    merchant.know_secret(&shop.client.add_webhook(&merchant.url).await.unwrap());
    merchant.refuse(1);
    let body = r#"{"amount":{"amount":700,"currency":"EUR"},"payment_method":"tok_approve"}"#;
    shop.client.pay("one", body, 5).await.unwrap();
    let mut report = shop.report().await;
    for _ in 0..300 {
        if report.open.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        report = shop.report().await;
    }
    assert!(
        report.broken.iter().any(|found| found.contains("try 2")),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_that_is_not_booked_is_found_by_the_checker_and_by_the_settlement() {
    let shop = open_shop("refund-unbooked");
    let body = r#"{"amount":{"amount":700,"currency":"EUR"},"payment_method":"tok_approve"}"#;
    let paid = shop.client.pay("one", body, 10).await.unwrap().json();
    let part = r#"{"amount":{"amount":300,"currency":"EUR"}}"#;
    let id = paid["id"].as_str().unwrap();
    let refund = shop.client.act("back", id, "refunds", part).await.unwrap();
    assert_eq!(refund.status, 200, "{refund:?}");
    let report = shop.report().await;
    let is_found = |found: &String| found.contains("the refund") && found.contains("moved []");
    assert!(report.imbalance.iter().any(is_found), "{report}");
    let settled = shop.stack.settlement_report().await.unwrap();
    let refused = shop.stack.reconcile(&settled).unwrap_err().to_string();
    assert!(refused.contains("1 breaks are open"), "{refused}");
    let back = refund.json()["attempts"][1]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let breaks = shop.stack.breaks().unwrap();
    assert_eq!(breaks, [format!("not_booked refund {back}")]);
}
