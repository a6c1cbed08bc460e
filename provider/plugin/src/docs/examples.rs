//! Examples and import snippets, from the folders that the Registry's own tools use:
//! `examples/provider/provider*.tf`, `examples/resources/<type>/resource*.tf`, `import.sh`,
//! `import-by-string-id.tf`, `import-by-identity.tf`, and the like for data sources and ephemeral
//! resources.

use std::path::Path;
use std::{fs, io};

use super::Kind;
use super::page::Page;
use crate::schema::IdentitySchema;

/// What the examples folder holds for one page.
pub(super) struct Examples {
    pub(super) usage: Vec<Example>,
    import_command: Option<String>,
    import_block: Option<String>,
    import_identity: Option<String>,
}

/// One example; further ones than the first have a title from their file name.
pub(super) struct Example {
    pub(super) title: Option<String>,
    pub(super) text: String,
}

impl Examples {
    pub(super) fn read(examples: &Path, kind: Kind, name: &str) -> io::Result<Self> {
        let (folder, stem) = match kind {
            Kind::Provider => (examples.join("provider"), "provider"),
            Kind::Resource => (examples.join("resources").join(name), "resource"),
            Kind::DataSource => (examples.join("data-sources").join(name), "data-source"),
            Kind::Ephemeral => (
                examples.join("ephemeral-resources").join(name),
                "ephemeral-resource",
            ),
        };
        let usage = usage(&folder, stem)?;
        let optional = |file: &str| {
            let path = folder.join(file);
            if path.exists() {
                fs::read_to_string(path).map(Some)
            } else {
                Ok(None)
            }
        };
        Ok(Self {
            usage,
            import_command: optional("import.sh")?,
            import_block: optional("import-by-string-id.tf")?,
            import_identity: optional("import-by-identity.tf")?,
        })
    }

    pub(super) fn import_section(&self, page: Page, identity: Option<&IdentitySchema>) -> Page {
        let snippets = [
            &self.import_identity,
            &self.import_block,
            &self.import_command,
        ];
        if snippets.iter().all(|snippet| snippet.is_none()) {
            return page;
        }
        let mut page = page.heading(2, "Import");
        if let Some(by_identity) = &self.import_identity {
            page = page
                .text("In Terraform 1.12 and later, an `import` block can name the resource by its identity:")
                .code("terraform", by_identity);
            if let Some(identity) = identity {
                page = page
                    .heading(3, "Identity Schema")
                    .text(&identity_parts(identity));
            }
        }
        if let Some(block) = &self.import_block {
            page = page
                .text("In Terraform 1.5 and later, an `import` block can name the resource by its `id`:")
                .code("terraform", block);
        }
        if let Some(command) = &self.import_command {
            page = page
                .text("The command `terraform import` takes the same `id`:")
                .code("shell", command);
        }
        page
    }
}

/// The examples in `folder`: `<stem>.tf` first, then `<stem>-<variant>.tf` by name.
pub(super) fn usage(folder: &Path, stem: &str) -> io::Result<Vec<Example>> {
    let mut files = Vec::new();
    if folder.exists() {
        for entry in fs::read_dir(folder)? {
            files.push(entry?.file_name().to_string_lossy().into_owned());
        }
    }
    files.sort_by_key(|file| (file.len() != stem.len() + 3, file.clone()));
    let mut usage = Vec::new();
    for file in &files {
        let variant = file
            .strip_prefix(stem)
            .and_then(|rest| rest.strip_suffix(".tf"));
        if let Some(variant) = variant {
            let title = variant.trim_start_matches('-').replace(['-', '_'], " ");
            usage.push(Example {
                title: (!title.is_empty()).then(|| capitalised(&title)),
                text: fs::read_to_string(folder.join(file))?,
            });
        }
    }
    Ok(usage)
}

fn identity_parts(identity: &IdentitySchema) -> String {
    let parts = identity.attributes.iter().map(|part| {
        let needed = if part.optional_for_import {
            "optional"
        } else {
            "required"
        };
        format!(
            "- `{}` ({needed}) {}",
            part.name,
            part.description.replace('\n', " ")
        )
    });
    parts.collect::<Vec<_>>().join("\n")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
