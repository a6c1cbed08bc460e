//! Every request, numbered and redacted. The numbers continue over restarts.
//!
//! An entry is made when the request arrives and completed when it is answered, so a request that
//! was cut shows as one without status.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// One request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Place in the order of arrival, from 1.
    pub(crate) number: u64,
    /// Simulated time of arrival.
    pub(crate) at: String,
    /// `azure`, `google` or `terraform`.
    pub(crate) api: String,
    /// The verb.
    pub(crate) method: String,
    /// The path as sent.
    pub(crate) path: String,
    /// The query, with signatures and secrets taken out.
    pub(crate) query: String,
    /// How many requests with this verb and path came before, plus one.
    pub(crate) ordinal: u32,
    /// The answer's status; absent while unanswered, and for ever if the connection was cut.
    pub(crate) status: Option<u16>,
    /// Real milliseconds until the answer.
    pub(crate) duration_ms: Option<u64>,
    /// Who asked.
    pub(crate) principal: Option<String>,
    /// The long-running operation that the request started or polled.
    pub(crate) operation: Option<String>,
    /// What a cloud said when it refused the request, as far as it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refusal: Option<String>,
    /// The correlation id of the answer.
    pub(crate) correlation: String,
    /// The fault rules that touched the request.
    pub(crate) faults: Vec<String>,
}

/// All requests so far.
#[derive(Debug)]
pub(crate) struct Journal {
    entries: Vec<Entry>,
    counts: BTreeMap<String, u32>,
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Opens or creates the journal in `dir`.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        let path = dir.join("journal.jsonl");
        let mut entries = BTreeMap::new();
        let mut counts = BTreeMap::new();
        if let Ok(text) = fs::read_to_string(&path) {
            for entry in text
                .lines()
                .filter_map(|line| serde_json::from_str::<Entry>(line).ok())
            {
                counts.insert(format!("{} {}", entry.method, entry.path), entry.ordinal);
                entries.insert(entry.number, entry);
            }
        }
        let file = Self::append_to(&path)?;
        Ok(Self {
            entries: entries.into_values().collect(),
            counts,
            file,
            path,
        })
    }

    fn append_to(path: &Path) -> io::Result<File> {
        if !path.exists() {
            super::layout::write_privately(path, b"")?;
        }
        OpenOptions::new().append(true).open(path)
    }

    /// Numbers a request; returns its number and ordinal.
    pub(crate) fn begin(&mut self, mut entry: Entry) -> (u64, u32) {
        let count = self
            .counts
            .entry(format!("{} {}", entry.method, entry.path))
            .or_insert(0);
        *count += 1;
        entry.ordinal = *count;
        entry.number = self.entries.last().map_or(0, |entry| entry.number) + 1;
        let numbers = (entry.number, entry.ordinal);
        self.write(&entry);
        self.entries.push(entry);
        numbers
    }

    /// Completes an entry.
    pub(crate) fn end(&mut self, number: u64, by: impl FnOnce(&mut Entry)) {
        if let Ok(at) = self
            .entries
            .binary_search_by_key(&number, |entry| entry.number)
        {
            by(&mut self.entries[at]);
            let entry = self.entries[at].clone();
            self.write(&entry);
        }
    }

    fn write(&mut self, entry: &Entry) {
        if let Ok(mut line) = serde_json::to_string(entry) {
            line.push('\n');
            if let Err(error) = self.file.write_all(line.as_bytes()) {
                tracing::warn!(%error, path = %self.path.display(), "the journal cannot be written");
            }
        }
    }

    /// The entries after number `since`.
    pub(crate) fn since(&self, since: u64) -> &[Entry] {
        &self.entries[self.entries.partition_point(|entry| entry.number <= since)..]
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.entries.clear();
        self.counts.clear();
        super::layout::write_privately(&self.path, b"")?;
        self.file = Self::append_to(&self.path)?;
        Ok(())
    }
}

/// The query without what must not be written down.
pub(crate) fn redact_query(query: &str) -> String {
    const OPEN: [&str; 12] = [
        "api-version",
        "$filter",
        "$expand",
        "$top",
        "$alt",
        "alt",
        "pageToken",
        "pageSize",
        "view",
        "format",
        "prettyPrint",
        "ID",
    ];
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let name = part.split('=').next().unwrap_or_default();
            let plain = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
            if OPEN.contains(&plain.as_ref()) {
                part.into()
            } else {
                format!("{name}=REDACTED")
            }
        })
        .collect::<Vec<String>>()
        .join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_not_written_down() {
        assert_eq!(
            redact_query("api-version=2026&t=1&s=x%2F"),
            "api-version=2026&t=REDACTED&s=REDACTED"
        );
    }

    #[test]
    fn numbers_continue_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let entry = || Entry {
            method: "GET".into(),
            path: "/a".into(),
            ..Entry::default()
        };
        assert_eq!(Journal::open(dir.path()).unwrap().begin(entry()), (1, 1));
        assert_eq!(Journal::open(dir.path()).unwrap().begin(entry()), (2, 2));
    }
}
