//! A shop: what most tests begin with. Whatever goes wrong in it ends the test.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt as _,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    checker::Report,
    client::{Answer, Client},
    receiver::Receiver,
    stack::{Stack, Wishes},
};

/// How long a merchant may have to wait until they are told of something.
const TOLD_MAX: Duration = Duration::from_secs(30);

/// A stack of its own, and the one merchant who pays at it. It ends when dropped.
pub struct Shop {
    /// What is started, killed and checked.
    pub stack: Stack,
    /// How the merchant asks.
    pub client: Arc<Client>,
    /// Where the merchant listens; nobody tells them anything before [`Shop::add_webhook`].
    pub merchant: Receiver,
    /// Last, because the stack ends before it is deleted.
    _folder: TempDir,
}

/// A folder for a stack, which PostgreSQL may enter if it runs as somebody else. It is deleted when
/// dropped.
pub fn folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("paymesh")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .expect("a folder can be made")
}

/// A request for a payment in euros, with a token that says what the acquirer makes of it.
pub fn order(amount: i64, token: &str) -> String {
    let amount = json!({ "amount": amount, "currency": "EUR" });
    json!({ "amount": amount, "payment_method": token }).to_string()
}

impl Shop {
    /// Starts a stack in a new folder.
    pub async fn open(wishes: Wishes) -> Self {
        let folder = folder();
        let stack = Stack::start(folder.path(), wishes).expect("the stack starts");
        let card = &stack.card;
        let client = Client::new(&card.api_url, &card.api_key, &stack.history());
        let client = Arc::new(client.expect("the history can be written"));
        let merchant = Receiver::start().await.expect("there is a port");
        Self {
            stack,
            client,
            merchant,
            _folder: folder,
        }
    }

    /// Has the merchant told of everything; gives the secret of the signatures.
    pub async fn add_webhook(&self) -> String {
        let secret = self.client.add_webhook(&self.merchant.url).await;
        let secret = secret.expect("an endpoint is taken in");
        self.merchant.know_secret(&secret);
        secret
    }

    /// Makes a payment that the acquirer approves of, and waits ten seconds for its end.
    pub async fn pay(&self, key: &str) -> Answer {
        let paid = self.client.pay(key, &order(990, "tok_approve"), 10).await;
        let paid = paid.expect("an answer");
        assert!(matches!(paid.status, 201 | 202), "{paid:?}");
        paid
    }

    /// Has the payment database do something, as its superuser; gives what it says.
    pub fn sql(&self, text: &str) -> String {
        let said = self.stack.postgres.sql("payments", text);
        said.unwrap_or_else(|reason| panic!("{text}: {reason}"))
    }

    /// Waits until nothing is on its way any more, and checks that every book tells the same.
    pub async fn check_books(&self, limit: Duration) -> Report {
        let report = self.stack.settled(limit).await;
        let report = report.expect("the books can be read");
        assert!(report.is_clean(), "{report}\n{}", self.stack.logs());
        report
    }

    /// Waits until the merchant was told just this of a payment, sorted.
    pub async fn check_told(&self, payment: &Value, expected: &[&str]) {
        let id = payment["id"].as_str().expect("a payment has an id");
        let start = Instant::now();
        loop {
            let told = self.merchant.told_of(id);
            if told == expected {
                return;
            }
            assert!(start.elapsed() < TOLD_MAX, "was told {told:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
