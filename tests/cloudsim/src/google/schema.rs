//! Proto3 JSON as Google's front end reads it: the names, types and enums of container v1.
//!
//! `schema/container.v1.json` holds the names and types of the published API. A letter tells the
//! type (`b` bool, `i` 32 bits, `l` 64 bits, `d` double, `s` string, `#` enum, `@` message,
//! `*` anything), `[` repeated, `{` map, and a trailing `?` that an absent value differs from a
//! zero one. Everywhere else zero values vanish, as they do on the real wire.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::refusal::Refusal;

#[derive(Deserialize)]
struct Schema {
    messages: BTreeMap<String, BTreeMap<String, String>>,
    enums: BTreeMap<String, BTreeMap<i64, String>>,
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    serde_json::from_str(include_str!("schema/container.v1.json"))
        .expect("the embedded schema is valid JSON")
});

/// Reads `body` as `message`: names in either spelling, enums as names or numbers, zero values dropped.
pub(crate) fn read(message: &str, body: &Value) -> Result<Map<String, Value>, Refusal> {
    read_message(message, body, "")
}

/// The names of `message`'s fields.
pub(crate) fn fields(message: &str) -> impl Iterator<Item = &'static str> {
    SCHEMA
        .messages
        .get(message)
        .into_iter()
        .flat_map(BTreeMap::keys)
        .map(String::as_str)
}

/// The type of a field of `message`.
#[cfg(test)]
pub(crate) fn kind(message: &str, field: &str) -> Option<&'static str> {
    SCHEMA.messages.get(message)?.get(field).map(String::as_str)
}

fn read_message(message: &str, body: &Value, at: &str) -> Result<Map<String, Value>, Refusal> {
    let Some(given) = body.as_object() else {
        return Err(wrong_type(
            at,
            &format!("type.googleapis.com/google.container.v1.{message}"),
            body,
        ));
    };
    let known = &SCHEMA.messages[message];
    let mut read = Map::new();
    for (name, value) in given {
        let camel = camel_case(name);
        let Some(kind) = known.get(name).or_else(|| known.get(&camel)) else {
            return Err(unknown_name(name, at));
        };
        if value.is_null() {
            continue;
        }
        let at = if at.is_empty() {
            snake_case(&camel)
        } else {
            format!("{at}.{}", snake_case(&camel))
        };
        if let Some(value) = read_value(kind, value, &at)? {
            read.insert(camel, value);
        }
    }
    Ok(read)
}

fn read_value(kind: &str, value: &Value, at: &str) -> Result<Option<Value>, Refusal> {
    if let Some(item) = kind.strip_prefix('[') {
        let Some(values) = value.as_array() else {
            return Err(wrong_type(at, "TYPE_ARRAY", value));
        };
        let mut read = Vec::new();
        for (index, value) in values.iter().enumerate() {
            let at = format!("{at}[{index}]");
            read.push(read_value(item, value, &at)?.unwrap_or_else(|| zero(item)));
        }
        return Ok((!read.is_empty()).then_some(Value::Array(read)));
    }
    if let Some(item) = kind.strip_prefix('{') {
        let Some(values) = value.as_object() else {
            return Err(wrong_type(at, "TYPE_MESSAGE", value));
        };
        let mut read = Map::new();
        for (key, value) in values {
            let at = format!("{at}.{key}");
            read.insert(
                key.clone(),
                read_value(item, value, &at)?.unwrap_or_else(|| zero(item)),
            );
        }
        return Ok((!read.is_empty()).then_some(Value::Object(read)));
    }
    if let Some(message) = kind.strip_prefix('@') {
        return Ok(Some(Value::Object(read_message(message, value, at)?)));
    }
    let present = kind.ends_with('?');
    let kind = kind.trim_end_matches('?');
    let read = match kind.as_bytes().first() {
        Some(b'b') => match value {
            Value::Bool(_) => value.clone(),
            _ => return Err(wrong_type(at, "TYPE_BOOL", value)),
        },
        Some(b's') => match value {
            Value::String(_) => value.clone(),
            _ => return Err(wrong_type(at, "TYPE_STRING", value)),
        },
        Some(b'i') => match whole(value).and_then(|number| i32::try_from(number).ok()) {
            Some(number) => json!(number),
            None => return Err(wrong_type(at, "TYPE_INT32", value)),
        },
        Some(b'l') => match whole(value) {
            Some(number) => json!(number.to_string()),
            None => return Err(wrong_type(at, "TYPE_INT64", value)),
        },
        Some(b'd') => match value.as_f64().or_else(|| value.as_str()?.parse().ok()) {
            Some(number) => json!(number),
            None => return Err(wrong_type(at, "TYPE_DOUBLE", value)),
        },
        Some(b'#') => json!(read_enum(&kind[1..], value, at)?),
        _ => value.clone(),
    };
    Ok((present || read != zero(kind)).then_some(read))
}

fn read_enum(name: &str, value: &Value, at: &str) -> Result<String, Refusal> {
    let names = &SCHEMA.enums[name];
    let found = match value {
        Value::String(text) => {
            let by_number = text.parse().ok().and_then(|number: i64| names.get(&number));
            names.values().find(|known| *known == text).or(by_number)
        }
        Value::Number(number) => number.as_i64().and_then(|number| names.get(&number)),
        _ => None,
    };
    found.cloned().ok_or_else(|| {
        wrong_type(
            at,
            &format!("type.googleapis.com/google.container.v1.{name}"),
            value,
        )
    })
}

fn zero(kind: &str) -> Value {
    match kind.as_bytes().first() {
        Some(b'b') => json!(false),
        Some(b's') => json!(""),
        Some(b'i') => json!(0),
        Some(b'l') => json!("0"),
        Some(b'd') => json!(0.0),
        Some(b'#') => json!(SCHEMA.enums[&kind[1..]].get(&0)),
        _ => json!({}),
    }
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn unknown_name(name: &str, at: &str) -> Refusal {
    let place = if at.is_empty() {
        String::new()
    } else {
        format!(" at '{at}'")
    };
    Refusal::payload(
        at,
        &format!(
            "Invalid JSON payload received. Unknown name \"{name}\"{place}: Cannot find field."
        ),
    )
}

fn wrong_type(at: &str, wanted: &str, value: &Value) -> Refusal {
    Refusal::payload(at, &format!("Invalid value at '{at}' ({wanted}), {value}"))
}

fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else if upper {
            camel.extend(letter.to_uppercase());
            upper = false;
        } else {
            camel.push(letter);
        }
    }
    camel
}

/// The name of a field as the API's own definitions spell it.
pub(crate) fn snake_case(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "goldens read better by value"
    )]
    fn check_read(message: &str, body: &Value, expected: Expect) {
        let seen = match read(message, body) {
            Ok(read) => Value::Object(read).to_string(),
            Err(refusal) => format!("{} {}", refusal.code, refusal.message),
        };
        expected.assert_eq(&seen);
    }

    #[test]
    fn an_enum_may_be_a_number_or_a_name() {
        check_read(
            "ClusterUpdate",
            &json!({ "desiredDatapathProvider": 2, "desired_stack_type": "IPV4_IPV6" }),
            expect![[
                r#"{"desiredDatapathProvider":"ADVANCED_DATAPATH","desiredStackType":"IPV4_IPV6"}"#
            ]],
        );
    }

    #[test]
    fn zero_values_vanish_unless_absence_means_something() {
        check_read(
            "Cluster",
            &json!({ "legacyAbac": { "enabled": false },
                    "networkConfig": { "defaultEnablePrivateNodes": false, "enableL4ilbSubsetting": false } }),
            expect![[r#"{"legacyAbac":{},"networkConfig":{"defaultEnablePrivateNodes":false}}"#]],
        );
    }

    #[test]
    fn sixty_four_bits_are_text() {
        check_read(
            "MaxPodsConstraint",
            &json!({ "maxPodsPerNode": 110 }),
            expect![[r#"{"maxPodsPerNode":"110"}"#]],
        );
    }

    #[test]
    fn an_unknown_name_is_refused_with_its_place() {
        check_read(
            "CreateClusterRequest",
            &json!({ "cluster": { "nodePools": [{ "config": { "machineTyp": "e2-medium" } }] } }),
            expect![[
                r#"400 Invalid JSON payload received. Unknown name "machineTyp" at 'cluster.node_pools[0].config': Cannot find field."#
            ]],
        );
    }

    #[test]
    fn a_wrong_type_is_refused_with_its_place() {
        check_read(
            "CreateClusterRequest",
            &json!({ "cluster": { "initialNodeCount": "many" } }),
            expect![[r#"400 Invalid value at 'cluster.initial_node_count' (TYPE_INT32), "many""#]],
        );
    }
}
