//! One page: front matter, then blocks with one empty line between them.

/// A page that is being written.
pub(super) struct Page {
    blocks: Vec<String>,
}

impl Page {
    /// A page with its front matter.
    pub(super) fn new(title: &str, subcategory: &str, description: &str) -> Self {
        let description = description.lines().collect::<Vec<_>>().join("\n  ");
        let front = format!(
            "---\npage_title: {}\nsubcategory: {}\ndescription: |-\n  {description}\n---",
            quoted(title),
            quoted(subcategory),
        );
        Self {
            blocks: vec![front],
        }
    }

    pub(super) fn heading(self, level: usize, title: &str) -> Self {
        self.text(&format!("{} {title}", "#".repeat(level)))
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        if !text.trim().is_empty() {
            self.blocks.push(text.trim().to_owned());
        }
        self
    }

    pub(super) fn code(self, language: &str, code: &str) -> Self {
        self.text(&format!("```{language}\n{}\n```", code.trim_end()))
    }

    pub(super) fn finish(self) -> String {
        self.blocks.join("\n\n") + "\n"
    }
}

/// A YAML string in double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
