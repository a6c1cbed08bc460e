//! Drift: what was changed behind our back is put into the state, so that a plan shows it as the
//! change that undoes it. What means the same keeps the user's spelling.

use paymesh_engine::{Observations, Reading};
use paymesh_plugin::{findings::Findings, path::Step, spec::Attribute, value::Value};

use super::{Converged, faults};
use crate::session::Session;

/// `spelling` with what was seen in the attributes that differ.
pub(super) fn spec<C: Converged>(
    session: &Session,
    (spelling, status): (&C::Spec, &C::Status),
    reading: &Reading,
) -> C::Spec {
    let seen: &Observations = &reading.observations;
    let described = (!reading.differing.is_empty())
        .then(|| C::described(session, spelling, status, seen))
        .flatten();
    let Some(described) = described else {
        return spelling.clone();
    };
    let described = described.encode();
    let mut value = spelling.encode();
    let paths = reading.differing.iter().map(|text| faults::path(text));
    for path in paths.flat_map(C::together) {
        lay(&mut value, &described, path.steps());
    }
    C::Spec::recall(&value, &mut Findings::new()).unwrap_or_else(|| spelling.clone())
}

/// Lays what `seen` holds at `steps` over `value`. What is not there in a map is taken out of it;
/// a step that is no attribute leads nowhere.
fn lay(value: &mut Value, seen: &Value, steps: &[Step]) {
    let [Step::Attribute(name) | Step::Key(name), rest @ ..] = steps else {
        seen.clone_into(value);
        return;
    };
    let Value::Map(entries) = value else {
        return;
    };
    let Some(place) = entries.get_mut(name) else {
        return;
    };
    let found = seen.entry(name);
    if found.is_null() && matches!(steps.first(), Some(Step::Key(_))) {
        entries.remove(name);
    } else if found.is_null() || place.is_null() {
        found.clone_into(place);
    } else {
        lay(place, found, rest);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use paymesh_plugin::value::Value;

    use super::*;

    fn object(entries: &[(&str, Value)]) -> Value {
        Value::map(entries.iter().cloned())
    }

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    fn check(path: &str, expected: &Expect) {
        let pool = |size: &str| object(&[("size", text(size)), ("spelled", text("as it was"))]);
        let mut value = object(&[
            ("channel", text("ours")),
            ("access", Value::Null),
            ("logs", object(&[("to", text("ours"))])),
            ("pools", object(&[("a", pool("1")), ("b", pool("1"))])),
        ]);
        let seen = object(&[
            ("channel", text("theirs")),
            ("access", object(&[("ranges", text("all"))])),
            ("logs", Value::Null),
            ("pools", object(&[("a", object(&[("size", text("2"))]))])),
        ]);
        lay(&mut value, &seen, faults::path(path).steps());
        expected.assert_eq(&value.to_string());
    }

    #[test]
    fn only_what_differs_is_taken_from_what_was_seen() {
        check(
            "channel",
            &expect![[
                r#"{ access = null, channel = "theirs", logs = { to = "ours" }, pools = { a = { size = "1", spelled = "as it was" }, b = { size = "1", spelled = "as it was" } } }"#
            ]],
        );
        check(
            "access.ranges",
            &expect![[
                r#"{ access = { ranges = "all" }, channel = "ours", logs = { to = "ours" }, pools = { a = { size = "1", spelled = "as it was" }, b = { size = "1", spelled = "as it was" } } }"#
            ]],
        );
        check(
            "logs.to",
            &expect![[
                r#"{ access = null, channel = "ours", logs = null, pools = { a = { size = "1", spelled = "as it was" }, b = { size = "1", spelled = "as it was" } } }"#
            ]],
        );
        check(
            "pools[\"a\"].size",
            &expect![[
                r#"{ access = null, channel = "ours", logs = { to = "ours" }, pools = { a = { size = "2", spelled = "as it was" }, b = { size = "1", spelled = "as it was" } } }"#
            ]],
        );
        check(
            "pools[\"b\"]",
            &expect![[
                r#"{ access = null, channel = "ours", logs = { to = "ours" }, pools = { a = { size = "1", spelled = "as it was" } } }"#
            ]],
        );
        check(
            "no attribute",
            &expect![[
                r#"{ access = null, channel = "ours", logs = { to = "ours" }, pools = { a = { size = "1", spelled = "as it was" }, b = { size = "1", spelled = "as it was" } } }"#
            ]],
        );
    }
}
