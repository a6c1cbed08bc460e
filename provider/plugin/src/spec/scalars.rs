//! Plain Rust types as attributes: bool, String, integers and floats.

use super::attribute::Attribute;
use super::field::Field;
use super::reader::Reader;
use super::shape::Shape;
use crate::findings::codes;
use crate::value::{Number, Value};

impl Attribute for bool {
    type Draft = Self;

    fn shape() -> Shape {
        Shape::Bool
    }

    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self> {
        match value {
            Value::Null => Field::Null,
            Value::Unknown => Field::Unknown,
            Value::Bool(bool) => Field::Known(*bool),
            other => reader.wrong_type("`true` or `false`", other),
        }
    }

    fn complete(draft: Field<Self>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.present(draft)
    }

    fn into_draft(self) -> Field<Self> {
        Field::Known(self)
    }

    fn value(draft: &Field<Self>) -> Value {
        draft.to_value(|bool| Value::Bool(*bool))
    }
}

impl Attribute for String {
    type Draft = Self;

    fn shape() -> Shape {
        Shape::Text { checks: Vec::new() }
    }

    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self> {
        reader.string(value, |text, _| Some(text.to_owned()))
    }

    fn complete(draft: Field<Self>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.present(draft)
    }

    fn into_draft(self) -> Field<Self> {
        Field::Known(self)
    }

    fn value(draft: &Field<Self>) -> Value {
        draft.to_value(|text| Value::String(text.clone()))
    }
}

impl Attribute for f64 {
    type Draft = Self;

    fn shape() -> Shape {
        Shape::Number
    }

    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self> {
        match value {
            Value::Null => Field::Null,
            Value::Unknown => Field::Unknown,
            Value::Number(number) => Field::Known(number.to_f64()),
            other => reader.wrong_type("a number", other),
        }
    }

    fn complete(draft: Field<Self>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.present(draft)
    }

    fn into_draft(self) -> Field<Self> {
        Field::Known(self)
    }

    fn value(draft: &Field<Self>) -> Value {
        draft.to_value(|float| Number::from_shortest_float(*float).into())
    }
}

/// The number as an integer of type `T`; anything else is noted.
fn integer<T: TryFrom<i128>>(
    value: &Value,
    reader: &mut Reader<'_>,
    min: i128,
    max: i128,
) -> Field<T> {
    let number = match value {
        Value::Null => return Field::Null,
        Value::Unknown => return Field::Unknown,
        Value::Number(number) => number,
        other => return reader.wrong_type("a whole number", other),
    };
    let integer = number
        .as_i128()
        .and_then(|integer| T::try_from(integer).ok());
    if integer.is_none() {
        reader
            .error("Number does not fit its attribute")
            .code(codes::NUMBER)
            .detail(format!(
                "{number} is not a whole number from {min} to {max}"
            ))
            .hint(format!("use a whole number from {min} to {max}"));
    }
    integer.map_or(Field::Unknown, Field::Known)
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Attribute for $integer {
            type Draft = Self;

            fn shape() -> Shape {
                Shape::Integer { min: i128::from(Self::MIN), max: i128::from(Self::MAX) }
            }

            fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self> {
                integer(value, reader, i128::from(Self::MIN), i128::from(Self::MAX))
            }

            fn complete(draft: Field<Self>, reader: &mut Reader<'_>) -> Option<Self> {
                reader.present(draft)
            }

            fn into_draft(self) -> Field<Self> {
                Field::Known(self)
            }

            fn value(draft: &Field<Self>) -> Value {
                draft.to_value(|integer| Value::from(*integer))
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, i8, i16, i32, i64);
