//! Three brokers of Kafka, of which one is killed, one stands still and one is cut off from the
//! services: what is taken in meanwhile is booked once.

use std::time::Duration;

use paymesh_beds::{Flow, Kafka, Partition, wait_for};
use paymesh_payments::{Bus, Shop, Wires, Wishes, order, torture::records_not_durable};
use rustix::process::Signal;

/// How long after a fault everything must have come to its end: brokers have to answer for as long
/// as a message sleeps whose record was lost.
const SETTLED: Duration = Duration::from_mins(2);
/// How long a wire is cut: longer than a payment takes, and less than a request to a broker may.
const CUT: Duration = Duration::from_secs(4);
/// How many payments are taken in during each fault.
const PAYMENTS: usize = 12;
const BROKERS: usize = 3;
const ATTEMPTS: &str = "paymesh.attempts";

/// A shop over three brokers, and how many payments it took in.
struct ThreeBrokers {
    inner: Shop,
    payments: usize,
}

async fn open_shop() -> ThreeBrokers {
    let wishes = Wishes {
        bus: Bus::Kafka,
        three_brokers: true,
        wires: Wires::Cuttable,
        ..Wishes::default()
    };
    ThreeBrokers {
        inner: Shop::open(wishes).await,
        payments: 0,
    }
}

impl ThreeBrokers {
    fn kafka(&mut self) -> &mut Kafka {
        self.inner.stack.kafka.as_mut().unwrap()
    }

    async fn take_in(&mut self) {
        let body = order(700, "tok_approve");
        for _ in 0..PAYMENTS {
            let key = format!("order-{}", self.payments);
            let answer = self.inner.client.pay(&key, &body, 0).await.unwrap();
            assert_eq!(answer.status, 202, "{key}");
            self.payments += 1;
        }
    }

    /// Everything comes to its end, and every book tells of all payments.
    async fn check_settles(&self) {
        let report = self.inner.check_books(SETTLED).await;
        assert_eq!(report.payments, self.payments);
    }

    /// Waits until this is true of every partition.
    fn wait_until(&mut self, what: &str, is_so: impl Fn(&Partition) -> bool) {
        let kafka = self.kafka();
        let look = || {
            let partitions = kafka.partitions(ATTEMPTS);
            let partitions = partitions.map_err(|reason| reason.to_string())?;
            let is_all = !partitions.is_empty() && partitions.iter().all(&is_so);
            is_all.then_some(()).ok_or(format!("{partitions:?}"))
        };
        wait_for(what, SETTLED, look).unwrap();
    }

    fn wait_until_others_lead(&mut self, number: usize) {
        self.wait_until("other leaders", |partition| {
            partition.leader.is_some_and(|leader| leader != number)
        });
    }

    /// Waits until it has everything, and leads its part again.
    fn wait_until_back(&mut self, number: usize) {
        self.wait_until("three in sync", |partition| {
            partition.in_sync.len() == BROKERS
        });
        let kafka = self.kafka();
        wait_for("a partition of its own", SETTLED, || {
            let partitions = kafka.partitions(ATTEMPTS);
            let partitions = partitions.map_err(|reason| reason.to_string())?;
            let mut leaders = partitions.iter().map(|partition| partition.leader);
            let leads = leaders.any(|leader| leader == Some(number));
            leads.then_some(()).ok_or(format!("{partitions:?}"))
        })
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: PAYMESH_KAFKA, or the stage `kafka` of make test"]
async fn brokers_fail_and_every_payment_is_made_once() {
    let mut shop = open_shop().await;
    for (topic, settings) in shop.inner.stack.record_durability().unwrap() {
        assert_eq!(records_not_durable(&settings), None, "{topic}");
    }
    shop.take_in().await;
    shop.check_settles().await;
    // The first is away until everything is done without it.
    shop.kafka().broker(1).kill();
    shop.take_in().await;
    shop.wait_until_others_lead(1);
    shop.check_settles().await;
    let broker = shop.kafka().broker(1);
    broker.launch().unwrap();
    broker.wait().unwrap();
    shop.wait_until_back(1);

    shop.kafka().broker(2).signal(Signal::STOP);
    shop.take_in().await;
    shop.wait_until_others_lead(2);
    shop.kafka().broker(2).signal(Signal::CONT);
    shop.check_settles().await;
    shop.wait_until_back(2);

    shop.kafka().broker(3).set_wire(Flow::Cut, Flow::Cut);
    shop.take_in().await;
    tokio::time::sleep(CUT).await;
    shop.kafka().broker(3).set_wire(Flow::Open, Flow::Open);
    shop.check_settles().await;
}
