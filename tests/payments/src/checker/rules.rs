//! What must hold, rule by rule.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use super::{Database, Report};
use crate::{
    books::{Charge, uuid_of},
    client::{Line, What},
};

/// What was acknowledged is there, as it was acknowledged; one key has one answer, for ever.
pub(super) fn history(database: &Database, lines: &[Line], report: &mut Report) {
    let asked: HashSet<&str> = lines.iter().map(|line| line.key.as_str()).collect();
    report.keys = asked.len();
    let mut by_key: HashMap<&str, Vec<Uuid>> = HashMap::new();
    for (id, payment) in &database.payments {
        by_key.entry(&payment.key).or_default().push(*id);
    }
    for (key, payments) in &by_key {
        if payments.len() > 1 {
            report.doubled.push(format!("key {key} made {payments:?}"));
        }
        if !asked.is_empty() && !asked.contains(key) {
            report.doubled.push(format!("nobody asked for key {key}"));
        }
    }
    let mut first_answers: HashMap<&str, &Line> = HashMap::new();
    for line in lines.iter().filter(|line| line.what == What::Ok) {
        let key = line.key.as_str();
        let first = first_answers.entry(key).or_insert(line);
        if (first.status, &first.body) != (line.status, &line.body) {
            report.broken.push(format!("key {key} had two answers"));
        }
        let answer: Value = serde_json::from_str(&line.body).unwrap_or_default();
        let id = answer["id"].as_str().and_then(|id| uuid_of(id, "pay"));
        let Some(payment) = id.and_then(|id| database.payments.get(&id)) else {
            report.lost.push(format!("key {key}: {}", answer["id"]));
            continue;
        };
        let (amount, currency) = (&answer["amount"]["amount"], &answer["amount"]["currency"]);
        if payment.key != key || *amount != payment.amount || *currency != payment.currency.as_str()
        {
            report.lost.push(format!("key {key} made another payment"));
        }
        if answer["status"] != "processing" && answer["status"] != payment.status.as_str() {
            report.lost.push(format!(
                "key {key} was told {} and is {}",
                answer["status"], payment.status
            ));
        }
    }
    for row in &database.keys {
        let told = first_answers.get(row.text.as_str());
        let kept = row.answer.as_ref();
        if let Some(line) = told
            && kept.is_none_or(|(status, body)| {
                Some(status.unsigned_abs()) != line.status || body != line.body.as_bytes()
            })
        {
            report.broken.push(format!(
                "the answer kept for {} is not the one given",
                row.text
            ));
        }
    }
    let known: HashSet<Uuid> = database.keys.iter().map(|row| row.payment).collect();
    for id in database.payments.keys().filter(|id| !known.contains(id)) {
        report
            .broken
            .push(format!("payment {id} has no idempotency row"));
    }
}

/// Every charge at the acquirer is one attempt of ours, and every approved attempt is one charge.
pub(super) fn acquirer(database: &Database, charges: &[Charge], report: &mut Report) {
    let attempts: HashMap<Uuid, _> = database
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
        let payment = &database.payments[&attempt.payment];
        if (charge.amount, &charge.currency) != (payment.amount, &payment.currency) {
            report.imbalance.push(format!(
                "{} was charged {} {}, asked were {} {}",
                charge.id, charge.amount, charge.currency, payment.amount, payment.currency
            ));
        }
        if charge.is_void {
            report.lost.push(format!("{} was given back", charge.id));
        }
        if charge.status != attempt.status {
            report.lost.push(format!(
                "the acquirer says {} of {}, we say {}",
                charge.status, charge.id, attempt.status
            ));
        }
    }
    for attempt in attempts.values() {
        if attempt.status == "approved" && !seen.contains_key(&attempt.id) {
            report
                .doubled
                .push(format!("{} is approved and was never charged", attempt.id));
        }
        let payment = &database.payments[&attempt.payment];
        let name = [&attempt.number.to_be_bytes()[..], payment.key.as_bytes()].concat();
        if Uuid::new_v5(&payment.tenant, &name) != attempt.id {
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

/// Every balance is the sum of its postings, every sum of balances is zero, and a payment moved
/// exactly what it had to.
pub(super) fn ledger(database: &Database, report: &mut Report) {
    let mut sums: HashMap<Uuid, i128> = HashMap::new();
    let mut moved: HashMap<Uuid, Vec<(&str, i64)>> = HashMap::new();
    let approved: HashSet<Uuid> = database
        .attempts
        .iter()
        .filter(|attempt| attempt.status == "approved")
        .map(|attempt| attempt.id)
        .collect();
    for posting in &database.postings {
        *sums.entry(posting.debit).or_default() -= i128::from(posting.amount);
        *sums.entry(posting.credit).or_default() += i128::from(posting.amount);
        moved
            .entry(posting.payment)
            .or_default()
            .push((&posting.kind, posting.amount));
        let payment = &database.payments[&posting.payment];
        let sides = match posting.kind.as_str() {
            "charge" => ("acquirer_receivable", "merchant_payable"),
            _ => ("merchant_payable", "fees"),
        };
        for (account, kind) in [(posting.debit, sides.0), (posting.credit, sides.1)] {
            let account = &database.accounts[&account];
            let is_right = account.kind == kind
                && account.tenant == payment.tenant
                && account.currency == posting.currency
                && posting.currency == payment.currency;
            if !is_right {
                report.imbalance.push(format!(
                    "a {} of payment {} moves between wrong accounts",
                    posting.kind, posting.payment
                ));
            }
        }
        if !approved.contains(&posting.attempt) {
            report.imbalance.push(format!(
                "a {} of payment {} has no approved attempt",
                posting.kind, posting.payment
            ));
        }
    }
    let mut totals: BTreeMap<&str, i128> = BTreeMap::new();
    for (id, account) in &database.accounts {
        let sum = sums.get(id).copied().unwrap_or_default();
        if sum != i128::from(account.posted) {
            report.imbalance.push(format!(
                "{} {} of {} says {}, its postings say {sum}",
                account.kind, account.currency, account.tenant, account.posted
            ));
        }
        if account.held != 0 {
            report
                .open
                .push(format!("{} is held in {id}", account.held));
        }
        *totals.entry(&account.currency).or_default() += i128::from(account.posted);
    }
    for (currency, total) in totals {
        if total != 0 {
            report
                .imbalance
                .push(format!("{currency} sums up to {total}"));
        }
    }
    for (id, payment) in &database.payments {
        let mut wanted = Vec::new();
        if payment.status == "succeeded" {
            wanted.push(("charge", payment.amount));
            let doubled = i128::from(payment.amount) * i128::from(payment.fee_basis_points) * 2;
            let fee = i64::try_from((doubled + 10_000).div_euclid(20_000)).unwrap_or(i64::MAX);
            if fee > 0 {
                wanted.push(("fee", fee));
            }
        }
        let mut found = moved.remove(id).unwrap_or_default();
        found.sort_unstable();
        if found != wanted {
            report.imbalance.push(format!(
                "payment {id} is {} and moved {found:?}, not {wanted:?}",
                payment.status
            ));
        }
    }
}

/// A payment stands where its attempts put it, and nothing stays on its way.
pub(super) fn states(database: &Database, report: &mut Report) {
    let mut attempts: HashMap<Uuid, Vec<&str>> = HashMap::new();
    for attempt in &database.attempts {
        attempts
            .entry(attempt.payment)
            .or_default()
            .push(&attempt.status);
    }
    for (id, payment) in &database.payments {
        let states = attempts.remove(id).unwrap_or_default();
        let approved = states.iter().filter(|state| **state == "approved").count();
        let declined = states.iter().filter(|state| **state == "declined").count();
        let wanted = match (approved, declined) {
            (1, _) => "succeeded",
            (0, count) if count == states.len() && count > 0 => "failed",
            (0, _) => "processing",
            _ => {
                report
                    .doubled
                    .push(format!("payment {id} was approved {approved} times"));
                continue;
            }
        };
        if payment.status != wanted {
            report.broken.push(format!(
                "payment {id} is {}, its attempts are {states:?}",
                payment.status
            ));
        }
        if payment.status == "processing" {
            report.open.push(format!("payment {id}: {states:?}"));
        }
        let events = database.events.get(id).copied().unwrap_or_default();
        if events != usize::from(payment.status != "processing") {
            report.broken.push(format!(
                "payment {id} is {} and has {events} events",
                payment.status
            ));
        }
    }
}

/// A message took effect exactly when one inbox row says so.
pub(super) fn queue(database: &Database, report: &mut Report) {
    let mut sent: HashMap<Uuid, usize> = HashMap::new();
    for message in &database.messages {
        let rows = database.inbox.get(&message.id).copied().unwrap_or_default();
        if rows != usize::from(message.is_done) {
            report.doubled.push(format!(
                "message {} ({}) has {rows} inbox rows and is {}",
                message.id,
                message.kind,
                if message.is_done { "done" } else { "not done" }
            ));
        }
        if message.kind == "send_attempt" {
            *sent.entry(message.payment).or_default() += 1;
        }
        if !message.is_done {
            report
                .open
                .push(format!("message {} ({})", message.id, message.kind));
        }
    }
    for id in database.payments.keys() {
        if sent.get(id) != Some(&1) {
            report.broken.push(format!(
                "payment {id} has {:?} messages to send it",
                sent.get(id)
            ));
        }
    }
}

/// Whoever could not be told is told again, and nobody else is.
pub(super) fn webhooks(database: &Database, report: &mut Report) {
    let mut again: HashMap<(Uuid, Uuid, i32), i32> = HashMap::new();
    for message in &database.messages {
        let Some((event, endpoint)) = message.webhook else {
            continue;
        };
        if message.try_number > 1 {
            *again
                .entry((event, endpoint, message.try_number))
                .or_default() -= 1;
        }
        // Without a row of what was tried, a message counts as not told.
        if message.is_done && message.is_last != Some(true) {
            *again
                .entry((event, endpoint, message.try_number + 1))
                .or_default() += 1;
        }
    }
    for ((event, endpoint, number), missing) in again {
        if missing != 0 {
            report.broken.push(format!(
                "try {number} to tell {endpoint} of {event}: {missing} missing"
            ));
        }
    }
}
