//! The part of a body that is ours to manage, compared with and merged into the whole.
//!
//! What the part does not name is the cloud's or somebody else's: it is never a difference and
//! survives every write.

use std::collections::BTreeMap;

use paymesh_engine::Subject;
use serde_json::{Map, Value};

/// How the user knows the fields of a body: prefixes of JSON paths and the attribute behind each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wording(pub BTreeMap<&'static str, String>);

impl Wording {
    /// `path` (`properties.networkProfile.podCidr`) as the user knows it.
    pub(crate) fn of(&self, path: &str) -> Subject {
        let known = self.0.iter().filter(|(prefix, _)| within(path, prefix));
        known.max_by_key(|(prefix, _)| prefix.len()).map_or_else(
            || Subject::Setting(path.trim_start_matches("properties.").to_owned()),
            |(_, attribute)| Subject::Attribute(attribute.clone()),
        )
    }

    /// The attribute behind `target`, the field that ARM blames.
    pub(crate) fn blamed(&self, target: &str) -> Option<String> {
        let subject = self.of(&format!("properties.{target}"));
        subject.attribute().map(str::to_owned)
    }
}

/// Adds `subject` unless it is there.
pub(crate) fn add(subjects: &mut Vec<Subject>, subject: Subject) {
    if !subjects.contains(&subject) {
        subjects.push(subject);
    }
}

pub(crate) fn within(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// The paths at which `whole` is not as `part` wants it. A null in `part` wants absence.
pub(crate) fn differing(part: &Value, whole: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    compare(part, whole, "", &mut paths);
    paths
}

fn compare(part: &Value, whole: &Value, path: &str, paths: &mut Vec<String>) {
    if let Value::Object(fields) = part {
        for (key, wanted) in fields {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let found = field(whole, key);
            if key.starts_with('/') && found.is_null() && !wanted.is_null() {
                paths.push(path);
            } else {
                compare(wanted, found, &path, paths);
            }
        }
    } else if !same(part, whole, is_exact(path)) {
        paths.push(path.to_owned());
    }
}

/// A field of `whole`. Keys that are resource ids (`userAssignedIdentities`) ignore case.
fn field<'a>(whole: &'a Value, key: &str) -> &'a Value {
    let exact = whole.get(key);
    let found = exact.or_else(|| {
        let fields = whole.as_object().filter(|_| key.starts_with('/'))?;
        fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value)
    });
    found.unwrap_or(&Value::Null)
}

/// Words of the user, where case matters; elsewhere ARM preserves case and ignores it.
fn is_exact(path: &str) -> bool {
    ["tags", "properties.nodeLabels", "properties.nodeTaints"]
        .iter()
        .any(|it| within(path, it))
}

fn same(wanted: &Value, seen: &Value, exact: bool) -> bool {
    match (wanted, seen) {
        (Value::String(a), Value::String(b)) if !exact => a.eq_ignore_ascii_case(b),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|it| b.iter().any(|other| same(it, other, exact)))
        }
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        // The cloud leaves out what is off or empty.
        (empty, Value::Null) => match empty {
            Value::Null | Value::Bool(false) => true,
            Value::String(it) => it.is_empty() || it.eq_ignore_ascii_case("disabled"),
            Value::Array(it) => it.is_empty(),
            _ => false,
        },
        (Value::Null, Value::Array(it)) => it.is_empty(),
        (Value::Null, Value::Object(it)) => it.is_empty(),
        _ => wanted == seen,
    }
}

/// `whole` with `part` laid over it.
pub(crate) fn merge(part: &Value, whole: &mut Value) {
    match part {
        Value::Object(fields) => {
            if !whole.is_object() {
                *whole = Value::Object(Map::new());
            }
            for (key, wanted) in fields {
                let known = whole.as_object().and_then(|it| {
                    it.keys()
                        .find(|name| key.starts_with('/') && name.eq_ignore_ascii_case(key))
                });
                let key = known.unwrap_or(key).clone();
                if wanted.is_null() {
                    if let Some(fields) = whole.as_object_mut() {
                        fields.remove(&key);
                    }
                } else {
                    merge(wanted, &mut whole[key.as_str()]);
                }
            }
        }
        other => other.clone_into(whole),
    }
}

/// `body` without the fields that only the cloud writes.
pub(crate) fn without(mut body: Value, read_only: &[&str]) -> Value {
    for path in read_only {
        let (parent, key) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(fields) = body.pointer_mut(parent).and_then(Value::as_object_mut) {
            fields.remove(key);
        }
    }
    body
}

/// The part without its nulls and empty objects, for a create.
pub(crate) fn compact(part: Value) -> Value {
    match part {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, compact(value)))
                .collect(),
        ),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check_differing(part: &Value, whole: &Value, expected: &[&str]) {
        assert_eq!(differing(part, whole), expected);
        // Once merged, nothing differs.
        let mut merged = whole.clone();
        merge(part, &mut merged);
        assert_eq!(differing(part, &merged), [] as [&str; 0], "{merged}");
    }

    #[test]
    fn only_what_is_named_can_differ() {
        let whole = json!({"a": 1, "server": {"filled": true, "kept": "X"}});
        check_differing(&json!({"a": 1, "server": {"kept": "x"}}), &whole, &[]);
        check_differing(
            &json!({"a": 2, "server": {"new": "y"}}),
            &whole,
            &["a", "server.new"],
        );
        check_differing(&json!({"server": {"kept": null}}), &whole, &["server.kept"]);
    }

    #[test]
    fn what_is_off_may_be_left_out() {
        check_differing(
            &json!({"off": false, "none": [], "gone": null, "mode": "Disabled"}),
            &json!({}),
            &[],
        );
        check_differing(&json!({"on": true}), &json!({}), &["on"]);
    }

    #[test]
    fn lists_are_sets_and_the_users_words_keep_their_case() {
        check_differing(&json!({"l": ["a", "b"]}), &json!({"l": ["B", "A"]}), &[]);
        check_differing(
            &json!({"tags": {"k": "a"}}),
            &json!({"tags": {"k": "A"}}),
            &["tags.k"],
        );
    }

    #[test]
    fn merging_keeps_what_nobody_named() {
        let mut whole = json!({"ids": {"/Sub/X": {"principalId": "p"}}, "unknown": [1]});
        merge(&json!({"ids": {"/sub/x": {}}}), &mut whole);
        assert_eq!(
            whole,
            json!({"ids": {"/Sub/X": {"principalId": "p"}}, "unknown": [1]})
        );
    }

    #[test]
    fn attributes_are_named_as_the_user_knows_them() {
        let known = Wording([("properties.networkProfile", "network".to_owned())].into());
        let check = |path: &str, expected: Subject| assert_eq!(known.of(path), expected);
        check(
            "properties.networkProfile.podCidr",
            Subject::Attribute("network".to_owned()),
        );
        check(
            "properties.networkProfileX",
            Subject::Setting("networkProfileX".to_owned()),
        );
    }
}
