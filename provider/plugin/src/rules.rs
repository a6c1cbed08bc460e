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
    let keeps = !prior.is_null() && same(&attribute.kind, planned, prior);
    if keeps || same(&attribute.kind, planned, config) {
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
        _ if hides(attribute) => defect(at, "the value is not the planned one"),
        _ => defect(
            at,
            &format!("the plan says {planned}, and the result is {applied}"),
        ),
    }
}

/// Whether the value, or a part of it, is not to be shown.
fn hides(attribute: &Attribute) -> bool {
    let inner = match &attribute.kind {
        AttributeType::Nested(_, inner) => inner.as_slice(),
        _ => &[],
    };
    attribute.sensitive || inner.iter().any(hides)
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

    /// An attribute of each kind, and one object nested in each way.
    fn schema() -> Schema {
        let attribute =
            |name, kind, presence| Attribute::new(name, kind, presence, "Described elsewhere.");
        let optional = |name, kind| attribute(name, kind, Presence::Optional);
        let sensitive = |name| Attribute {
            sensitive: true,
            ..optional(name, AttributeType::String)
        };
        let zones = AttributeType::Set(Box::new(AttributeType::String));
        let pool = vec![
            attribute("size", AttributeType::Number, Presence::Required),
            optional("zones", zones.clone()),
            attribute("id", AttributeType::String, Presence::Computed),
            attribute("token", AttributeType::String, Presence::WriteOnlyOptional),
        ];
        let network = AttributeType::Nested(Nesting::Single, pool.clone());
        let rule = vec![
            attribute("size", AttributeType::Number, Presence::Required),
            optional("source", network.clone()),
        ];
        let user = vec![sensitive("password")];
        let hosts = AttributeType::List(Box::new(AttributeType::String));
        Schema {
            attributes: vec![
                attribute("name", AttributeType::String, Presence::Required),
                optional("note", AttributeType::String),
                attribute("tier", AttributeType::String, Presence::OptionalComputed),
                sensitive("key"),
                optional("hosts", hosts),
                optional("zones", zones.clone()),
                optional("groups", AttributeType::List(Box::new(zones.clone()))),
                optional("routes", AttributeType::Map(Box::new(zones))),
                optional("network", network),
                optional("pools", AttributeType::Nested(Nesting::Map, pool.clone())),
                optional("steps", AttributeType::Nested(Nesting::List, pool)),
                optional("rules", AttributeType::Nested(Nesting::Set, rule)),
                optional("users", AttributeType::Nested(Nesting::Map, user)),
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
        assert_eq!(found, details, "{planned}");
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

    #[test]
    fn a_plan_leaves_out_nothing_that_the_user_wrote() {
        check_planned(
            [
                "null",
                r#"{"note":"n","network":{"size":1}}"#,
                r#"{"network":null}"#,
            ],
            &[
                r#"note: the configuration says "n", the state null, and the plan null"#,
                "network: the plan has other elements than the configuration",
            ],
        );
    }

    #[test]
    fn a_defect_of_a_plan_is_told_of_the_attribute_that_has_it() {
        check_planned(
            [
                "null",
                r#"{
                    "network":{"size":1},
                    "pools":{"x":{"size":1}},
                    "steps":[{"size":1},{"size":2}]
                }"#,
                r#"{
                    "network":{"size":9},
                    "pools":{"x":{"size":9}},
                    "steps":[{"size":1},{"size":9}]
                }"#,
            ],
            &[
                "network.size: the configuration says 1, the state null, and the plan 9",
                r#"pools["x"].size: the configuration says 1, the state null, and the plan 9"#,
                "steps[1].size: the configuration says 2, the state null, and the plan 9",
            ],
        );
    }

    #[test]
    fn a_plan_has_the_elements_of_the_configuration() {
        check_planned(
            [
                "null",
                r#"{"pools":{"x":{"size":1}},"steps":[{"size":1}],"rules":[{"size":1}]}"#,
                r#"{
                    "pools":{"y":{"size":1}},
                    "steps":[{"size":1},{"size":2}],
                    "rules":[{"size":1},{"size":2}]
                }"#,
            ],
            &[
                "pools: the plan has other elements than the configuration",
                "steps: the plan has other elements than the configuration",
                "rules: the plan has other elements than the configuration",
            ],
        );
    }

    /// Nothing says which element of one set is which of the other, so core only counts them.
    #[test]
    fn elements_of_a_set_are_counted_in_a_plan_and_not_compared() {
        check_planned(
            [
                "null",
                r#"{"rules":[{"size":1}]}"#,
                r#"{"rules":[{"size":9}]}"#,
            ],
            &[],
        );
    }

    #[test]
    fn a_plan_may_keep_what_was_with_its_sets_in_any_order() {
        check_planned(
            [
                r#"{
                    "groups":[["b","a"]],
                    "routes":{"r":["b","a"]},
                    "pools":{"x":{"size":1,"zones":["b","a"]}},
                    "steps":[{"size":1,"zones":["b","a"]},{"size":2}],
                    "rules":[{"size":1,"source":{"size":1,"zones":["b","a"]}},{"size":2}]
                }"#,
                r#"{
                    "groups":[["c"]],
                    "routes":{"s":["c"]},
                    "pools":{"y":{"size":1}},
                    "steps":[{"size":1}],
                    "rules":[{"size":1}]
                }"#,
                r#"{
                    "groups":[["a","b"]],
                    "routes":{"r":["a","b"]},
                    "pools":{"x":{"size":1,"zones":["a","b"]}},
                    "steps":[{"size":1,"zones":["a","b"]},{"size":2}],
                    "rules":[{"size":2},{"size":1,"source":{"size":1,"zones":["a","b"]}}]
                }"#,
            ],
            &[],
        );
    }

    #[test]
    fn a_plan_may_not_keep_a_part_of_what_was() {
        check_planned(
            [
                r#"{
                    "groups":[["a"],["b"]],
                    "routes":{"r":["a"]},
                    "pools":{"x":{"size":1}},
                    "steps":[{"size":1},{"size":2}],
                    "rules":[{"size":1},{"size":2}]
                }"#,
                r#"{
                    "groups":[["a"]],
                    "routes":{"s":["a"]},
                    "pools":{"y":{"size":1}},
                    "steps":[{"size":1}],
                    "rules":[{"size":1}]
                }"#,
                r#"{
                    "groups":[["a"],["c"]],
                    "routes":{"r":["c"]},
                    "pools":{"x":{"size":9}},
                    "steps":[{"size":1},{"size":9}],
                    "rules":[{"size":1},{"size":9}]
                }"#,
            ],
            &[
                r#"groups: the configuration says [["a"]], the state [["a"], ["b"]], and the plan [["a"], ["c"]]"#,
                r#"routes: the configuration says { s = ["a"] }, the state { r = ["a"] }, and the plan { r = ["c"] }"#,
                "pools: the plan has other elements than the configuration",
                "steps: the plan has other elements than the configuration",
                "rules: the plan has other elements than the configuration",
            ],
        );
    }

    fn check_result([planned, applied]: [&str; 2], details: &[&str]) {
        let found = check_applied(&schema(), &json(planned), &json(applied));
        let found: Vec<_> = found
            .iter()
            .map(|finding| finding.detail.as_str())
            .collect();
        assert_eq!(found, details, "{applied}");
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
    fn a_defect_of_a_result_is_told_of_the_attribute_that_has_it() {
        check_result(
            [
                r#"{
                    "network":{"size":1,"id":"?"},
                    "pools":{"x":{"size":1,"id":"?"}},
                    "steps":[{"size":1,"id":"?"},{"size":2,"id":"?"}]
                }"#,
                r#"{
                    "network":{"size":9,"id":"1","token":"t"},
                    "pools":{"x":{"size":9,"id":"2"}},
                    "steps":[{"size":1,"id":"3"},{"size":9,"id":"4"}]
                }"#,
            ],
            &[
                "network.size: the plan says 1, and the result is 9",
                "network.token: a write-only value is in the state",
                r#"pools["x"].size: the plan says 1, and the result is 9"#,
                "steps[1].size: the plan says 2, and the result is 9",
            ],
        );
    }

    #[test]
    fn a_result_has_the_elements_of_the_plan() {
        check_result(
            [
                r#"{"pools":{"x":{"size":1}},"steps":[{"size":1}],"rules":[{"size":1}]}"#,
                r#"{
                    "pools":{"y":{"size":1}},
                    "steps":[{"size":1},{"size":2}],
                    "rules":[{"size":9}]
                }"#,
            ],
            &[
                "pools: the plan says { x = { size = 1 } }, and the result is { y = { size = 1 } }",
                "steps: the plan says [{ size = 1 }], and the result is [{ size = 1 }, { size = 2 }]",
                "rules: the plan says [{ size = 1 }], and the result is [{ size = 9 }]",
            ],
        );
    }

    #[test]
    fn sets_of_a_result_are_in_any_order_at_every_depth() {
        check_result(
            [
                r#"{
                    "groups":[["b","a"]],
                    "routes":{"r":["b","a"]},
                    "rules":[{"size":1,"source":{"size":1,"zones":["b","a"]}},{"size":2}]
                }"#,
                r#"{
                    "groups":[["a","b"]],
                    "routes":{"r":["a","b"]},
                    "rules":[{"size":2},{"size":1,"source":{"size":1,"zones":["a","b"]}}]
                }"#,
            ],
            &[],
        );
    }

    /// Unknown elements of a set that turn out to be equal are one.
    #[test]
    fn an_unknown_element_becomes_anything_and_a_set_may_shrink() {
        check_result(
            [
                r#"{
                    "hosts":["?","b"],
                    "zones":["?","?"],
                    "groups":["?",["b","a"]],
                    "routes":{"r":"?","s":["b","a"]},
                    "rules":[{"size":"?"},{"size":"?"}]
                }"#,
                r#"{
                    "hosts":["a","b"],
                    "zones":["a"],
                    "groups":[["c"],["a","b"]],
                    "routes":{"r":["c"],"s":["a","b"]},
                    "rules":[{"size":1}]
                }"#,
            ],
            &[],
        );
    }

    #[test]
    fn beside_an_unknown_element_the_known_ones_stay_and_none_is_added() {
        check_result(
            [
                r#"{
                    "hosts":["?","b"],
                    "zones":["?"],
                    "groups":["?"],
                    "routes":{"r":"?","s":["b"]}
                }"#,
                r#"{
                    "hosts":["a","c"],
                    "zones":["a","b"],
                    "groups":[["a"],["b"]],
                    "routes":{"r":["a"],"s":["c"]}
                }"#,
            ],
            &[
                r#"hosts: the plan says [(known after apply), "b"], and the result is ["a", "c"]"#,
                r#"zones: the plan says [(known after apply)], and the result is ["a", "b"]"#,
                r#"groups: the plan says [(known after apply)], and the result is [["a"], ["b"]]"#,
                r#"routes: the plan says { r = (known after apply), s = ["b"] }, and the result is { r = ["a"], s = ["c"] }"#,
            ],
        );
    }

    #[test]
    fn no_defect_shows_a_sensitive_value_or_one_that_holds_one() {
        let [before, after] = [
            r#"{"key":"canary","users":{"u":{"password":"canary"}}}"#,
            r#"{"key":"bird","users":{"u":{"password":"bird"}}}"#,
        ];
        let said = "the plan differs from the configuration and from the state";
        check_planned(
            ["null", before, after],
            &[
                &format!("key: {said}"),
                &format!(r#"users["u"].password: {said}"#),
            ],
        );
        let other = r#"{"key":"canary","users":{"v":{"password":"bird"}}}"#;
        check_result(
            [before, other],
            &["users: the value is not the planned one"],
        );
        check_result(
            [before, after],
            &[
                "key: the value is not the planned one",
                r#"users["u"].password: the value is not the planned one"#,
            ],
        );
    }

    #[test]
    fn write_only_values_are_found_at_every_depth() {
        let config = json(
            r#"{
                "network":{"size":1,"token":"t"},
                "pools":{"x":{"size":1,"token":"t"}},
                "steps":[{"size":1},{"size":1,"token":"t"}]
            }"#,
        );
        let paths = write_only_paths(&schema().attributes, &Path::root(), &config);
        assert_eq!(
            paths.iter().map(Path::to_string).collect::<Vec<_>>(),
            ["network.token", r#"pools["x"].token"#, "steps[1].token"]
        );
    }
}
