//! Disputes: money that a customer's bank takes back, and what is told of it.
//!
//! | token | behaviour |
//! |---|---|
//! | `tok_dispute` | disputed as soon as its money is taken; decided by hand |
//! | `tok_dispute_won` | the same; the merchant wins when they contest it |
//! | `tok_dispute_lost` | the same; the merchant loses when they contest it |

use std::io;

use serde::{Deserialize, Serialize};

use crate::books::{Books, Line, PAGE_MAX, Row, now_ms};

/// How long a dispute can be answered.
const RESPOND_MS: i64 = 7 * 24 * 3_600_000;

/// A dispute as it was after one of its changes; its lines in the books are what callers are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dispute {
    /// What it is called.
    #[serde(rename = "dispute")]
    pub(crate) name: String,
    /// The charge, as its caller names it.
    pub(crate) charge: String,
    /// In minor units.
    pub(crate) amount: i64,
    /// ISO 4217 code.
    pub(crate) currency: String,
    /// Why.
    pub(crate) reason: String,
    /// `needs_response`, `under_review`, `won` or `lost`.
    pub(crate) status: String,
    /// Grows with every change.
    pub(crate) version: i64,
    /// Until when it can be answered.
    pub(crate) respond_by_ms: i64,
    /// When it was told.
    pub(crate) at_ms: i64,
    /// Told, and not so: late, again or wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) astray: bool,
}

impl Dispute {
    /// A new one.
    pub(crate) fn raise(number: usize, charge: &Row, amount: i64, at_ms: i64) -> Self {
        Self {
            name: format!("dp_{number}"),
            charge: charge.id.clone(),
            amount,
            currency: charge.currency.clone(),
            reason: "fraudulent".to_owned(),
            status: "needs_response".to_owned(),
            version: 1,
            respond_by_ms: at_ms + RESPOND_MS,
            at_ms,
            astray: false,
        }
    }

    /// The same after a change.
    pub(crate) fn becomes(&self, status: &str, at_ms: i64) -> Self {
        Self {
            status: status.to_owned(),
            version: self.version + 1,
            at_ms,
            ..self.clone()
        }
    }

    /// Whether it never changes again.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "won" | "lost")
    }

    /// What becomes of it when it is answered, one after the other.
    pub(crate) fn answered(&self, kind: &str, token: &str, at_ms: i64) -> Vec<Self> {
        if kind == "accept" {
            return vec![self.becomes("lost", at_ms)];
        }
        let reviewed = self.becomes("under_review", at_ms);
        let end = match token {
            "tok_dispute_won" => Some(reviewed.becomes("won", at_ms)),
            "tok_dispute_lost" => Some(reviewed.becomes("lost", at_ms)),
            _ => None,
        };
        std::iter::once(reviewed).chain(end).collect()
    }
}

impl Books {
    /// What becomes of disputes when something was done.
    pub(crate) fn follows(&self, done: &Row) -> Vec<Dispute> {
        let charge = match done.kind.as_str() {
            "" => done,
            _ => match self.rows.get(&done.charge) {
                Some(charge) => charge,
                None => return Vec::new(),
            },
        };
        match done.kind.as_str() {
            "" | "capture" if is_disputed(&charge.token) => {
                let number = self.disputes.len() + 1;
                vec![Dispute::raise(number, charge, done.amount, done.at_ms)]
            }
            "contest" | "accept" => self
                .dispute(&done.dispute)
                .map_or_else(Vec::new, |dispute| {
                    dispute.answered(&done.kind, &charge.token, done.at_ms)
                }),
            _ => Vec::new(),
        }
    }

    /// A dispute as it is.
    pub(crate) fn dispute(&self, name: &str) -> Option<&Dispute> {
        self.disputes.get(name)
    }

    /// How much of a charge customers took back and did not lose again.
    pub(crate) fn disputed(&self, charge: &str) -> i64 {
        let disputes = self.disputes.values();
        let away = disputes.filter(|one| one.charge == charge && one.status != "won");
        away.map(|one| one.amount).sum()
    }

    /// Raises a dispute of a charge, of all that is left of it unless an amount is said; `None` if
    /// that is more than is left.
    pub(crate) fn raise(&mut self, id: &str, amount: Option<i64>) -> io::Result<Option<Dispute>> {
        let Some(charge) = self.rows.get(id).filter(|row| row.status == "approved") else {
            return Ok(None);
        };
        let left = self.taken(charge) - self.done("refund", id) - self.disputed(id);
        let amount = amount.unwrap_or(left);
        if !(1..=left).contains(&amount) {
            return Ok(None);
        }
        let dispute = Dispute::raise(self.disputes.len() + 1, charge, amount, now_ms());
        self.append(Line::Dispute(dispute.clone()))?;
        Ok(Some(dispute))
    }

    /// How much of a charge was taken.
    pub(crate) fn taken(&self, charge: &Row) -> i64 {
        match charge.kind.as_str() {
            "authorize" => self.done("capture", &charge.id),
            _ => charge.amount,
        }
    }

    /// Brings a dispute to its end; `None` if it came to one before.
    pub(crate) fn end(&mut self, name: &str, status: &str) -> io::Result<Option<Dispute>> {
        let open = self.dispute(name).filter(|dispute| !dispute.is_final());
        let Some(ended) = open.map(|dispute| dispute.becomes(status, now_ms())) else {
            return Ok(None);
        };
        self.append(Line::Dispute(ended.clone()))?;
        Ok(Some(ended))
    }

    /// Tells something of a dispute that is not so; `None` if there is no such dispute.
    pub(crate) fn mislead(
        &mut self,
        name: &str,
        status: &str,
        version: i64,
    ) -> io::Result<Option<Dispute>> {
        let Some(dispute) = self.dispute(name) else {
            return Ok(None);
        };
        let told = Dispute {
            status: status.to_owned(),
            version,
            astray: true,
            at_ms: now_ms(),
            ..dispute.clone()
        };
        self.append(Line::Dispute(told.clone()))?;
        Ok(Some(told))
    }

    /// What was told after so many notices, and whether there is more.
    pub(crate) fn notices(&self, after: usize) -> (&[Dispute], bool) {
        let rest = self.notices.get(after..).unwrap_or_default();
        let count = rest.len().min(PAGE_MAX);
        (&rest[..count], count < rest.len())
    }
}

/// Whether the money of a charge with such a token is disputed as soon as it is taken.
pub(crate) fn is_disputed(token: &str) -> bool {
    matches!(
        token,
        "tok_dispute" | "tok_dispute_won" | "tok_dispute_lost"
    )
}
