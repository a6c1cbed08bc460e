//! The pages of the Terraform Registry, written from the declarations and from `examples/`.
//!
//! A page says once what a declaration says once: descriptions are doc comments, allowed values are
//! enums, defaults are expressions. Examples are files that tests apply. Nobody edits a page: a test
//! calls [`Site::differences`], and the command that it names calls [`Site::write`].
//!
//! Layout below `docs/`: `index.md`, then one folder for each kind of page, file names without the
//! provider's prefix, `guides/` for prose. Generated guides are listed; other guides are left alone.

mod codes;
mod examples;
mod function;
mod page;
mod reference;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::findings::Code;
use crate::function::Signature;
use crate::spec::{Attributes, Spec, identity_schema};
use examples::Examples;
use page::Page;
use reference::Reference;

/// A kind of page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Provider,
    Resource,
    DataSource,
    Ephemeral,
}

impl Kind {
    /// The folder below `docs/` and below `examples/`.
    fn folder(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Resource => "resources",
            Self::DataSource => "data-sources",
            Self::Ephemeral => "ephemeral-resources",
        }
    }

    /// How titles name it.
    fn title(self) -> &'static str {
        match self {
            Self::Provider => "Provider",
            Self::Resource => "Resource",
            Self::DataSource => "Data Source",
            Self::Ephemeral => "Ephemeral Resource",
        }
    }
}

/// All pages of one provider.
pub struct Site {
    provider: &'static str,
    examples: PathBuf,
    pages: BTreeMap<PathBuf, String>,
}

impl Site {
    /// A site whose first page describes the provider block `P`; examples are read from `examples`.
    pub fn new<P: Spec>(examples: impl Into<PathBuf>) -> io::Result<Self> {
        let mut site = Self {
            provider: P::NAME,
            examples: examples.into(),
            pages: BTreeMap::new(),
        };
        site.add::<P>(Kind::Provider, "")?;
        Ok(site)
    }

    /// Adds the page of a resource, listed under `subcategory` (empty for none).
    pub fn resource<S: Spec>(mut self, subcategory: &str) -> io::Result<Self> {
        self.add::<S>(Kind::Resource, subcategory)?;
        Ok(self)
    }

    /// Adds the page of a data source.
    pub fn data_source<S: Spec>(mut self, subcategory: &str) -> io::Result<Self> {
        self.add::<S>(Kind::DataSource, subcategory)?;
        Ok(self)
    }

    /// Adds the page of an ephemeral resource.
    pub fn ephemeral<S: Spec>(mut self, subcategory: &str) -> io::Result<Self> {
        self.add::<S>(Kind::Ephemeral, subcategory)?;
        Ok(self)
    }

    /// Adds the page of a function.
    pub fn function(mut self, signature: &Signature) -> io::Result<Self> {
        let page = function::page(self.provider, &self.examples, signature)?;
        let path = format!("functions/{}.md", signature.name);
        self.pages.insert(PathBuf::from(path), page);
        Ok(self)
    }

    /// Adds the guide that lists every error code: code, meaning, what to do.
    ///
    /// The codes of the typed layer are listed first.
    #[must_use]
    pub fn codes(mut self, rows: &[(Code, &str, &str)]) -> Self {
        let page = codes::page(self.provider, rows);
        self.pages
            .insert(PathBuf::from("guides/error-codes.md"), page);
        self
    }

    /// Puts `text` before the reference of the first page: what no declaration says, such as how to
    /// sign in.
    #[must_use]
    pub fn provider_sections(mut self, text: &str) -> Self {
        let first = self
            .pages
            .get_mut(Path::new("index.md"))
            .expect("every site has a first page");
        *first = first.replacen("\n## Schema", &format!("\n{}\n\n## Schema", text.trim()), 1);
        self
    }

    /// Adds a guide of its own, such as a table that is made from code.
    #[must_use]
    pub fn guide(mut self, name: &str, title: &str, description: &str, body: &str) -> Self {
        let page = Page::new(title, "Guides", description).text(body).finish();
        self.pages
            .insert(PathBuf::from(format!("guides/{name}.md")), page);
        self
    }

    /// The pages: path below `docs/`, and text.
    pub fn pages(&self) -> &BTreeMap<PathBuf, String> {
        &self.pages
    }

    /// The pages below `docs` that are missing, different, or of something that no longer exists.
    pub fn differences(&self, docs: &Path) -> io::Result<Vec<PathBuf>> {
        let mut different = self.orphans(docs)?;
        for (path, text) in &self.pages {
            match fs::read_to_string(docs.join(path)) {
                Ok(written) if written == *text => {}
                Ok(_) => different.push(path.clone()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    different.push(path.clone());
                }
                Err(error) => return Err(error),
            }
        }
        different.sort();
        Ok(different)
    }

    /// Writes every page below `docs` and removes pages of what no longer exists.
    pub fn write(&self, docs: &Path) -> io::Result<()> {
        for path in self.orphans(docs)? {
            fs::remove_file(docs.join(path))?;
        }
        for (path, text) in &self.pages {
            let path = docs.join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, text)?;
        }
        Ok(())
    }

    /// Written pages in the generated folders that the site does not have.
    fn orphans(&self, docs: &Path) -> io::Result<Vec<PathBuf>> {
        let mut orphans = Vec::new();
        for name in [
            "resources",
            "data-sources",
            "ephemeral-resources",
            "functions",
        ] {
            let folder = docs.join(name);
            if !folder.exists() {
                continue;
            }
            for entry in fs::read_dir(folder)? {
                let path = Path::new(name).join(entry?.file_name());
                if !self.pages.contains_key(&path) {
                    orphans.push(path);
                }
            }
        }
        Ok(orphans)
    }

    fn add<S: Spec>(&mut self, kind: Kind, subcategory: &str) -> io::Result<()> {
        let spec = S::object_shape();
        let status = <S::Status as Attributes>::object_shape();
        let examples = Examples::read(&self.examples, kind, S::NAME)?;
        let (lead, sections) = split_sections(&spec.description);
        let title = match kind {
            Kind::Provider => format!("{} Provider", S::NAME),
            _ => format!("{} {} - {}", S::NAME, kind.title(), self.provider),
        };
        let summary = lead.split("\n\n").next().unwrap_or_default();
        let heading = format!("{} {}", S::NAME, kind.title());
        let mut page = Page::new(&title, subcategory, summary)
            .heading(1, &heading)
            .text(lead);
        if let Some(instead) = S::DEPRECATED {
            page = page.text(&format!("-> **Deprecated:** {instead}"));
        }
        if !examples.usage.is_empty() {
            page = page.heading(2, "Example Usage");
            for example in &examples.usage {
                page = match &example.title {
                    Some(title) => page.heading(3, title),
                    None => page,
                };
                page = page.code("terraform", &example.text);
            }
        }
        page = page.text(sections);
        page = page.heading(2, "Schema");
        page = page.text(&Reference::new(kind == Kind::Resource).render(&spec, &status));
        let identity = identity_schema::<S>().filter(|_| kind == Kind::Resource);
        page = examples.import_section(page, identity.as_ref());
        let path = if kind == Kind::Provider {
            PathBuf::from("index.md")
        } else {
            let prefix = format!("{}_", self.provider);
            let name = S::NAME.strip_prefix(&prefix).unwrap_or(S::NAME);
            Path::new(kind.folder()).join(format!("{name}.md"))
        };
        self.pages.insert(path, page.finish());
        Ok(())
    }
}

/// A description up to its first heading, and the sections from there on.
fn split_sections(description: &str) -> (&str, &str) {
    let start = if description.starts_with("## ") {
        Some(0)
    } else {
        description.find("\n## ")
    };
    let (lead, sections) = description.split_at(start.unwrap_or(description.len()));
    (lead.trim(), sections.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_cannot_be_read_is_an_error_and_no_difference() {
        let docs = tempfile::tempdir().unwrap();
        let page = PathBuf::from("index.md");
        fs::create_dir(docs.path().join(&page)).unwrap();
        let site = Site {
            provider: "test",
            examples: PathBuf::new(),
            pages: BTreeMap::from([(page, String::new())]),
        };
        assert!(site.differences(docs.path()).is_err());
    }
}
