//! Strings that mean something: closed lists of words, and checked texts.

use std::fmt::Display;

use super::checks::Check;
use super::shape::{Shape, Word};
use crate::value::Value;

/// A type that is written as a string, also as the key of a map.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not written as a string, so it cannot be the key of a map",
    note = "use `String`, or derive `Text` or `Choice`"
)]
pub trait Text: Clone + Display + Send + Sync + 'static {
    /// What the string must be.
    fn describe() -> Vec<String>;

    /// The value of a string, or why there is none.
    fn from_text(text: &str) -> Result<Self, String>;
}

impl Text for String {
    fn describe() -> Vec<String> {
        Vec::new()
    }

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

/// A closed list of words.
pub trait Choice: Text + PartialEq {
    /// Every allowed value, in the order of the declaration.
    const ALL: &'static [Self];

    /// As the user writes it.
    fn word(&self) -> &'static str;

    /// What it means, in Markdown.
    fn description(&self) -> &'static str;
}

/// The choice that is written so, or why there is none.
pub fn parse_choice<C: Choice>(text: &str) -> Result<C, String> {
    let choice = C::ALL.iter().find(|choice| choice.word() == text).cloned();
    choice.ok_or_else(|| format!("{text:?} is not {}", describe_choice::<C>().join(", ")))
}

/// What the string of a choice must be.
pub fn describe_choice<C: Choice>() -> Vec<String> {
    let words: Vec<_> = C::ALL
        .iter()
        .map(|choice| format!("`{}`", choice.word()))
        .collect();
    vec![match words.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("one of {} and {last}", first.join(", ")),
    }]
}

/// The shape of a choice.
pub fn choice_shape<C: Choice>() -> Shape {
    let word = |choice: &C| Word {
        word: choice.word(),
        description: choice.description(),
    };
    Shape::Choice(C::ALL.iter().map(word).collect())
}

/// The text, if it passes every check.
pub fn checked_text(text: &str, checks: &[&dyn Check<String>]) -> Result<String, String> {
    let text = text.to_owned();
    for check in checks {
        check.test(&text)?;
    }
    Ok(text)
}

/// The value of something that is written as a string.
pub fn text_value(text: &impl Display) -> Value {
    Value::String(text.to_string())
}
