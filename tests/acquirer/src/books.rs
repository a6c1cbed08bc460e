//! The books: one JSON line per charge, on disk before it counts.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

/// One charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Charge {
    /// The attempt, as the caller names it.
    pub(crate) id: String,
    /// In minor units.
    pub(crate) amount: i64,
    /// ISO 4217 code.
    pub(crate) currency: String,
    /// `approved` or `declined`.
    pub(crate) status: String,
    /// Why it was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<String>,
    /// Our own reference.
    pub(crate) reference: String,
    /// When it was made.
    #[serde(default)]
    pub(crate) at_ms: i64,
    /// What the caller wants to find again.
    #[serde(default)]
    pub(crate) metadata: serde_json::Value,
}

/// A line of the books.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Charge(Charge),
    /// A charge was given back.
    Void {
        void: String,
        at_ms: i64,
    },
}

/// How many charges a page of the list has at most.
const PAGE_MAX: usize = 500;

/// All charges ever made.
pub(crate) struct Books {
    file: File,
    charges: HashMap<String, Charge>,
    /// Ids in the order they were charged.
    order: Vec<String>,
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
        let mut books = Self {
            file,
            charges: HashMap::new(),
            order: Vec::new(),
        };
        for line in text[..whole].lines() {
            books.remember(serde_json::from_str(line)?);
        }
        Ok(books)
    }

    fn remember(&mut self, line: Line) {
        match line {
            Line::Charge(charge) => {
                self.order.push(charge.id.clone());
                self.charges.insert(charge.id.clone(), charge);
            }
            Line::Void { void, .. } => {
                if let Some(charge) = self.charges.get_mut(&void) {
                    "voided".clone_into(&mut charge.status);
                }
            }
        }
    }

    fn append(&mut self, line: Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.file.sync_data()?;
        self.remember(line);
        Ok(())
    }

    /// Charges made since a time, oldest first, and where the next page begins.
    pub(crate) fn since(&self, since_ms: i64, after: usize) -> (Vec<&Charge>, Option<usize>) {
        let mut found = Vec::new();
        for (index, id) in self.order.iter().enumerate().skip(after) {
            let charge = &self.charges[id];
            if charge.at_ms >= since_ms {
                found.push(charge);
            }
            if found.len() == PAGE_MAX {
                return (found, Some(index + 1));
            }
        }
        (found, None)
    }

    /// Gives a charge back; `None` if there is none.
    pub(crate) fn void(&mut self, id: &str) -> io::Result<Option<Charge>> {
        let Some(known) = self.charges.get(id) else {
            return Ok(None);
        };
        if known.status == "approved" {
            let void = id.to_owned();
            self.append(Line::Void {
                void,
                at_ms: now_ms(),
            })?;
        }
        Ok(self.charges.get(id).cloned())
    }

    /// A charge made before.
    pub(crate) fn find(&self, id: &str) -> Option<&Charge> {
        self.charges.get(id)
    }

    /// Writes a charge down for good, or gives the one that was made with its id before.
    pub(crate) fn write(&mut self, mut charge: Charge) -> io::Result<Charge> {
        if let Some(known) = self.charges.get(&charge.id) {
            return Ok(known.clone());
        }
        charge.reference = format!("acq_{}", self.charges.len() + 1);
        charge.at_ms = now_ms();
        self.append(Line::Charge(charge.clone()))?;
        Ok(charge)
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn charge(id: &str, amount: i64) -> Charge {
        Charge {
            id: id.to_owned(),
            amount,
            currency: "EUR".to_owned(),
            status: "approved".to_owned(),
            code: None,
            reference: String::new(),
            at_ms: 0,
            metadata: serde_json::Value::Null,
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
        assert_eq!(books.since(first.at_ms, 0).0.len(), 2);
        assert_eq!(books.since(first.at_ms, 1).0, [&second]);
        assert!(books.since(i64::MAX, 0).0.is_empty());
    }
}
