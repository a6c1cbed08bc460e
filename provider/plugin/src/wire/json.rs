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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::{Attribute, Presence};

    fn nested(nesting: Nesting) -> AttributeType {
        let size = Attribute::new("size", AttributeType::Number, Presence::Optional, "Size.");
        AttributeType::Nested(nesting, vec![size])
    }

    /// An older version of the schema may have stored a value of a near type, and other attributes.
    #[test]
    fn what_a_state_holds_is_read_by_the_type_of_today() {
        let strings = || Box::new(AttributeType::String);
        let pair = AttributeType::Tuple(vec![AttributeType::String, AttributeType::Bool]);
        for (kind, json, value) in [
            (AttributeType::Bool, json!(null), "null"),
            (AttributeType::Bool, json!(true), "true"),
            (AttributeType::Bool, json!("true"), "true"),
            (AttributeType::Bool, json!("false"), "false"),
            (AttributeType::Number, json!(12), "12"),
            (AttributeType::Number, json!("0.5"), "0.5"),
            (AttributeType::String, json!("a"), r#""a""#),
            (AttributeType::String, json!(12), r#""12""#),
            (AttributeType::String, json!(true), r#""true""#),
            (
                AttributeType::Dynamic,
                json!({ "type": "number", "value": 3 }),
                "3",
            ),
            (AttributeType::Dynamic, json!({ "a": 3 }), "{ a = 3 }"),
            (AttributeType::List(strings()), json!(["a"]), r#"["a"]"#),
            (AttributeType::Set(strings()), json!(["a"]), r#"["a"]"#),
            (
                AttributeType::Map(strings()),
                json!({ "k": "a" }),
                r#"{ k = "a" }"#,
            ),
            (pair, json!(["a", true]), r#"["a", true]"#),
            (
                nested(Nesting::Single),
                json!({ "size": 1, "colour": "red" }),
                "{ size = 1 }",
            ),
            (
                nested(Nesting::List),
                json!([{}, null]),
                "[{ size = null }, null]",
            ),
            (
                nested(Nesting::Map),
                json!({ "k": { "size": 1 } }),
                "{ k = { size = 1 } }",
            ),
        ] {
            let read = decode(&json, &kind).map(|read| read.to_string());
            assert_eq!(read, Ok(value.to_owned()), "{json}");
        }
    }

    #[test]
    fn what_fits_no_type_is_refused_with_its_place() {
        let strings = || Box::new(AttributeType::String);
        for (kind, json, why) in [
            (AttributeType::Bool, json!("yes"), "not a bool"),
            (AttributeType::Number, json!("much"), "not a number"),
            (AttributeType::String, json!([]), "not a string"),
            (AttributeType::List(strings()), json!({}), "not a list"),
            (AttributeType::Map(strings()), json!([]), "not a map"),
            (
                AttributeType::Tuple(vec![AttributeType::String]),
                json!(["a", "b"]),
                "not a tuple",
            ),
            (nested(Nesting::Single), json!("a"), "not an object"),
            (
                nested(Nesting::Set),
                json!([{ "size": "much" }]),
                "[0].size: not a number",
            ),
            (
                nested(Nesting::Map),
                json!({ "k": "a" }),
                r#"["k"]: not an object"#,
            ),
        ] {
            let refused = decode(&json, &kind).map_err(|error| error.to_string());
            assert_eq!(refused, Err(why.to_owned()), "{json}");
        }
    }
}
