//! The rules of the tree that no compiler checks, as ordinary tests in `tests/`.
//!
//! This library only reads the tree; it depends on no room of the project.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The top of the tree.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("this crate is two folders below the top")
        .to_owned()
}

/// What follows `mark` in a text, up to the end of a name, each once.
pub fn names_after(text: &str, mark: &str) -> BTreeSet<String> {
    let name = |rest: &str| {
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    text.split(mark).skip(1).map(name).collect()
}

/// The metric of the payment services that a series belongs to, both without `paymesh_`: a histogram
/// has several series.
pub fn metric_of(series: &str) -> &str {
    let parts = ["_bucket", "_sum", "_count"];
    let metric = parts.iter().find_map(|part| series.strip_suffix(part));
    metric.unwrap_or(series)
}

/// Every file below `folder` (relative to the top) whose name ends in `ending`, sorted, as paths
/// relative to the top with their text. Build output is left out.
pub fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&top().join(folder), ending, &mut found);
    found.sort();
    found
}

fn walk(folder: &Path, ending: &str, found: &mut Vec<(String, String)>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            walk(&path, ending, found);
        } else if name.ends_with(ending)
            && path.is_file()
            && let (Ok(relative), Ok(text)) = (path.strip_prefix(top()), fs::read_to_string(&path))
        {
            found.push((relative.to_string_lossy().into_owned(), text));
        }
    }
}
