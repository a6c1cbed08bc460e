//! What differs between two values of one declaration, and whether that makes a new object.

use std::collections::BTreeSet;
use std::fmt;

use super::shape::{AttributeShape, ObjectShape, Presence, Shape};
use crate::path::Path;
use crate::value::Value;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub path: Path,
    /// The value that was; null where nothing was.
    pub before: Value,
    /// The value that is wanted; null where nothing is wanted.
    pub after: Value,
    /// Whether it makes a new object.
    pub replaces: bool,
}

/// Prints `~ power "on" -> "off"`, and `-/+ ...  forces replacement` as Terraform's plan does.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, end) = match (self.replaces, &self.before, &self.after) {
            (true, _, _) => ("-/+", "  forces replacement"),
            (false, Value::Null, _) => ("+", ""),
            (false, _, Value::Null) => ("-", ""),
            (false, _, _) => ("~", ""),
        };
        write!(
            f,
            "{sign:>3} {}  {} -> {}{end}",
            self.path, self.before, self.after
        )
    }
}

impl ObjectShape {
    /// What differs between two objects of this shape, in the order of the declaration.
    ///
    /// An object that appears or disappears as a whole has no changes. What the cloud reports and
    /// what is write-only is not compared. An unknown value counts as another value.
    pub fn changes(&self, before: &Value, after: &Value) -> Vec<Change> {
        let mut changes = Vec::new();
        if matches!((before, after), (Value::Map(_), Value::Map(_))) {
            object_changes(self, &Path::root(), before, after, &mut changes);
        }
        changes
    }
}

fn object_changes(
    object: &ObjectShape,
    at: &Path,
    before: &Value,
    after: &Value,
    changes: &mut Vec<Change>,
) {
    for attribute in &object.attributes {
        if attribute.write_only || matches!(attribute.presence, Presence::Reported) {
            continue;
        }
        let (before, after) = (before.entry(attribute.name), after.entry(attribute.name));
        value_changes(
            attribute,
            &attribute.shape,
            &at.attribute(attribute.name),
            before,
            after,
            changes,
        );
    }
}

/// `replaces` of the attribute speaks for everything inside it that has no attributes of its own.
fn value_changes(
    attribute: &AttributeShape,
    shape: &Shape,
    at: &Path,
    before: &Value,
    after: &Value,
    changes: &mut Vec<Change>,
) {
    match (shape, before, after) {
        (Shape::Object(object), Value::Map(_), Value::Map(_)) => {
            object_changes(object, at, before, after, changes);
        }
        (Shape::Map { element, .. }, Value::Map(old), Value::Map(new)) => {
            for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                let (old, new) = (before.entry(key), after.entry(key));
                value_changes(attribute, element, &at.key(key), old, new, changes);
            }
        }
        (Shape::List(element), Value::List(old), Value::List(new))
            if old.len() == new.len() && element.object().is_some() =>
        {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                value_changes(attribute, element, &at.index(index), old, new, changes);
            }
        }
        (Shape::Set(_), Value::List(old), Value::List(new)) if same_elements(old, new) => {}
        _ if before == after && before.is_wholly_known() => {}
        _ => changes.push(Change {
            path: at.clone(),
            before: before.clone(),
            after: after.clone(),
            replaces: attribute.replaces,
        }),
    }
}

fn same_elements(old: &[Value], new: &[Value]) -> bool {
    old.iter().collect::<BTreeSet<_>>() == new.iter().collect::<BTreeSet<_>>()
        && new.iter().all(Value::is_wholly_known)
}
