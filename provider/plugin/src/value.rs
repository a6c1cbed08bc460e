//! Values as Terraform knows them: known, null or unknown, at every depth.
//!
//! A [`Value`] carries no type; the schema beside it says whether a [`Value::List`] is a list, a
//! set or a tuple and whether a [`Value::Map`] is a map or an object. Maps are ordered by key, as
//! Terraform orders them, so that equal values print and encode equally.

use std::{collections::BTreeMap, fmt};

/// The attributes of an object, or the elements of a map.
pub type Entries = BTreeMap<String, Value>;

/// One Terraform value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Not set.
    #[default]
    Null,
    /// Not known before apply.
    Unknown,
    /// `true` or `false`.
    Bool(bool),
    /// A number of any size, exact.
    Number(Number),
    /// A string.
    String(String),
    /// The elements of a list, set or tuple.
    List(Vec<Value>),
    /// The elements of a map, or the attributes of an object.
    Map(Entries),
}

impl Value {
    /// An object or map of these entries.
    pub fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }

    /// A list, set or tuple of these elements.
    pub fn list(elements: impl IntoIterator<Item = Self>) -> Self {
        Self::List(elements.into_iter().collect())
    }

    /// Whether this value is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether this very value is unknown (its parts are not looked at).
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Whether neither this value nor any part of it is unknown.
    pub fn is_wholly_known(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::List(elements) => elements.iter().all(Self::is_wholly_known),
            Self::Map(entries) => entries.values().all(Self::is_wholly_known),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => true,
        }
    }

    /// The truth value, if this is a known bool.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(bool) => Some(*bool),
            _ => None,
        }
    }

    /// The text, if this is a known string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is a known number.
    pub fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The elements, if this is a known list, set or tuple.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// The entries, if this is a known map or object.
    pub fn as_map(&self) -> Option<&Entries> {
        match self {
            Self::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The entry of a map or object; null for a key that is not there, unknown inside an unknown.
    pub fn entry(&self, key: &str) -> &Self {
        match self {
            Self::Map(entries) => entries.get(key).unwrap_or(&Self::Null),
            Self::Unknown => &Self::Unknown,
            _ => &Self::Null,
        }
    }

    /// Sets the entry of a map or object; a value of another kind becomes a map.
    pub fn set(&mut self, key: impl Into<String>, value: Self) {
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(Entries::new());
        }
        if let Self::Map(entries) = self {
            entries.insert(key.into(), value);
        }
    }

    /// A value from JSON.
    pub fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(bool) => Self::Bool(*bool),
            Json::Number(number) => Self::Number(Number::from_json(number)),
            Json::String(text) => Self::String(text.clone()),
            Json::Array(elements) => Self::list(elements.iter().map(Self::from_json)),
            Json::Object(entries) => Self::map(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::from_json(value))),
            ),
        }
    }
}

/// Prints a value in Terraform's own syntax, an unknown as `(known after apply)`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Unknown => f.write_str("(known after apply)"),
            Self::Bool(bool) => bool.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::String(text) => write!(f, "{text:?}"),
            Self::List(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str("]")
            }
            Self::Map(entries) if entries.is_empty() => f.write_str("{}"),
            Self::Map(entries) => {
                f.write_str("{ ")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{key} = {value}")?;
                }
                f.write_str(" }")
            }
        }
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Number> for Value {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Number {
            fn from(integer: $integer) -> Self {
                Self(Repr::Integer(i128::from(integer)))
            }
        }
        impl From<$integer> for Value {
            fn from(integer: $integer) -> Self {
                Self::Number(integer.into())
            }
        }
    )*};
}
from_integer!(u8, u16, u32, u64, i8, i16, i32, i64);

/// An exact number. Terraform's numbers are decimal and of any size: `0.1` is not the float 0.1,
/// and a provider that answers with the float has changed the value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(Repr);

/// Canonical: each number has exactly one representation, so that derived equality is right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Repr {
    Integer(i128),
    /// Digits without exponent, without leading or trailing zeros.
    Decimal(String),
}

/// The most digits that a number may have; larger exponents are refused instead of expanded.
const DIGITS_MAX: usize = 1100;

impl Number {
    /// A number from its decimal text, such as `12`, `0.1` or `1e3`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let point = i64::try_from(whole.len()).ok()? + i64::from(exponent);
        if digits.len() > DIGITS_MAX || point.unsigned_abs() > DIGITS_MAX as u64 {
            return None;
        }
        Some(Self::from_digits(negative, &digits, point))
    }

    /// A number from a float's exact value; `None` for infinities and not-a-number.
    pub fn from_exact_float(float: f64) -> Option<Self> {
        float
            .is_finite()
            .then(|| format!("{float:.DIGITS_MAX$}"))?
            .trim_end_matches('0')
            .parse()
            .ok()
    }

    /// A number from the shortest decimal that means this float: what its author wrote.
    pub fn from_shortest_float(float: f64) -> Option<Self> {
        float.is_finite().then(|| format!("{float}"))?.parse().ok()
    }

    /// The number as an `i64`, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_i128()?.try_into().ok()
    }

    /// The number as a `u64`, if it is one.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i128()?.try_into().ok()
    }

    /// The number as an `i128`, if it is one.
    pub fn as_i128(&self) -> Option<i128> {
        match self.0 {
            Repr::Integer(integer) => Some(integer),
            Repr::Decimal(_) => None,
        }
    }

    /// The nearest float.
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    fn from_digits(negative: bool, digits: &str, point: i64) -> Self {
        let point = usize::try_from(point).map_or_else(
            |_| (0, usize::try_from(point.unsigned_abs()).unwrap_or(0)),
            |point| (point, 0),
        );
        let digits = format!("{}{digits}", "0".repeat(point.1));
        let digits = format!("{digits:0<width$}", width = point.0);
        let (whole, fraction) = digits.split_at(point.0);
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let sign = if negative { "-" } else { "" };
        if fraction.is_empty() {
            let text = format!("{sign}{whole}");
            return Self(
                text.parse()
                    .map_or_else(|_| Repr::Decimal(text), Repr::Integer),
            );
        }
        Self(Repr::Decimal(format!("{sign}{whole}.{fraction}")))
    }

    fn from_json(number: &serde_json::Number) -> Self {
        Self::parse(&number.to_string()).unwrap_or(Self(Repr::Integer(0)))
    }
}

/// The text is not a decimal number, or it has too many digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotANumber;

impl std::str::FromStr for Number {
    type Err = NotANumber;

    fn from_str(text: &str) -> Result<Self, NotANumber> {
        Self::parse(text).ok_or(NotANumber)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Integer(integer) => integer.fmt(f),
            Repr::Decimal(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_number(text: &str, canonical: &str) {
        assert_eq!(Number::parse(text).unwrap().to_string(), canonical);
    }

    #[test]
    fn a_number_has_one_spelling() {
        for (text, canonical) in [
            ("12", "12"),
            ("+012.500", "12.5"),
            ("1e3", "1000"),
            ("1.5e-3", "0.0015"),
            ("-0", "0"),
            ("-0.10", "-0.1"),
            (".5", "0.5"),
            (
                "123456789012345678901234567890123456789012345",
                "123456789012345678901234567890123456789012345",
            ),
        ] {
            check_number(text, canonical);
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "", ".", "-", "1.2.3", "0x10", "1e99999", "NaN", "inf", "1_000",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_may_have_just_as_many_digits_as_the_limit_says() {
        for (text, is_number) in [
            (format!(".{}", "9".repeat(DIGITS_MAX)), true),
            (format!(".{}", "9".repeat(DIGITS_MAX + 1)), false),
            (format!("1e{}", DIGITS_MAX - 1), true),
            (format!("1e{DIGITS_MAX}"), false),
        ] {
            assert_eq!(Number::parse(&text).is_some(), is_number, "{text}");
        }
    }

    #[test]
    fn a_number_is_an_integer_where_it_fits_and_a_float_always() {
        for (text, signed, unsigned, float) in [
            ("-3", Some(-3), None, -3.0),
            ("3", Some(3), Some(3), 3.0),
            ("18446744073709551615", None, Some(u64::MAX), 2_f64.powi(64)),
            ("1e20", None, None, 1e20),
            ("0.5", None, None, 0.5),
        ] {
            let number = Number::parse(text).unwrap();
            assert_eq!(
                (number.as_i64(), number.as_u64(), number.to_f64()),
                (signed, unsigned, float)
            );
        }
    }

    #[test]
    fn a_float_is_taken_exactly_or_as_written() {
        assert_eq!(Number::from_exact_float(1.5), Number::parse("1.5"));
        assert_eq!(Number::from_shortest_float(0.1), Number::parse("0.1"));
        assert_ne!(Number::from_exact_float(0.1), Number::parse("0.1"));
        assert_eq!(Number::from_exact_float(f64::NAN), None);
    }

    #[test]
    fn a_value_is_read_as_what_it_is_and_as_nothing_else() {
        let values = [
            Value::from(true),
            Value::from(3),
            Value::from("pay"),
            Value::list([Value::Null]),
            Value::map([("name", Value::Null)]),
            Value::Null,
            Value::Unknown,
        ];
        for (kind, value) in values.iter().enumerate() {
            let read = [
                value.as_bool().map(Value::from),
                value.as_number().cloned().map(Value::from),
                value.as_str().map(Value::from),
                value.as_list().map(|it| Value::List(it.to_vec())),
                value.as_map().cloned().map(Value::Map),
            ];
            for (asked, read) in read.into_iter().enumerate() {
                let expected = (asked == kind).then(|| value.clone());
                assert_eq!(read, expected, "{value} is asked for kind {asked}");
            }
        }
    }

    #[test]
    fn what_is_left_out_is_null() {
        let given = Some("pay".to_owned());
        assert_eq!(Value::from(given), Value::from("pay"));
        assert_eq!(Value::from(None::<String>), Value::Null);
    }

    #[test]
    fn a_value_prints_as_terraform_writes_it() {
        let value = Value::map([
            ("name", Value::from("pay")),
            ("pools", Value::list([3.into(), Value::Unknown])),
            ("labels", Value::Map(Entries::new())),
            ("tags", Value::Null),
        ]);
        assert_eq!(
            value.to_string(),
            r#"{ labels = {}, name = "pay", pools = [3, (known after apply)], tags = null }"#
        );
    }
}
