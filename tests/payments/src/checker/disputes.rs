//! Every dispute of the acquirer is ours as it is there, and nothing else is.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::{Database, Report, database::Dispute};
use crate::books::{self, uuid_of};

pub(super) fn check(
    database: &Database,
    told: &BTreeMap<String, books::Dispute>,
    report: &mut Report,
) {
    let ours: HashMap<&str, &Dispute> = database
        .disputes
        .iter()
        .map(|dispute| (dispute.name.as_str(), dispute))
        .collect();
    if ours.len() != database.disputes.len() {
        report
            .doubled
            .push("a dispute was taken down twice".to_owned());
    }
    let firsts = database.attempts.iter().filter(|one| one.number == 1);
    let firsts: HashMap<Uuid, Uuid> = firsts.map(|one| (one.id, one.payment)).collect();
    for (name, told) in told {
        match ours.get(name.as_str()) {
            Some(dispute) if dispute.version >= told.version => {
                compare(&firsts, dispute, told, report);
            }
            _ => report
                .open
                .push(format!("dispute {name} is {}", told.status)),
        }
    }
    for name in ours.keys().filter(|name| !told.contains_key(**name)) {
        report
            .doubled
            .push(format!("nobody at the acquirer knows dispute {name}"));
    }
}

fn compare(
    firsts: &HashMap<Uuid, Uuid>,
    dispute: &Dispute,
    told: &books::Dispute,
    report: &mut Report,
) {
    if (dispute.amount, &dispute.currency) != (told.amount, &told.currency) {
        report.imbalance.push(format!(
            "dispute {} is of {} {}, told were {} {}",
            told.dispute, dispute.amount, dispute.currency, told.amount, told.currency
        ));
    }
    if dispute.status != told.status {
        report.lost.push(format!(
            "the acquirer says {} of dispute {}, we say {}",
            told.status, told.dispute, dispute.status
        ));
    }
    let charge = uuid_of(&told.charge, "att");
    let is_of_charge = |id: Uuid| firsts.get(&id) == Some(&dispute.payment);
    let follows = |id: Uuid| Uuid::new_v5(&id, told.dispute.as_bytes()) == dispute.id;
    if !charge.is_some_and(|id| is_of_charge(id) && follows(id)) {
        report.doubled.push(format!(
            "dispute {} is of another charge than {}",
            told.dispute, told.charge
        ));
    }
}
