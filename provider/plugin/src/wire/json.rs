//! States as JSON, the way Terraform stores them.

use serde_json::Value as Json;

use super::msgpack::CodecError;
use crate::{
    path::Path,
    schema::{AttributeType, Nesting},
    value::{Number, Value},
};

/// The value of this JSON. Attributes that the type does not have are dropped: an older version of
/// the schema had them.
pub(crate) fn decode(json: &Json, kind: &AttributeType) -> Result<Value, CodecError> {
    read(json, kind, &Path::root())
}

fn wrong(path: &Path, wanted: &str) -> CodecError {
    CodecError {
        path: path.clone(),
        message: format!("not {wanted}"),
    }
}

fn read(json: &Json, kind: &AttributeType, path: &Path) -> Result<Value, CodecError> {
    match (kind, json) {
        (_, Json::Null) => Ok(Value::Null),
        (AttributeType::Bool, Json::Bool(bool)) => Ok(Value::Bool(*bool)),
        (AttributeType::Bool, Json::String(text)) if text == "true" || text == "false" => {
            Ok(Value::Bool(text == "true"))
        }
        (AttributeType::Bool, _) => Err(wrong(path, "a bool")),
        (AttributeType::Number, Json::Number(number)) => Number::parse(&number.to_string())
            .map(Value::Number)
            .ok_or_else(|| wrong(path, "a number")),
        (AttributeType::Number, Json::String(text)) => Number::parse(text)
            .map(Value::Number)
            .ok_or_else(|| wrong(path, "a number")),
        (AttributeType::Number, _) => Err(wrong(path, "a number")),
        (AttributeType::String, Json::String(text)) => Ok(Value::String(text.clone())),
        (AttributeType::String, Json::Number(number)) => Ok(Value::String(number.to_string())),
        (AttributeType::String, Json::Bool(bool)) => Ok(Value::String(bool.to_string())),
        (AttributeType::String, _) => Err(wrong(path, "a string")),
        (AttributeType::Dynamic, Json::Object(parts)) if parts.contains_key("value") => {
            Ok(Value::from_json(&parts["value"]))
        }
        (AttributeType::Dynamic, json) => Ok(Value::from_json(json)),
        (AttributeType::List(element) | AttributeType::Set(element), Json::Array(elements)) => {
            list(elements, path, |json, path| read(json, element, path))
        }
        (AttributeType::List(_) | AttributeType::Set(_), _) => Err(wrong(path, "a list")),
        (AttributeType::Tuple(kinds), Json::Array(elements)) if kinds.len() == elements.len() => {
            kinds
                .iter()
                .zip(elements)
                .enumerate()
                .map(|(index, (kind, json))| read(json, kind, &path.index(index)))
                .collect::<Result<_, _>>()
                .map(Value::List)
        }
        (AttributeType::Tuple(_), _) => Err(wrong(path, "a tuple")),
        (AttributeType::Map(element), Json::Object(entries)) => {
            map(entries, path, |json, path| read(json, element, path))
        }
        (AttributeType::Map(_), _) => Err(wrong(path, "a map")),
        (AttributeType::Object(attributes), Json::Object(entries)) => object(
            entries,
            attributes.iter().map(|(name, kind)| (name.as_str(), kind)),
            path,
        ),
        (AttributeType::Object(_), _) => Err(wrong(path, "an object")),
        (AttributeType::Nested(nesting, attributes), json) => {
            let one = |json: &Json, path: &Path| match json {
                Json::Null => Ok(Value::Null),
                Json::Object(entries) => object(
                    entries,
                    attributes
                        .iter()
                        .map(|attribute| (attribute.name.as_str(), &attribute.kind)),
                    path,
                ),
                _ => Err(wrong(path, "an object")),
            };
            match (nesting, json) {
                (Nesting::Single, json) => one(json, path),
                (Nesting::List | Nesting::Set, Json::Array(elements)) => list(elements, path, one),
                (Nesting::List | Nesting::Set, _) => Err(wrong(path, "a list")),
                (Nesting::Map, Json::Object(entries)) => map(entries, path, one),
                (Nesting::Map, _) => Err(wrong(path, "a map")),
            }
        }
    }
}

fn list(
    elements: &[Json],
    path: &Path,
    one: impl Fn(&Json, &Path) -> Result<Value, CodecError>,
) -> Result<Value, CodecError> {
    let elements = elements.iter().enumerate();
    elements
        .map(|(index, json)| one(json, &path.index(index)))
        .collect::<Result<_, _>>()
        .map(Value::List)
}

fn map(
    entries: &serde_json::Map<String, Json>,
    path: &Path,
    one: impl Fn(&Json, &Path) -> Result<Value, CodecError>,
) -> Result<Value, CodecError> {
    entries
        .iter()
        .map(|(key, json)| Ok((key.clone(), one(json, &path.key(key))?)))
        .collect::<Result<_, _>>()
        .map(Value::Map)
}

fn object<'k>(
    entries: &serde_json::Map<String, Json>,
    attributes: impl Iterator<Item = (&'k str, &'k AttributeType)>,
    path: &Path,
) -> Result<Value, CodecError> {
    attributes
        .map(|(name, kind)| {
            let json = entries.get(name).unwrap_or(&Json::Null);
            Ok((name.to_owned(), read(json, kind, &path.attribute(name))?))
        })
        .collect::<Result<_, _>>()
        .map(Value::Map)
}
