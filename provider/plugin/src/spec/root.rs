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

/// Fails to compile when a name is both in a Spec and in its Status.
///
/// # Panics
///
/// If a name is in both; derived code calls it while compiling.
pub const fn assert_disjoint(spec: &[&str], status: &[&str]) {
    let mut i = 0;
    while i < spec.len() {
        let mut j = 0;
        while j < status.len() {
            assert!(
                !same(spec[i], status[j]),
                "a name is both in the Spec and in the Status: call what the cloud chose `running_*`"
            );
            j += 1;
        }
        i += 1;
    }
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
