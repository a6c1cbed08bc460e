//! Memory that survives a restart and a `kill -9`: tables of JSON documents over an append-only log.
//!
//! Every request's writes are one line of the log, written before the request is answered, so a
//! request is remembered wholly or not at all. A torn last line is dropped, since nobody was
//! answered; any other damage is refused. The log is rewritten at every start.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::clock::Millis;

type Tables = BTreeMap<String, BTreeMap<String, Value>>;

/// Tables of JSON documents. Keys are the caller's; lists are ordered by key.
#[derive(Debug)]
pub(crate) struct Store {
    tables: Tables,
    written: BTreeSet<(String, String)>,
    log: File,
    path: PathBuf,
    /// Simulated time of the last write.
    pub(crate) last_at: Millis,
}

/// A copy of all documents, as stale reads see them.
#[derive(Clone, Debug)]
pub(crate) struct Past(Tables);

#[derive(Serialize, Deserialize)]
struct Line {
    at: Millis,
    set: Vec<(String, String, Option<Value>)>,
}

impl Store {
    /// Opens or creates the log in `dir`.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("state.jsonl");
        let mut tables = Tables::new();
        let mut last_at = 0;
        for line in Self::lines(&path)? {
            last_at = line.at;
            for (table, key, value) in line.set {
                let table = tables.entry(table).or_default();
                match value {
                    Some(value) => table.insert(key, value),
                    None => table.remove(&key),
                };
            }
        }
        let log = Self::rewrite(&path, &tables, last_at)?;
        Ok(Self {
            tables,
            written: BTreeSet::new(),
            log,
            path,
            last_at,
        })
    }

    /// The whole lines of the log; none if there is no log yet.
    fn lines(path: &Path) -> io::Result<Vec<Line>> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        let lines = bytes[..whole].split(|byte| *byte == b'\n').enumerate();
        lines
            .filter(|(_, line)| !line.is_empty())
            .map(|(number, line)| {
                serde_json::from_slice(line).map_err(|error| {
                    let number = number + 1;
                    let why = format!(
                        "line {number} of {} is damaged: {error}. Bring the file back, or move it \
                         away to begin with an empty cloud",
                        path.display()
                    );
                    io::Error::new(io::ErrorKind::InvalidData, why)
                })
            })
            .collect()
    }

    fn rewrite(path: &Path, tables: &Tables, at: Millis) -> io::Result<File> {
        let set = tables
            .iter()
            .flat_map(|(table, rows)| {
                rows.iter()
                    .map(|(key, value)| (table.clone(), key.clone(), Some(value.clone())))
            })
            .collect();
        let mut text = serde_json::to_string(&Line { at, set })?;
        text.push('\n');
        super::layout::write_privately(path, text.as_bytes())?;
        OpenOptions::new().append(true).open(path)
    }

    /// The document `key` of `table`.
    pub(crate) fn find(&self, table: &str, key: &str) -> Option<&Value> {
        self.tables.get(table)?.get(key)
    }

    /// All documents of `table`, ordered by key.
    pub(crate) fn list(&self, table: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.tables.get(table).into_iter().flatten()
    }

    /// The keys of `table` that start with `prefix`, in order.
    pub(crate) fn keys(&self, table: &str, prefix: &str) -> Vec<String> {
        self.list(table)
            .map(|(key, _)| key)
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// Writes a document.
    pub(crate) fn put(&mut self, table: &str, key: &str, value: Value) {
        self.tables
            .entry(table.into())
            .or_default()
            .insert(key.into(), value);
        self.written.insert((table.into(), key.into()));
    }

    /// Changes a document in place; false if there is none.
    pub(crate) fn change(&mut self, table: &str, key: &str, by: impl FnOnce(&mut Value)) -> bool {
        let Some(value) = self
            .tables
            .get_mut(table)
            .and_then(|rows| rows.get_mut(key))
        else {
            return false;
        };
        by(value);
        self.written.insert((table.into(), key.into()));
        true
    }

    /// Forgets a document.
    pub(crate) fn remove(&mut self, table: &str, key: &str) -> Option<Value> {
        let gone = self.tables.get_mut(table)?.remove(key)?;
        self.written.insert((table.into(), key.into()));
        Some(gone)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.tables.clear();
        self.written.clear();
    }

    /// Makes all writes since the last commit durable, as one line.
    pub(crate) fn commit(&mut self, at: Millis) -> io::Result<()> {
        if self.written.is_empty() {
            return Ok(());
        }
        let set = std::mem::take(&mut self.written)
            .into_iter()
            .map(|(table, key)| {
                let value = self.find(&table, &key).cloned();
                (table, key, value)
            })
            .collect();
        self.last_at = at;
        let mut text = serde_json::to_string(&Line { at, set })?;
        text.push('\n');
        self.log.write_all(text.as_bytes())
    }

    /// Rewrites the log to what is known now.
    pub(crate) fn compact(&mut self, at: Millis) -> io::Result<()> {
        self.written.clear();
        self.last_at = at;
        self.log = Self::rewrite(&self.path, &self.tables, at)?;
        Ok(())
    }

    /// All documents, as JSON.
    pub(crate) fn export(&self) -> Value {
        serde_json::to_value(&self.tables).unwrap_or_default()
    }

    /// Puts what [`Store::export`] gave in the place of everything.
    pub(crate) fn import(&mut self, tables: &Value) -> Result<(), String> {
        self.tables = Tables::deserialize(tables).map_err(|error| error.to_string())?;
        self.written.clear();
        Ok(())
    }

    /// A copy of all documents that can be stale.
    pub(crate) fn past(&self) -> Past {
        let stale = self.tables.iter().filter(|(name, _)| can_be_stale(name));
        Past(
            stale
                .map(|(name, rows)| (name.clone(), rows.clone()))
                .collect(),
        )
    }

    /// Exchanges the documents that can be stale with a copy; call twice around a stale read.
    pub(crate) fn swap(&mut self, past: &mut Past) {
        let names: BTreeSet<String> = self
            .tables
            .keys()
            .chain(past.0.keys())
            .filter(|name| can_be_stale(name))
            .cloned()
            .collect();
        for name in names {
            let here = self.tables.remove(&name);
            if let Some(rows) = past.0.remove(&name) {
                self.tables.insert(name.clone(), rows);
            }
            if let Some(rows) = here {
                past.0.insert(name, rows);
            }
        }
    }

    /// Forgets which documents were written since the last commit (after a stale read).
    pub(crate) fn forget_writes(&mut self) {
        self.written.clear();
    }
}

/// A read may be stale; a token, a secret or an operation is known at once.
fn can_be_stale(table: &str) -> bool {
    !table.starts_with("operations/") && !table.contains("token") && !table.contains("secret")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_committed_survives_and_a_torn_line_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        store.put("t", "a", json!(1));
        store.commit(5).unwrap();
        // Torn inside a letter of two bytes.
        store
            .log
            .write_all(b"{\"at\":6,\"set\":[[\"t\",\"caf\xc3")
            .unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.keys("t", ""), ["a"]);
        assert_eq!(store.last_at, 5);
    }

    #[test]
    fn a_damaged_line_is_refused_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.jsonl");
        let damaged = "{\"at\":5,\"set\":[]}\nnonsense\n{\"at\":6,\"set\":[]}\n";
        fs::write(&path, damaged).unwrap();
        let error = Store::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("line 2 of "), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
    }
}
