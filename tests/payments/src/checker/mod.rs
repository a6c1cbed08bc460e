//! The checker: client history, acquirer's books and database must tell one story.
//!
//! It believes nobody. Balances are computed again from the postings, fees again from the terms,
//! attempt ids again from the keys, holds and states again from the attempts.

mod acquirer;
mod audit;
mod database;
mod disputes;
mod history;
mod ledger;
mod queue;
mod states;

use std::{fmt, io, path::Path};

pub use database::Database;

use crate::{books, client};

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Payments in the database.
    pub payments: usize,
    /// Keys that a client asked with.
    pub keys: usize,
    /// Charges and operations in the acquirer's books.
    pub charges: usize,
    /// Acknowledged, and not there or not as acknowledged.
    pub lost: Vec<String>,
    /// More effects than one, or one without a cause.
    pub doubled: Vec<String>,
    /// Money from nowhere, or to nowhere.
    pub imbalance: Vec<String>,
    /// Everything else that must not be.
    pub broken: Vec<String>,
    /// Payments and messages that are still on their way.
    pub open: Vec<String>,
}

impl Report {
    /// Whether nothing was found and nothing is on its way.
    pub fn is_clean(&self) -> bool {
        [
            &self.lost,
            &self.doubled,
            &self.imbalance,
            &self.broken,
            &self.open,
        ]
        .iter()
        .all(|found| found.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{} payments, {} keys asked, {} rows at the acquirer",
            self.payments, self.keys, self.charges
        )?;
        let parts = [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("imbalance", &self.imbalance),
            ("broken", &self.broken),
            ("open", &self.open),
        ];
        for (name, found) in parts {
            writeln!(out, "{name:<10} {}", found.len())?;
            for line in found.iter().take(20) {
                writeln!(out, "  {line}")?;
            }
        }
        Ok(())
    }
}

/// Checks a system at rest.
pub async fn check(database_url: &str, books: &Path, history: &Path) -> io::Result<Report> {
    let database = Database::read(database_url).await?;
    let books = books::read(books)?;
    let lines = match client::read_history(history) {
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let mut report = Report {
        payments: database.payments.len(),
        charges: books.charges.len(),
        ..Report::default()
    };
    history::check(&database, &lines, &mut report);
    acquirer::check(&database, &books.charges, &mut report);
    disputes::check(&database, &books.disputes, &mut report);
    ledger::check(&database, &mut report);
    states::check(&database, &mut report);
    queue::check(&database, &mut report);
    queue::webhooks(&database, &mut report);
    audit::check(&database, &mut report);
    Ok(report)
}
