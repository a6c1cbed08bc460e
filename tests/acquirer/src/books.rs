//! The books: one JSON line per charge, operation or change of a dispute, on disk before anybody is
//! told of it.

use std::{
    collections::{HashMap, HashSet},
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use crate::{
    disputes::Dispute,
    payouts::{Movement, Payout},
};

/// A charge, or something that was done with one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The attempt, as the caller names it.
    pub(crate) id: String,
    /// `authorize`, `capture`, `void`, `refund`, `contest` or `accept`; empty for a charge.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) kind: String,
    /// What it was done with.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) charge: String,
    /// Which dispute it answers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) dispute: String,
    /// What was answered.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) explanation: String,
    /// In minor units.
    pub(crate) amount: i64,
    /// ISO 4217 code.
    pub(crate) currency: String,
    /// `approved`, `declined` or `requires_action`.
    pub(crate) status: String,
    /// Why it was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// The token it was made with, which also says how what is done with it goes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) token: String,
    /// Where the customer has to go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) action_url: Option<String>,
    /// Our own reference.
    pub(crate) reference: String,
    /// When it was made.
    #[serde(default)]
    pub(crate) at_ms: i64,
    /// How long it was made to wait on purpose, if it was: in microseconds, as it turned out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delay_us: Option<u64>,
    /// What the caller wants to find again.
    #[serde(default)]
    pub(crate) metadata: serde_json::Value,
}

/// A line of the books.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    Row(Box<Row>),
    Dispute(Dispute),
    Payout(Payout),
    /// A charge was given back.
    Void {
        void: String,
        at_ms: i64,
    },
    /// The customer did what was required, or not.
    Decided {
        decided: String,
        status: String,
        code: Option<String>,
    },
}

/// How many rows a page of a list has at most.
pub(crate) const PAGE_MAX: usize = 500;

/// The disk beneath the books. Those who wrote at the same time wait for it once.
pub(crate) struct Disk {
    file: File,
    /// How often something was written.
    written: AtomicU64,
    /// How much of that is on disk.
    kept: Mutex<u64>,
}

impl Disk {
    /// Returns once all that is written by now is on disk.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let wanted = self.written.load(Ordering::Acquire);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if *kept < wanted {
            let written = self.written.load(Ordering::Acquire);
            self.file.sync_data()?;
            *kept = written;
        }
        Ok(())
    }
}

/// Everything that was ever done. What is written here is told to nobody before [`Disk::keep`].
pub(crate) struct Books {
    disk: Arc<Disk>,
    pub(crate) rows: HashMap<String, Row>,
    /// Ids in the order they were written.
    pub(crate) order: Vec<String>,
    /// Disputes as they are.
    pub(crate) disputes: HashMap<String, Dispute>,
    /// What was told of them.
    pub(crate) notices: Vec<Dispute>,
    pub(crate) payouts: Vec<Payout>,
    /// What is settled, by type and id.
    pub(crate) settled: HashSet<(String, String)>,
}

impl Books {
    /// Opens the books. A last line that was cut by a crash never counted, and is taken away.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = text.rfind('\n').map_or(0, |last| last + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        file.sync_all()?;
        let disk = Disk {
            file,
            written: AtomicU64::new(0),
            kept: Mutex::new(0),
        };
        let mut books = Self {
            disk: Arc::new(disk),
            rows: HashMap::new(),
            order: Vec::new(),
            disputes: HashMap::new(),
            notices: Vec::new(),
            payouts: Vec::new(),
            settled: HashSet::new(),
        };
        for line in text[..whole].lines() {
            books.remember(serde_json::from_str(line)?);
        }
        Ok(books)
    }

    /// Where they are.
    pub(crate) fn disk(&self) -> Arc<Disk> {
        self.disk.clone()
    }

    fn remember(&mut self, line: Line) {
        let voided = match line {
            Line::Void { void, .. } => void,
            Line::Payout(payout) => {
                self.settled
                    .extend(payout.movements.iter().map(Movement::key));
                self.payouts.push(payout);
                return;
            }
            Line::Dispute(told) => {
                if !told.astray {
                    self.disputes.insert(told.name.clone(), told.clone());
                }
                self.notices.push(told);
                return;
            }
            Line::Decided {
                decided,
                status,
                code,
            } => {
                if let Some(charge) = self.rows.get_mut(&decided) {
                    (charge.status, charge.code) = (status, code);
                }
                return;
            }
            Line::Row(row) => {
                let is_void = row.kind == "void" && row.status == "approved";
                let voided = if is_void {
                    row.charge.clone()
                } else {
                    String::new()
                };
                self.order.push(row.id.clone());
                self.rows.insert(row.id.clone(), *row);
                voided
            }
        };
        if let Some(charge) = self.rows.get_mut(&voided) {
            "voided".clone_into(&mut charge.status);
        }
    }

    pub(crate) fn append(&mut self, line: Line) -> io::Result<()> {
        self.append_all(vec![line])
    }

    /// Lines that belong together are written at once.
    fn append_all(&mut self, lines: Vec<Line>) -> io::Result<()> {
        let mut text = Vec::new();
        for line in &lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        (&self.disk.file).write_all(&text)?;
        self.disk.written.fetch_add(1, Ordering::Release);
        for line in lines {
            self.remember(line);
        }
        Ok(())
    }

    /// Charges made since a time, or operations, oldest first, and where the next page begins.
    pub(crate) fn since(
        &self,
        is_charge: bool,
        since_ms: i64,
        after: usize,
    ) -> (Vec<&Row>, Option<usize>) {
        let mut found = Vec::new();
        for (index, id) in self.order.iter().enumerate().skip(after) {
            let row = &self.rows[id];
            if row.at_ms >= since_ms && row.kind.is_empty() == is_charge {
                found.push(row);
            }
            if found.len() == PAGE_MAX {
                return (found, Some(index + 1));
            }
        }
        (found, None)
    }

    /// Gives a charge back; `None` if there is none.
    pub(crate) fn void(&mut self, id: &str) -> io::Result<Option<Row>> {
        let Some(known) = self.rows.get(id) else {
            return Ok(None);
        };
        if known.status == "approved" {
            let void = id.to_owned();
            self.append(Line::Void {
                void,
                at_ms: now_ms(),
            })?;
        }
        Ok(self.rows.get(id).cloned())
    }

    /// The customer does what a charge requires, or not; `None` if it requires nothing.
    pub(crate) fn decide(&mut self, id: &str, approve: bool) -> io::Result<Option<Row>> {
        let is_waiting = |charge: &Row| charge.status == "requires_action";
        if !self.rows.get(id).is_some_and(is_waiting) {
            return Ok(None);
        }
        self.append(Line::Decided {
            decided: id.to_owned(),
            status: if approve { "approved" } else { "declined" }.to_owned(),
            code: (!approve).then(|| "authentication_failed".to_owned()),
        })?;
        Ok(self.rows.get(id).cloned())
    }

    /// What was done before under an id.
    pub(crate) fn find(&self, id: &str) -> Option<&Row> {
        self.rows.get(id)
    }

    /// How much was done of a kind with a charge.
    pub(crate) fn done(&self, kind: &str, charge: &str) -> i64 {
        let rows = self.rows.values();
        rows.filter(|row| row.kind == kind && row.charge == charge && row.status == "approved")
            .map(|row| row.amount)
            .sum()
    }

    /// Writes a row down for good, or gives the one that was made with its id before.
    pub(crate) fn write(&mut self, mut row: Row) -> io::Result<Row> {
        if let Some(known) = self.rows.get(&row.id) {
            return Ok(known.clone());
        }
        row.reference = format!("acq_{}", self.rows.len() + 1);
        row.at_ms = now_ms();
        let mut lines = vec![Line::Row(Box::new(row.clone()))];
        if row.status == "approved" {
            lines.extend(self.follows(&row).into_iter().map(Line::Dispute));
        }
        self.append_all(lines)?;
        Ok(row)
    }
}

pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(id: &str, amount: i64) -> Row {
        Row {
            id: id.to_owned(),
            amount,
            currency: "EUR".to_owned(),
            status: "approved".to_owned(),
            ..Row::default()
        }
    }

    #[test]
    fn a_charge_is_made_once_and_survives_a_crash_in_the_middle_of_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("books.jsonl");
        let mut books = Books::open(&path).unwrap();
        let first = books.write(charge("one", 5)).unwrap();
        assert_eq!(books.write(charge("one", 5)).unwrap(), first);
        drop(books);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"id\":\"two\",\"amo").unwrap();
        let mut books = Books::open(&path).unwrap();
        assert_eq!(books.find("one"), Some(&first));
        assert_eq!(books.find("two"), None);
        let second = books.write(charge("two", 6)).unwrap();
        books.void("one").unwrap();
        books.void("one").unwrap();
        let books = Books::open(&path).unwrap();
        assert_eq!(books.find("one").unwrap().status, "voided");
        assert_eq!(books.since(true, first.at_ms, 0).0.len(), 2);
        assert_eq!(books.since(true, first.at_ms, 1).0, [&second]);
        assert!(books.since(true, i64::MAX, 0).0.is_empty());
        assert!(books.since(false, 0, 0).0.is_empty());
    }
}
