//! Small moves on raw JSON documents, which is what the simulated cloud keeps.

use serde_json::{Map, Value, json};

/// Fills what `given` leaves open from `defaults`, at every depth of objects.
pub(crate) fn fill(given: &mut Value, defaults: &Value) {
    let (Some(fields), Some(defaults)) = (given.as_object_mut(), defaults.as_object()) else {
        return;
    };
    for (name, default) in defaults {
        match fields.get_mut(name) {
            Some(field) => fill(field, default),
            None => {
                fields.insert(name.clone(), default.clone());
            }
        }
    }
}

/// Writes `change` over `target`, at every depth of objects.
pub(crate) fn overlay(target: &mut Value, change: &Value) {
    match (target.as_object_mut(), change.as_object()) {
        (Some(fields), Some(changes)) => {
            for (name, value) in changes {
                overlay(fields.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        _ => *target = change.clone(),
    }
}

/// Writes each field of `change` over `target`, one level deep.
pub(crate) fn overlay_once(target: &mut Value, change: &Value) {
    if !target.is_object() {
        *target = json!({});
    }
    if let Some(changes) = change.as_object() {
        for (name, value) in changes {
            target[name] = value.clone();
        }
    }
}

/// Sets the value at `path` (`a/b/c`), making objects on the way; `null` removes it.
pub(crate) fn set(document: &mut Value, path: &str, value: Value) {
    let mut at = document;
    let mut names: Vec<&str> = path.split('/').collect();
    let Some(last) = names.pop() else { return };
    for name in names {
        if !at[name].is_object() {
            at[name] = json!({});
        }
        at = &mut at[name];
    }
    if value.is_null() {
        if let Some(fields) = at.as_object_mut() {
            fields.remove(last);
        }
    } else {
        at[last] = value;
    }
}

/// The text at `pointer`, or an empty one.
pub(crate) fn text<'a>(document: &'a Value, pointer: &str) -> &'a str {
    document
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// The truth at `pointer`; absent is false.
pub(crate) fn truth(document: &Value, pointer: &str) -> bool {
    document
        .pointer(pointer)
        .and_then(Value::as_bool)
        .unwrap_or_default()
}

/// The count at `pointer`; absent is zero.
pub(crate) fn count(document: &Value, pointer: &str) -> u32 {
    document
        .pointer(pointer)
        .and_then(Value::as_u64)
        .and_then(|count| u32::try_from(count).ok())
        .unwrap_or_default()
}

/// The texts at `pointer`.
pub(crate) fn texts(document: &Value, pointer: &str) -> Vec<String> {
    let values = document.pointer(pointer).and_then(Value::as_array);
    values
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The fields of an object, ordered by name, as Google's servers write them.
pub(crate) fn sorted(document: &Value) -> Value {
    match document {
        Value::Object(fields) => {
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            Value::Object(
                names
                    .into_iter()
                    .map(|name| (name.clone(), sorted(&fields[name])))
                    .collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        _ => document.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_fill_only_what_is_open() {
        let mut given = json!({ "a": { "x": 1 }, "b": [] });
        fill(
            &mut given,
            &json!({ "a": { "x": 2, "y": 3 }, "b": [1], "c": 4 }),
        );
        assert_eq!(given, json!({ "a": { "x": 1, "y": 3 }, "b": [], "c": 4 }));
    }

    #[test]
    fn a_path_is_made_on_the_way_and_null_removes() {
        let mut document = json!({});
        set(&mut document, "a/b", json!(1));
        assert_eq!(document, json!({ "a": { "b": 1 } }));
        set(&mut document, "a/b", Value::Null);
        assert_eq!(document, json!({ "a": {} }));
    }
}
