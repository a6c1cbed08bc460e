//! The rules by which Terraform's core judges a provider's answers, applied by ourselves first, so
//! that a defect names its attribute and comes with the rule that it breaks.

use std::collections::BTreeSet;

use crate::{
    findings::Findings,
    path::Path,
    schema::{Attribute, AttributeType, Nesting, Presence, Schema},
    value::Value,
};

const NEXT_STEP: &str = "this is a defect of the provider: please report it with the log of a run \
                         with TF_LOG=TRACE";

/// A plan follows the configuration, or keeps exactly what was; it chooses only what the user left
/// out and the provider may set.
pub(crate) fn check_plan(
    schema: &Schema,
    prior: &Value,
    config: &Value,
    planned: &Value,
) -> Findings {
    let mut found = Findings::new();
    plan_attributes(
        &schema.attributes,
        &Path::root(),
        [prior, config, planned],
        &mut found,
    );
    found
}

fn plan_attributes(
    attributes: &[Attribute],
    at: &Path,
    [prior, config, planned]: [&Value; 3],
    found: &mut Findings,
) {
    for attribute in attributes {
        let at = at.attribute(&attribute.name);
        let [prior, config, planned] =
            [prior, config, planned].map(|object| object.entry(&attribute.name));
        plan_attribute(attribute, &at, [prior, config, planned], found);
    }
}

fn plan_attribute(
    attribute: &Attribute,
    at: &Path,
    [prior, config, planned]: [&Value; 3],
    found: &mut Findings,
) {
    if attribute.presence.is_write_only() {
        if !planned.is_null() {
            planned_defect(at, "a write-only value is in the plan", found);
        }
        return;
    }
    if config.is_null() {
        if !attribute.presence.is_computed() && !planned.is_null() {
            planned_defect(at, "the user left it out, but the plan sets it", found);
        }
        return;
    }
    if same(&attribute.kind, planned, config) || same(&attribute.kind, planned, prior) {
        return;
    }
    let AttributeType::Nested(nesting, inner) = &attribute.kind else {
        let message = if attribute.sensitive {
            "the plan differs from the configuration and from the state".to_owned()
        } else {
            format!("the configuration says {config}, the state {prior}, and the plan {planned}")
        };
        planned_defect(at, &message, found);
        return;
    };
    match (nesting, config, planned) {
        (Nesting::Single, Value::Map(_), Value::Map(_)) => {
            plan_attributes(inner, at, [prior, config, planned], found);
        }
        (Nesting::Map, Value::Map(wanted), Value::Map(answered))
            if wanted.keys().eq(answered.keys()) =>
        {
            for (key, config) in wanted {
                let objects = [prior.entry(key), config, planned.entry(key)];
                plan_attributes(inner, &at.key(key), objects, found);
            }
        }
        (Nesting::List, Value::List(wanted), Value::List(answered))
            if wanted.len() == answered.len() =>
        {
            for (index, (config, planned)) in wanted.iter().zip(answered).enumerate() {
                let at = at.index(index);
                let prior = Path::root().index(index).of(prior).clone();
                plan_attributes(inner, &at, [&prior, config, planned], found);
            }
        }
        (Nesting::Set, Value::List(wanted), Value::List(answered))
            if wanted.len() == answered.len() => {}
        _ => planned_defect(
            at,
            "the plan has other elements than the configuration",
            found,
        ),
    }
}

fn planned_defect(at: &Path, message: &str, found: &mut Findings) {
    found
        .error(
            at.clone(),
            "The provider made a plan that does not follow the configuration",
        )
        .detail(format!("{at}: {message}"))
        .hint(NEXT_STEP);
}

/// An applied object is wholly known, holds no write-only value, and is as planned wherever the plan
/// knew.
pub(crate) fn check_applied(schema: &Schema, planned: &Value, applied: &Value) -> Findings {
    let mut found = Findings::new();
    applied_attributes(
        &schema.attributes,
        &Path::root(),
        planned,
        applied,
        &mut found,
    );
    found
}

fn applied_attributes(
    attributes: &[Attribute],
    at: &Path,
    planned: &Value,
    applied: &Value,
    found: &mut Findings,
) {
    for attribute in attributes {
        let at = at.attribute(&attribute.name);
        let (planned, applied) = (
            planned.entry(&attribute.name),
            applied.entry(&attribute.name),
        );
        applied_value(attribute, &at, planned, applied, found);
    }
}

fn applied_value(
    attribute: &Attribute,
    at: &Path,
    planned: &Value,
    applied: &Value,
    found: &mut Findings,
) {
    let mut defect = |at: &Path, message: &str| {
        found
            .error(
                at.clone(),
                "The provider applied something else than it planned",
            )
            .detail(format!("{at}: {message}"))
            .hint(NEXT_STEP);
    };
    if attribute.presence.is_write_only() {
        if !applied.is_null() {
            defect(at, "a write-only value is in the state");
        }
        return;
    }
    if !applied.is_wholly_known() {
        defect(at, "it is still unknown after apply");
        return;
    }
    match (&attribute.kind, planned, applied) {
        (_, Value::Unknown, _) => {}
        (AttributeType::Nested(Nesting::Single, inner), Value::Map(_), Value::Map(_)) => {
            applied_attributes(inner, at, planned, applied, found);
        }
        (AttributeType::Nested(Nesting::Map, inner), Value::Map(old), Value::Map(new))
            if old.keys().eq(new.keys()) =>
        {
            for (key, planned) in old {
                applied_attributes(inner, &at.key(key), planned, applied.entry(key), found);
            }
        }
        (AttributeType::Nested(Nesting::List, inner), Value::List(old), Value::List(new))
            if old.len() == new.len() =>
        {
            for (index, (planned, applied)) in old.iter().zip(new).enumerate() {
                applied_attributes(inner, &at.index(index), planned, applied, found);
            }
        }
        (kind, planned, applied) if fits(kind, planned, applied) => {}
        _ if attribute.sensitive => defect(at, "the value is not the planned one"),
        _ => defect(
            at,
            &format!("the plan says {planned}, and the result is {applied}"),
        ),
    }
}

/// Whether a known value is what a plan with unknown parts announced.
fn fits(kind: &AttributeType, planned: &Value, applied: &Value) -> bool {
    if planned.is_wholly_known() {
        return same(kind, planned, applied);
    }
    match (planned, applied) {
        (Value::Unknown, _) => true,
        (Value::List(old), Value::List(new)) if is_set(kind) => old.len() >= new.len(),
        (Value::List(old), Value::List(new)) => {
            let element = element(kind);
            old.len() == new.len()
                && old
                    .iter()
                    .zip(new)
                    .all(|(old, new)| fits(element, old, new))
        }
        (Value::Map(old), Value::Map(new)) => {
            let element = element(kind);
            old.keys().eq(new.keys())
                && old
                    .values()
                    .zip(new.values())
                    .all(|(old, new)| fits(element, old, new))
        }
        _ => false,
    }
}

fn is_set(kind: &AttributeType) -> bool {
    matches!(
        kind,
        AttributeType::Set(_) | AttributeType::Nested(Nesting::Set, _)
    )
}

fn element(kind: &AttributeType) -> &AttributeType {
    match kind {
        AttributeType::List(element)
        | AttributeType::Set(element)
        | AttributeType::Map(element) => element,
        _ => &AttributeType::Dynamic,
    }
}

/// Whether two values are the same to Terraform: elements of sets have no order, and write-only
/// values inside do not count.
fn same(kind: &AttributeType, left: &Value, right: &Value) -> bool {
    match (kind, left, right) {
        (AttributeType::Set(_), Value::List(left), Value::List(right)) => {
            left.iter().collect::<BTreeSet<_>>() == right.iter().collect::<BTreeSet<_>>()
        }
        (AttributeType::List(element), Value::List(left), Value::List(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| same(element, left, right))
        }
        (AttributeType::Map(element), Value::Map(left), Value::Map(right)) => {
            left.keys().eq(right.keys())
                && left
                    .values()
                    .zip(right.values())
                    .all(|(left, right)| same(element, left, right))
        }
        (AttributeType::Nested(nesting, inner), left, right) => {
            same_nested(*nesting, inner, left, right)
        }
        _ => left == right,
    }
}

fn same_nested(nesting: Nesting, inner: &[Attribute], left: &Value, right: &Value) -> bool {
    let object = |left: &Value, right: &Value| match (left, right) {
        (Value::Map(_), Value::Map(_)) => inner.iter().all(|attribute| {
            matches!(
                attribute.presence,
                Presence::WriteOnlyRequired | Presence::WriteOnlyOptional
            ) || same(
                &attribute.kind,
                left.entry(&attribute.name),
                right.entry(&attribute.name),
            )
        }),
        _ => left == right,
    };
    match (nesting, left, right) {
        (Nesting::Single, left, right) => object(left, right),
        (Nesting::List, Value::List(left), Value::List(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| object(left, right))
        }
        (Nesting::Set, Value::List(left), Value::List(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|left| right.iter().any(|right| object(left, right)))
        }
        (Nesting::Map, Value::Map(left), Value::Map(right)) => {
            left.keys().eq(right.keys())
                && left
                    .values()
                    .zip(right.values())
                    .all(|(left, right)| object(left, right))
        }
        _ => left == right,
    }
}

/// The write-only values of a configuration that are set.
pub(crate) fn write_only_paths(attributes: &[Attribute], at: &Path, config: &Value) -> Vec<Path> {
    let mut paths = Vec::new();
    for attribute in attributes {
        let at = at.attribute(&attribute.name);
        let value = config.entry(&attribute.name);
        if attribute.presence.is_write_only() && !value.is_null() {
            paths.push(at);
        } else if let AttributeType::Nested(nesting, inner) = &attribute.kind {
            match (nesting, value) {
                (Nesting::Single, value) => paths.extend(write_only_paths(inner, &at, value)),
                (Nesting::Map, Value::Map(entries)) => paths.extend(
                    entries
                        .iter()
                        .flat_map(|(key, value)| write_only_paths(inner, &at.key(key), value)),
                ),
                (Nesting::List, Value::List(elements)) => {
                    paths.extend(elements.iter().enumerate().flat_map(|(index, value)| {
                        write_only_paths(inner, &at.index(index), value)
                    }));
                }
                _ => {}
            }
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let attribute =
            |name, kind, presence| Attribute::new(name, kind, presence, "Described elsewhere.");
        let zones = AttributeType::Set(Box::new(AttributeType::String));
        let pool = vec![
            attribute("size", AttributeType::Number, Presence::Required),
            attribute("token", AttributeType::String, Presence::WriteOnlyOptional),
        ];
        Schema {
            attributes: vec![
                attribute("name", AttributeType::String, Presence::Required),
                attribute("note", AttributeType::String, Presence::Optional),
                attribute("tier", AttributeType::String, Presence::OptionalComputed),
                attribute("zones", zones, Presence::Optional),
                attribute(
                    "pools",
                    AttributeType::Nested(Nesting::Map, pool),
                    Presence::Optional,
                ),
                attribute("id", AttributeType::String, Presence::Computed),
            ],
            ..Schema::default()
        }
    }

    fn json(text: &str) -> Value {
        let value = Value::from_json(&serde_json::from_str(text).unwrap());
        unknowns(value)
    }

    /// `"?"` stands for an unknown.
    fn unknowns(value: Value) -> Value {
        match value {
            Value::String(text) if text == "?" => Value::Unknown,
            Value::List(elements) => Value::list(elements.into_iter().map(unknowns)),
            Value::Map(entries) => Value::map(
                entries
                    .into_iter()
                    .map(|(key, value)| (key, unknowns(value))),
            ),
            value => value,
        }
    }

    fn check_planned([prior, config, planned]: [&str; 3], details: &[&str]) {
        let found = check_plan(&schema(), &json(prior), &json(config), &json(planned));
        let found: Vec<_> = found
            .iter()
            .map(|finding| finding.detail.as_str())
            .collect();
        assert_eq!(found, details);
    }

    #[test]
    fn a_plan_may_choose_what_is_left_out_and_keep_what_was() {
        check_planned(
            [
                r#"{"name":"OLD","zones":["b","a"]}"#,
                r#"{"name":"old","zones":["a","b"]}"#,
                r#"{"name":"OLD","zones":["a","b"],"tier":"free","id":"?"}"#,
            ],
            &[],
        );
    }

    #[test]
    fn a_plan_may_not_change_what_the_user_wrote() {
        check_planned(
            [
                "null",
                r#"{"name":"a","pools":{"x":{"size":1,"token":"t"}}}"#,
                r#"{"name":"b","note":"n","pools":{"x":{"size":2,"token":"t"}}}"#,
            ],
            &[
                r#"name: the configuration says "a", the state null, and the plan "b""#,
                "note: the user left it out, but the plan sets it",
                r#"pools["x"].size: the configuration says 1, the state null, and the plan 2"#,
                r#"pools["x"].token: a write-only value is in the plan"#,
            ],
        );
    }

    fn check_result([planned, applied]: [&str; 2], details: &[&str]) {
        let found = check_applied(&schema(), &json(planned), &json(applied));
        let found: Vec<_> = found
            .iter()
            .map(|finding| finding.detail.as_str())
            .collect();
        assert_eq!(found, details);
    }

    #[test]
    fn a_result_fills_in_the_unknown_and_keeps_the_known() {
        check_result(
            [
                r#"{"name":"a","zones":["a","b"],"id":"?","tier":"?"}"#,
                r#"{"name":"a","zones":["b","a"],"id":"1","tier":null}"#,
            ],
            &[],
        );
        check_result(
            [r#"{"name":"a","id":"1"}"#, r#"{"name":"b","id":"?"}"#],
            &[
                r#"name: the plan says "a", and the result is "b""#,
                "id: it is still unknown after apply",
            ],
        );
    }

    #[test]
    fn write_only_values_are_found_at_every_depth() {
        let config = json(r#"{"name":"a","pools":{"x":{"size":1,"token":"t"}}}"#);
        let paths = write_only_paths(&schema().attributes, &Path::root(), &config);
        assert_eq!(
            paths.iter().map(Path::to_string).collect::<Vec<_>>(),
            [r#"pools["x"].token"#]
        );
    }
}
