//! The reference of all attributes, at every depth, in the layout that the Registry links into.

use crate::spec::{AttributeShape, ObjectShape, Presence, Shape, Word};

/// Writes references.
pub(super) struct Reference {
    /// Whether a page says what changing an attribute does: only resources live long enough.
    changes: bool,
    nested: Vec<String>,
}

impl Reference {
    pub(super) fn new(changes: bool) -> Self {
        Self {
            changes,
            nested: Vec::new(),
        }
    }

    /// The whole reference: what the user sets, what the cloud reports, then each nested object.
    pub(super) fn render(mut self, spec: &ObjectShape, status: &ObjectShape) -> String {
        let mut text = String::new();
        if self.changes {
            text += "A change is made in place unless the attribute says otherwise.\n\n";
        }
        text += &self.groups(spec, false, "", "###");
        text += &self.groups(status, true, "", "###");
        let nested = self.nested.join("\n\n");
        format!("{}\n\n{nested}", text.trim_end()).trim().to_owned()
    }

    fn groups(&mut self, object: &ObjectShape, reported: bool, path: &str, level: &str) -> String {
        let mut text = String::new();
        let mut deeper = Vec::new();
        for (title, wanted) in [("Required", 0), ("Optional", 1), ("Read-Only", 2)] {
            let members = object.attributes.iter().filter(|attribute| {
                wanted
                    == match attribute.presence {
                        _ if reported => 2,
                        Presence::Required => 0,
                        Presence::Optional | Presence::Default(_) => 1,
                        Presence::Reported => 2,
                    }
            });
            let mut lines = Vec::new();
            for attribute in members {
                let at = format!("{path}{}", attribute.name);
                lines.push(self.line(object, attribute, reported, &at));
                if let Some(inner) = attribute.shape.object() {
                    deeper.push((at, inner));
                }
            }
            if !lines.is_empty() {
                text.extend([level, " ", title, "\n\n", &lines.join("\n"), "\n\n"]);
            }
        }
        for (at, inner) in deeper {
            let place = self.nested.len();
            self.nested.push(String::new());
            let inner = self.groups(inner, reported, &format!("{at}."), "####");
            let anchor = anchor(&at);
            self.nested[place] = format!(
                "<a id=\"{anchor}\"></a>\n### Nested Schema for `{at}`\n\n{}",
                inner.trim_end()
            );
        }
        text
    }

    fn line(
        &self,
        object: &ObjectShape,
        attribute: &AttributeShape,
        reported: bool,
        at: &str,
    ) -> String {
        let mut flags = vec![type_name(&attribute.shape)];
        if attribute.write_only {
            flags.push("write-only".to_owned());
        } else if attribute.sensitive {
            flags.push("sensitive".to_owned());
        }
        if attribute.deprecated.is_some() {
            flags.push("deprecated".to_owned());
        }
        if self.changes && !reported && !attribute.write_only {
            let change = match (&attribute.shape, attribute.replaces) {
                _ if attribute.rolling => Some("change rolls out step by step"),
                (_, false) => None,
                (Shape::Object(_), true) => Some("**adding or removing replaces**"),
                (_, true) => Some("**change replaces**"),
            };
            flags.extend(change.map(str::to_owned));
        }
        let mut sentences = vec![
            attribute
                .description
                .replace("\n\n", "\n")
                .replace('\n', " "),
        ];
        if let Some(instead) = attribute.deprecated {
            sentences.push(format!("Deprecated: {instead}."));
        }
        let words = words(&attribute.shape);
        sentences.extend(
            object
                .facts(attribute, reported)
                .into_iter()
                .filter(|fact| {
                    // The list of words follows, and the flags say what a change does.
                    let is_list = words.is_some() && fact.starts_with("One of");
                    !is_list
                        && !fact.ends_with("makes a new object.")
                        && !fact.ends_with("step by step.")
                }),
        );
        if attribute.shape.object().is_some() {
            sentences.push(format!("(see [below for nested schema](#{}))", anchor(at)));
        }
        let mut line = format!(
            "- `{}` ({}) {}",
            attribute.name,
            flags.join(", "),
            sentences.join(" ")
        );
        for word in words.unwrap_or_default() {
            let description = word.description.replace('\n', " ");
            line.extend(["\n  - `", word.word, "`: ", &description]);
        }
        line
    }
}

fn anchor(path: &str) -> String {
    format!("nestedatt--{}", path.replace('.', "--"))
}

fn words(shape: &Shape) -> Option<&[Word]> {
    match shape {
        Shape::Choice(words) => Some(words),
        Shape::List(element) | Shape::Set(element) | Shape::Map { element, .. } => words(element),
        _ => None,
    }
}

/// The type as Registry pages name it.
fn type_name(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "Boolean".to_owned(),
        Shape::Integer { .. } | Shape::Number => "Number".to_owned(),
        Shape::Text { .. } | Shape::Choice(_) => "String".to_owned(),
        Shape::Object(_) => "Attributes".to_owned(),
        Shape::List(element) => collection("List", element),
        Shape::Set(element) => collection("Set", element),
        Shape::Map { element, .. } => collection("Map", element),
    }
}

fn collection(name: &str, element: &Shape) -> String {
    match element {
        Shape::Object(_) => format!("Attributes {name}"),
        other => format!("{name} of {}", type_name(other)),
    }
}
