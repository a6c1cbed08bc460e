//! Checks of one value. Each describes itself, so the docs and the message say the same.
//!
//! Descriptions are noun phrases that follow "use": "use 1 to 40 lower-case letters".

use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::duration::DurationText;
use super::field::Field;

/// A rule for one value.
#[diagnostic::on_unimplemented(message = "this check is not for a value of type `{T}`")]
pub trait Check<T> {
    /// What the value must be.
    fn describe(&self) -> String;

    /// Nothing, or what this value is instead. What it must be is said beside it.
    fn test(&self, value: &T) -> Result<(), String>;
}

/// A rule with its description and reason, made from a function.
struct Rule<F> {
    description: String,
    allows: F,
}

impl<F: Fn(&str) -> bool> Check<String> for Rule<F> {
    fn describe(&self) -> String {
        self.description.clone()
    }

    fn test(&self, value: &String) -> Result<(), String> {
        if (self.allows)(value) {
            return Ok(());
        }
        Err(format!("it is {value:?}"))
    }
}

fn rule(description: impl Into<String>, allows: impl Fn(&str) -> bool) -> impl Check<String> {
    Rule {
        description: description.into(),
        allows,
    }
}

fn count_of(range: &RangeInclusive<usize>, singular: &str, plural: &str) -> String {
    match (*range.start(), *range.end()) {
        (1, 1) => format!("1 {singular}"),
        (0, end) => format!("at most {end} {plural}"),
        (start, usize::MAX) => {
            format!(
                "at least {start} {}",
                if start == 1 { singular } else { plural }
            )
        }
        (start, end) if start == end => format!("exactly {start} {plural}"),
        (start, end) => format!("{start} to {end} {plural}"),
    }
}

/// A name as DNS allows it: lower-case letters, digits and hyphens, a letter first, no hyphen last.
pub fn dns_label(length: RangeInclusive<usize>) -> impl Check<String> {
    let description = format!(
        "{} of `a-z`, `0-9` and `-`, with a letter first and no hyphen last",
        count_of(&length, "character", "characters")
    );
    rule(description, move |text| {
        length.contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && !text.ends_with('-')
            && text
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    })
}

/// A text of this many characters.
pub fn length(length: RangeInclusive<usize>) -> impl Check<String> {
    rule(count_of(&length, "character", "characters"), move |text| {
        length.contains(&text.chars().count())
    })
}

/// A text of which every character is in `set`, written as in `a-z0-9_`; a hyphen stands last.
pub fn characters(set: &'static str) -> impl Check<String> {
    let letters: Vec<char> = set.chars().collect();
    let mut ranges = Vec::new();
    let mut rest = letters.as_slice();
    while let [first, after @ ..] = rest {
        let (last, after) = match after {
            ['-', last, after @ ..] => (last, after),
            _ => (first, after),
        };
        ranges.push(*first..=*last);
        rest = after;
    }
    rule(format!("only characters of `{set}`"), move |text| {
        text.chars()
            .all(|letter| ranges.iter().any(|range| range.contains(&letter)))
    })
}

/// A text that begins so.
pub fn starts_with(prefix: &'static str) -> impl Check<String> {
    rule(format!("a text that starts with `{prefix}`"), move |text| {
        text.starts_with(prefix)
    })
}

/// A text that is one of these; an enum that derives `Choice` says more.
pub fn one_of(words: &'static [&'static str]) -> impl Check<String> {
    rule(format!("one of `{}`", words.join("`, `")), move |text| {
        words.contains(&text)
    })
}

/// A UUID in its usual spelling.
pub fn uuid() -> impl Check<String> {
    rule(
        "a UUID such as `00000000-0000-0000-0000-000000000000`",
        |text| {
            let parts: Vec<_> = text.split('-').collect();
            parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
                && parts.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
        },
    )
}

/// An address range in CIDR notation, without host bits.
pub fn cidr() -> impl Check<String> {
    rule(
        "an address range such as `10.0.0.0/16`, without host bits",
        is_cidr,
    )
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    let is_plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let Some(length) = length.parse::<u32>().ok().filter(|_| is_plain) else {
        return false;
    };
    if let Ok(address) = address.parse::<Ipv4Addr>() {
        return length <= 32 && address.to_bits().checked_shl(length).unwrap_or(0) == 0;
    }
    address.parse::<Ipv6Addr>().is_ok_and(|address| {
        length <= 128 && address.to_bits().checked_shl(length).unwrap_or(0) == 0
    })
}

/// An address that is reached over TLS.
pub fn https_url() -> impl Check<String> {
    rule("an address that starts with `https://`", |text| {
        text.strip_prefix("https://").is_some_and(|rest| {
            !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
        })
    })
}

/// Something that is not empty: a text, a list, a set or a map.
pub fn non_empty() -> NonEmpty {
    NonEmpty
}

/// See [`non_empty`].
pub struct NonEmpty;

impl Check<String> for NonEmpty {
    fn describe(&self) -> String {
        "a text that is not empty".to_owned()
    }

    fn test(&self, value: &String) -> Result<(), String> {
        if value.trim().is_empty() {
            Err("the text is empty".to_owned())
        } else {
            Ok(())
        }
    }
}

impl<T> Check<Vec<Field<T>>> for NonEmpty {
    fn describe(&self) -> String {
        "at least 1 element".to_owned()
    }

    fn test(&self, value: &Vec<Field<T>>) -> Result<(), String> {
        if value.is_empty() {
            Err("there is no element".to_owned())
        } else {
            Ok(())
        }
    }
}

impl<K, V> Check<std::collections::BTreeMap<K, V>> for NonEmpty {
    fn describe(&self) -> String {
        "at least 1 element".to_owned()
    }

    fn test(&self, value: &std::collections::BTreeMap<K, V>) -> Result<(), String> {
        if value.is_empty() {
            Err("there is no element".to_owned())
        } else {
            Ok(())
        }
    }
}

/// This many elements of a list, set or map.
pub fn elements(count: RangeInclusive<usize>) -> Elements {
    Elements(count)
}

/// See [`elements`].
pub struct Elements(RangeInclusive<usize>);

impl Elements {
    fn demand(&self) -> String {
        count_of(&self.0, "element", "elements")
    }

    fn count(&self, len: usize) -> Result<(), String> {
        if self.0.contains(&len) {
            return Ok(());
        }
        Err(format!("there are {len} elements"))
    }
}

impl<T> Check<Vec<Field<T>>> for Elements {
    fn describe(&self) -> String {
        self.demand()
    }

    fn test(&self, value: &Vec<Field<T>>) -> Result<(), String> {
        self.count(value.len())
    }
}

impl<K, V> Check<std::collections::BTreeMap<K, V>> for Elements {
    fn describe(&self) -> String {
        self.demand()
    }

    fn test(&self, value: &std::collections::BTreeMap<K, V>) -> Result<(), String> {
        self.count(value.len())
    }
}

/// Elements that are all different.
pub fn distinct() -> Distinct {
    Distinct
}

/// See [`distinct`].
pub struct Distinct;

impl<T: PartialEq + std::fmt::Debug> Check<Vec<Field<T>>> for Distinct {
    fn describe(&self) -> String {
        "elements that are all different".to_owned()
    }

    fn test(&self, value: &Vec<Field<T>>) -> Result<(), String> {
        let known: Vec<_> = value.iter().filter_map(Field::known).collect();
        let twice = known
            .iter()
            .enumerate()
            .find(|(i, element)| known[..*i].contains(element));
        twice.map_or(Ok(()), |(_, element)| {
            Err(format!("{element:?} occurs twice"))
        })
    }
}

/// Elements that each pass `check`; unknown elements pass.
pub fn each<C>(check: C) -> Each<C> {
    Each(check)
}

/// See [`each`].
pub struct Each<C>(C);

impl<T, C: Check<T>> Check<Vec<Field<T>>> for Each<C> {
    fn describe(&self) -> String {
        format!("elements that are each {}", self.0.describe())
    }

    fn test(&self, value: &Vec<Field<T>>) -> Result<(), String> {
        value
            .iter()
            .filter_map(Field::known)
            .try_for_each(|element| self.0.test(element))
    }
}

impl<K, T, C: Check<T>> Check<std::collections::BTreeMap<K, Field<T>>> for Each<C> {
    fn describe(&self) -> String {
        format!("elements that are each {}", self.0.describe())
    }

    fn test(&self, value: &std::collections::BTreeMap<K, Field<T>>) -> Result<(), String> {
        value
            .values()
            .filter_map(Field::known)
            .try_for_each(|element| self.0.test(element))
    }
}

/// A number within a range.
pub fn range<T>(range: RangeInclusive<T>) -> Range<T> {
    Range(range)
}

/// See [`range`].
pub struct Range<T>(RangeInclusive<T>);

impl<T: PartialOrd + Display> Check<T> for Range<T> {
    fn describe(&self) -> String {
        format!("a number from {} to {}", self.0.start(), self.0.end())
    }

    fn test(&self, value: &T) -> Result<(), String> {
        if self.0.contains(value) {
            return Ok(());
        }
        Err(format!("it is {value}"))
    }
}

/// A number that `step` divides.
pub fn multiple_of(step: u32) -> MultipleOf {
    MultipleOf(step)
}

/// See [`multiple_of`].
pub struct MultipleOf(u32);

impl<T: Copy + Display + Into<i64>> Check<T> for MultipleOf {
    fn describe(&self) -> String {
        format!("a multiple of {}", self.0)
    }

    fn test(&self, value: &T) -> Result<(), String> {
        if (*value).into() % i64::from(self.0) == 0 {
            return Ok(());
        }
        Err(format!("it is {value}"))
    }
}

/// A duration within a range, such as `lasting("5m", "24h")`.
pub fn lasting(shortest: &'static str, longest: &'static str) -> Lasting {
    Lasting { shortest, longest }
}

/// See [`lasting`].
pub struct Lasting {
    shortest: &'static str,
    longest: &'static str,
}

impl Check<DurationText> for Lasting {
    fn describe(&self) -> String {
        format!("a duration from `{}` to `{}`", self.shortest, self.longest)
    }

    fn test(&self, value: &DurationText) -> Result<(), String> {
        let bound = |text| DurationText::from_str(text).map(|bound| bound.duration());
        let range = bound(self.shortest)?..=bound(self.longest)?;
        if range.contains(&value.duration()) {
            return Ok(());
        }
        Err(format!("it is {value}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn check<T>(
        check: &impl Check<T>,
        good: impl IntoIterator<Item = T>,
        bad: impl IntoIterator<Item = T>,
    ) where
        T: std::fmt::Debug,
    {
        for value in good {
            assert_eq!(check.test(&value), Ok(()), "{}", check.describe());
        }
        for value in bad {
            assert!(
                check.test(&value).is_err(),
                "{value:?} passes: {}",
                check.describe()
            );
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_dns_label_starts_with_a_letter_and_ends_without_hyphen() {
        check(
            &dns_label(1..=5),
            texts(&["a", "a-1"]),
            texts(&["", "1a", "a-", "A", "abcdef", "ä"]),
        );
    }

    #[test]
    fn an_address_range_has_no_host_bits() {
        check(
            &cidr(),
            texts(&["10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32", "fd00::/8"]),
            texts(&[
                "10.0.0.1/8",
                "10.0.0.0",
                "10.0.0.0/33",
                "10.0.0.0/+8",
                "x/8",
                "fd00::1/8",
            ]),
        );
    }

    #[test]
    fn a_set_of_characters_knows_ranges_and_a_hyphen_at_its_end() {
        check(
            &characters("a-f0-9_-"),
            texts(&["", "a_9-", "c5"]),
            texts(&["g", "a b"]),
        );
        check(&length(2..=2), texts(&["ää"]), texts(&["ä"]));
    }

    #[test]
    fn texts_of_known_forms_are_recognised() {
        check(
            &uuid(),
            texts(&["00000000-0000-0000-0000-00000000000A"]),
            texts(&["", "0-0-0-0-0"]),
        );
        check(
            &https_url(),
            texts(&["https://a"]),
            texts(&["http://a", "https://", "https:///a"]),
        );
        check(&one_of(&["a", "b"]), texts(&["a"]), texts(&["c"]));
        check(
            &starts_with("/sub"),
            texts(&["/subscriptions"]),
            texts(&["sub"]),
        );
        check(&non_empty(), texts(&["a"]), texts(&[" "]));
    }

    #[test]
    fn numbers_and_durations_stay_within_their_range() {
        check(&range(1..=5), [1, 5], [0, 6]);
        check(&multiple_of(30), [0, 60], [31]);
        let duration = |text: &str| text.parse::<DurationText>().unwrap();
        check(
            &lasting("5m", "1h"),
            [duration("300s")],
            [duration("4m"), duration("61m")],
        );
    }

    #[test]
    fn elements_are_counted_compared_and_checked_one_by_one() {
        let known = |numbers: &[i64]| {
            numbers
                .iter()
                .copied()
                .map(Field::Known)
                .collect::<Vec<_>>()
        };
        check(
            &elements(1..=2),
            [known(&[1])],
            [known(&[]), known(&[1, 2, 3])],
        );
        check(&non_empty(), [known(&[1])], [known(&[])]);
        check(&distinct(), [known(&[1, 2])], [known(&[1, 1])]);
        check(
            &each(range(1..=5)),
            [known(&[1]), vec![Field::Unknown]],
            [known(&[1, 9])],
        );
    }

    #[test]
    fn the_elements_of_a_map_are_counted_and_checked_as_those_of_a_list() {
        let map = |numbers: &[i64]| {
            numbers
                .iter()
                .map(|number| (number.to_string(), Field::Known(*number)))
                .collect::<BTreeMap<_, _>>()
        };
        check(&elements(1..=2), [map(&[1])], [map(&[]), map(&[1, 2, 3])]);
        check(&non_empty(), [map(&[1])], [map(&[])]);
        check(&each(range(1..=5)), [map(&[1])], [map(&[1, 9])]);
    }

    #[test]
    fn a_check_describes_itself() {
        type List = Vec<Field<i64>>;
        type Map = BTreeMap<String, Field<i64>>;
        for (description, expected) in [
            (
                Check::<String>::describe(&dns_label(1..=40)),
                "1 to 40 characters of `a-z`, `0-9` and `-`, with a letter first and no hyphen last",
            ),
            (
                Check::<String>::describe(&length(2..=2)),
                "exactly 2 characters",
            ),
            (
                Check::<List>::describe(&elements(1..=usize::MAX)),
                "at least 1 element",
            ),
            (
                Check::<Map>::describe(&elements(0..=3)),
                "at most 3 elements",
            ),
            (Check::<List>::describe(&non_empty()), "at least 1 element"),
            (Check::<Map>::describe(&non_empty()), "at least 1 element"),
            (
                Check::<List>::describe(&distinct()),
                "elements that are all different",
            ),
            (
                Check::<Map>::describe(&each(range(1..=5))),
                "elements that are each a number from 1 to 5",
            ),
            (
                Check::<i64>::describe(&range(1..=5)),
                "a number from 1 to 5",
            ),
            (Check::<i64>::describe(&multiple_of(30)), "a multiple of 30"),
            (
                Check::<DurationText>::describe(&lasting("5m", "1h")),
                "a duration from `5m` to `1h`",
            ),
        ] {
            assert_eq!(description, expected);
        }
    }
}
