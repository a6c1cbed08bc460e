//! Payouts: what was done and is settled, once, with a report of every movement.

use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize};

use crate::{
    books::{Books, Line, Row, now_ms},
    disputes::Dispute,
};

/// A movement that is settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Movement {
    /// `charge`, `capture`, `refund`, `dispute` or `dispute_won`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The attempt, or the dispute.
    pub(crate) id: String,
    /// Of a dispute: the attempt it is about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) charge: String,
    /// In minor units.
    pub(crate) amount: i64,
    /// ISO 4217 code.
    pub(crate) currency: String,
    /// Our price.
    pub(crate) fee: i64,
}

/// A payout, written down as a whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Payout {
    /// What it is called.
    #[serde(rename = "payout")]
    pub(crate) name: String,
    /// When it was made.
    pub(crate) at_ms: i64,
    /// What it settles.
    pub(crate) movements: Vec<Movement>,
}

impl Movement {
    /// A movement is settled once under this.
    pub(crate) fn key(&self) -> (String, String) {
        (self.kind.clone(), self.id.clone())
    }

    /// What a charge or an operation moved, if it moved anything.
    pub(crate) fn of_row(row: &Row) -> Option<Self> {
        let kind = match row.kind.as_str() {
            _ if row.status != "approved" => return None,
            "" => "charge",
            "capture" | "refund" => row.kind.as_str(),
            _ => return None,
        };
        Some(Self {
            kind: kind.to_owned(),
            id: row.id.clone(),
            charge: String::new(),
            amount: row.amount,
            currency: row.currency.clone(),
            // One and a half percent, half up.
            fee: if kind == "refund" {
                0
            } else {
                (row.amount * 15 + 500) / 1_000
            },
        })
    }

    /// What a change of a dispute moved, if it moved anything.
    pub(crate) fn of_dispute(told: &Dispute) -> Option<Self> {
        let kind = match told.status.as_str() {
            _ if told.astray => return None,
            "needs_response" => "dispute",
            "won" => "dispute_won",
            _ => return None,
        };
        Some(Self {
            kind: kind.to_owned(),
            id: told.name.clone(),
            charge: told.charge.clone(),
            amount: told.amount,
            currency: told.currency.clone(),
            fee: 0,
        })
    }
}

impl Payout {
    /// The report: what is settled, then a line for each movement.
    pub(crate) fn report(&self) -> String {
        let mut net: BTreeMap<&str, i64> = BTreeMap::new();
        for row in &self.movements {
            let is_back = matches!(row.kind.as_str(), "refund" | "dispute");
            let moved = if is_back { -row.amount } else { row.amount };
            *net.entry(&row.currency).or_default() += moved - row.fee;
        }
        let head = serde_json::json!({
            "report": self.name,
            "closed_at_ms": self.at_ms,
            "rows": self.movements.len(),
            "net": net,
        });
        let rows = self.movements.iter().map(|row| serde_json::json!(row));
        let lines = std::iter::once(head).chain(rows);
        let lines = lines.map(|line| line.to_string());
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }
}

impl Books {
    /// Settles what was done and is not settled yet; gives the report.
    pub(crate) fn pay_out(&mut self) -> io::Result<String> {
        let rows = self.order.iter().map(|id| &self.rows[id]);
        let moved = rows.filter_map(Movement::of_row);
        let moved = moved.chain(self.notices.iter().filter_map(Movement::of_dispute));
        let mut settled = self.settled.clone();
        let payout = Payout {
            name: format!("po_{}", self.payouts.len() + 1),
            at_ms: now_ms(),
            movements: moved.filter(|one| settled.insert(one.key())).collect(),
        };
        let report = payout.report();
        self.append(Line::Payout(payout))?;
        Ok(report)
    }

    /// The report of a payout.
    pub(crate) fn report(&self, name: &str) -> Option<String> {
        let found = self.payouts.iter().find(|payout| payout.name == name);
        found.map(Payout::report)
    }
}
