//! What a run with `-json` found: one diagnostic a line.

use std::fmt;

use serde_json::Value;

use crate::Run;

/// One diagnostic.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Whether it is an error; a warning otherwise.
    pub is_error: bool,
    /// The resource, such as `paymesh_cluster.one`.
    pub address: String,
    /// The title.
    pub title: String,
    /// Everything below the title.
    pub text: String,
}

impl Finding {
    /// The code in the last line: `PM086`.
    pub fn code(&self) -> Option<&str> {
        let inner = self.last_line()?;
        Some(inner.split_once(" at ").map_or(inner, |(code, _)| code))
    }

    /// The attribute in the last line: `node_pools["work"].max_nodes`.
    pub fn path(&self) -> Option<&str> {
        Some(self.last_line()?.split_once(" at ")?.1)
    }

    fn last_line(&self) -> Option<&str> {
        let line = self.text.lines().last()?;
        line.strip_prefix("(PM")?;
        line.strip_prefix('(')?.strip_suffix(')')
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.is_error { "error" } else { "warning" };
        let text = self.text.replace('\n', "\n    ");
        writeln!(
            f,
            "  {severity} at {}: {}\n    {text}",
            self.address, self.title
        )
    }
}

impl Run {
    /// The diagnostics of a run that was started with `-json`.
    pub fn findings(&self) -> Vec<Finding> {
        let lines = self.output.lines();
        let entries = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        entries
            .filter(|entry| entry["type"] == "diagnostic")
            .map(|entry| {
                let diagnostic = &entry["diagnostic"];
                let word = |key: &str| diagnostic[key].as_str().unwrap_or_default().to_owned();
                Finding {
                    is_error: diagnostic["severity"] == "error",
                    address: word("address"),
                    title: word("summary"),
                    text: word("detail"),
                }
            })
            .collect()
    }
}
