//! The books of money, computed again from what the acquirer approved.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::{
    Database, Report,
    database::{Attempt, Dispute, Payment, Posting},
};

/// What a kind of posting takes from and gives to.
fn sides(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "charge" | "chargeback_reversal" => ("acquirer_receivable", "merchant_payable"),
        "refund" | "chargeback" => ("merchant_payable", "acquirer_receivable"),
        "chargeback_debt" => ("merchant_debt", "acquirer_receivable"),
        "chargeback_debt_reversal" => ("acquirer_receivable", "merchant_debt"),
        _ => ("merchant_payable", "fees"),
    }
}

/// Half up, in whole minor units.
fn fee(amount: i64, basis_points: i32) -> i64 {
    let doubled = i128::from(amount) * i128::from(basis_points) * 2;
    i64::try_from((doubled + 10_000).div_euclid(20_000)).unwrap_or(i64::MAX)
}

/// What an attempt has to have moved.
fn wanted(payment: &Payment, attempt: &Attempt) -> Vec<(String, i64)> {
    let mut moved = Vec::new();
    if attempt.is_done("charge") || attempt.is_done("capture") {
        moved.push(("charge".to_owned(), attempt.amount));
        let fee = fee(attempt.amount, payment.fee_basis_points);
        if fee > 0 {
            moved.push(("fee".to_owned(), fee));
        }
    }
    if attempt.is_done("refund") {
        moved.push(("refund".to_owned(), attempt.amount));
    }
    moved
}

/// What a dispute has to have moved, whatever the merchant had when it came: all of it away, and all
/// of it back to where it was taken from when it was won.
fn is_moved(dispute: &Dispute, found: &[(String, i64)]) -> bool {
    let sum = |kind: &str| -> i64 {
        let meant = found.iter().filter(|(name, _)| name == kind);
        meant.map(|(_, amount)| amount).sum()
    };
    let (had, owed) = (sum("chargeback"), sum("chargeback_debt"));
    let back = (sum("chargeback_reversal"), sum("chargeback_debt_reversal"));
    let wanted = if dispute.status == "won" {
        (had, owed)
    } else {
        (0, 0)
    };
    let known = had + owed + back.0 + back.1;
    had + owed == dispute.amount
        && back == wanted
        && known == found.iter().map(|(_, amount)| amount).sum::<i64>()
}

/// Every balance is the sum of its postings, every sum of balances is zero, and an attempt moved
/// exactly what it had to.
pub(super) fn check(database: &Database, report: &mut Report) {
    let mut sums: HashMap<Uuid, i128> = HashMap::new();
    let mut moved: HashMap<Uuid, Vec<(String, i64)>> = HashMap::new();
    for posting in &database.postings {
        *sums.entry(posting.debit).or_default() -= i128::from(posting.amount);
        *sums.entry(posting.credit).or_default() += i128::from(posting.amount);
        let account = database.accounts.get(&posting.debit);
        if account.is_some_and(|one| one.kind == "merchant_payable") && sums[&posting.debit] < 0 {
            let (kind, payment) = (&posting.kind, posting.payment);
            let overdrawn = format!("a {kind} of payment {payment} takes more than there was");
            report.imbalance.push(overdrawn);
        }
        let row = (posting.kind.clone(), posting.amount);
        moved.entry(posting.cause).or_default().push(row);
        if !is_between_right_accounts(database, posting) {
            report.imbalance.push(format!(
                "a {} of payment {} moves between wrong accounts",
                posting.kind, posting.payment
            ));
        }
    }
    let mut totals: BTreeMap<&str, i128> = BTreeMap::new();
    let held = held(database);
    for (id, account) in &database.accounts {
        let sum = sums.get(id).copied().unwrap_or_default();
        if sum != i128::from(account.posted) {
            report.imbalance.push(format!(
                "{} {} of {} says {}, its postings say {sum}",
                account.kind, account.currency, account.tenant, account.posted
            ));
        }
        let place = (
            account.tenant,
            account.kind.as_str(),
            account.currency.as_str(),
        );
        let wanted = held.get(&place).copied().unwrap_or_default();
        if account.held != wanted {
            report.imbalance.push(format!(
                "{} {} of {} holds {}, its payments say {wanted}",
                account.kind, account.currency, account.tenant, account.held
            ));
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
    for attempt in &database.attempts {
        let payment = &database.payments[&attempt.payment];
        let wanted = wanted(payment, attempt);
        let mut found = moved.remove(&attempt.id).unwrap_or_default();
        found.sort_unstable();
        if found != wanted {
            report.imbalance.push(format!(
                "the {} {} is {} and moved {found:?}, not {wanted:?}",
                attempt.kind, attempt.id, attempt.status
            ));
        }
    }
    let taking = database.attempts.iter();
    let taking = taking.filter(|one| one.is_done("charge") || one.is_done("capture"));
    let taken: HashSet<Uuid> = taking.map(|one| one.payment).collect();
    for dispute in &database.disputes {
        let is_taken = taken.contains(&dispute.payment);
        let found = moved.remove(&dispute.id).unwrap_or_default();
        if is_taken != is_moved(dispute, &found) {
            report.imbalance.push(format!(
                "dispute {} of {} is {} and moved {found:?}",
                dispute.name, dispute.amount, dispute.status
            ));
        }
    }
    for (attempt, found) in moved {
        report
            .imbalance
            .push(format!("nobody knows {attempt}, and it moved {found:?}"));
    }
}

fn is_between_right_accounts(database: &Database, posting: &Posting) -> bool {
    let payment = &database.payments[&posting.payment];
    let sides = sides(&posting.kind);
    [(posting.debit, sides.0), (posting.credit, sides.1)]
        .into_iter()
        .all(|(account, kind)| {
            let account = &database.accounts[&account];
            account.kind == kind
                && account.tenant == payment.tenant
                && account.currency == posting.currency
                && posting.currency == payment.currency
        })
}

/// What has to be held: what is reserved, and neither taken nor let go, of what the acquirer owes;
/// refunds on their way, of what the merchant has.
fn held(database: &Database) -> HashMap<(Uuid, &str, &str), i64> {
    let mut over: HashMap<Uuid, bool> = HashMap::new();
    for attempt in &database.attempts {
        let ends = attempt.is_done("capture") || attempt.is_done("void");
        *over.entry(attempt.payment).or_default() |= ends;
    }
    let mut held = HashMap::new();
    for attempt in &database.attempts {
        let payment = &database.payments[&attempt.payment];
        let account = if attempt.is_done("authorize") && !over[&attempt.payment] {
            "acquirer_receivable"
        } else if attempt.kind == "refund" && attempt.is_open() {
            "merchant_payable"
        } else {
            continue;
        };
        let place = (payment.tenant, account, payment.currency.as_str());
        *held.entry(place).or_default() += attempt.amount;
    }
    held
}
