//! Everything at the acquirer is one attempt of ours, and every approved attempt is there once.

use std::collections::HashMap;

use uuid::Uuid;

use super::{Database, Report, database::Attempt};
use crate::books::{Charge, uuid_of};

pub(super) fn check(database: &Database, charges: &[Charge], report: &mut Report) {
    let attempts: HashMap<Uuid, &Attempt> = database
        .attempts
        .iter()
        .map(|attempt| (attempt.id, attempt))
        .collect();
    let mut seen: HashMap<Uuid, &Charge> = HashMap::new();
    for charge in charges {
        let id = uuid_of(&charge.id, "att");
        let Some(attempt) = id.and_then(|id| attempts.get(&id)) else {
            let is_known = id.is_some_and(|id| database.orphans.contains(&id));
            if is_known && (charge.is_void || charge.status != "approved") {
                continue;
            }
            report.doubled.push(format!(
                "the acquirer's {} is no attempt of ours",
                charge.id
            ));
            continue;
        };
        if seen.insert(attempt.id, charge).is_some() {
            report
                .doubled
                .push(format!("{} was charged twice", charge.id));
        }
        compare(database, &attempts, attempt, charge, report);
    }
    for attempt in attempts.values() {
        if attempt.status == "approved" && !seen.contains_key(&attempt.id) {
            report
                .doubled
                .push(format!("{} is approved and was never done", attempt.id));
        }
        if !follows_from_its_key(database, attempt) {
            report.broken.push(format!(
                "the id of attempt {} does not follow from its key",
                attempt.id
            ));
        }
    }
    if database.mismatches > 0 {
        report.broken.push(format!(
            "{} contradictions of the acquirer",
            database.mismatches
        ));
    }
}

fn compare(
    database: &Database,
    attempts: &HashMap<Uuid, &Attempt>,
    attempt: &Attempt,
    charge: &Charge,
    report: &mut Report,
) {
    let payment = &database.payments[&attempt.payment];
    if (charge.amount, &charge.currency) != (attempt.amount, &payment.currency) {
        report.imbalance.push(format!(
            "{} was {} {}, asked were {} {}",
            charge.id, charge.amount, charge.currency, attempt.amount, payment.currency
        ));
    }
    let kind = match charge.kind.as_str() {
        "" => "charge",
        other => other,
    };
    let of = uuid_of(&charge.charge, "att").and_then(|id| attempts.get(&id));
    let is_right_charge = match kind {
        "charge" | "authorize" => charge.charge.is_empty(),
        _ => of.is_some_and(|of| of.payment == attempt.payment && of.number == 1),
    };
    if kind != attempt.kind || !is_right_charge {
        report.doubled.push(format!(
            "the acquirer did a {kind} under {}, asked was a {}",
            charge.id, attempt.kind
        ));
    }
    if charge.is_void && payment.status != "canceled" {
        report.lost.push(format!("{} was given back", charge.id));
    }
    // What was let go while its customer was away needs no end of its own.
    let is_let_go = charge.is_void && attempt.status == "requires_action";
    if charge.status != attempt.status && !is_let_go {
        report.lost.push(format!(
            "the acquirer says {} of {}, we say {}",
            charge.status, charge.id, attempt.status
        ));
    }
}

/// `UUIDv5` of merchant, key and 1; an expiry, which nobody asked for, has the key of its payment
/// and 2.
fn follows_from_its_key(database: &Database, attempt: &Attempt) -> bool {
    let tenant = database.payments[&attempt.payment].tenant;
    let follows = |number: u32| {
        let name = [&number.to_be_bytes()[..], attempt.key.as_bytes()].concat();
        Uuid::new_v5(&tenant, &name) == attempt.id
    };
    follows(1) || attempt.kind == "void" && follows(2)
}
