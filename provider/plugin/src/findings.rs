//! What is wrong, or worth knowing: all of it at once, each with its place and what to do next.
//!
//! A finding has a short title without values, a detail that says what happened, a next step, the
//! path of the attribute at fault, and a stable code with a row in the docs. A problem does not stop
//! the search for the next one: whoever looks adds to one [`Findings`] and goes on.

use std::fmt;

use crate::path::Path;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; the operation continues.
    Warning,
    /// The operation cannot continue.
    Error,
}

/// A stable number that users can search for, printed as `PM042`.
///
/// 1 to 19 belong to the typed layer (see [`codes`]); authors number theirs from 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PM{:03}", self.0)
    }
}

/// The codes of what the typed layer itself finds.
pub mod codes {
    use super::Code;

    /// A required value is missing.
    pub const MISSING: Code = Code(1);
    /// A value is of another type than its attribute.
    pub const WRONG_TYPE: Code = Code(2);
    /// A number does not fit its attribute.
    pub const NUMBER: Code = Code(3);
    /// A word is not one of the allowed values.
    pub const NOT_ALLOWED: Code = Code(4);
    /// A value breaks the rule of its attribute.
    pub const CHECK: Code = Code(5);
    /// None of several attributes is set, and one must be.
    pub const NONE_SET: Code = Code(6);
    /// Several attributes are set that exclude each other.
    pub const SEVERAL_SET: Code = Code(7);
    /// The key of a map breaks its rule.
    pub const KEY: Code = Code(8);
    /// A value is still unknown where it must be known.
    pub const UNKNOWN: Code = Code(9);
    /// A change takes a new object.
    pub const REPLACED: Code = Code(10);

    /// Every code of the typed layer with its row of the docs: code, meaning, what to do.
    pub const ROWS: &[(Code, &str, &str)] = &[
        (MISSING, "A required value is missing", "Set the attribute."),
        (
            WRONG_TYPE,
            "A value is of another type than its attribute",
            "Write a value of the type that the attribute's page names.",
        ),
        (
            NUMBER,
            "A number does not fit its attribute",
            "Use a whole number within the range that the attribute's page names.",
        ),
        (
            NOT_ALLOWED,
            "A word is not one of the allowed values",
            "Use one of the words that the message lists.",
        ),
        (
            CHECK,
            "A value breaks the rule of its attribute",
            "Follow the rule that the message states.",
        ),
        (
            NONE_SET,
            "None of several attributes is set, and one must be",
            "Set exactly one of the attributes that the message lists.",
        ),
        (
            SEVERAL_SET,
            "Several attributes are set that exclude each other",
            "Keep one of the attributes that the message lists and remove the others.",
        ),
        (
            KEY,
            "The key of a map breaks its rule",
            "Rename the key so that it follows the rule that the message states.",
        ),
        (
            UNKNOWN,
            "A value is still unknown where it must be known",
            "This is a defect of the provider: please report it with the log (`TF_LOG=TRACE`).",
        ),
        (
            REPLACED,
            "A change of an attribute takes a new object",
            "Undo the change if the object must stay.",
        ),
    ];
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable number.
    pub code: Option<Code>,
    /// What is wrong, in a few words, without values.
    pub title: String,
    /// What happened, with values.
    pub detail: String,
    /// What to do next.
    pub next_step: String,
    /// The attribute at fault; the root if no single one is.
    pub path: Path,
}

impl Finding {
    /// An error at `path`.
    pub fn error(path: Path, title: impl Into<String>) -> Self {
        Self::new(Severity::Error, path, title)
    }

    /// A warning at `path`.
    pub fn warning(path: Path, title: impl Into<String>) -> Self {
        Self::new(Severity::Warning, path, title)
    }

    fn new(severity: Severity, path: Path, title: impl Into<String>) -> Self {
        Self {
            severity,
            code: None,
            title: title.into(),
            detail: String::new(),
            next_step: String::new(),
            path,
        }
    }

    /// Gives the finding its stable number.
    pub fn code(&mut self, code: Code) -> &mut Self {
        self.code = Some(code);
        self
    }

    /// Says what happened, with values.
    pub fn detail(&mut self, detail: impl Into<String>) -> &mut Self {
        self.detail = detail.into();
        self
    }

    /// Says what to do next.
    pub fn hint(&mut self, next_step: impl Into<String>) -> &mut Self {
        self.next_step = next_step.into();
        self
    }

    /// The text below the title: what happened, what to do next, then the code and the path.
    /// Terraform shows the line of a root attribute only, however deep the path leads.
    pub fn text(&self) -> String {
        let mut paragraphs = Vec::new();
        if !self.detail.is_empty() {
            paragraphs.push(sentence(&self.detail));
        }
        if !self.next_step.is_empty() {
            paragraphs.push(sentence(&self.next_step));
        }
        match self.code {
            Some(code) if self.path.is_root() => paragraphs.push(format!("({code})")),
            Some(code) => paragraphs.push(format!("({code} at {})", self.path)),
            None => {}
        }
        paragraphs.join("\n\n")
    }
}

/// The text with a capital letter and a full stop, unless it begins with the name of something or
/// ends in a mark or a line of code.
fn sentence(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let is_name = word.contains(['_', '.', '=', '[', '/', '-']);
    let mut letters = text.chars();
    let text: String = if is_name {
        text.to_owned()
    } else {
        letters
            .next()
            .map(|first| first.to_uppercase().chain(letters).collect())
            .unwrap_or_default()
    };
    let ends = text.ends_with(['.', ':', '!', '?', '}']) || text.contains('\n');
    if ends { text } else { text + "." }
}

/// Prints `error PM005 at region: title`, then the text, for tests and logs.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        })?;
        if let Some(code) = self.code {
            write!(f, " {code}")?;
        }
        if !self.path.is_root() {
            write!(f, " at {}", self.path)?;
        }
        write!(f, ": {}", self.title)?;
        for text in [&self.detail, &self.next_step] {
            if !text.is_empty() {
                write!(f, "\n  {}", sentence(text))?;
            }
        }
        Ok(())
    }
}

/// Everything found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    found: Vec<Finding>,
}

impl Findings {
    /// Nothing found yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error; the answer takes its `.code(...)`, `.detail(...)` and `.hint(...)`.
    pub fn error(&mut self, path: Path, title: impl Into<String>) -> &mut Finding {
        self.add(Finding::error(path, title))
    }

    /// Adds a warning; the answer takes its `.code(...)`, `.detail(...)` and `.hint(...)`.
    pub fn warning(&mut self, path: Path, title: impl Into<String>) -> &mut Finding {
        self.add(Finding::warning(path, title))
    }

    /// Adds a finding.
    pub fn add(&mut self, finding: Finding) -> &mut Finding {
        self.found.push(finding);
        let last = self.found.len() - 1;
        &mut self.found[last]
    }

    /// Adds everything that another search found.
    pub fn extend(&mut self, others: Self) {
        self.found.extend(others.found);
    }

    /// Whether anything found is an error.
    pub fn has_errors(&self) -> bool {
        self.found
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Everything found, in the order of the search.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.found.iter()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.iter()
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

/// Prints each finding on its own lines.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.found
            .iter()
            .try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_reads_as_what_happened_and_what_to_do() {
        let mut found = Findings::new();
        found
            .error(Path::root().attribute("standby"), "A hub cannot stand by")
            .code(Code(31))
            .detail("role is \"hub\" and standby is true")
            .hint("remove standby, or give the cluster role = \"dr\"");
        assert!(found.has_errors());
        assert_eq!(
            found.to_string(),
            "error PM031 at standby: A hub cannot stand by\n  \
             Role is \"hub\" and standby is true.\n  \
             Remove standby, or give the cluster role = \"dr\".\n"
        );
        let finding = found.into_iter().next().unwrap();
        assert!(
            finding.text().ends_with("\n\n(PM031 at standby)"),
            "{}",
            finding.text()
        );
    }

    #[test]
    fn a_finding_of_the_whole_object_ends_with_its_code_alone() {
        let mut finding = Finding::error(Path::root(), "No room");
        finding.code(Code(31)).hint("delete something");
        assert_eq!(finding.text(), "Delete something.\n\n(PM031)");
        assert_eq!(
            finding.to_string(),
            "error PM031: No room\n  Delete something."
        );
    }

    #[test]
    fn a_warning_is_told_and_stops_nothing() {
        let mut found = Findings::new();
        assert!(found.is_empty());
        found.warning(Path::root(), "It is old");
        assert!(!found.is_empty() && !found.has_errors());
        let mut told = String::new();
        for finding in &found {
            told += &finding.title;
        }
        assert_eq!(told, "It is old");
    }
}
