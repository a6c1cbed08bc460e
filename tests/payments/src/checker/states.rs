//! A payment stands where its attempts put it, its events tell each step once, and nothing stays
//! on its way.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Database, Report,
    database::{Attempt, Dispute},
};

pub(super) fn check(database: &Database, report: &mut Report) {
    let mut attempts: HashMap<Uuid, Vec<&Attempt>> = HashMap::new();
    for attempt in &database.attempts {
        attempts.entry(attempt.payment).or_default().push(attempt);
    }
    let mut heard_of: HashMap<Uuid, Vec<&Dispute>> = HashMap::new();
    for dispute in &database.disputes {
        heard_of.entry(dispute.payment).or_default().push(dispute);
    }
    for (id, payment) in &database.payments {
        let disputes = heard_of.remove(id).unwrap_or_default();
        let attempts = attempts.remove(id).unwrap_or_default();
        let states: Vec<String> = attempts
            .iter()
            .map(|attempt| format!("{} {}", attempt.kind, attempt.status))
            .collect();
        let ends = |kind: &str| attempts.iter().filter(|one| one.is_done(kind)).count();
        if ends("charge") + ends("capture") + ends("void") > 1 || ends("authorize") > 1 {
            report
                .doubled
                .push(format!("payment {id} was ended twice: {states:?}"));
        }
        if payment.status != standing(&attempts) {
            report.broken.push(format!(
                "payment {id} is {}, its attempts are {states:?}",
                payment.status
            ));
        }
        if attempts.iter().any(|attempt| attempt.is_open()) {
            report.open.push(format!("payment {id}: {states:?}"));
        }
        let sum = |is_meant: &dyn Fn(&Attempt) -> bool| -> i64 {
            let meant = attempts.iter().filter(|attempt| is_meant(attempt));
            meant.map(|attempt| attempt.amount).sum()
        };
        let taken = sum(&|one| one.is_done("charge") || one.is_done("capture"));
        let refunding = sum(&|one| one.kind == "refund" && one.status != "declined");
        if refunding > taken || taken > payment.amount || refunding != payment.refunding {
            report.imbalance.push(format!(
                "of payment {id} {taken} were taken, {refunding} are refunded, {} noted",
                payment.refunding
            ));
        }
        let away = disputes.iter().filter(|one| one.status != "won");
        let away_minor: i64 = away.map(|one| one.amount).sum();
        if !attempts.iter().any(|one| one.is_open())
            && refunding + away_minor > taken.max(away_minor)
        {
            report.imbalance.push(format!(
                "of payment {id} {taken} were taken, {refunding} are refunded and {away_minor} disputed"
            ));
        }
        let heard = disputes.iter().flat_map(|one| {
            let end = match one.status.as_str() {
                "won" => Some("dispute.won"),
                "lost" => Some("dispute.lost"),
                _ => None,
            };
            std::iter::once("dispute.opened").chain(end)
        });
        let had_action = attempts.iter().filter(|one| one.had_action);
        let asked = had_action.map(|_| "payment.requires_action");
        let ended = attempts.iter().filter_map(|one| event(one));
        let mut wanted: Vec<&str> = asked.chain(ended).chain(heard).collect();
        let mut told: Vec<&str> = database
            .events
            .get(id)
            .map_or_else(Vec::new, |told| told.iter().map(String::as_str).collect());
        wanted.sort_unstable();
        told.sort_unstable();
        if told != wanted {
            report
                .broken
                .push(format!("of payment {id} was told {told:?}, not {wanted:?}"));
        }
    }
}

/// What changes nothing about where a payment stands: its money was taken.
const AFTERWARDS: [&str; 3] = ["refund", "contest", "accept"];

/// Where its attempts put a payment.
fn standing(attempts: &[&Attempt]) -> &'static str {
    let is_done = |kind: &str| attempts.iter().any(|attempt| attempt.is_done(kind));
    let is_on_its_way = attempts
        .iter()
        .any(|attempt| !AFTERWARDS.contains(&attempt.kind.as_str()) && attempt.is_open());
    if is_done("void") {
        "canceled"
    } else if is_done("charge") || is_done("capture") {
        "succeeded"
    } else if is_on_its_way {
        "processing"
    } else if attempts.iter().any(|one| one.status == "requires_action") {
        "requires_action"
    } else if is_done("authorize") {
        "requires_capture"
    } else {
        "failed"
    }
}

/// What is told of an attempt that came to its end.
fn event(attempt: &Attempt) -> Option<&'static str> {
    let told = match (attempt.kind.as_str(), attempt.status.as_str()) {
        (_, "pending" | "unknown" | "requires_action") => return None,
        ("charge" | "capture", "approved") => "payment.succeeded",
        ("authorize", "approved") => "payment.requires_capture",
        ("void", "approved") => "payment.canceled",
        ("refund", "approved") => "refund.succeeded",
        ("capture", _) => "payment.capture_failed",
        ("void", _) => "payment.cancel_failed",
        ("refund", _) => "refund.failed",
        ("contest", "approved") => "dispute.contested",
        ("contest", _) => "dispute.contest_failed",
        ("accept", "approved") => "dispute.accepted",
        ("accept", _) => "dispute.accept_failed",
        _ => "payment.failed",
    };
    Some(told)
}
