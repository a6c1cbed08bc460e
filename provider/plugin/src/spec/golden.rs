//! A schema as text, for goldens: one line for each attribute, at every depth.

use std::fmt::Write;

use super::root::Spec;
use super::schema::{identity_schema, schema};
use crate::schema::{Attribute, AttributeType, Nesting, Presence};

/// The schema of `S` as text, so that every change of it shows in review.
pub fn golden<S: Spec>() -> String {
    let schema = schema::<S>();
    let mut text = format!("{} version {}\n", S::NAME, schema.version);
    lines(&schema.attributes, 1, &mut text);
    if let Some(identity) = identity_schema::<S>() {
        let names: Vec<_> = identity
            .attributes
            .iter()
            .map(|part| part.name.as_str())
            .collect();
        text.extend(["identity: ", &names.join(", "), "\n"]);
    }
    text
}

fn lines(attributes: &[Attribute], depth: usize, text: &mut String) {
    for attribute in attributes {
        let flags = match attribute.presence {
            Presence::Required => "required",
            Presence::Optional => "optional",
            Presence::OptionalComputed => "optional, computed",
            Presence::Computed => "computed",
            Presence::WriteOnlyRequired => "required, write-only",
            Presence::WriteOnlyOptional => "optional, write-only",
        };
        let sensitive = if attribute.sensitive {
            ", sensitive"
        } else {
            ""
        };
        let deprecated = if attribute.deprecation.is_some() {
            ", deprecated"
        } else {
            ""
        };
        let description = attribute.description.replace('\n', " ");
        writeln!(
            text,
            "{:indent$}{}: {} ({flags}{sensitive}{deprecated}) {description}",
            "",
            attribute.name,
            type_name(&attribute.kind),
            indent = depth * 2,
        )
        .expect("writing to a string does not fail");
        if let AttributeType::Nested(_, inner) = &attribute.kind {
            lines(inner, depth + 1, text);
        }
    }
}

/// The type as HCL names it.
pub(crate) fn type_name(kind: &AttributeType) -> String {
    match kind {
        AttributeType::Bool => "bool".to_owned(),
        AttributeType::Number => "number".to_owned(),
        AttributeType::String => "string".to_owned(),
        AttributeType::Dynamic => "any".to_owned(),
        AttributeType::List(element) => format!("list({})", type_name(element)),
        AttributeType::Set(element) => format!("set({})", type_name(element)),
        AttributeType::Map(element) => format!("map({})", type_name(element)),
        AttributeType::Tuple(_) => "tuple".to_owned(),
        AttributeType::Object(_) | AttributeType::Nested(Nesting::Single, _) => "object".to_owned(),
        AttributeType::Nested(Nesting::List, _) => "list(object)".to_owned(),
        AttributeType::Nested(Nesting::Set, _) => "set(object)".to_owned(),
        AttributeType::Nested(Nesting::Map, _) => "map(object)".to_owned(),
    }
}
