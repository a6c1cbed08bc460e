//! Defects put in on purpose: each must turn the checker red, or its green means nothing.

use paymesh_payments::{Client, Report, Stack, Wishes, check};

async fn report_with(defect: &'static str, token: &str) -> Report {
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
    let body = serde_json::json!({
        "amount": { "amount": 700, "currency": "EUR" }, "payment_method": token
    });
    // With such a defect it may never come to its end; what matters is what was done meanwhile.
    let answer = client.pay("one", &body.to_string(), 5).await.unwrap();
    assert!(matches!(answer.status, 201 | 202), "{answer:?}");
    check(&stack.card.database_url, &stack.books(), &stack.history())
        .await
        .unwrap()
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
