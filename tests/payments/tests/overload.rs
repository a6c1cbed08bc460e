//! Overload of services that stand twice: new payments are refused at either replica, what was taken in
//! before is answered by either, and nothing is lost or doubled.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use paymesh_payments::{
    Client, Member, Replica, Shop, Wires, Wishes,
    client::{Answer, Ask},
    order,
};
use tokio::task::{JoinHandle, JoinSet};

/// How many payments may wait for the acquirer before new ones are refused.
const WAITING_MAX: u32 = 10;
/// So long the acquirer takes for a payment of the crowd: that many of them end in the same time.
const SLOW: &str = "tok_slow_1500";
/// How long until the next one of the crowd pays: six times as often as payments can end.
const PAUSE: Duration = Duration::from_millis(25);
/// How long until something else ends: while nothing does, all payments are taken in.
const BEAT: Duration = Duration::from_millis(100);
/// How often each replica is asked for each answer that it has given already.
const REPLAYS: u32 = 3;
/// How many payments are made at last, none of which is refused.
const CALM: usize = 10;
/// How long after the crowd left payments may still be refused.
const REFUSED_MAX: Duration = Duration::from_secs(10);
/// How long anything else may take.
const SEEN_MAX: Duration = Duration::from_secs(30);

/// Whoever pays, at two replicas of the API, and what they were told.
struct Crowd {
    clients: [Arc<Client>; 2],
    /// How often each replica refused.
    refused: [AtomicU64; 2],
    /// The first answer to each key whose payment was taken in.
    taken: Mutex<HashMap<String, Answer>>,
    /// Keys that were refused wherever they were sent.
    turned_away: Mutex<Vec<String>>,
    /// The next of those who look whether they are refused.
    next: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crowd {
    /// Sends a payment once, to one replica.
    async fn send(&self, replica: usize, key: &str, body: &str, wait_seconds: u32) -> Answer {
        let answer = self.clients[replica].create(key, body, wait_seconds).await;
        let answer = answer
            .unwrap()
            .unwrap_or_else(|| panic!("no answer to {key}"));
        if answer.status == 503 {
            let said = answer.json();
            assert_eq!(said["error"]["code"], "overloaded", "{answer:?}");
            assert_eq!(said["error"]["type"], "unavailable", "{answer:?}");
            assert_eq!(answer.retry_after.as_deref(), Some("1"), "{answer:?}");
            assert!(!answer.is_replay, "{answer:?}");
            self.refused[replica].fetch_add(1, Ordering::Relaxed);
        } else {
            assert!(matches!(answer.status, 201 | 202), "{answer:?}");
        }
        answer
    }

    /// Sends a new payment to some replicas at once; says whether all of them refused it.
    async fn pay(&self, replicas: &[usize], key: &str) -> bool {
        let body = order(990, SLOW);
        let mut sent = Vec::new();
        for replica in replicas {
            sent.push(self.send(*replica, key, &body, 0));
        }
        let mut taken = join_all(sent).await;
        taken.retain(|answer| answer.status != 503);
        let first = taken.iter().find(|answer| !answer.is_replay);
        let Some(first) = first else {
            assert!(taken.is_empty(), "nobody was answered first: {taken:?}");
            lock(&self.turned_away).push(key.to_owned());
            return true;
        };
        for answer in &taken {
            assert_same(answer, first);
        }
        let replays = taken.iter().filter(|answer| answer.is_replay).count();
        assert_eq!(replays + 1, taken.len(), "made twice: {taken:?}");
        lock(&self.taken).insert(key.to_owned(), first.clone());
        false
    }

    /// One of the crowd: every third asks both replicas at once for the same payment.
    async fn pay_as(&self, number: usize) {
        let key = format!("crowd-{number}");
        let replicas: &[usize] = match number % 3 {
            0 => &[0, 1],
            1 => &[0],
            _ => &[1],
        };
        self.pay(replicas, &key).await;
    }

    /// Whether a replica refuses a new payment now.
    async fn refuses(&self, replica: usize) -> bool {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.pay(&[replica], &format!("look-{number}")).await
    }

    async fn wait_until_refused(&self, replica: usize) {
        let start = Instant::now();
        while !self.refuses(replica).await {
            let taken = lock(&self.taken).len();
            let refused = self.refused[replica].load(Ordering::Relaxed);
            assert!(
                start.elapsed() < SEEN_MAX,
                "replica {replica} refused {refused} so far, {taken} were taken in"
            );
        }
    }

    /// A replica answers a key that was used before as it was answered first, although it refuses new
    /// payments: one right before and one right after.
    async fn check_replay(&self, replica: usize, key: &str, body: &str, first: &Answer) {
        let start = Instant::now();
        let mut between_refusals = 0;
        while between_refusals < REPLAYS {
            self.wait_until_refused(replica).await;
            let again = self.send(replica, key, body, 0).await;
            assert_same(&again, first);
            assert!(again.is_replay, "{again:?}");
            between_refusals += u32::from(self.refuses(replica).await);
            assert!(
                start.elapsed() < SEEN_MAX,
                "{key} was answered {between_refusals} times between two refusals"
            );
        }
    }
}

fn assert_same(one: &Answer, other: &Answer) {
    assert_eq!((one.status, &one.body), (other.status, &other.body));
}

/// The crowd, until it is over.
fn crowd_in(crowd: &Arc<Crowd>, is_over: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (crowd, is_over) = (crowd.clone(), is_over.clone());
    tokio::spawn(async move {
        let (mut payments, mut due) = (JoinSet::new(), Instant::now());
        for number in 0.. {
            if is_over.load(Ordering::SeqCst) {
                break;
            }
            tokio::time::sleep_until(due.into()).await;
            let crowd = crowd.clone();
            payments.spawn(async move { crowd.pay_as(number).await });
            due += PAUSE;
        }
        while let Some(done) = payments.join_next().await {
            done.unwrap();
        }
    })
}

/// A cent after the other is given back of a payment, until it is over: nothing of that is refused.
fn give_back(client: &Arc<Client>, payment: String, is_over: &Arc<AtomicBool>) -> JoinHandle<()> {
    let (client, is_over) = (client.clone(), is_over.clone());
    tokio::spawn(async move {
        let body = r#"{"amount":{"amount":1,"currency":"EUR"}}"#;
        let path = "/v1/payments/{id}/refunds";
        let address = path.replace("{id}", &payment);
        for number in 0.. {
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            let key = format!("back-{number}");
            let ask = Ask {
                key: &key,
                path,
                address: &address,
                body,
                wait_seconds: 10,
            };
            let answer = client.ask(ask).await.unwrap().unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            tokio::time::sleep(BEAT).await;
        }
    })
}

/// The places of a service's replicas among all.
fn places(member: Member, replicas: &[Replica]) -> Vec<usize> {
    let all = replicas.iter().enumerate();
    let of_it = all.filter(|(_, replica)| replica.member == member);
    of_it.map(|(index, _)| index).collect()
}

/// Puts a second replica of each service beside the first, where each of the API asks its own of
/// db-controller; gives all of them, and a client of each of the API.
async fn stand_twice(shop: &mut Shop) -> (Vec<Replica>, [Arc<Client>; 2]) {
    // Over the connections that this opens the first goes on asking the one db-controller there is.
    shop.add_webhook().await;
    let mut replicas = shop.stack.twice().unwrap();
    let second = places(Member::Api, &replicas)[1];
    let first_controller = replicas[places(Member::Controller, &replicas)[0]].port;
    shop.stack.balancer().take_out(first_controller, true);
    assert!(replicas[second].stop(), "it had to be killed");
    shop.stack.run(&mut replicas[second]).unwrap();
    let base = format!("http://127.0.0.1:{}", replicas[second].port);
    let other = Client::new(&base, &shop.stack.card.api_key, &shop.stack.history()).unwrap();
    let path = "/v1/payments";
    assert_eq!(other.get(path, path).await.unwrap().0, 200);
    shop.stack.balancer().take_out(first_controller, false);
    (replicas, [shop.client.clone(), Arc::new(other)])
}

/// How many commands a db-controller refused because too much waited, as it counts them.
async fn refused_by(controller: &Replica) -> u64 {
    let address = format!("http://127.0.0.1:{}/metrics", controller.health);
    let metrics = reqwest::get(address).await.unwrap().text().await.unwrap();
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix("paymesh_commands_refused_total "));
    let count = count.and_then(|count| count.trim().parse().ok());
    count.unwrap_or_else(|| panic!("no count in {metrics}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_overload_both_replicas_refuse_what_is_new_and_answer_what_they_answered_before() {
    let mut shop = Shop::open(Wishes {
        wires: Wires::Balanced,
        waiting_max: Some(WAITING_MAX),
        ..Wishes::default()
    })
    .await;
    let (replicas, clients) = stand_twice(&mut shop).await;
    let crowd = Arc::new(Crowd {
        clients,
        refused: [AtomicU64::new(0), AtomicU64::new(0)],
        taken: Mutex::default(),
        turned_away: Mutex::default(),
        next: AtomicU64::new(0),
    });
    let quick = order(90_000, "tok_approve");
    let paid = crowd.send(0, "paid", &quick, 10).await;
    assert_eq!(paid.status, 201, "{paid:?}");
    let slow = order(990, SLOW);
    let accepted = crowd.send(1, "accepted", &slow, 0).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");

    let is_over = Arc::<AtomicBool>::default();
    let id = paid.json()["id"].as_str().unwrap().to_owned();
    let beat = give_back(&shop.client, id, &is_over);
    let paying = crowd_in(&crowd, &is_over);
    for replica in [0, 1] {
        crowd.wait_until_refused(replica).await;
    }
    let taken = lock(&crowd.taken).clone();
    let (one, of_it) = taken.iter().next().expect("some were taken in");
    for (key, body, first) in [
        ("paid", &quick, &paid),
        ("accepted", &slow, &accepted),
        (one.as_str(), &slow, of_it),
    ] {
        for replica in [0, 1] {
            crowd.check_replay(replica, key, body, first).await;
        }
    }
    is_over.store(true, Ordering::SeqCst);
    paying.await.unwrap();
    beat.await.unwrap();

    // What was refused was not begun, and is taken in by the replica that refused it.
    let key = lock(&crowd.turned_away).pop().expect("some were refused");
    let known = format!("select count(*) from idempotency where key = '{key}'");
    assert_eq!(shop.sql(&known), "0");
    let start = Instant::now();
    let answer = loop {
        let answer = crowd.send(0, &key, &slow, 10).await;
        if answer.status != 503 {
            break answer;
        }
        let is_early = start.elapsed() < REFUSED_MAX;
        assert!(is_early, "payments are refused without a crowd");
        tokio::time::sleep(BEAT).await;
    };
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(!answer.is_replay, "{answer:?}");
    shop.check_books(SEEN_MAX).await;
    for number in 0..CALM {
        let key = format!("calm-{number}");
        let answer = crowd.send(number % 2, &key, &quick, 10).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    let report = shop.check_books(SEEN_MAX).await;
    let taken = lock(&crowd.taken).len();
    // With the first two, and the one that was taken in afterwards.
    assert_eq!(report.payments, taken + 3 + CALM, "{report}");
    let events = shop.sql("select count(*) from event");
    assert_eq!(shop.merchant.events().to_string(), events, "events told");
    assert_eq!(shop.merchant.forged(), 0);
    shop.stack.sealed_well(SEEN_MAX).await.unwrap();
    // Each db-controller refused by itself, and nobody asked again on behalf of a merchant.
    let mut counted = 0;
    for replica in &replicas {
        if replica.member == Member::Controller {
            let count = refused_by(replica).await;
            assert!(count > 0, "a db-controller refused nothing");
            counted += count;
        }
    }
    let heard = crowd.refused.iter().map(|one| one.load(Ordering::Relaxed));
    assert_eq!(counted, heard.sum::<u64>());
}
