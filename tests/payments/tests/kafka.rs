//! The services with a real Apache Kafka between them: what goes over it is booked once, whoever is
//! killed, comes or goes; without it payments are taken in, and done in their order when it is back.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use paymesh_beds::{Authority, Subject, wait_for, write_private};
use paymesh_payments::{Bus, Member, Shop, Wires, Wishes, books::id_of, order, stack::identity};
use rustix::process::Signal;
use tokio_postgres::NoTls;

/// How long after a fault everything must have come to its end.
const SETTLED: Duration = Duration::from_mins(1);
/// How long a fault may go unnoticed.
const NOTICED: Duration = Duration::from_secs(30);
const ATTEMPTS: &str = "paymesh.attempts";
const WEBHOOKS: &str = "paymesh.webhooks";
/// What is still to be done at the acquirer.
const OPEN: &str = "select count(*) from outbox where consumer = 'attempts' and done_at is null";
const DESCRIBE: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

async fn open_shop(wires: Wires) -> Shop {
    let wishes = Wishes {
        bus: Bus::Kafka,
        wires,
        ..Wishes::default()
    };
    Shop::open(wishes).await
}

/// Pays and waits so many seconds for the end; gives the status of the answer.
async fn pay(shop: &Shop, key: &str, token: &str, wait_seconds: u32) -> u16 {
    let body = order(1250, token);
    let paid = shop.client.pay(key, &body, wait_seconds).await;
    paid.unwrap().status
}

/// So many payments one after the other, none of which is waited for.
async fn take_in(shop: &Shop, name: &str, payments: usize, token: &str) {
    for number in 0..payments {
        let status = pay(shop, &format!("{name}-{number}"), token, 0).await;
        assert_eq!(status, 202, "{name}-{number}");
    }
}

/// Everything comes to its end, and every book tells of so many payments.
async fn check_settles(shop: &Shop, payments: usize) {
    let report = shop.check_books(SETTLED).await;
    assert_eq!((report.payments, report.keys), (payments, payments));
}

/// How many records the group has still to get through, as Kafka's own tool says.
fn lag(shop: &Shop) -> i64 {
    shop.stack.kafka.as_ref().unwrap().lag(ATTEMPTS).unwrap()
}

/// Waits until so many members share the partitions of the group; without any they are nobody's.
fn wait_for_members(shop: &Shop, members: usize) {
    let kafka = shop.stack.kafka.as_ref().unwrap();
    let look = || {
        let shown = kafka.ask(DESCRIBE, &["--describe", "--group", ATTEMPTS]);
        let shown = shown.map_err(|reason| reason.to_string())?;
        let lines = shown.lines().filter(|line| line.starts_with(ATTEMPTS));
        let holders: HashSet<_> = lines
            .filter_map(|line| line.split_whitespace().nth(6))
            .collect();
        let is_so = match members {
            0 => holders == HashSet::from(["-"]),
            _ => holders.len() == members && !holders.contains("-"),
        };
        is_so.then_some(()).ok_or(shown.clone())
    };
    wait_for("the members of the group", SETTLED, look).unwrap();
}

/// How many records were ever put into the topic of attempts.
fn records(shop: &Shop) -> i64 {
    let kafka = shop.stack.kafka.as_ref().unwrap();
    let main = "org.apache.kafka.tools.GetOffsetShell";
    let shown = kafka.ask(main, &["--topic", ATTEMPTS, "--time", "-1"]);
    let shown = shown.unwrap();
    let ends = shown.lines().filter_map(|line| line.rsplit(':').next());
    ends.map(|end| end.parse::<i64>().unwrap()).sum()
}

fn count(shop: &Shop, text: &str) -> i64 {
    shop.sql(text).parse().unwrap()
}

/// Waits until a service has said something so often.
fn wait_for_word(shop: &Shop, member: Member, word: &str, times: usize) {
    let look = || {
        let said = shop.stack.log(member).matches(word).count();
        (said >= times)
            .then_some(())
            .ok_or_else(|| format!("{} said it {said} times", member.program()))
    };
    wait_for(word, NOTICED, look).unwrap();
}

/// The payments that the records are about, in their order in each partition: each once, where
/// it came first.
fn published(shop: &Shop, topic: &str) -> BTreeMap<String, Vec<String>> {
    let kafka = shop.stack.kafka.as_ref().unwrap();
    let mut published = kafka.keys(topic).unwrap();
    for payments in published.values_mut() {
        let mut seen = HashSet::new();
        payments.retain(|payment| seen.insert(payment.clone()));
    }
    published
}

/// Every payment in the order in which the outbox has them.
async fn taken_in(shop: &Shop) -> Vec<String> {
    let url = &shop.stack.card.database_url;
    let (database, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let text = "select payment_id from outbox where kind = 'send_attempt' order by seq";
    let rows = database.query(text, &[]).await.unwrap();
    rows.iter().map(|row| id_of(row.get(0), "pay")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: PAYMESH_KAFKA, or the stage `kafka` of make test"]
async fn messages_over_kafka_take_effect_once_and_in_order() {
    let mut shop = open_shop(Wires::None).await;
    assert_eq!(pay(&shop, "one", "tok_approve", 20).await, 201);
    check_settles(&shop, 1).await;

    // The processor dies with charges at the acquirer; its group goes on from what it completed.
    for number in 0..20 {
        let status = pay(&shop, &format!("slow-{number}"), "tok_slow_400", 0).await;
        assert_eq!(status, 202);
    }
    shop.stack.kill(Member::Processor);
    shop.stack.restart(Member::Processor).unwrap();
    check_settles(&shop, 21).await;

    // db-controller dies with messages in the topic: they are passed over, and put again.
    for number in 0..20 {
        pay(&shop, &format!("put-{number}"), "tok_slow_400", 0).await;
    }
    shop.stack.kill(Member::Controller);
    shop.stack.restart(Member::Controller).unwrap();
    check_settles(&shop, 41).await;

    check_relay_begins_anew(&mut shop).await;
    check_settles(&shop, 62).await;

    check_controller_away(&mut shop).await;
    check_settles(&shop, 63).await;

    check_outage(&mut shop).await;
    check_settles(&shop, 103).await;

    let taken_in = taken_in(&shop).await;
    let published = published(&shop, ATTEMPTS);
    assert!(published.len() > 1, "one partition has everything");
    for payments in published.values() {
        let expected: Vec<_> = taken_in
            .iter()
            .filter(|one| payments.contains(one))
            .collect();
        assert_eq!(payments.iter().collect::<Vec<_>>(), expected);
    }
    assert_eq!(published.values().map(Vec::len).sum::<usize>(), 103);
    assert_eq!(lag(&shop), 0);
}

/// Another relay takes over while charges are at the acquirer: what comes of them counts.
async fn check_relay_begins_anew(shop: &mut Shop) {
    let epoch = "select min(epoch) from lease where consumer = 'attempts'";
    let before = count(shop, epoch);
    take_in(shop, "kept", 20, "tok_slow_2000").await;
    assert_eq!(pay(shop, "kept", "tok_approve", 20).await, 201);
    // What the acquirer says is brought under a right that somebody else has by then.
    shop.stack.signal(Member::Processor, Signal::STOP);
    shop.stack.kill(Member::Controller);
    shop.stack.restart(Member::Controller).unwrap();
    let look = || match count(shop, epoch) {
        now if now > before => Ok(()),
        now => Err(format!("the relay has its old leases: {now}")),
    };
    wait_for("another relay", NOTICED, look).unwrap();
    shop.stack.signal(Member::Processor, Signal::CONT);
    let look = || match count(shop, OPEN) {
        0 => Ok(()),
        open => Err(format!("{open} are open")),
    };
    wait_for("the end of what was at work", SETTLED, look).unwrap();
    let log = shop.stack.log(Member::Processor);
    assert!(!log.contains("somebody else holds the partition"), "{log}");
}

fn wait_until_processor_is_not_ready(shop: &Shop) {
    let look = || {
        let is_ready = shop.stack.is_ready(Member::Processor);
        (!is_ready).then_some(()).ok_or("it is ready".to_owned())
    };
    wait_for("a processor that is not ready", NOTICED, look).unwrap();
}

/// db-controller goes away and comes back: the processor says so, and leaves its partitions.
async fn check_controller_away(shop: &mut Shop) {
    let silent = "db-controller does not answer";
    let before = shop.stack.log(Member::Processor).matches(silent).count();
    shop.stack.kill(Member::Controller);
    wait_for_word(shop, Member::Processor, silent, before + 1);
    wait_until_processor_is_not_ready(shop);
    wait_for_members(shop, 0);
    shop.stack.restart(Member::Controller).unwrap();
    shop.stack.ready(Member::Processor).unwrap();
    assert_eq!(pay(shop, "answered", "tok_approve", 20).await, 201);
}

/// Kafka goes away and comes back: everybody says so, once, and payments are taken in.
async fn check_outage(shop: &mut Shop) {
    let away = "Kafka does not answer";
    let told = [Member::Processor, Member::Controller];
    let before = told.map(|member| shop.stack.log(member).matches(away).count());
    shop.stack.kafka.as_mut().unwrap().kill();
    for (member, before) in told.into_iter().zip(before) {
        wait_for_word(shop, member, away, before + 1);
    }
    wait_until_processor_is_not_ready(shop);
    take_in(shop, "down", 40, "tok_approve").await;
    let is_ready = |member| shop.stack.is_ready(member);
    assert!(is_ready(Member::Controller), "payments are taken in");
    assert!(!is_ready(Member::Processor), "and nobody works on them");
    for (member, before) in told.into_iter().zip(before) {
        let said = shop.stack.log(member).matches(away).count();
        assert_eq!(said, before + 1, "{}", member.program());
    }
    let kafka = shop.stack.kafka.as_mut().unwrap();
    kafka.launch().unwrap();
    kafka.wait().unwrap();
    shop.stack.ready(Member::Processor).unwrap();
}

/// Records that nobody of ours wrote, packed in every way a broker may pack them.
fn put_strange_records(shop: &Shop) {
    let kafka = shop.stack.kafka.as_ref().unwrap();
    for (codec, topic) in [
        ("gzip", ATTEMPTS),
        ("snappy", ATTEMPTS),
        ("lz4", WEBHOOKS),
        ("zstd", WEBHOOKS),
    ] {
        kafka
            .put(topic, codec, "\n{}\nneither here nor there\n")
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: PAYMESH_KAFKA, or the stage `kafka` of make test"]
async fn processors_come_and_go_while_payments_flow_and_merchants_are_told() {
    let mut shop = open_shop(Wires::Plain).await;
    shop.add_webhook().await;

    // A record that is no reference stands in nobody's way.
    put_strange_records(&shop);
    wait_for_word(&shop, Member::Processor, "a record is passed over", 12);
    assert_eq!(pay(&shop, "first", "tok_approve", 20).await, 201);
    check_settles(&shop, 1).await;

    // One is killed with charges at the acquirer, the other goes on.
    let mut second = shop.stack.add_processor("second").unwrap();
    wait_for_members(&shop, 2);
    take_in(&shop, "both", 40, "tok_slow_400").await;
    shop.stack.kill(Member::Processor);
    take_in(&shop, "alone", 20, "tok_slow_400").await;
    shop.stack.restart(Member::Processor).unwrap();
    wait_for_members(&shop, 2);

    // One leaves with charges at the acquirer.
    take_in(&shop, "leaving", 40, "tok_slow_400").await;
    assert!(second.stop(Signal::TERM), "{}", second.log_end());
    take_in(&shop, "left", 20, "tok_slow_400").await;
    check_settles(&shop, 121).await;

    // The last one goes: what it had is done and committed, what it had not waits.
    take_in(&shop, "last", 20, "tok_slow_2000").await;
    assert_eq!(pay(&shop, "quick", "tok_approve", 20).await, 201);
    let at_work = count(&shop, OPEN);
    assert!(shop.stack.stop(Member::Processor));
    let left = count(&shop, OPEN);
    assert!(left < at_work, "{left} of {at_work} were at work");
    assert_eq!(lag(&shop), left);

    // What is waiting is lost with its records: it is put again before long.
    let put = records(&shop);
    take_in(&shop, "lost", 10, "tok_approve").await;
    let look = || match records(&shop) {
        now if now >= put + 10 => Ok(()),
        now => Err(format!("{now} records, {put} before")),
    };
    wait_for("the records", NOTICED, look).unwrap();
    shop.stack.kafka.as_ref().unwrap().forget(ATTEMPTS).unwrap();
    shop.stack.restart(Member::Processor).unwrap();
    check_settles(&shop, 152).await;

    let merchant = &shop.merchant;
    assert_eq!((merchant.events(), merchant.forged()), (152, 0));
    let told = published(&shop, WEBHOOKS);
    assert_eq!(told.values().map(Vec::len).sum::<usize>(), 152);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs Apache Kafka: PAYMESH_KAFKA, or the stage `kafka` of make test"]
async fn brokers_and_services_show_each_other_certificates_of_one_authority() {
    let shop = open_shop(Wires::None).await;
    assert_eq!(pay(&shop, "one", "tok_approve", 20).await, 201);
    let other = Authority::new("Somebody else").unwrap();
    let uri = identity("payment-processor");
    let theirs = other.issue(Subject {
        uris: &[&uri],
        ..Subject::default()
    });
    let theirs = theirs.unwrap();
    let file = |name: &str, text: &str| {
        let path = shop.stack.tls().join(name);
        write_private(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate = file("theirs.pem", &theirs.certificate);
    let key = file("theirs.key", &theirs.key);
    let authority = file("theirs.ca", other.pem());
    // One whom the brokers do not believe, and one who believes other brokers.
    let shown = [
        ("PAYMESH_KAFKA_CERTIFICATE", certificate.as_str()),
        ("PAYMESH_KAFKA_KEY", key.as_str()),
    ];
    let believed = [("PAYMESH_KAFKA_CA", authority.as_str())];
    for (name, settings) in [("stranger", &shown[..]), ("misled", &believed[..])] {
        let (process, port) = shop.stack.begin_processor(name, settings).unwrap();
        wait_for("word of Kafka", NOTICED, || {
            let log = process.log();
            let is_told = log.contains("Kafka does not answer");
            is_told.then_some(()).ok_or(log)
        })
        .unwrap();
        assert!(
            paymesh_beds::http_is_ready(port).is_err(),
            "{name} is ready"
        );
        let log = process.log();
        assert!(!log.contains("Kafka answers"), "{name}: {log}");
        assert!(!log.contains("-----BEGIN"), "{name}: {log}");
    }
    // Files that do not belong together end the start.
    let mixed = [("PAYMESH_KAFKA_KEY", key.as_str())];
    let (mut process, _) = shop.stack.begin_processor("mixed", &mixed).unwrap();
    wait_for("the end of its start", NOTICED, || {
        process.ended().ok_or_else(|| process.log())
    })
    .unwrap();
    assert!(process.log().contains("KeyMismatch"), "{}", process.log());
    assert_eq!(pay(&shop, "two", "tok_approve", 20).await, 201);

    // Renewed ones are taken while messages flow.
    shop.stack.certify(&[&shop.stack.authority]).unwrap();
    for (member, told) in [
        (
            Member::Controller,
            "the certificates for Kafka were renewed",
        ),
        (Member::Processor, "the group is joined anew"),
    ] {
        wait_for(told, NOTICED, || {
            let log = shop.stack.log(member);
            // Each of the two consumers has clients of its own.
            let is_told = log.matches(told).count() >= 2;
            is_told.then_some(()).ok_or(log)
        })
        .unwrap();
    }
    assert_eq!(pay(&shop, "three", "tok_approve", 20).await, 201);
    check_settles(&shop, 3).await;
    let logs = shop.stack.logs();
    for part in shop.stack.keys().unwrap() {
        assert!(!logs.contains(&part), "a key is in a log");
    }
}
