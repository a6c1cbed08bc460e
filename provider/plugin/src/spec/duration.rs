//! Durations as Terraform users write them: `90m`, `1h30m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::attribute::Attribute;
use super::field::Field;
use super::reader::Reader;
use super::shape::Shape;
use super::text::{Text, text_value};
use crate::value::Value;

/// A duration that keeps its spelling, since a plan must return what the user wrote.
#[derive(Clone, Debug)]
pub struct DurationText {
    text: String,
    duration: Duration,
}

impl DurationText {
    /// How long it is.
    pub fn duration(&self) -> Duration {
        self.duration
    }
}

/// Equal durations are equal, however they are written.
impl PartialEq for DurationText {
    fn eq(&self, other: &Self) -> bool {
        self.duration == other.duration
    }
}

impl Eq for DurationText {}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl FromStr for DurationText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a duration such as `90m` or `1h30m`");
        let mut rest = text;
        let mut duration = Duration::ZERO;
        while !rest.is_empty() {
            let digits = rest
                .find(|letter: char| !letter.is_ascii_digit())
                .ok_or_else(wrong)?;
            let count: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest
                .find(|letter: char| letter.is_ascii_digit())
                .unwrap_or(rest.len());
            let part = match &rest[..letters] {
                "ms" => Some(Duration::from_millis(count)),
                "s" => Some(Duration::from_secs(count)),
                "m" => count.checked_mul(60).map(Duration::from_secs),
                "h" => count.checked_mul(3600).map(Duration::from_secs),
                _ => None,
            };
            duration = part
                .and_then(|part| duration.checked_add(part))
                .ok_or_else(wrong)?;
            rest = &rest[letters..];
        }
        if text.is_empty() {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            duration,
        })
    }
}

impl Text for DurationText {
    fn describe() -> Vec<String> {
        vec!["a duration such as `90m` or `1h30m`".to_owned()]
    }

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl Attribute for DurationText {
    type Draft = Self;

    fn shape() -> Shape {
        Shape::Text {
            checks: Self::describe(),
        }
    }

    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self> {
        reader.text(value)
    }

    fn complete(draft: Field<Self>, reader: &mut Reader<'_>) -> Option<Self> {
        reader.present(draft)
    }

    fn into_draft(self) -> Field<Self> {
        Field::Known(self)
    }

    fn value(draft: &Field<Self>) -> Value {
        draft.to_value(text_value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_its_parts_together() {
        for (text, millis) in [
            ("90m", 5_400_000),
            ("1h30m", 5_400_000),
            ("45s", 45_000),
            ("1s250ms", 1_250),
            ("0s", 0),
        ] {
            let duration: DurationText = text.parse().unwrap();
            assert_eq!(
                (
                    duration.duration().as_millis(),
                    duration.to_string().as_str()
                ),
                (millis, text)
            );
        }
    }

    #[test]
    fn durations_are_equal_however_they_are_written() {
        let duration = |text: &str| text.parse::<DurationText>().unwrap();
        assert_eq!(duration("90m"), duration("1h30m"));
        assert_ne!(duration("90m"), duration("90s"));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "90",
            "m",
            "1 h",
            "-5m",
            "1d",
            "99999999999999999999h",
            "18446744073709551615h",
            "é",
        ] {
            assert!(text.parse::<DurationText>().is_err(), "{text}");
        }
    }
}
