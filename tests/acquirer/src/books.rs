//! The books: one JSON line per charge, on disk before it counts.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
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
}

/// All charges ever made.
pub(crate) struct Books {
    file: File,
    charges: HashMap<String, Charge>,
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
        let charges = text[..whole]
            .lines()
            .map(|line| {
                let charge: Charge = serde_json::from_str(line)?;
                Ok((charge.id.clone(), charge))
            })
            .collect::<serde_json::Result<_>>()?;
        Ok(Self { file, charges })
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
        let mut line = serde_json::to_vec(&charge)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.charges.insert(charge.id.clone(), charge.clone());
        Ok(charge)
    }
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
        books.write(charge("two", 6)).unwrap();
        assert_eq!(Books::open(&path).unwrap().charges.len(), 2);
    }
}
