//! The services with a real Apache Kafka between them: what goes over it is booked once, whoever is
//! killed; without it payments are taken in, and done in their order when it is back.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use paymesh_payments::{Bus, Client, Member, Report, Stack, Wishes, check};
use serde_json::json;
use tokio_postgres::NoTls;
use uuid::Uuid;

/// How long after a fault everything must have come to its end.
const SETTLED: Duration = Duration::from_mins(1);
const ATTEMPTS: &str = "paymesh.attempts";

struct Shop {
    _folder: tempfile::TempDir,
    stack: Stack,
    client: Client,
}

fn open_shop() -> Shop {
    let folder = tempfile::Builder::new()
        .prefix("paymesh")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let wishes = Wishes {
        bus: Bus::Kafka,
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
    /// Pays and waits so many seconds for the end; gives the status of the answer.
    async fn pay(&self, key: &str, token: &str, wait_seconds: u32) -> u16 {
        let body = json!({
            "amount": { "amount": 1250, "currency": "EUR" },
            "payment_method": token,
        });
        let body = body.to_string();
        self.client
            .pay(key, &body, wait_seconds)
            .await
            .unwrap()
            .status
    }

    /// Everything comes to its end, and every book tells of so many payments.
    async fn check_settles(&self, payments: usize) {
        let start = Instant::now();
        let card = &self.stack.card;
        let report: Report = loop {
            let report = check(
                &card.database_url,
                &self.stack.books(),
                &self.stack.history(),
            )
            .await
            .unwrap();
            if report.open.is_empty() || start.elapsed() > SETTLED {
                break report;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert!(report.is_clean(), "{report}\n{}", self.stack.logs());
        assert_eq!((report.payments, report.keys), (payments, payments));
    }

    /// How many records the group has still to get through, as Kafka's own tool says.
    fn lag(&self) -> i64 {
        let kafka = self.stack.kafka.as_ref().unwrap();
        let shown = kafka.ask(
            "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
            &["--describe", "--group", ATTEMPTS],
        );
        let shown = shown.unwrap();
        let lines = shown.lines().filter(|line| line.starts_with(ATTEMPTS));
        let lags = lines.map(|line| {
            let mut numbers = line.split_whitespace().skip(3).map(str::parse::<i64>);
            // Nothing was committed of a partition whose records were not begun.
            let committed = numbers.next().and_then(Result::ok).unwrap_or(0);
            numbers.next().unwrap().unwrap() - committed
        });
        lags.sum()
    }

    /// The payments that the records are about, in their order in each partition: each once, where
    /// it came first.
    fn published(&self) -> BTreeMap<String, Vec<String>> {
        let kafka = self.stack.kafka.as_ref().unwrap();
        let mut published = kafka.keys(ATTEMPTS).unwrap();
        for payments in published.values_mut() {
            let mut seen = HashSet::new();
            payments.retain(|payment| seen.insert(payment.clone()));
        }
        published
    }

    /// Every payment in the order in which the outbox has them.
    async fn taken_in(&self) -> Vec<String> {
        let url = &self.stack.card.database_url;
        let (database, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
        tokio::spawn(connection);
        let text = "select payment_id from outbox where kind = 'send_attempt' order by seq";
        let rows = database.query(text, &[]).await.unwrap();
        rows.iter().map(|row| name_of(row.get(0))).collect()
    }
}

/// How the API writes a payment's id.
fn name_of(id: Uuid) -> String {
    let halves = id
        .into_bytes()
        .into_iter()
        .flat_map(|byte| [byte >> 4, byte & 15]);
    let letters: String = halves.map(|half| char::from(b'a' + half)).collect();
    format!("pay_{letters}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: PAYMESH_KAFKA, or the stage `kafka` of make test"]
async fn messages_over_kafka_take_effect_once_and_in_order() {
    let mut shop = open_shop();
    assert_eq!(shop.pay("one", "tok_approve", 20).await, 201);
    shop.check_settles(1).await;

    // The processor dies with charges at the acquirer; its group goes on from what it completed.
    for number in 0..20 {
        let status = shop.pay(&format!("slow-{number}"), "tok_slow_400", 0).await;
        assert_eq!(status, 202);
    }
    shop.stack.kill(Member::Processor);
    shop.stack.restart(Member::Processor).unwrap();
    shop.check_settles(21).await;

    // db-controller dies with messages in the topic: they are passed over, and put again.
    for number in 0..20 {
        shop.pay(&format!("put-{number}"), "tok_slow_400", 0).await;
    }
    shop.stack.kill(Member::Controller);
    shop.stack.restart(Member::Controller).unwrap();
    shop.check_settles(41).await;

    shop.stack.kafka.as_mut().unwrap().kill();
    for number in 0..40 {
        let status = shop.pay(&format!("down-{number}"), "tok_approve", 0).await;
        assert_eq!(status, 202, "payments are taken in without Kafka");
    }
    let kafka = shop.stack.kafka.as_mut().unwrap();
    kafka.launch().unwrap();
    kafka.wait().unwrap();
    shop.check_settles(81).await;

    let taken_in = shop.taken_in().await;
    let published = shop.published();
    assert!(published.len() > 1, "one partition has everything");
    for payments in published.values() {
        let expected: Vec<_> = taken_in
            .iter()
            .filter(|one| payments.contains(one))
            .collect();
        assert_eq!(payments.iter().collect::<Vec<_>>(), expected);
    }
    assert_eq!(published.values().map(Vec::len).sum::<usize>(), 81);
    assert_eq!(shop.lag(), 0);
}
