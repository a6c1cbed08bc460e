//! The queue: what is to be done is done once, and whoever could not be told is told again.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Database, Report};

/// A message took effect exactly when one inbox row says so.
pub(super) fn check(database: &Database, report: &mut Report) {
    let mut sent: HashMap<Uuid, usize> = HashMap::new();
    let mut expiring: HashSet<Uuid> = HashSet::new();
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
        if let Some(attempt) = message
            .attempt
            .filter(|_| message.kind.starts_with("send_"))
        {
            *sent.entry(attempt).or_default() += 1;
        }
        if message.kind == "expire" && !message.is_done {
            expiring.insert(message.payment);
        }
        if let Some(reason) = &message.parked {
            report.broken.push(format!(
                "message {} ({}) is parked: {reason}",
                message.id, message.kind
            ));
        }
        // What expires in a week is not on its way.
        if !message.is_done && (message.is_due || message.kind != "expire") {
            report
                .open
                .push(format!("message {} ({})", message.id, message.kind));
        }
    }
    for attempt in &database.attempts {
        if sent.get(&attempt.id) != Some(&1) {
            report.broken.push(format!(
                "the {} {} has {:?} messages to send it",
                attempt.kind,
                attempt.id,
                sent.get(&attempt.id)
            ));
        }
    }
    for (id, payment) in &database.payments {
        if payment.status.starts_with("requires_") && !expiring.contains(id) {
            report
                .broken
                .push(format!("payment {id} will never expire"));
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
