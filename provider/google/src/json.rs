//! Comparing and composing proto3 JSON, where a default value is the same as an absent one and a
//! 64-bit number is a string.

use serde_json::{Map, Value};

/// Whether `seen` holds everything that `want` says. Fields that `want` does not name do not
/// count; lists of plain values are compared as sets, lists of objects in order.
pub(crate) fn agrees(want: &Value, seen: Option<&Value>) -> bool {
    match (want, seen) {
        (want, None | Some(Value::Null)) => is_default(want),
        (Value::Object(want), Some(Value::Object(seen))) => {
            want.iter().all(|(key, value)| agrees(value, seen.get(key)))
        }
        (Value::Array(want), Some(Value::Array(seen))) => {
            if want.iter().chain(seen).all(|item| !item.is_object()) {
                sorted(want) == sorted(seen)
            } else {
                want.len() == seen.len()
                    && want
                        .iter()
                        .zip(seen)
                        .all(|(want, seen)| agrees(want, Some(seen)))
            }
        }
        (want, Some(seen)) => {
            want == seen || text(want).is_some_and(|want| Some(want) == text(seen))
        }
    }
}

/// Whether a value is what proto3 JSON leaves out.
fn is_default(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_default),
    }
}

/// Numbers and their quoted form are one text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn sorted(items: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

/// Writes `value` at `pointer` (RFC 6901, no escapes), making the objects on the way and merging
/// into an object that is already there.
pub(crate) fn put(into: &mut Value, pointer: &str, value: Value) {
    let mut place = into;
    for key in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(fields) = place else {
            return;
        };
        place = fields.entry(key).or_insert(Value::Null);
    }
    merge(place, value);
}

fn merge(place: &mut Value, value: Value) {
    match (place, value) {
        (Value::Object(place), Value::Object(value)) => {
            for (key, value) in value {
                merge(place.entry(key).or_insert(Value::Null), value);
            }
        }
        (place, value) => *place = value,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_absent_field_is_its_default() {
        assert!(agrees(
            &json!({"enabled": false, "names": [], "size": 0}),
            Some(&json!({}))
        ));
        assert!(agrees(&json!(false), None));
        assert!(!agrees(&json!({"enabled": true}), Some(&json!({}))));
    }

    #[test]
    fn fields_that_nobody_asked_for_do_not_count() {
        assert!(agrees(&json!({"a": 1}), Some(&json!({"a": 1, "b": 2}))));
    }

    #[test]
    fn plain_lists_are_sets_and_quoted_numbers_are_numbers() {
        assert!(agrees(&json!(["B", "A"]), Some(&json!(["A", "B"]))));
        assert!(!agrees(&json!(["A"]), Some(&json!(["A", "B"]))));
        assert!(agrees(&json!(100), Some(&json!("100"))));
    }

    #[test]
    fn putting_makes_the_way_and_keeps_what_is_there() {
        let mut body = json!({"a": {"x": 1}});
        put(&mut body, "/a/b/c", json!(true));
        put(&mut body, "/a", json!({"y": 2}));
        assert_eq!(body, json!({"a": {"x": 1, "b": {"c": true}, "y": 2}}));
    }
}
