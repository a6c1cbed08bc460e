//! What was acknowledged is there, as it was acknowledged; one key has one answer, for ever.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use uuid::Uuid;

use super::{Database, Report, database::Attempt};
use crate::{
    books::uuid_of,
    client::{Line, What},
};

/// Where a payment never leaves.
const FINAL: [&str; 3] = ["succeeded", "failed", "canceled"];

pub(super) fn check(database: &Database, lines: &[Line], report: &mut Report) {
    let asked: HashSet<&str> = lines.iter().map(|line| line.key.as_str()).collect();
    report.keys = asked.len();
    let mut by_key: HashMap<&str, Vec<Uuid>> = HashMap::new();
    for (id, payment) in &database.payments {
        by_key.entry(&payment.key).or_default().push(*id);
    }
    for (key, payments) in by_key.iter().filter(|(_, payments)| payments.len() > 1) {
        report.doubled.push(format!("key {key} made {payments:?}"));
    }
    let attempts = database.attempts.iter().map(|attempt| attempt.key.as_str());
    for key in attempts.collect::<HashSet<_>>() {
        if !asked.is_empty() && !asked.contains(key) {
            report.doubled.push(format!("nobody asked for key {key}"));
        }
    }
    let by_id: HashMap<Uuid, &Attempt> = database
        .attempts
        .iter()
        .map(|attempt| (attempt.id, attempt))
        .collect();
    let asked_for: HashSet<(Uuid, &str)> = database
        .attempts
        .iter()
        .map(|attempt| (attempt.payment, attempt.key.as_str()))
        .collect();
    let known = Known { by_id, asked_for };
    let mut first_answers: HashMap<&str, &Line> = HashMap::new();
    for line in lines.iter().filter(|line| line.what == What::Ok) {
        let key = line.key.as_str();
        let first = first_answers.entry(key).or_insert(line);
        if (first.status, &first.body) != (line.status, &line.body) {
            report.broken.push(format!("key {key} had two answers"));
        }
        acknowledged(database, &known, line, report);
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
    let kept: HashSet<&str> = database.keys.iter().map(|row| row.text.as_str()).collect();
    for attempt in &database.attempts {
        if !kept.contains(attempt.key.as_str()) {
            report.broken.push(format!(
                "attempt {} of payment {} has no idempotency row",
                attempt.id, attempt.payment
            ));
        }
    }
}

/// The attempts of the database.
struct Known<'a> {
    by_id: HashMap<Uuid, &'a Attempt>,
    /// By their payment and the key that asked for them.
    asked_for: HashSet<(Uuid, &'a str)>,
}

/// An answer that a client had: the payment is there, did what the key asked for, and what was
/// final is as it was.
fn acknowledged(database: &Database, known: &Known<'_>, line: &Line, report: &mut Report) {
    let key = line.key.as_str();
    let answer: Value = serde_json::from_str(&line.body).unwrap_or_default();
    let id = answer["id"].as_str().and_then(|id| uuid_of(id, "pay"));
    let Some((id, payment)) = id.and_then(|id| Some((id, database.payments.get(&id)?))) else {
        report.lost.push(format!("key {key}: {}", answer["id"]));
        return;
    };
    let (amount, currency) = (&answer["amount"]["amount"], &answer["amount"]["currency"]);
    if !known.asked_for.contains(&(id, key))
        || *amount != payment.amount
        || *currency != payment.currency.as_str()
    {
        report.lost.push(format!("key {key} made another payment"));
    }
    let status = answer["status"].as_str().unwrap_or_default();
    if FINAL.contains(&status) && status != payment.status {
        report.lost.push(format!(
            "key {key} was told {status} and is {}",
            payment.status
        ));
    }
    for told in answer["attempts"].as_array().into_iter().flatten() {
        let id = told["id"].as_str().and_then(|id| uuid_of(id, "att"));
        let attempt = id.and_then(|id| known.by_id.get(&id));
        let is_final = told["status"] == "approved" || told["status"] == "declined";
        let is_same = attempt.is_some_and(|attempt| {
            told["amount"]["amount"] == attempt.amount
                && (!is_final || told["status"] == attempt.status.as_str())
        });
        if !is_same {
            report.lost.push(format!("key {key} was told {told}"));
        }
    }
}
