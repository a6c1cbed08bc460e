//! Every process is killed while payments are under way; nothing is lost, doubled or out of
//! balance.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use paymesh_payments::{Member, Shop, Stack, Wishes, client::What, client::read_history};
use serde_json::json;

/// How long after a fault everything must have come to its end.
const SETTLED: Duration = Duration::from_mins(1);
const CLIENTS: usize = 8;
const PAYMENTS_EACH: usize = 5;
const TOKENS: [&str; 5] = [
    "tok_approve",
    "tok_slow_150",
    "tok_decline",
    "tok_lost",
    "tok_slow_400",
];

fn unknowns(stack: &Stack) -> usize {
    let lines = read_history(&stack.history()).unwrap();
    lines
        .iter()
        .filter(|line| line.what == What::Unknown)
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_of_any_process_in_flight_loses_and_doubles_nothing() {
    let mut shop = Shop::open(Wishes::default()).await;
    let mut asked = 0;
    for member in Member::ALL {
        let answered = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (client, answered) = (shop.client.clone(), answered.clone());
                tokio::spawn(async move {
                    for round in 0..PAYMENTS_EACH {
                        let key = format!("{member:?}-{number}-{round}");
                        let token = TOKENS[(number + round) % TOKENS.len()];
                        let body = json!({
                            "amount": { "amount": 100 + round, "currency": "EUR" },
                            "payment_method": token,
                        })
                        .to_string();
                        client.pay(&key, &body, 5).await.unwrap();
                        answered.fetch_add(1, Ordering::Relaxed);
                        // One in five is asked for again, late.
                        if (number + round) % 5 == 0 {
                            client.pay(&key, &body, 5).await.unwrap();
                        }
                    }
                })
            })
            .collect();
        while answered.load(Ordering::Relaxed) < CLIENTS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let felt_before = unknowns(&shop.stack);
        shop.stack.kill(member);
        let in_flight = CLIENTS * PAYMENTS_EACH - answered.load(Ordering::Relaxed);
        assert!(
            in_flight > 0,
            "nothing was in flight when {member:?} was killed"
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
        shop.stack.restart(member).unwrap();
        for task in tasks {
            task.await.unwrap();
        }
        asked += CLIENTS * PAYMENTS_EACH;
        println!("{member:?} was killed");
        let report = shop.check_books(SETTLED).await;
        assert_eq!((report.payments, report.keys), (asked, asked));
        // A process that is gone is no mistake of ours.
        let lines = read_history(&shop.stack.history()).unwrap();
        let mistake = lines.iter().find(|line| line.status == Some(500));
        assert!(mistake.is_none(), "{mistake:?}");
        if member == Member::Api {
            assert!(
                unknowns(&shop.stack) > felt_before,
                "no client felt the kill"
            );
        }
    }
}
