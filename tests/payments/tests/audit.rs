//! The audit chain: whatever a superuser does to rows or seals is found and named.

use std::time::Duration;

use paymesh_payments::{Audit, Member, Shop, Wishes, books::id_of};
use uuid::Uuid;

/// How long a row may wait for its seal while db-controller runs.
const SEALED_MAX: Duration = Duration::from_secs(5);
/// How long everything else may take.
const SEEN_MAX: Duration = Duration::from_secs(30);

/// The ids of a table's rows as people know them, in order.
fn ids(shop: &Shop, table: &str, prefix: &str) -> Vec<String> {
    let rows = shop.sql(&format!("select id from {table} order by seq"));
    let id = |row: &str| id_of(Uuid::parse_str(row).unwrap(), prefix);
    rows.lines().map(id).collect()
}

/// Does something to the tables past every rule, looks what is found, and undoes it.
fn check_found(shop: &Shop, done: &str, known: &Audit, expected: &[String]) {
    shop.sql(&format!("set session_replication_role = replica; {done}"));
    let audit = shop.stack.verify_audit(Some(known)).unwrap();
    assert_eq!(of_chains(&audit), expected, "{done}\n{}", audit.text);
    shop.sql(RESTORE);
    let audit = shop.stack.verify_audit(Some(known)).unwrap();
    assert_eq!(audit.short(), [""; 0], "after {done}");
}

/// What is found in the chains; a posting that is changed also makes balances differ.
fn of_chains(audit: &Audit) -> Vec<String> {
    let mut found = audit.short();
    found.retain(|it| !it.starts_with("balance_differs"));
    found
}

const KEEP: &str = "create schema kept;
    create table kept.posting as table posting;
    create table kept.event as table event;
    create table kept.audit_seal as table audit_seal";

const RESTORE: &str = "set session_replication_role = replica;
    delete from posting; delete from event; delete from audit_seal;
    insert into posting overriding system value select * from kept.posting;
    insert into event select * from kept.event;
    insert into audit_seal select * from kept.audit_seal";

/// Six payments, each sealed by itself, with holes between their numbers; then nobody seals.
async fn open_audited_shop() -> (Shop, Audit) {
    let mut shop = Shop::open(Wishes::default()).await;
    for number in 0..6 {
        shop.pay(&format!("key-{number}")).await;
        shop.sql("select nextval('posting_seq_seq'), nextval('event_seq')");
        shop.stack.sealed(SEALED_MAX).await.unwrap();
    }
    let known = shop.stack.sealed_well(SEALED_MAX).await.unwrap();
    shop.stack.kill(Member::Controller);
    shop.sql(KEEP);
    (shop, known)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_a_superuser_changes_deletes_inserts_or_swaps_are_named() {
    let (shop, known) = open_audited_shop().await;
    let (postings, events) = (ids(&shop, "posting", "pst"), ids(&shop, "event", "evt"));
    let count = postings.len();
    assert_eq!((count, events.len()), (12, 6));
    let nth = |table: &str, at: usize| {
        format!("(select id from {table} order by seq offset {at} limit 1)")
    };
    let change = |table: &str, at: usize, to: &str| {
        format!("update {table} set {to} where id = {}", nth(table, at))
    };
    for (at, to) in [
        (0, "amount = amount + 1"),
        (3, "created_at = created_at + interval '1 microsecond'"),
        (
            5,
            "(debit_account, credit_account) = (credit_account, debit_account)",
        ),
        (count - 1, "currency = 'USD'"),
    ] {
        let found = [format!("row_changed posting {}", postings[at])];
        check_found(&shop, &change("posting", at, to), &known, &found);
    }
    let found = [format!("row_changed event {}", events[2])];
    let byte = "body = set_byte(body, 9, get_byte(body, 9) # 1)";
    check_found(&shop, &change("event", 2, byte), &known, &found);
    check_found(
        &shop,
        &change("event", 2, "kind = 'payment.failed'"),
        &known,
        &found,
    );

    for at in [0, 4, count - 1] {
        let done = format!("delete from posting where id = {}", nth("posting", at));
        let found = [format!("row_missing posting {}", postings[at])];
        check_found(&shop, &done, &known, &found);
    }

    // Into a hole between numbers, before all of them, and beyond those that were given out.
    let id = "00000000-0000-0000-0000-000000000001";
    let new = format!("pst_{}b", "a".repeat(31));
    let hole = "(select min(seq) + 2 from posting)";
    for seq in [hole, "-7", "'-9223372036854775808'", "4000000000000"] {
        let done = format!(
            "insert into posting overriding system value
             select {seq}, '{id}', payment_id, attempt_id, 'refund', debit_account, credit_account,
                currency, amount, created_at, dispute_id from posting order by seq limit 1"
        );
        let found = [format!("row_inserted posting {new}")];
        check_found(&shop, &done, &known, &found);
    }

    let done = format!(
        "update event set seq = -seq where id in ({one}, {other});
         update event set seq = (select -sum(seq) from event where seq < 0) + seq where seq < 0",
        one = nth("event", 1),
        other = nth("event", 4)
    );
    let found = [1, 4].map(|at| format!("row_changed event {}", events[at]));
    check_found(&shop, &done, &known, &found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seals_that_are_changed_or_gone_and_ends_that_are_cut_are_named() {
    let (mut shop, known) = open_audited_shop().await;
    let change =
        |to: &str| format!("update audit_seal set {to} where shard = 'posting' and number = 3");
    let third = ["seal_changed posting 3".to_owned()];
    let later = "sealed_at = sealed_at - interval '1 microsecond'";
    check_found(&shop, &change(later), &known, &third);
    let hash = "hash = set_byte(hash, 0, get_byte(hash, 0) # 1)";
    let next = [third[0].clone(), "seal_changed posting 4".to_owned()];
    check_found(&shop, &change(hash), &known, &next);
    let done = "delete from audit_seal where shard = 'event' and number = 1";
    let found = ["seal_missing event 1".to_owned()];
    check_found(&shop, done, &known, &found);

    // The end of a chain with all its rows: only who kept its head elsewhere knows.
    let last = "select max(number) from audit_seal where shard = 'posting'";
    let seals: i64 = shop.sql(last).parse().unwrap();
    let cut = "delete from posting where seq > (select after_seq from audit_seal
            where shard = 'posting' order by number desc limit 1);
        delete from audit_seal where shard = 'posting'
            and number = (select max(number) from audit_seal where shard = 'posting')";
    let found = [format!("tail_lost posting {seals}")];
    check_found(&shop, cut, &known, &found);

    // The easiest way to make a whole chain anew: db-controller seals what it finds.
    shop.sql(
        "set session_replication_role = replica;
         delete from audit_seal where shard = 'posting';
         update posting set amount = amount + 1 where seq = (select min(seq) from posting)",
    );
    shop.stack.restart(Member::Controller).unwrap();
    shop.stack.sealed(SEEN_MAX).await.unwrap();
    let audit = shop.stack.verify_audit(None).unwrap();
    let found = of_chains(&audit);
    assert_eq!(found, [""; 0], "no chain tells that without a head");
    // The balances do, until they are changed too.
    assert_eq!(audit.short().len(), 2, "{}", audit.text);
    let audit = shop.stack.verify_audit(Some(&known)).unwrap();
    assert_eq!(of_chains(&audit), ["tail_lost posting 2"], "{}", audit.text);
    while shop.sql(last).parse::<i64>().unwrap() < seals {
        shop.pay(&format!("more-{}", rand::random::<u32>())).await;
        shop.stack.sealed(SEALED_MAX).await.unwrap();
    }
    let audit = shop.stack.verify_audit(Some(&known)).unwrap();
    assert_eq!(
        of_chains(&audit),
        [format!("chain_rewritten posting {seals}")],
        "{}",
        audit.text
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balance_that_is_not_the_sum_of_its_postings_is_named() {
    let (shop, known) = open_audited_shop().await;
    let account = shop.sql("select account_id from balance where posted <> 0 order by 1 limit 1");
    let found = [format!("balance_differs posting {account}")];
    for (done, undone) in [
        ("posted = posted + 1", "posted = posted - 1"),
        ("posted = posted - 1", "posted = posted + 1"),
    ] {
        let change = |to: &str| {
            shop.sql(&format!(
                "update balance set {to} where account_id = '{account}'"
            ))
        };
        change(done);
        let audit = shop.stack.verify_audit(Some(&known)).unwrap();
        assert_eq!(audit.short(), found, "{done}: {}", audit.text);
        change(undone);
        let audit = shop.stack.verify_audit(Some(&known)).unwrap();
        assert_eq!(audit.short(), [""; 0], "{undone}: {}", audit.text);
    }
    shop.sql(&format!(
        "set session_replication_role = replica; delete from balance where account_id = '{account}'"
    ));
    let audit = shop.stack.verify_audit(None).unwrap();
    assert_eq!(audit.short(), found, "{}", audit.text);
    assert!(audit.text.contains("it says nothing"), "{}", audit.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_was_kept_is_read_from_a_log_and_none_may_be_missing() {
    let (shop, known) = open_audited_shop().await;
    let of = |choose: fn(&str) -> bool| Audit {
        findings: Vec::new(),
        text: known
            .text
            .lines()
            .filter(|line| choose(line))
            .flat_map(|line| ["2026-11-22T11:00:00.1Z stderr F ", line, "\n"])
            .collect(),
    };
    let audit = shop.stack.verify_audit(Some(&of(|_| true))).unwrap();
    assert_eq!(audit.short(), [""; 0]);
    for (kept, missing) in [
        (of(|line| line.contains("event")), "the chain of posting"),
        (of(|line| line.contains("posting")), "the chain of event"),
    ] {
        let refused = shop
            .stack
            .verify_audit(Some(&kept))
            .unwrap_err()
            .to_string();
        assert!(refused.contains(missing), "{refused}");
    }
    shop.sql(
        "set session_replication_role = replica;
         delete from audit_seal where shard = 'posting'
            and number = (select max(number) from audit_seal where shard = 'posting')",
    );
    let audit = shop.stack.verify_audit(Some(&of(|_| true))).unwrap();
    assert!(audit.text.contains("tail_lost"), "{}", audit.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_checker_finds_by_the_databases_own_functions_what_the_verifier_finds() {
    let (shop, _) = open_audited_shop().await;
    for (done, shard, seals) in [
        (
            "update posting set amount = amount + 1 where seq = (select min(seq) from posting)",
            "posting",
            " 1",
        ),
        (
            "delete from event where seq = (select max(seq) from event)",
            "event",
            " 6",
        ),
        (
            "update audit_seal set hash = previous where shard = 'event' and number = 2",
            "event",
            " 2 3",
        ),
    ] {
        shop.sql(&format!("set session_replication_role = replica; {done}"));
        let found = shop.stack.wrong_seals().await.unwrap();
        assert_eq!(
            found,
            [format!("seals of {shard} do not fit:{seals}")],
            "{done}"
        );
        shop.sql(RESTORE);
        assert_eq!(shop.stack.wrong_seals().await.unwrap(), [""; 0]);
    }
    shop.sql("alter table posting add column note text");
    let found = shop.stack.wrong_seals().await.unwrap();
    assert!(
        found[0].starts_with("columns of posting that no seal covers"),
        "{found:?}"
    );

    for denied in [
        "update audit_seal set total = 0",
        "delete from audit_seal",
        "truncate audit_seal",
    ] {
        let done = format!("set role paymesh_controller; {denied}");
        let refused = shop
            .stack
            .postgres
            .sql("payments", &done)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("permission denied"), "{refused}");
    }
}
