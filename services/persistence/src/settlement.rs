//! The acquirer's settlement report, read as it is: one JSON object a line, first what is settled,
//! then a row for each movement.
//!
//! ```text
//! {"report":"po_1","closed_at_ms":1763740800000,"rows":1,"net":{"EUR":985}}
//! {"type":"charge","id":"att_...","amount":1000,"currency":"EUR","fee":15}
//! ```
//! `type` is `charge`, `capture`, `refund`, `dispute` or `dispute_won`; the row of a dispute has its
//! name in `id` and the attempt it is about in `charge`. Amounts are whole minor units, and what is
//! taken from us is known by its type. A row of another type is kept like all others, and differs.

use std::collections::BTreeMap;

use paymesh_contracts::{AttemptId, digest};
use serde::Deserialize;
use uuid::Uuid;

use crate::payment::DisputeRow;

/// A settlement report.
#[derive(Debug)]
pub struct SettlementReport {
    /// What the acquirer calls it: a payout.
    pub name: String,
    /// SHA-256 of the whole file.
    pub checksum: [u8; 32],
    /// What was done until then is in it, or in an earlier one.
    pub closed_at_ms: i64,
    /// What it says is paid out, by currency.
    pub net_minor: BTreeMap<String, i64>,
    /// Its rows, in their order.
    pub rows: Vec<SettlementRow>,
}

/// One movement that was settled.
#[derive(Debug, Deserialize)]
pub struct SettlementRow {
    /// What moved.
    #[serde(rename = "type")]
    pub movement: String,
    /// As the acquirer calls it.
    #[serde(rename = "id")]
    pub name: String,
    /// Of a dispute: the attempt it is about.
    #[serde(default)]
    charge: String,
    /// How much.
    #[serde(rename = "amount")]
    pub amount_minor: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// What the acquirer takes for it.
    #[serde(rename = "fee")]
    pub fee_minor: i64,
}

#[derive(Deserialize)]
struct Head {
    report: String,
    closed_at_ms: i64,
    rows: usize,
    net: BTreeMap<String, i64>,
}

/// Why a report cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableReport {
    /// A line is not what it should be.
    #[error("line {line} of the report cannot be read; ask the acquirer for it again")]
    Line {
        /// First is 1.
        line: usize,
        /// Why.
        #[source]
        reason: serde_json::Error,
    },
    /// There are more or fewer rows than it says.
    #[error("the report says {said} rows and has {found}; it was cut: fetch it again")]
    Cut {
        /// What it says.
        said: usize,
        /// What is there.
        found: usize,
    },
    /// There is nothing in it.
    #[error("the report is empty; fetch it again")]
    Empty,
}

/// A currency in which what is paid out is not the sum of the rows.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongTotal<'a> {
    /// Which one.
    pub currency: &'a str,
    /// What the report says is paid out.
    pub said_minor: i128,
    /// What its rows add up to.
    pub found_minor: i128,
}

impl SettlementReport {
    /// Reads a file.
    pub fn read(text: &str) -> Result<Self, UnreadableReport> {
        let unreadable = |line| {
            move |reason| UnreadableReport::Line {
                line: line + 1,
                reason,
            }
        };
        let mut lines = text.lines().enumerate();
        let (_, head) = lines.next().ok_or(UnreadableReport::Empty)?;
        let head: Head = serde_json::from_str(head).map_err(unreadable(0))?;
        let rows = lines.map(|(line, row)| serde_json::from_str(row).map_err(unreadable(line)));
        let rows = rows.collect::<Result<Vec<SettlementRow>, _>>()?;
        if rows.len() != head.rows {
            return Err(UnreadableReport::Cut {
                said: head.rows,
                found: rows.len(),
            });
        }
        Ok(Self {
            name: head.report,
            checksum: digest::sha256(text.as_bytes()),
            closed_at_ms: head.closed_at_ms,
            net_minor: head.net,
            rows,
        })
    }

    /// What the acquirer takes for all of it, by currency.
    pub fn fees_minor(&self) -> BTreeMap<&str, i128> {
        let mut fees: BTreeMap<&str, i128> = BTreeMap::new();
        for row in &self.rows {
            *fees.entry(&row.currency).or_default() += i128::from(row.fee_minor);
        }
        fees
    }

    /// Where what is paid out is not the sum of the rows.
    pub fn wrong_totals(&self) -> Vec<WrongTotal<'_>> {
        let mut totals: BTreeMap<&str, (i128, i128)> = BTreeMap::new();
        for (currency, net_minor) in &self.net_minor {
            totals.entry(currency).or_default().0 = i128::from(*net_minor);
        }
        for row in &self.rows {
            totals.entry(&row.currency).or_default().1 += row.net_minor();
        }
        let totals = totals.into_iter();
        let totals = totals.map(|(currency, (said_minor, found_minor))| WrongTotal {
            currency,
            said_minor,
            found_minor,
        });
        totals
            .filter(|total| total.said_minor != total.found_minor)
            .collect()
    }
}

impl SettlementRow {
    /// What it adds to the payout.
    fn net_minor(&self) -> i128 {
        let amount_minor = i128::from(self.amount_minor);
        let is_taken_from_us = matches!(self.movement.as_str(), "refund" | "dispute");
        let moved_minor = if is_taken_from_us {
            -amount_minor
        } else {
            amount_minor
        };
        moved_minor - i128::from(self.fee_minor)
    }

    /// The attempt or dispute that it would be with us; `None` if it cannot be ours.
    pub fn subject(&self) -> Option<Uuid> {
        if matches!(self.movement.as_str(), "dispute" | "dispute_won") {
            let charge = self.charge.parse::<AttemptId>().ok()?;
            Some(DisputeRow::id_of(charge, &self.name).0)
        } else {
            self.name.parse::<AttemptId>().ok().map(|id| id.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"report":"po_1","closed_at_ms":1,"rows":2,"net":{"EUR":685}}"#;
    const CHARGE: &str = r#"{"type":"charge","id":"att_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","amount":1000,"currency":"EUR","fee":15}"#;
    const REFUND: &str = r#"{"type":"refund","id":"nobody","amount":300,"currency":"EUR","fee":0}"#;

    fn read(lines: &[&str]) -> Result<SettlementReport, UnreadableReport> {
        SettlementReport::read(&lines.join("\n"))
    }

    #[test]
    fn a_report_is_read_whole_or_not_at_all() {
        let report = read(&[HEAD, CHARGE, REFUND]).unwrap();
        assert_eq!(report.fees_minor(), [("EUR", 15)].into());
        assert_eq!(report.rows[0].subject(), Some(Uuid::nil()));
        assert_eq!(report.rows[1].subject(), None);
        let refused = |lines: &[&str]| read(lines).unwrap_err().to_string();
        assert!(refused(&[HEAD, CHARGE]).contains("2 rows and has 1"));
        assert!(refused(&[HEAD, CHARGE, "{"]).starts_with("line 3"));
        assert!(refused(&[]).contains("empty"));
        // Money is whole minor units, however it is written.
        let broken = CHARGE.replace("1000", "10.5");
        assert!(refused(&[HEAD, &broken, REFUND]).starts_with("line 2"));
    }

    #[test]
    fn a_payout_is_the_sum_of_its_rows_in_each_currency() {
        let wrong = |head: &str, charge: &str| {
            let report = read(&[head, charge, REFUND]).unwrap();
            let totals = report.wrong_totals();
            let shown = totals
                .iter()
                .map(|one| format!("{} {} {}", one.currency, one.said_minor, one.found_minor));
            shown.collect::<Vec<_>>()
        };
        assert!(wrong(HEAD, CHARGE).is_empty());
        assert_eq!(wrong(&HEAD.replace("685", "686"), CHARGE), ["EUR 686 685"]);
        let dollars = CHARGE.replace("EUR", "USD");
        assert_eq!(wrong(HEAD, &dollars), ["EUR 685 -300", "USD 0 985"]);
        // A currency that no row has, and amounts whose sum no machine word holds.
        let more = HEAD.replace("685", r#"685,"USD":1"#);
        assert_eq!(wrong(&more, CHARGE), ["USD 1 0"]);
        let huge = CHARGE.replace("1000", &i64::MAX.to_string());
        let low = huge.replace("15", &i64::MIN.to_string());
        assert_eq!(wrong(HEAD, &low), ["EUR 685 18446744073709551315"]);
    }
}
