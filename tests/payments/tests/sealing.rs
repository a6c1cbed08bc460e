//! Sealing: whatever happens to those who seal, every row is sealed in time and none is passed over.

use std::time::{Duration, Instant};

use paymesh_beds::{Trap, wait_for};
use paymesh_payments::{Audit, Member, Shop, Wire, Wires, Wishes};
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::NoTls;

/// How long a row may wait for its seal while db-controller runs.
const SEALED_MAX: Duration = Duration::from_secs(5);
/// How long everything else may take.
const SEEN_MAX: Duration = Duration::from_secs(30);

/// How many commits that take 1.5 seconds, and how soon one after the other.
const SLOW_COUNT: u32 = 30;
const SLOW_PAUSE: Duration = Duration::from_millis(400);

/// A row that nobody pays for: an event like another one.
const ADD_EVENT: &str = "insert into event (id, tenant_id, payment_id, kind, body, created_at)
    select gen_random_uuid(), tenant_id, payment_id, kind, body, clock_timestamp()
    from event order by seq limit 1";

/// Waits until the age of what is not sealed is as it should be; gives it.
async fn age_comes_to(shop: &Shop, shard: &str, holds: impl Fn(f64) -> bool) -> f64 {
    let series = format!("paymesh_audit_unsealed_seconds{{shard=\"{shard}\"}} ");
    let start = Instant::now();
    loop {
        let metrics = shop.stack.metrics(Member::Controller).await.unwrap();
        let mut ages = metrics
            .lines()
            .filter_map(|line| line.strip_prefix(&series));
        let age = ages.next().and_then(|age| age.parse::<f64>().ok());
        if let Some(age) = age.filter(|age| holds(*age)) {
            return age;
        }
        assert!(start.elapsed() < SEEN_MAX, "{metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The epoch of the last event's seal.
fn last_epoch(shop: &Shop) -> i64 {
    let epoch = "select epoch from audit_seal where shard = 'event' order by number desc limit 1";
    shop.sql(epoch).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_commits_late_is_waited_for_and_never_passed_over() {
    let shop = Shop::open(Wishes::default()).await;
    shop.pay("first").await;
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    let (client, connection) = tokio_postgres::connect(&shop.stack.card.database_url, NoTls)
        .await
        .unwrap();
    let running = tokio::spawn(connection);
    // One that is given up leaves a hole, one that takes its time is below all that come meanwhile.
    client
        .batch_execute(&format!("begin; {ADD_EVENT}; rollback; begin; {ADD_EVENT}"))
        .await
        .unwrap();
    let late = client
        .query_one("select currval('event_seq')", &[])
        .await
        .unwrap();
    let late: i64 = late.get(0);
    for number in 0..3 {
        shop.pay(&format!("meanwhile-{number}")).await;
    }
    let age = age_comes_to(&shop, "event", |age| age > 3.0).await;
    let sealed = shop.sql("select max(last_seq) from audit_seal where shard = 'event'");
    assert!(sealed.parse::<i64>().unwrap() < late, "{sealed} {late}");
    let newest = shop.sql("select max(seq) from event");
    assert!(newest.parse::<i64>().unwrap() > late, "{newest} {late}");
    // Nobody else waits, neither those who pay nor the other chain.
    let unsealed = "select count(*) from posting where seq >
        (select max(last_seq) from audit_seal where shard = 'posting')";
    assert_eq!(shop.sql(unsealed), "0");
    println!("the oldest event has waited {age} s");
    client.batch_execute("commit").await.unwrap();
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    drop(client);
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_slow_commits_keeps_nothing_from_its_seal_for_long() {
    let shop = Shop::open(Wishes::default()).await;
    shop.pay("first").await;
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    let mut writers = Vec::new();
    let mut oldest: f64 = 0.0;
    // Whenever anybody looks, somebody has begun who takes more than a second.
    for _ in 0..SLOW_COUNT {
        let url = shop.stack.card.database_url.clone();
        writers.push(tokio::spawn(async move {
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
            let running = tokio::spawn(connection);
            let begin = format!("begin; {ADD_EVENT}");
            client.batch_execute(&begin).await.unwrap();
            client
                .batch_execute("select pg_sleep(1.5); commit")
                .await
                .unwrap();
            drop(client);
            running.await.unwrap().unwrap();
        }));
        tokio::time::sleep(SLOW_PAUSE).await;
        let age = "select coalesce(max(extract(epoch from clock_timestamp() - created_at)), 0)
            from event where seq > (select max(last_seq) from audit_seal where shard = 'event')";
        oldest = oldest.max(shop.sql(age).parse().unwrap());
    }
    assert!(
        oldest < SEALED_MAX.as_secs_f64(),
        "one waited for {oldest} s"
    );
    for writer in writers {
        writer.await.unwrap();
    }
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_fails_stops_no_other_and_its_age_grows() {
    let shop = Shop::open(Wishes::default()).await;
    shop.pay("first").await;
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    shop.sql("revoke select on sequence posting_seq_seq from paymesh_controller");
    let before = shop.sql("select max(number) from audit_seal where shard = 'posting'");
    for number in 0..3 {
        shop.pay(&format!("meanwhile-{number}")).await;
    }
    age_comes_to(&shop, "posting", |age| age > 3.0).await;
    let unsealed = "select count(*) from event where seq >
        (select max(last_seq) from audit_seal where shard = 'event')";
    assert_eq!(shop.sql(unsealed), "0");
    let after = shop.sql("select max(number) from audit_seal where shard = 'posting'");
    assert_eq!(before, after);
    let log = shop.stack.log(Member::Controller);
    let told = log
        .lines()
        .filter(|line| line.contains("nothing can be sealed now"));
    let told: Vec<&str> = told.collect();
    assert!(
        told.len() == 1 && told[0].contains("\"posting\""),
        "{told:?}"
    );
    shop.sql("grant select on sequence posting_seq_seq to paymesh_controller");
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    age_comes_to(&shop, "posting", |age| age < 1.0).await;
}

/// Server processes that stand still, until this is dropped.
struct Stopped(Vec<Pid>);

impl Stopped {
    fn all(pids: &str) -> Self {
        let pid = |line: &str| Pid::from_raw(line.parse().unwrap()).unwrap();
        let pids: Vec<Pid> = pids.lines().map(pid).collect();
        assert!(!pids.is_empty());
        for pid in &pids {
            kill_process(*pid, Signal::STOP).unwrap();
        }
        Self(pids)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        for pid in &self.0 {
            let _ = kill_process(*pid, Signal::CONT);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_age_that_the_database_does_not_say_grows() {
    let shop = Shop::open(Wishes::default()).await;
    shop.pay("first").await;
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    age_comes_to(&shop, "posting", |age| age < 1.0).await;
    let sessions = "select pid from pg_stat_activity where usename = 'paymesh_controller'";
    let stopped = Stopped::all(&shop.sql(sessions));
    age_comes_to(&shop, "posting", |age| age > 3.0).await;
    drop(stopped);
    age_comes_to(&shop, "posting", |age| age < 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_that_does_not_follow_is_refused_and_one_beyond_all_numbers_is_told() {
    let shop = Shop::open(Wishes::default()).await;
    shop.pay("first").await;
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    let seal = |number: &str, after: &str, until: &str, previous: &str| {
        format!(
            "insert into audit_seal select shard, {number}, format, epoch, {after}, {until}, entries,
                total, sealed_at, {previous}, hash
            from audit_seal where shard = 'posting' order by number desc limit 1"
        )
    };
    let beyond = seal("number + 1", "last_seq", "9223372036854775807", "hash");
    let given_out = "(select last_value from posting_seq_seq)";
    shop.sql("select nextval('posting_seq_seq')");
    for (forged, reason) in [
        (beyond.clone(), "not given out"),
        (
            seal("number + 2", "last_seq", given_out, "hash"),
            "does not follow",
        ),
        (
            seal("number + 1", "last_seq - 1", given_out, "hash"),
            "does not follow",
        ),
        (
            seal("number + 1", "last_seq", given_out, "previous"),
            "does not follow",
        ),
    ] {
        let refused = format!("set role paymesh_controller; {forged}");
        let refused = shop.stack.postgres.sql("payments", &refused);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(reason), "{forged}: {refused}");
    }
    // Past every rule it is told, and hides nothing.
    shop.sql(&format!("set session_replication_role = replica; {beyond}"));
    shop.pay("second").await;
    age_comes_to(&shop, "posting", f64::is_infinite).await;
    wait_for("the word of the sealer", SEEN_MAX, || {
        let log = shop.stack.log(Member::Controller);
        let is_told = log.contains("the audit chain is broken");
        is_told.then_some(()).ok_or(log)
    })
    .unwrap();
    shop.sql(
        "set session_replication_role = replica;
         delete from audit_seal where last_seq = 9223372036854775807",
    );
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    age_comes_to(&shop, "posting", |age| age < 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_statement_of_sealing_leaves_a_chain_that_goes_on() {
    let mut shop = Shop::open(Wishes {
        wires: Wires::Sealing,
        ..Wishes::default()
    })
    .await;
    shop.pay("first").await;
    shop.stack.sealed(SEALED_MAX).await.unwrap();
    let statements = [
        "INSERT is answered",
        "UPDATE is answered",
        "select (extract(epoch from clock_tim",
        "select case when is_called then last",
        "select distinct virtualtransaction a",
        "select number, format, epoch, after_",
        "select seq, id, payment_id, attempt_",
        "select seq, id, tenant_id, payment_i",
        "with fence as ( select from lease wh",
        "with free as ( select l.partition fr",
    ];
    let mut seen: Vec<String> = Vec::new();
    for statement in statements {
        let tap = shop.stack.tap(Wire::ControllerToPostgres);
        tap.reset(Some(Trap::Name(statement)));
        // Something to seal, wherever in its round the sealer is; of postings at least a number.
        shop.sql(ADD_EVENT);
        shop.sql(
            "with new as (
                insert into posting (id, payment_id, attempt_id, kind, debit_account, credit_account,
                    currency, amount, created_at)
                select gen_random_uuid(), payment_id, attempt_id, 'refund', debit_account,
                    credit_account, currency, amount, clock_timestamp()
                from posting where kind = 'fee' order by seq limit 1 on conflict do nothing
                returning debit_account, credit_account, amount)
             update balance set posted = posted
                + case account_id when credit_account then amount else -amount end
             from new where account_id in (debit_account, credit_account)",
        );
        let sprung = tap.wait_until_sprung(SEEN_MAX);
        sprung.unwrap_or_else(|late| panic!("{statement}: {late}: {:#?}", tap.steps()));
        seen.extend(tap.steps());
        shop.stack.kill(Member::Controller);
        shop.stack.tap(Wire::ControllerToPostgres).reset(None);
        shop.stack.restart(Member::Controller).unwrap();
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, statements, "there are others");
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_one_seals_and_the_other_takes_over_when_it_stands_still() {
    let shop = Shop::open(Wishes::default()).await;
    shop.pay("first").await;
    shop.stack.sealed(SEALED_MAX).await.unwrap();
    let other = shop.stack.add_controller("other-controller").unwrap();
    for round in 0..4 {
        let signal = |signal| match round % 2 {
            0 => shop.stack.signal(Member::Controller, signal),
            _ => other.signal(signal),
        };
        let before = last_epoch(&shop);
        signal(Signal::STOP);
        shop.sql(ADD_EVENT);
        shop.stack.sealed(SEALED_MAX).await.unwrap();
        signal(Signal::CONT);
        shop.pay(&format!("round-{round}")).await;
        shop.stack.sealed_well(SEALED_MAX).await.unwrap();
        assert!(last_epoch(&shop) > before, "nobody took over");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_whose_lease_was_taken_over_while_it_was_on_its_way_is_not_added() {
    let shop = Shop::open(Wishes::default()).await;
    shop.pay("first").await;
    shop.stack.sealed(SEALED_MAX).await.unwrap();
    let _other = shop.stack.add_controller("other-controller").unwrap();
    let seals = || shop.sql("select count(*) from audit_seal where shard = 'event'");
    let (epoch, before) = (last_epoch(&shop), seals().parse::<i64>().unwrap());
    let (client, connection) = tokio_postgres::connect(&shop.stack.card.database_url, NoTls)
        .await
        .unwrap();
    let running = tokio::spawn(connection);
    // Nobody can add a seal: the one that has the lease waits until it is over, then the other too.
    let lock = "begin; lock table audit_seal in share mode";
    client.batch_execute(lock).await.unwrap();
    shop.sql(ADD_EVENT);
    let waiting =
        "select count(*) from pg_locks where relation = 'audit_seal'::regclass and not granted";
    let start = Instant::now();
    while shop.sql(waiting) != "2" {
        assert!(start.elapsed() < SEEN_MAX, "two do not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.batch_execute("commit").await.unwrap();
    shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    assert_eq!(seals(), (before + 1).to_string());
    assert!(last_epoch(&shop) > epoch, "it was added without a lease");
    drop(client);
    running.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promotion_that_loses_the_end_of_a_chain_says_what_was_lost() {
    let mut shop = Shop::open(Wishes {
        standbys: true,
        standby_list_is_empty: true,
        ..Wishes::default()
    })
    .await;
    for number in 0..2 {
        shop.pay(&format!("kept-{number}")).await;
    }
    let kept = shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    let seals = "select count(*) from audit_seal";
    let start = Instant::now();
    let standbys = shop.stack.standbys.iter();
    while !standbys
        .clone()
        .all(|it| it.sql("payments", seals).unwrap() == shop.sql(seals))
    {
        assert!(start.elapsed() < SEEN_MAX, "the standbys do not follow");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shop.stack.cut_standbys_off().unwrap();
    for number in 0..2 {
        shop.pay(&format!("lost-{number}")).await;
    }
    let lost = shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    shop.stack.lose_primary().unwrap();

    // What is left verifies, at once and when it went on.
    for known in [None, Some(&kept)] {
        let audit = shop.stack.verify_audit(known).unwrap();
        assert_eq!(audit.short(), [""; 0]);
    }
    let check_lost = |audit: &Audit, why: &str| {
        let found: Vec<&str> = audit
            .findings
            .iter()
            .filter_map(|it| it["finding"].as_str())
            .collect();
        assert_eq!(found, ["tail_lost"; 2], "{}", audit.text);
        let details: Vec<String> = audit
            .findings
            .iter()
            .map(|it| it["detail"].to_string())
            .collect();
        assert!(
            details[0].contains(" 4 rows with numbers above"),
            "{details:?}"
        );
        assert!(
            details[1].contains(" 2 rows with numbers above"),
            "{details:?}"
        );
        assert!(details.iter().all(|it| it.contains(why)), "{details:?}");
    };
    check_lost(
        &shop.stack.verify_audit(Some(&lost)).unwrap(),
        "were sealed there",
    );
    for number in 0..3 {
        shop.pay(&format!("after-{number}")).await;
        shop.stack.sealed_well(SEEN_MAX).await.unwrap();
    }
    let audit = shop.stack.verify_audit(Some(&kept)).unwrap();
    assert_eq!(audit.short(), [""; 0]);
    let audit = shop.stack.verify_audit(Some(&lost)).unwrap();
    check_lost(&audit, "after a standby was promoted");
}
