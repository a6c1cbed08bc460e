//! Rolling upgrades: two replicas of each service are exchanged one after the other while payments
//! flow, and nobody who asks can tell.
//!
//! Whoever asks stands behind what sends each request to a replica that says that it is ready, once:
//! nothing here is asked again.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use paymesh_beds::{Balancer, http_is_ready, wait_for};
use paymesh_payments::{
    Client, Member, Receiver, Release, Replica, Stack, Wires, Wishes, check, client::Ask,
};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};

/// Whoever calls before whom they call.
const CALLERS_FIRST: [Member; 3] = [Member::Api, Member::Processor, Member::Controller];
/// The other way round.
const CALLED_FIRST: [Member; 3] = [Member::Controller, Member::Processor, Member::Api];
/// How long between two payments.
const PAUSE: Duration = Duration::from_millis(70);
/// How many payments are answered between two steps of an upgrade.
const BETWEEN: usize = 25;
/// How long a replica that is asked to end takes callers in: many times what the balancer needs to
/// see that it is not ready.
const DRAIN_MS: u32 = 1_000;
/// How long an answer may wait for the end of a payment.
const WAIT_SECONDS: u32 = 10;
/// How long somebody waits at most who is told of the end of a payment, and does not find it when
/// their time is over.
const TOLD_MAX: Duration = Duration::from_secs(5);
/// How long everything else may take.
const SEEN_MAX: Duration = Duration::from_mins(1);

/// Somebody who pays, behind a load balancer.
struct Merchant {
    front: Balancer,
    clients: HashMap<u16, Client>,
    /// Requests under way at each replica.
    under_way: HashMap<u16, AtomicUsize>,
    answered: AtomicUsize,
    /// What was not answered as it should be.
    failed: Mutex<Vec<String>>,
}

/// A request at one replica, until it is answered.
struct Turn<'a> {
    client: &'a Client,
    under_way: &'a AtomicUsize,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Merchant {
    /// A request at a replica that is ready.
    fn turn(&self) -> Turn<'_> {
        let port = self.front.next().expect("a replica of the API is ready");
        let under_way = &self.under_way[&port];
        under_way.fetch_add(1, Ordering::SeqCst);
        Turn {
            client: &self.clients[&port],
            under_way,
        }
    }

    fn note(&self, what: &str, status: Option<u16>, wanted: &[u16], body: &impl std::fmt::Debug) {
        if !status.is_some_and(|status| wanted.contains(&status)) {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.push(format!("{what}: {status:?} {body:?}"));
        }
    }

    async fn post(&self, ask: Ask<'_>, wanted: u16) -> Value {
        let turn = self.turn();
        let answer = turn.client.ask(ask).await.unwrap();
        let status = answer.as_ref().map(|answer| answer.status);
        let name = format!("{} at {}", ask.key, ask.path);
        self.note(&name, status, &[wanted], &answer);
        answer.map(|answer| answer.json()).unwrap_or_default()
    }

    async fn pay(&self, key: &str, token: &str, capture: &str) -> Value {
        let amount = json!({ "amount": 990, "currency": "EUR" });
        let body = json!({ "amount": amount, "payment_method": token, "capture": capture });
        let body = body.to_string();
        self.post(Ask::payment(key, &body, WAIT_SECONDS), 201).await
    }

    async fn act(&self, key: &str, payment: &Value, what: &str) {
        let key = format!("{key}-{what}");
        let path = format!("/v1/payments/{{id}}/{what}");
        let address = format!("/v1/payments/{}/{what}", id_of(payment));
        let ask = Ask {
            key: &key,
            path: &path,
            address: &address,
            body: r#"{"amount":{"amount":500,"currency":"EUR"}}"#,
            wait_seconds: WAIT_SECONDS,
        };
        self.post(ask, 200).await;
    }

    async fn read(&self, path: &str, address: &str) {
        let turn = self.turn();
        let read = turn.client.get(path, address).await;
        let (status, body) = read.unwrap_or_else(|reason| (0, json!(reason.to_string())));
        self.note(address, Some(status), &[200], &body);
    }

    /// The customer goes to their bank, and the payment on.
    async fn confirm(&self, payment: &Value) {
        let Some(bank) = payment["next_action"]["redirect_url"].as_str() else {
            return self.note("an action", None, &[200], payment);
        };
        let bank = format!("{bank}/approve");
        let said = reqwest::Client::new().post(bank).send().await.unwrap();
        assert_eq!(said.status(), 200);
        let (path, post) = ("/v1/payments/{id}/confirm", reqwest::Method::POST);
        let address = format!("/v1/payments/{}/confirm", id_of(payment));
        let turn = self.turn();
        let confirmed = turn.client.call(post, path, &address, None).await;
        let (status, body) = confirmed.unwrap_or_else(|reason| (0, json!(reason.to_string())));
        // It waits for two seconds only, and is on its way then.
        self.note(&address, Some(status), &[200, 202], &body);
    }

    /// One of the things that merchants do.
    async fn shop(&self, number: usize) {
        let key = format!("order-{number}");
        match number % 5 {
            // It waits while its replica is asked to end.
            0 | 3 => drop(self.pay(&key, "tok_slow_1500", "automatic").await),
            1 => {
                let paid = self.pay(&key, "tok_approve", "automatic").await;
                self.act(&key, &paid, "refunds").await;
            }
            2 => {
                let reserved = self.pay(&key, "tok_approve", "manual").await;
                self.act(&key, &reserved, "capture").await;
            }
            _ => {
                let asked = self.pay(&key, "tok_action", "automatic").await;
                self.confirm(&asked).await;
                let address = format!("/v1/payments/{}", id_of(&asked));
                self.read("/v1/payments/{id}", &address).await;
                self.read("/v1/payments", "/v1/payments").await;
            }
        }
        self.answered.fetch_add(1, Ordering::SeqCst);
    }
}

fn id_of(payment: &Value) -> &str {
    payment["id"].as_str().unwrap_or_default()
}

/// A shop whose services all stand twice.
struct Shop {
    replicas: Vec<Replica>,
    merchant: Arc<Merchant>,
    receiver: Receiver,
    stack: Stack,
    _folder: tempfile::TempDir,
}

async fn open_shop(release: Release) -> Shop {
    let folder = tempfile::Builder::new()
        .prefix("paymesh")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let wishes = Wishes {
        wires: Wires::Balanced,
        drain_ms: Some(DRAIN_MS),
        release,
        ..Wishes::default()
    };
    let mut stack = Stack::start(folder.path(), wishes).unwrap();
    let replicas = stack.twice().unwrap();
    let front = Balancer::start().unwrap();
    let (mut clients, mut under_way) = (HashMap::new(), HashMap::new());
    for replica in &replicas {
        if replica.member == Member::Api {
            front.add(replica.port, replica.health);
            let base = format!("http://127.0.0.1:{}", replica.port);
            let client = Client::new(&base, &stack.card.api_key, &stack.history()).unwrap();
            clients.insert(replica.port, client);
            under_way.insert(replica.port, AtomicUsize::new(0));
        }
    }
    let receiver = Receiver::start().await.unwrap();
    let any = clients.values().next().unwrap();
    receiver.know_secret(&any.add_webhook(&receiver.url).await.unwrap());
    let shop = Shop {
        merchant: Arc::new(Merchant {
            front,
            clients,
            under_way,
            answered: AtomicUsize::new(0),
            failed: Mutex::default(),
        }),
        replicas,
        receiver,
        stack,
        _folder: folder,
    };
    for replica in &shop.replicas {
        shop.wait_until_sent_to(replica);
    }
    shop
}

impl Shop {
    /// What sends callers to the replicas of a service, if anything does.
    fn balancer(&self, member: Member) -> Option<&Balancer> {
        match member {
            Member::Api => Some(&self.merchant.front),
            Member::Controller => Some(self.stack.balancer()),
            _ => None,
        }
    }

    fn wait_until_sent_to(&self, replica: &Replica) {
        let Some(balancer) = self.balancer(replica.member) else {
            return;
        };
        wait_for("a replica that callers are sent to", SEEN_MAX, || {
            let is_sent_to = balancer.sends_to(replica.port);
            is_sent_to.then_some(()).ok_or_else(|| "none is".to_owned())
        })
        .unwrap();
    }

    /// Waits until so many payments more were answered.
    fn payments_go_on(&self) {
        let wanted = self.merchant.answered.load(Ordering::SeqCst) + BETWEEN;
        wait_for("payments that go on", SEEN_MAX, || {
            let answered = self.merchant.answered.load(Ordering::SeqCst);
            let failed = &self.merchant.failed;
            let failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
            let enough = answered >= wanted;
            enough
                .then_some(())
                .ok_or_else(|| format!("{answered} of {wanted}, {failed:?}"))
        })
        .unwrap();
    }

    /// Asks each replica to end and puts one of `release` in its place, one after the other.
    async fn exchange(&mut self, services: [Member; 3], from: Release, release: Release) {
        self.stack.use_release(release).unwrap();
        let of = |member| {
            let replicas = self.replicas.iter().enumerate();
            let of_it = replicas.filter(move |(_, replica)| replica.member == member);
            of_it.map(|(index, _)| index)
        };
        let order: Vec<usize> = services.into_iter().flat_map(of).collect();
        for index in order {
            let replica = &self.replicas[index];
            let (member, port) = (replica.member, replica.port);
            // The release before is ready until it is gone, so callers are sent elsewhere first.
            let by_hand = self.balancer(member).filter(|_| from == Release::Before);
            if let Some(balancer) = by_hand {
                balancer.take_out(port, true);
            }
            self.wait_until_waited_at(port);
            if (member, from) == (Member::Api, Release::This) {
                self.replicas[index].ask_to_end();
                self.is_taken_in_and_asked_to_leave(&self.replicas[index])
                    .await;
            }
            let replica = &mut self.replicas[index];
            assert!(
                replica.stop(),
                "{member:?} had to be killed: {}",
                self.log(index)
            );
            self.stack.run(&mut self.replicas[index]).unwrap();
            if let Some(balancer) = self.balancer(member) {
                balancer.take_out(port, false);
            }
            self.wait_until_sent_to(&self.replicas[index]);
            self.payments_go_on();
        }
    }

    /// Who did not see yet that a replica of the API ends is answered, and asked to go elsewhere.
    async fn is_taken_in_and_asked_to_leave(&self, replica: &Replica) {
        wait_for("a replica that is not ready", SEEN_MAX, || {
            let is_ready = http_is_ready(replica.health);
            is_ready.err().map(drop).ok_or_else(|| "it is".to_owned())
        })
        .unwrap();
        let address = format!("http://127.0.0.1:{}/openapi.json", replica.port);
        let answer = reqwest::get(address).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["connection"], "close");
    }

    /// Waits until somebody waits for an answer of this replica; of any, if it is none of the API.
    fn wait_until_waited_at(&self, port: u16) {
        let under_way = &self.merchant.under_way;
        wait_for("requests under way", SEEN_MAX, || {
            let count: usize = match under_way.get(&port) {
                Some(there) => there.load(Ordering::SeqCst),
                None => under_way
                    .values()
                    .map(|one| one.load(Ordering::SeqCst))
                    .sum(),
            };
            (count > 0).then_some(()).ok_or_else(|| "none".to_owned())
        })
        .unwrap();
    }

    fn log(&self, index: usize) -> String {
        std::fs::read_to_string(self.stack.log_of(&self.replicas[index])).unwrap_or_default()
    }

    fn sql(&self, text: &str) -> String {
        self.stack.postgres.sql("payments", text).unwrap()
    }

    /// Nobody was answered otherwise than they should be, and all books agree.
    async fn is_whole(&self, made: usize) {
        let failed = self.merchant.failed.lock().unwrap().clone();
        assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
        let start = Instant::now();
        loop {
            let (books, history) = (self.stack.books(), self.stack.history());
            let report = check(&self.stack.card.database_url, &books, &history);
            let report = report.await.unwrap();
            if report.is_clean() {
                assert_eq!(report.payments, made, "{report}");
                break;
            }
            assert!(start.elapsed() < SEEN_MAX, "{report}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let open =
            "select count(*) from payment where status not in ('succeeded', 'failed', 'canceled')";
        assert_eq!(self.sql(open), "0");
        assert_eq!(self.stack.control(&["parked"]).unwrap(), "");
        let events = self.sql("select count(*) from event");
        assert_eq!(self.receiver.events().to_string(), events, "events told");
        assert_eq!(self.receiver.forged(), 0);
        self.stack.sealed_well(SEEN_MAX).await.unwrap();
    }
}

/// Payments at their times, until it is over; gives how many there were.
fn pay_all_the_time(merchant: &Arc<Merchant>, is_over: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let (merchant, is_over) = (merchant.clone(), is_over.clone());
    tokio::spawn(async move {
        let (mut payments, start, mut number) = (JoinSet::new(), Instant::now(), 0);
        while !is_over.load(Ordering::SeqCst) {
            let due = start + PAUSE * u32::try_from(number).unwrap();
            tokio::time::sleep_until(due.into()).await;
            let merchant = merchant.clone();
            payments.spawn(async move { merchant.shop(number).await });
            number += 1;
        }
        while let Some(done) = payments.join_next().await {
            done.unwrap();
        }
        number
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replicas_are_restarted_one_after_the_other_and_no_request_fails() {
    let mut shop = open_shop(Release::This).await;
    // Whoever waits is told, whichever replica of db-controller settles what they wait for.
    for number in 0..12 {
        let began = Instant::now();
        let key = format!("calm-{number}");
        shop.merchant.pay(&key, "tok_approve", "automatic").await;
        assert!(began.elapsed() < TOLD_MAX, "{key}: {:?}", began.elapsed());
    }
    let is_over = Arc::<AtomicBool>::default();
    let paying = pay_all_the_time(&shop.merchant, &is_over);
    shop.payments_go_on();
    shop.exchange(CALLED_FIRST, Release::This, Release::This)
        .await;
    is_over.store(true, Ordering::SeqCst);
    let made = paying.await.unwrap();
    shop.is_whole(made + 12).await;
    for index in 0..shop.replicas.len() {
        let log = shop.log(index);
        assert!(!log.contains("calls were still under way"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs the release before, which `make upgrade` builds"]
async fn the_release_before_becomes_this_one_and_back_and_no_request_fails() {
    let mut shop = open_shop(Release::Before).await;
    let steps = "select count(*) from migration";
    let before = shop.sql(steps);
    let is_over = Arc::<AtomicBool>::default();
    let paying = pay_all_the_time(&shop.merchant, &is_over);
    shop.payments_go_on();
    // The schema first: the release before runs on it.
    shop.stack.use_release(Release::This).unwrap();
    shop.stack.migrate("").unwrap();
    assert_ne!(shop.sql(steps), before, "no step lies between the releases");
    shop.payments_go_on();
    // A caller of the release before drops calls when the db-controller that it is at leaves, so
    // callers come first and go last.
    shop.exchange(CALLERS_FIRST, Release::Before, Release::This)
        .await;
    shop.exchange(CALLED_FIRST, Release::This, Release::Before)
        .await;
    is_over.store(true, Ordering::SeqCst);
    let made = paying.await.unwrap();
    shop.stack.use_release(Release::This).unwrap();
    shop.is_whole(made).await;
}
