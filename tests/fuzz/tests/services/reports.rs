//! Files that people give to db-controller: settlement reports, and where audit chains ended; and what
//! a seal holds of rows.

use std::collections::BTreeMap;

use bolero::check;
use paymesh_contracts::digest;
use paymesh_fuzz::{Choices, bytes, document, text};
use paymesh_persistence::{
    audit::{
        Head, Shard,
        encoding::{Entry, FORMAT, NOTHING, Seal},
    },
    settlement::{SettlementReport, UnreadableReport},
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::samples;

/// A report whose rows add up.
fn report() -> [Value; 5] {
    let row = |movement: &str, id: &str, amount: i64, fee: i64| json!({ "type": movement, "id": id, "amount": amount, "currency": "EUR", "fee": fee });
    let mut disputed = row("dispute", "dp_1", 300, 0);
    disputed["charge"] = json!(samples::ATTEMPT);
    [
        json!({
            "report": "po_1",
            "closed_at_ms": 1_763_740_800_000_i64,
            "rows": 4,
            "net": { "EUR": 480, "JPY": 0 },
        }),
        row("charge", samples::ATTEMPT, 1000, 15),
        row("refund", samples::ATTEMPT, 200, 0),
        disputed,
        row("adjustment", "x", -5, 0),
    ]
}

/// A member of a row that is a number.
fn number(row: &Value, name: &str) -> i128 {
    let number = row[name].as_i64().expect("it was read as a number");
    number.into()
}

/// A report is read whole, to the last unit, or the line that is wrong is named.
#[test]
fn a_settlement_report() {
    let samples = report();
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let mut lines: Vec<String> = Vec::new();
        for sample in &samples {
            let is_changed = choices.is_one_in(4);
            let near = is_changed.then(|| near(&mut choices, sample));
            lines.push(near.unwrap_or_else(|| sample.clone()).to_string());
        }
        let given = lines.join("\n");
        let given = if choices.is_one_in(4) {
            text(&mut choices, &[&given])
        } else {
            given
        };
        let lines: Vec<&str> = given.lines().collect();
        let report = match SettlementReport::read(&given) {
            Ok(report) => report,
            Err(UnreadableReport::Line { line, .. }) => {
                assert!((1..=lines.len()).contains(&line), "{line}: {given}");
                return;
            }
            Err(UnreadableReport::Cut { said, found }) => {
                assert_eq!(found, lines.len() - 1, "{given}");
                assert_ne!(said, found, "{given}");
                return;
            }
            Err(UnreadableReport::Empty) => {
                assert!(lines.is_empty(), "{given}");
                return;
            }
        };
        assert_eq!(report.checksum, digest::sha256(given.as_bytes()));
        assert_eq!(report.rows.len(), lines.len() - 1);
        let mut totals: BTreeMap<&str, i128> = BTreeMap::new();
        for (row, line) in report.rows.iter().zip(&lines[1..]) {
            // An array is taken for a row too, in the order of its members; and of a member that is not
            // read nobody asks how large it is.
            let Ok(sent @ Value::Object(_)) = serde_json::from_str::<Value>(line) else {
                return;
            };
            assert_eq!(
                i128::from(row.amount_minor),
                number(&sent, "amount"),
                "{line}"
            );
            assert_eq!(i128::from(row.fee_minor), number(&sent, "fee"), "{line}");
            assert_eq!(sent["currency"], row.currency.as_str(), "{line}");
            let is_taken = ["refund", "dispute"].contains(&row.movement.as_str());
            let sign = if is_taken { -1 } else { 1 };
            let moved = sign * number(&sent, "amount") - number(&sent, "fee");
            *totals.entry(row.currency.as_str()).or_default() += moved;
            let _ = row.subject();
        }
        for (currency, net_minor) in &report.net_minor {
            *totals.entry(currency).or_default() -= i128::from(*net_minor);
        }
        totals.retain(|_, difference| *difference != 0);
        let wrong = report.wrong_totals();
        let wrong: BTreeMap<&str, i128> = wrong
            .iter()
            .map(|one| (one.currency, one.found_minor - one.said_minor))
            .collect();
        assert_eq!(wrong, totals, "{given}");
        let fees: i128 = report.fees_minor().values().sum();
        let of_rows = report.rows.iter().map(|row| i128::from(row.fee_minor));
        assert_eq!(fees, of_rows.sum::<i128>());
    });
}

fn near(choices: &mut Choices<'_>, sample: &Value) -> Value {
    document(choices, std::slice::from_ref(sample))
}

/// Where a chain ended is found in whatever a collector of logs made of the line, and is printed as
/// what is found again.
#[test]
fn a_head() {
    let head = Head {
        shard: Shard::Posting,
        seal: 4,
        epoch: 4_294_967_297,
        last_seq: 9,
        rows: 7,
        hash: "cd".repeat(32),
    };
    let printed = serde_json::to_string(&head).expect("a head is plain data");
    let logged = json!({
        "timestamp": "2026-11-22T11:00:00Z",
        "level": "INFO",
        "message": "sealed",
        "shard": "event",
        "seal": 3,
        "epoch": 1,
        "last_seq": 9,
        "rows": 7,
        "hash": "ab",
    });
    let collected = json!({ "log": format!("{logged}\n"), "stream": "stderr" });
    let lines = [printed.clone(), logged.to_string(), collected.to_string()].join("\n");
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        for found in Head::read(&text(&mut choices, &[&lines])) {
            let printed = serde_json::to_string(&found).expect("a head is plain data");
            assert_eq!(Head::read(&printed), [found]);
        }
        let words = ["2026-11-22T11:00:00.1Z stderr F ", "x} ", ""];
        let [before, behind] =
            [(); 2].map(|()| text(&mut choices, &words).replace(['{', '\n'], " "));
        let line = format!("{before}{printed}{behind}");
        let line = match choices.below(3) {
            0 => line,
            1 => json!({ "log": line, "stream": "stderr" }).to_string(),
            _ => format!("{{}} {{ {line}"),
        };
        assert_eq!(Head::read(&line), std::slice::from_ref(&head), "{line:?}");
    });
}

/// What a seal holds is read as it was written, and no two rows look alike to it.
#[test]
fn a_seal() {
    let row = |choices: &mut Choices<'_>| -> Vec<Option<Vec<u8>>> {
        let count = choices.below(4);
        let column = |_| (!choices.is_one_in(4)).then(|| bytes(choices, b"column"));
        (0..count).map(column).collect()
    };
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let rows = [row(&mut choices), row(&mut choices)];
        let entries = rows.each_ref().map(|columns| {
            let columns = columns.iter().map(Option::as_deref);
            Entry::of(Shard::Event, 7, Uuid::from_u128(5), columns)
        });
        assert_eq!(entries[0] == entries[1], rows[0] == rows[1], "{rows:?}");
        let mut written = Vec::new();
        for entry in &entries {
            entry.write(&mut written);
        }
        assert_eq!(Entry::read(&written).collect::<Vec<_>>(), entries);
        // Bytes are rows up to the last whole one.
        let given = bytes(&mut choices, &written);
        let mut again = Vec::new();
        for entry in Entry::read(&given) {
            entry.write(&mut again);
        }
        assert!(given.starts_with(&again) && given.len() - again.len() < written.len() / 2);
        let seal = |entries: Vec<u8>| Seal {
            number: 2,
            format: FORMAT,
            epoch: 3,
            after_seq: 4,
            last_seq: 8,
            entries,
            total: 6,
            sealed_at_us: 1_700_000_000_000_001,
            previous: NOTHING,
            hash: NOTHING,
        };
        let is_other = given != written;
        let [one, other] = [written, given].map(|entries| seal(entries).hash_of(Shard::Event));
        assert_eq!(one != other, is_other);
    });
}
