//! The roots: what the user sets, and what the cloud reports.

use super::attribute::{Attribute, Attributes, DraftObject, object_value};
use super::field::Field;
use super::reader::Reader;
use super::shape::{ObjectShape, Shape};
use crate::value::Value;

/// What the user sets on a resource, data source, ephemeral resource or provider block.
pub trait Spec: Attributes {
    /// What the cloud reports beside it.
    type Status: Status;

    /// The type in Terraform, such as `paymesh_cluster`.
    const NAME: &'static str;

    /// The version of the schema: it grows when old state needs upgrading.
    const VERSION: u64;

    /// What to use instead.
    const DEPRECATED: Option<&'static str>;
}

/// What the cloud reports.
pub trait Status: Attributes {}

/// The Status of what reports nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoStatus;

impl DraftObject for NoStatus {
    fn null() -> Self {
        Self
    }

    fn unknown() -> Self {
        Self
    }
}

impl Attribute for NoStatus {
    type Draft = Self;

    fn shape() -> Shape {
        Shape::Object(ObjectShape::default())
    }

    fn draft(_: &Value, _: &mut Reader<'_>) -> Field<Self> {
        Field::Known(Self)
    }

    fn complete(_: Field<Self>, _: &mut Reader<'_>) -> Option<Self> {
        Some(Self)
    }

    fn into_draft(self) -> Field<Self> {
        Field::Known(self)
    }

    fn value(_: &Field<Self>) -> Value {
        object_value([])
    }
}

impl Attributes for NoStatus {
    const NAMES: &'static [&'static str] = &[];
}

impl Status for NoStatus {}

/// One object of the values of a Spec and of its Status, as plans and states hold it.
///
/// A null Spec is an object that does not exist: null, whatever the Status says.
pub fn state_value(spec: Value, status: Value) -> Value {
    match (spec, status) {
        (Value::Map(mut spec), Value::Map(status)) => {
            spec.extend(status);
            Value::Map(spec)
        }
        (spec, _) => spec,
    }
}

/// Whether `name` is one of `names`, asked while compiling.
pub const fn contains(names: &[&str], name: &str) -> bool {
    let mut i = 0;
    while i < names.len() {
        if same(names[i], name) {
            return true;
        }
        i += 1;
    }
    false
}

const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut i = 0;
    while i < left.len() {
        if left[i] != right[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Findings;

    #[test]
    fn a_name_is_one_of_others_only_as_a_whole() {
        let names = ["id", "running_towers"];
        for (name, is_there) in [
            ("id", true),
            ("running_towers", true),
            ("ix", false),
            ("xd", false),
            ("i", false),
            ("ids", false),
            ("", false),
        ] {
            assert_eq!(contains(&names, name), is_there, "{name}");
        }
        assert!(!contains(&[], "id"));
    }

    #[test]
    fn a_status_of_nothing_is_read_from_any_state_and_is_an_empty_object() {
        for state in [Value::Null, Value::map([("name", Value::from("pay"))])] {
            let mut found = Findings::new();
            assert_eq!(NoStatus::recall(&state, &mut found), Some(NoStatus));
            assert!(found.is_empty(), "{found}");
        }
        assert_eq!(NoStatus.encode().to_string(), "{}");
    }
}
