//! One type's way from a value and back.

use std::fmt;

use super::field::Field;
use super::reader::Reader;
use super::shape::{ObjectShape, Shape};
use crate::findings::Findings;
use crate::value::Value;

/// A `T` of which each part is known, null or unknown: for a struct, `<Struct>Draft`.
pub type Draft<T> = <T as Attribute>::Draft;

#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of an attribute",
    note = "derive `Attributes` for a struct, `Choice` for an enum, `Text` for a checked string"
)]
/// A Rust type that is a Terraform value. Derived, or implemented here for the plain types.
pub trait Attribute: Clone + fmt::Debug + Sized + Send + Sync + 'static {
    /// This type with parts that may be null or unknown.
    type Draft: Clone + fmt::Debug + PartialEq + Send + Sync + 'static;

    /// Whether a secret is anywhere inside.
    const SECRET: bool = false;

    /// Whether the value itself is in no plan and no state.
    const WRITE_ONLY: bool = false;

    /// Whether clients are told not to show the value.
    const SENSITIVE: bool = Self::WRITE_ONLY;

    /// Whether null is one of its values.
    const OPTIONAL: bool = false;

    /// The declaration as data.
    fn shape() -> Shape;

    /// Reads what is there, noting everything that is wrong; what cannot be read is left unknown.
    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self::Draft>;

    /// Makes a draft without nulls and unknowns into the type, noting what is missing.
    fn complete(draft: Field<Self::Draft>, reader: &mut Reader<'_>) -> Option<Self>;

    /// The draft that knows everything.
    fn into_draft(self) -> Field<Self::Draft>;

    /// The value of a draft.
    fn value(draft: &Field<Self::Draft>) -> Value;

    /// Reads a wholly known value that a user wrote: types, checks, groups and rules.
    ///
    /// All problems are noted, with their paths; none is returned if one of them is an error.
    fn decode(value: &Value, found: &mut Findings) -> Option<Self> {
        Reader::of_configuration(found).decode(value)
    }

    /// Reads a wholly known value that a state holds: only types are looked at, since a rule of today
    /// must not make yesterday's object unreadable.
    fn recall(value: &Value, found: &mut Findings) -> Option<Self> {
        Reader::of_state(found).decode(value)
    }

    /// The value. A secret inside is null.
    fn encode(&self) -> Value {
        Self::value(&self.clone().into_draft())
    }
}

/// A draft of a struct.
pub trait DraftObject: Sized {
    /// With every field null.
    fn null() -> Self;

    /// With every field unknown.
    fn unknown() -> Self;
}

/// A struct of named attributes.
pub trait Attributes: Attribute<Draft: DraftObject> {
    /// The names of its attributes.
    const NAMES: &'static [&'static str];

    /// The declaration as data.
    fn object_shape() -> ObjectShape {
        match Self::shape() {
            Shape::Object(object) => object,
            _ => ObjectShape::default(),
        }
    }

    /// Reads a configuration of which parts may be unknown, with types, checks, groups and rules.
    ///
    /// Defaults are filled in: a field that the user left out is known to be its default.
    fn read(value: &Value, found: &mut Findings) -> Self::Draft {
        Self::draft_or_blank(value, &mut Reader::of_configuration(found))
    }

    /// Reads a state or plan of which parts may be null or unknown, looking only at types.
    fn read_state(value: &Value, found: &mut Findings) -> Self::Draft {
        Self::draft_or_blank(value, &mut Reader::of_state(found))
    }

    /// Reads with `reader`; a null or unknown object is one with nothing but null or unknown fields.
    fn draft_or_blank(value: &Value, reader: &mut Reader<'_>) -> Self::Draft {
        match Self::draft(value, reader) {
            Field::Known(draft) => draft,
            Field::Null => Self::Draft::null(),
            Field::Unknown => Self::Draft::unknown(),
        }
    }

    /// The value of a draft of this object.
    fn draft_value(draft: &Self::Draft) -> Value {
        Self::value(&Field::Known(draft.clone()))
    }
}

/// An object of these attributes.
pub fn object_value<const N: usize>(attributes: [(&'static str, Value); N]) -> Value {
    Value::map(attributes)
}
