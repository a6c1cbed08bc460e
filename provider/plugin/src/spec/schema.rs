//! The declaration as Terraform's schema. Descriptions carry what the schema has no field for:
//! allowed values, ranges, defaults, what a change does, and since when, at every depth.

use super::attribute::Attributes;
use super::root::Spec;
use super::shape::{AttributeShape, ObjectShape, Presence, Shape};
use crate::schema;
use crate::value::Value;

/// The schema of a resource, data source or ephemeral resource.
pub fn schema<S: Spec>() -> schema::Schema {
    let spec = S::object_shape();
    let status = <S::Status as Attributes>::object_shape();
    let mut attributes = attributes(&spec, false);
    attributes.extend(self::attributes(&status, true));
    schema::Schema {
        version: S::VERSION,
        description: spec.description,
        deprecation: S::DEPRECATED.map(str::to_owned),
        attributes,
    }
}

/// The schema of a provider block, in which nothing is computed: a default is only described.
pub fn provider_schema<S: Spec>() -> schema::Schema {
    let mut schema = schema::<S>();
    schema.version = 0;
    for attribute in &mut schema.attributes {
        without_computed(attribute);
    }
    schema
}

fn without_computed(attribute: &mut schema::Attribute) {
    if attribute.presence == schema::Presence::OptionalComputed {
        attribute.presence = schema::Presence::Optional;
    }
    if let schema::AttributeType::Nested(_, inner) = &mut attribute.kind {
        inner.iter_mut().for_each(without_computed);
    }
}

/// The attributes that name a resource for good; none if the declaration marks none.
pub fn identity_schema<S: Spec>() -> Option<schema::IdentitySchema> {
    let spec = S::object_shape();
    let status = <S::Status as Attributes>::object_shape();
    let attributes: Vec<_> = spec
        .attributes
        .iter()
        .chain(&status.attributes)
        .filter(|attribute| attribute.identity)
        .map(|attribute| schema::IdentityAttribute {
            name: attribute.name.to_owned(),
            kind: kind(&attribute.shape, true),
            optional_for_import: matches!(
                attribute.presence,
                Presence::Optional | Presence::Default(_)
            ),
            description: attribute.description.clone(),
        })
        .collect();
    (!attributes.is_empty()).then_some(schema::IdentitySchema {
        version: 0,
        attributes,
    })
}

fn attributes(object: &ObjectShape, reported: bool) -> Vec<schema::Attribute> {
    object
        .attributes
        .iter()
        .map(|attribute| of(object, attribute, reported))
        .collect()
}

fn of(object: &ObjectShape, attribute: &AttributeShape, reported: bool) -> schema::Attribute {
    let presence = match attribute.presence {
        _ if reported => schema::Presence::Computed,
        Presence::Required if attribute.write_only => schema::Presence::WriteOnlyRequired,
        Presence::Optional if attribute.write_only => schema::Presence::WriteOnlyOptional,
        Presence::Required => schema::Presence::Required,
        Presence::Optional => schema::Presence::Optional,
        Presence::Default(_) => schema::Presence::OptionalComputed,
        Presence::Reported => schema::Presence::Computed,
    };
    schema::Attribute {
        name: attribute.name.to_owned(),
        kind: kind(&attribute.shape, reported),
        presence,
        sensitive: attribute.sensitive,
        description: object.full_description(attribute, reported),
        deprecation: attribute.deprecated.map(str::to_owned),
    }
}

fn kind(shape: &Shape, reported: bool) -> schema::AttributeType {
    use schema::{AttributeType as Kind, Nesting};
    let nested = |element: &Shape, nesting| match element {
        Shape::Object(object) => Some(Kind::Nested(nesting, attributes(object, reported))),
        _ => None,
    };
    match shape {
        Shape::Bool => Kind::Bool,
        Shape::Integer { .. } | Shape::Number => Kind::Number,
        Shape::Text { .. } | Shape::Choice(_) => Kind::String,
        Shape::Object(object) => Kind::Nested(Nesting::Single, attributes(object, reported)),
        Shape::List(element) => nested(element, Nesting::List)
            .unwrap_or_else(|| Kind::List(Box::new(kind(element, reported)))),
        Shape::Set(element) => nested(element, Nesting::Set)
            .unwrap_or_else(|| Kind::Set(Box::new(kind(element, reported)))),
        Shape::Map { element, .. } => nested(element, Nesting::Map)
            .unwrap_or_else(|| Kind::Map(Box::new(kind(element, reported)))),
    }
}

impl ObjectShape {
    /// The description of one attribute, and one sentence for each fact that Terraform's schema has
    /// no field for.
    pub fn full_description(&self, attribute: &AttributeShape, reported: bool) -> String {
        let mut sentences = vec![attribute.description.clone()];
        sentences.extend(self.facts(attribute, reported));
        sentences.join(" ")
    }

    /// One sentence for each fact that Terraform's schema has no field for.
    pub fn facts(&self, attribute: &AttributeShape, reported: bool) -> Vec<String> {
        let mut facts = allowed(&attribute.shape);
        if reported {
            facts.retain(|fact| fact.starts_with("One of"));
        } else {
            if !attribute.checks.is_empty() {
                facts.retain(|fact| !fact.starts_with("A whole number"));
            }
            facts.extend(
                attribute
                    .checks
                    .iter()
                    .map(|check| format!("Must be {check}.")),
            );
            facts.extend(self.group_facts(attribute));
            facts.extend(default_fact(attribute));
            if attribute.write_only {
                facts.push(format!(
                    "Write-only (Terraform 1.11 or later): never stored; change `{}_version` to send it again.",
                    attribute.name
                ));
            }
            if attribute.replaces {
                facts.push(match &attribute.shape {
                    Shape::Object(_) => "Adding or removing it makes a new object.".to_owned(),
                    _ => "A change makes a new object.".to_owned(),
                });
            }
        }
        if attribute.rolling && !reported {
            facts.push("A change is rolled out step by step.".to_owned());
        }
        if let Some(since) = attribute.since {
            facts.push(format!("Since version {since}."));
        }
        facts
    }

    fn group_facts(&self, attribute: &AttributeShape) -> Vec<String> {
        let groups = self
            .groups
            .iter()
            .filter(|group| group.names.contains(&attribute.name));
        // A description that names all members has said it already.
        let is_said = |names: &[&str]| {
            names
                .iter()
                .all(|name| attribute.description.contains(&format!("`{name}`")))
        };
        groups
            .filter(|group| !is_said(&group.names))
            .map(|group| {
                let names: Vec<_> = group.names.iter().map(|name| format!("`{name}`")).collect();
                let names = names.join(", ");
                if group.exactly_one {
                    format!("Exactly one of {names} must be set.")
                } else {
                    format!("At most one of {names} may be set.")
                }
            })
            .collect()
    }
}

fn default_fact(attribute: &AttributeShape) -> Option<String> {
    let Presence::Default(default) = &attribute.presence else {
        return None;
    };
    let of_inner = match &attribute.shape {
        Shape::Object(object) => Some(object.with_defaults(&Value::map::<String>([]))),
        _ => None,
    };
    Some(if of_inner.as_ref() == Some(default) {
        "Left out, everything in it has its default.".to_owned()
    } else {
        format!("Default: `{default}`.")
    })
}

fn allowed(shape: &Shape) -> Vec<String> {
    match shape {
        Shape::Choice(words) => {
            let words: Vec<_> = words
                .iter()
                .map(|word| {
                    let meaning = word.description.replace('\n', " ");
                    format!("`{}` ({})", word.word, meaning.trim_end_matches('.'))
                })
                .collect();
            vec![format!("One of {}.", words.join(", "))]
        }
        Shape::Text { checks } => checks
            .iter()
            .map(|check| format!("Must be {check}."))
            .collect(),
        Shape::Integer { min, max } if *max < i128::from(u32::MAX) && *min >= 0 => {
            vec![format!("A whole number of at most {max}.")]
        }
        Shape::List(element) | Shape::Set(element) => allowed(element),
        Shape::Map { keys, element } => {
            let mut facts: Vec<_> = keys
                .iter()
                .map(|key| format!("Keys must be {key}."))
                .collect();
            facts.extend(allowed(element));
            facts
        }
        _ => Vec::new(),
    }
}
