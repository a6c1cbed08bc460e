//! The acquirer's settlement report against the ledger: what differs is listed, and nothing is
//! mended.

use std::time::Duration;

use paymesh_payments::{Shop, Wishes, order};
use serde_json::{Value, json};

const SETTLED: Duration = Duration::from_secs(30);

/// Pays; gives the payment, and the name of its charge at the acquirer.
async fn pay(shop: &Shop, key: &str, token: &str, amount: i64) -> (String, String) {
    let paid = shop.client.pay(key, &order(amount, token), 10).await;
    let paid = paid.unwrap().json();
    (word(&paid["id"]), word(&paid["attempts"][0]["id"]))
}

/// Compares a report that differs, and checks which breaks are open then.
fn check_breaks(shop: &Shop, report: &str, expected: &[String]) {
    let refused = shop.stack.reconcile(report).unwrap_err().to_string();
    let count = format!("{} breaks are open", expected.len());
    assert!(refused.contains(&count), "{refused}");
    let (mut found, mut expected) = (shop.stack.breaks().unwrap(), expected.to_vec());
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

fn check_refused(shop: &Shop, report: &str, expected: &str) {
    let refused = shop.stack.reconcile(report).unwrap_err().to_string();
    assert!(refused.contains(expected), "{refused}");
    assert_eq!(shop.stack.breaks().unwrap(), Vec::<String>::new());
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The same report with other rows and a name of its own; it says that all its rows are there.
fn rewritten(report: &str, name: &str, change: impl FnOnce(&mut Vec<Value>)) -> String {
    let mut lines = report
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let mut head: Value = lines.next().unwrap();
    let mut rows: Vec<Value> = lines.collect();
    change(&mut rows);
    (head["report"], head["rows"]) = (json!(name), json!(rows.len()));
    let lines = std::iter::once(&head).chain(&rows).map(Value::to_string);
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_break_is_listed_until_a_person_closes_it() {
    let shop = Shop::open(Wishes::default()).await;
    let (one, _) = pay(&shop, "one", "tok_approve", 1000).await;
    let part = r#"{"amount":{"amount":300,"currency":"EUR"}}"#;
    shop.client
        .act("back", &one, "refunds", part)
        .await
        .unwrap();
    pay(&shop, "lost", "tok_lost", 1000).await;
    pay(&shop, "no", "tok_decline", 1000).await;
    pay(&shop, "disputed", "tok_dispute", 1000).await;
    shop.check_books(SETTLED).await;
    // As the acquirer sees it nothing differs, also when it is asked again.
    let report = shop.stack.settlement_report().await.unwrap();
    let moved: Vec<String> = (report.lines().skip(1))
        .map(|row| word(&serde_json::from_str::<Value>(row).unwrap()["type"]))
        .collect();
    assert_eq!(moved, ["charge", "refund", "charge", "charge", "dispute"]);
    for _ in 0..2 {
        shop.stack.reconcile(&report).unwrap();
    }
    // Another file under the same name, or one that was cut, is not compared.
    let other = rewritten(&report, "po_1", |rows| rows.truncate(1));
    check_refused(&shop, &other, "read before with other rows");
    let cut = &report[..report.trim_end().rfind('\n').unwrap()];
    check_refused(&shop, cut, "it was cut");

    // A charge that is never settled, one of another amount, one in another currency, one that is
    // settled again, and a refund that nobody asked for.
    let (_, unsettled) = pay(&shop, "unsettled", "tok_approve", 500).await;
    let (_, changed) = pay(&shop, "changed", "tok_approve", 500).await;
    let (_, foreign) = pay(&shop, "foreign", "tok_approve", 500).await;
    shop.check_books(SETTLED).await;
    let next = shop.stack.settlement_report().await.unwrap();
    let again: Value = serde_json::from_str(report.lines().nth(1).unwrap()).unwrap();
    let nobody = "att_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let seeded = rewritten(&next, "po_2", |rows| {
        let ids: Vec<String> = rows.iter().map(|row| word(&row["id"])).collect();
        assert_eq!(ids, [&unsettled, &changed, &foreign].map(Clone::clone));
        rows.remove(0);
        rows[0]["amount"] = json!(501);
        rows[1]["currency"] = json!("USD");
        rows.push(again.clone());
        rows.push(json!({
            "type": "refund", "id": nobody, "amount": 7, "currency": "EUR", "fee": 0
        }));
        // Of a type that is not known, twice: each row is looked at.
        let odd = json!({
            "type": "levy", "id": "of the year", "amount": 3, "currency": "EUR", "fee": 0
        });
        rows.extend([odd.clone(), odd]);
    });
    let sql = "select acquirer_reference from attempt where id =
        (select attempt_id from posting where amount = 500 order by seq limit 1)";
    let reference = shop.sql(sql);
    let all = [
        format!("not_settled charge {}", reference.trim()),
        format!("amount_differs charge {changed}"),
        format!("amount_differs charge {foreign}"),
        format!("settled_twice charge {}", word(&again["id"])),
        format!("not_booked refund {nobody}"),
        "not_booked levy of the year".to_owned(),
        "settled_twice levy of the year".to_owned(),
        "total_differs payout po_2".to_owned(),
        "total_differs payout po_2".to_owned(),
    ];
    // Again is the same; nothing was mended.
    for _ in 0..2 {
        check_breaks(&shop, &seeded, &all);
    }
    shop.check_books(SETTLED).await;

    // A person closes what they understood, once and with a reason; it does not come back.
    let close = |id: &str, reason| shop.stack.control(&["close-break", id, "--reason", reason]);
    let breaks = shop.stack.control(&["breaks"]).unwrap();
    let ids: Vec<String> = breaks
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].to_string())
        .collect();
    assert!(close(&ids[0], " ").is_err());
    close(&ids[0], "seen").unwrap();
    assert!(close(&ids[0], "seen").is_err());
    assert_eq!(shop.stack.breaks().unwrap().len(), all.len() - 1);
    for id in &ids[1..] {
        close(id, "seen").unwrap();
    }
    shop.stack.reconcile(&seeded).unwrap();

    // What two reports settle is seen by one of them, also when they are compared at once.
    let (_, fresh) = pay(&shop, "fresh", "tok_approve", 700).await;
    shop.check_books(SETTLED).await;
    let last = shop.stack.settlement_report().await.unwrap();
    let twins = ["po_3", "po_4"].map(|name| rewritten(&last, name, |_| ()));
    std::thread::scope(|scope| {
        for twin in &twins {
            scope.spawn(|| shop.stack.reconcile(twin));
        }
    });
    let twice = format!("settled_twice charge {fresh}");
    assert_eq!(shop.stack.breaks().unwrap(), [twice]);
}
