//! The guide that lists every code: a user searches for `PM042` and finds what to do.

use std::fmt::Write;

use super::page::Page;
use crate::findings::{Code, codes};

pub(super) fn page(provider: &str, rows: &[(Code, &str, &str)]) -> String {
    let mut all: Vec<_> = codes::ROWS.iter().chain(rows).collect();
    all.sort_by_key(|(code, ..)| *code);
    let mut table = "| code | what it means | what to do |\n|---|---|---|\n".to_owned();
    for (code, meaning, remedy) in all {
        let row = [meaning, remedy].map(|cell| cell.replace('|', "\\|").replace('\n', " "));
        writeln!(table, "| `{code}` | {} | {} |", row[0], row[1])
            .expect("writing to a string does not fail");
    }
    let description = format!("Every error and warning of the {provider} provider, by its code.");
    Page::new("Error codes", "Guides", &description)
        .heading(1, "Error codes")
        .text("Errors and warnings end with a stable code such as `(PM005 at region)`.")
        .text(&table)
        .finish()
}
