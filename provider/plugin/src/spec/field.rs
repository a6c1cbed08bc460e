//! A value before apply: known, null or unknown.

use crate::value::Value;

/// One field of a [`Draft`](super::Draft).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Set, and its value is known.
    Known(T),
    /// Not set.
    #[default]
    Null,
    /// Set, but its value is not known before apply; or not readable, which has been reported.
    Unknown,
}

impl<T> Field<T> {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// The value by itself, if it is known.
    pub fn into_known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown => None,
        }
    }

    /// Whether the value is known and equals `wanted`.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a rule reads `draft.role.is(Role::Hub)`"
    )]
    pub fn is<W>(&self, wanted: W) -> bool
    where
        T: PartialEq<W>,
    {
        self.known().is_some_and(|value| *value == wanted)
    }

    /// Whether the value is known and fits `test`.
    pub fn is_known_and(&self, test: impl FnOnce(&T) -> bool) -> bool {
        self.known().is_some_and(test)
    }

    /// Whether nothing is set.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether the value is known.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// Whether the value is not known before apply.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// The same state without its value.
    pub fn presence(&self) -> Field<()> {
        match self {
            Self::Known(_) => Field::Known(()),
            Self::Null => Field::Null,
            Self::Unknown => Field::Unknown,
        }
    }

    /// The field with its known value changed.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Field<U> {
        match self {
            Self::Known(value) => Field::Known(change(value)),
            Self::Null => Field::Null,
            Self::Unknown => Field::Unknown,
        }
    }

    /// The same field, lending its value.
    pub fn as_ref(&self) -> Field<&T> {
        match self {
            Self::Known(value) => Field::Known(value),
            Self::Null => Field::Null,
            Self::Unknown => Field::Unknown,
        }
    }

    /// The field as a value of the wire.
    pub fn to_value(&self, known: impl FnOnce(&T) -> Value) -> Value {
        match self {
            Self::Known(value) => known(value),
            Self::Null => Value::Null,
            Self::Unknown => Value::Unknown,
        }
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_null_or_unknown_and_only_what_is_known_fits_a_test() {
        for (field, states) in [
            (Field::from(3), [true, false, false]),
            (Field::Null, [false, true, false]),
            (Field::Unknown, [false, false, true]),
        ] {
            assert_eq!(
                [field.is_known(), field.is_null(), field.is_unknown()],
                states,
                "{field:?}"
            );
            assert_eq!(field.is_known_and(|value| *value > 2), field.is_known());
            assert!(!field.is_known_and(|value| *value > 3), "{field:?}");
        }
    }
}
