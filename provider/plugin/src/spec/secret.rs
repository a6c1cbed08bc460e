//! Values that never print: one that is used and then forgotten, and one that is handed out.

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

/// A value that clients know and do not show: a token that an ephemeral resource hands out. It never
/// prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive<T>(pub T);

impl<T> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(sensitive)")
    }
}

impl<T: Attribute<Draft = T> + PartialEq> Attribute for Sensitive<T> {
    type Draft = Self;

    const SECRET: bool = T::SECRET;
    const SENSITIVE: bool = true;

    fn shape() -> Shape {
        T::shape()
    }

    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self> {
        reader.hidden(|reader| T::draft(value, reader)).map(Self)
    }

    fn complete(draft: Field<Self>, reader: &mut Reader<'_>) -> Option<Self> {
        T::complete(draft.map(|Self(inside)| inside), reader).map(Self)
    }

    fn into_draft(self) -> Field<Self> {
        Field::Known(self)
    }

    fn value(draft: &Field<Self>) -> Value {
        T::value(&draft.clone().map(|Self(inside)| inside))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_it_prints() {
        let told = Sensitive("canary".to_owned());
        let draft = told.clone().into_draft();
        assert_eq!(
            format!("{told:?} {draft:?}"),
            "(sensitive) Known((sensitive))"
        );
        let kept = Secret::new("canary".to_owned());
        assert_eq!(format!("{kept} {kept:?}"), "(secret) (secret)");
    }
}
