//! Types as Terraform writes them: `"string"`, `["list","string"]`, `["object",{"a":"bool"}]`.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use crate::{
    schema::{AttributeType, Nesting},
    value::Value,
};

/// The deepest nesting of a type that arrives from outside.
const DEPTH_MAX: usize = 64;

/// The type as JSON.
pub(crate) fn to_json(kind: &AttributeType) -> Json {
    match kind {
        AttributeType::Bool => json!("bool"),
        AttributeType::Number => json!("number"),
        AttributeType::String => json!("string"),
        AttributeType::Dynamic => json!("dynamic"),
        AttributeType::List(element) => json!(["list", to_json(element)]),
        AttributeType::Set(element) => json!(["set", to_json(element)]),
        AttributeType::Map(element) => json!(["map", to_json(element)]),
        AttributeType::Tuple(elements) => {
            json!(["tuple", elements.iter().map(to_json).collect::<Vec<_>>()])
        }
        AttributeType::Object(attributes) => object(
            &attributes
                .iter()
                .map(|(name, kind)| (name.clone(), to_json(kind)))
                .collect(),
        ),
        AttributeType::Nested(nesting, attributes) => {
            let object = object(
                &attributes
                    .iter()
                    .map(|attribute| (attribute.name.clone(), to_json(&attribute.kind)))
                    .collect(),
            );
            match nesting {
                Nesting::Single => object,
                Nesting::List => json!(["list", object]),
                Nesting::Set => json!(["set", object]),
                Nesting::Map => json!(["map", object]),
            }
        }
    }
}

fn object(attributes: &BTreeMap<String, Json>) -> Json {
    json!(["object", attributes])
}

/// The type as the protocol carries it.
pub(crate) fn to_bytes(kind: &AttributeType) -> Vec<u8> {
    to_json(kind).to_string().into_bytes()
}

/// A type from its JSON; `None` for what is no type.
pub(crate) fn from_json(json: &Json) -> Option<AttributeType> {
    parse(json, DEPTH_MAX)
}

fn parse(json: &Json, depth: usize) -> Option<AttributeType> {
    let depth = depth.checked_sub(1)?;
    match json {
        Json::String(name) => match name.as_str() {
            "bool" => Some(AttributeType::Bool),
            "number" => Some(AttributeType::Number),
            "string" => Some(AttributeType::String),
            "dynamic" => Some(AttributeType::Dynamic),
            _ => None,
        },
        Json::Array(parts) => {
            let inner = parts.get(1)?;
            let element = || parse(inner, depth).map(Box::new);
            match parts.first()?.as_str()? {
                "list" => Some(AttributeType::List(element()?)),
                "set" => Some(AttributeType::Set(element()?)),
                "map" => Some(AttributeType::Map(element()?)),
                "tuple" => Some(AttributeType::Tuple(
                    inner
                        .as_array()?
                        .iter()
                        .map(|kind| parse(kind, depth))
                        .collect::<Option<_>>()?,
                )),
                "object" => Some(AttributeType::Object(
                    inner
                        .as_object()?
                        .iter()
                        .map(|(name, kind)| Some((name.clone(), parse(kind, depth)?)))
                        .collect::<Option<_>>()?,
                )),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The type of a value that travels as dynamic: objects and tuples, since a value alone cannot tell
/// them from maps and lists.
pub(crate) fn of_value(value: &Value) -> AttributeType {
    match value {
        Value::Null | Value::Unknown => AttributeType::Dynamic,
        Value::Bool(_) => AttributeType::Bool,
        Value::Number(_) => AttributeType::Number,
        Value::String(_) => AttributeType::String,
        Value::List(elements) => AttributeType::Tuple(elements.iter().map(of_value).collect()),
        Value::Map(entries) => AttributeType::Object(
            entries
                .iter()
                .map(|(name, value)| (name.clone(), of_value(value)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_written_as_terraform_writes_it_and_read_again() {
        let strings = || Box::new(AttributeType::String);
        let pair = vec![AttributeType::Bool, AttributeType::String];
        let object = BTreeMap::from([("a".to_owned(), AttributeType::Bool)]);
        for (kind, json) in [
            (AttributeType::Bool, json!("bool")),
            (AttributeType::Number, json!("number")),
            (AttributeType::String, json!("string")),
            (AttributeType::Dynamic, json!("dynamic")),
            (AttributeType::List(strings()), json!(["list", "string"])),
            (AttributeType::Set(strings()), json!(["set", "string"])),
            (AttributeType::Map(strings()), json!(["map", "string"])),
            (
                AttributeType::Tuple(pair),
                json!(["tuple", ["bool", "string"]]),
            ),
            (
                AttributeType::Object(object),
                json!(["object", { "a": "bool" }]),
            ),
        ] {
            assert_eq!(to_json(&kind), json);
            assert_eq!(from_json(&json), Some(kind));
        }
    }

    #[test]
    fn what_is_no_type_is_not_read() {
        for json in [
            json!(null),
            json!("text"),
            json!(["set"]),
            json!(["bag", "string"]),
            json!(["object", ["a"]]),
        ] {
            assert_eq!(from_json(&json), None, "{json}");
        }
    }
}
