//! A value that is used and then forgotten.

use std::fmt;

use super::attribute::Attribute;
use super::field::Field;
use super::reader::Reader;
use super::shape::Shape;
use crate::value::Value;

/// A write-only value. Terraform hands it over with the configuration of an apply; it is in no plan
/// and no state, so outside an apply there is nothing to reveal. It never prints, and it never
/// becomes a value again.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(Option<T>);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub fn new(secret: T) -> Self {
        Self(Some(secret))
    }

    /// The secret, if this was read from a configuration.
    pub fn reveal(&self) -> Option<&T> {
        self.0.as_ref()
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl<T: Attribute<Draft = T> + PartialEq> Attribute for Secret<T> {
    type Draft = Self;

    const SECRET: bool = true;
    const WRITE_ONLY: bool = true;

    fn shape() -> Shape {
        T::shape()
    }

    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self> {
        reader
            .hidden(|reader| T::draft(value, reader))
            .map(Self::new)
    }

    fn complete(draft: Field<Self>, _: &mut Reader<'_>) -> Option<Self> {
        Some(draft.into_known().unwrap_or(Self(None)))
    }

    fn into_draft(self) -> Field<Self> {
        if self.0.is_some() {
            Field::Known(self)
        } else {
            Field::Null
        }
    }

    fn value(_: &Field<Self>) -> Value {
        Value::Null
    }
}
