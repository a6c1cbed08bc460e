//! Documents, texts and bytes near a sample: each change is small, and of a kind that decoders trip
//! over.

use serde_json::{Map, Value, json};

use crate::Choices;

/// The most changes of one sample.
const CHANGES_MAX: usize = 8;

/// How often a change stays where it is, instead of going one level deeper.
const STAYS_ONE_IN: u8 = 6;

/// Texts that decoders trip over: empty, of several bytes a letter, controlling, too large, too
/// long, of another kind.
const TEXTS: [&str; 22] = [
    "",
    " ",
    "x",
    "/",
    "//",
    ":",
    "=:",
    "%",
    "é",
    "\u{1F600}",
    "\u{202E}",
    "\0",
    "\u{1b}[2J",
    "0",
    "-1",
    "1e400",
    "4294967296",
    "18446744073709551616",
    "99999999999999999999.1.1",
    "2026-02-30T25:61:61Z",
    "9999-12-31T23:59:59Z",
    "true",
];

fn odd(choices: &mut Choices<'_>) -> Value {
    match choices.below(12) {
        0 => Value::Null,
        1 => json!(choices.is_one_in(2)),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(choices.byte()),
        5 => json!(u64::from(u32::MAX) + u64::from(choices.byte())),
        6 => json!(u64::MAX - u64::from(choices.byte())),
        7 => json!(i64::MIN),
        8 => json!(1e308),
        9 => json!([]),
        10 => json!({}),
        _ => json!(choices.one_of(&TEXTS)),
    }
}

/// The document that the input spells, or else one near one of `samples`.
pub fn document(choices: &mut Choices<'_>, samples: &[Value]) -> Value {
    if let Some(spelled) = choices.spelled() {
        return spelled;
    }
    let mut document = choices.one_of(samples).clone();
    for _ in 0..choices.below(CHANGES_MAX) {
        let donor = choices.one_of(samples);
        change(choices, &mut document, donor);
    }
    document
}

/// A place of `document`, any of its depths.
fn place<'d>(choices: &mut Choices<'_>, document: &'d mut Value) -> &'d mut Value {
    let mut place = document;
    loop {
        let count = match &*place {
            Value::Array(items) => items.len(),
            Value::Object(fields) => fields.len(),
            _ => 0,
        };
        if count == 0 || choices.is_one_in(STAYS_ONE_IN) {
            return place;
        }
        let index = choices.below(count);
        place = match place {
            Value::Array(items) => &mut items[index],
            Value::Object(fields) => {
                let field = fields.values_mut().nth(index);
                field.expect("the index is below the count")
            }
            leaf => return leaf,
        };
    }
}

fn change(choices: &mut Choices<'_>, document: &mut Value, donor: &Value) {
    let place = place(choices, document);
    match (choices.below(6), &mut *place) {
        (0, Value::Array(items)) if !items.is_empty() => {
            items.remove(choices.below(items.len()));
        }
        (0, Value::Object(fields)) => remove(choices, fields),
        (1, Value::Array(items)) if !items.is_empty() => {
            let more = choices.one_of(items).clone();
            items.push(more);
        }
        (1, Value::Object(fields)) => {
            let name = (*choices.one_of(&TEXTS)).to_owned();
            fields.insert(name, odd(choices));
        }
        (2, place) => *place = json!([place.take()]),
        (3, Value::String(word)) => *place = json!(text(choices, &[word.as_str()])),
        (3, Value::Number(number)) => *place = json!(number.to_string()),
        (4, place) => *place = self::place(choices, &mut donor.clone()).take(),
        _ => *place = odd(choices),
    }
}

fn remove(choices: &mut Choices<'_>, fields: &mut Map<String, Value>) {
    if fields.is_empty() {
        return;
    }
    let name = fields.keys().nth(choices.below(fields.len())).cloned();
    fields.shift_remove(&name.expect("the index is below the count"));
}

/// A text near one of `samples`.
pub fn text(choices: &mut Choices<'_>, samples: &[&str]) -> String {
    let mut letters: Vec<char> = choices.one_of(samples).chars().collect();
    for _ in 0..choices.below(CHANGES_MAX) {
        let at = choices.below(letters.len() + 1);
        match choices.below(5) {
            0 => letters.truncate(at),
            1 => drop(letters.drain(..at)),
            2 => {
                letters.splice(at..at, choices.one_of(&TEXTS).chars());
            }
            3 => {
                let more = letters[at..].to_vec();
                letters.extend(more);
            }
            _ => {
                let letter = char::from(choices.byte());
                letters.splice(at..(at + 1).min(letters.len()), [letter]);
            }
        }
    }
    letters.into_iter().collect()
}

/// Bytes near `sample`.
pub fn bytes(choices: &mut Choices<'_>, sample: &[u8]) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for _ in 0..choices.below(CHANGES_MAX) {
        let at = choices.below(bytes.len() + 1);
        match choices.below(5) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(..at)),
            2 => {
                let more = [choices.byte(), choices.byte()];
                bytes.splice(at..at, more);
            }
            3 => {
                let more = bytes[at..].to_vec();
                bytes.extend(more);
            }
            _ => {
                let byte = choices.byte();
                bytes.splice(at..(at + 1).min(bytes.len()), [byte]);
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_is_a_document_is_that_document() {
        let samples = [json!({ "a": 1 })];
        let of = |input: &[u8]| document(&mut Choices::new(input), &samples);
        assert_eq!(of(br#"{"b": [2]}"#), json!({ "b": [2] }));
        assert_eq!(of(b""), samples[0]);
    }

    #[test]
    fn no_input_leaves_everything_as_it_is_and_many_do_not() {
        let samples = [json!({ "a": [1, "b", { "c": null }], "d": "e" })];
        // An odd step: a choice of some is what the seed leaves when divided by their number.
        let seeds = (0..u16::MAX).step_by(17);
        let all = seeds.len();
        let changed = seeds.filter(|seed| {
            let input: Vec<u8> = seed.to_le_bytes().repeat(20);
            document(&mut Choices::new(&input), &samples) != samples[0]
        });
        assert!(changed.count() > all / 4);
        assert_eq!(text(&mut Choices::new(b""), &["word"]), "word");
        assert_eq!(bytes(&mut Choices::new(b""), b"bytes"), b"bytes");
    }
}
