//! What looks like a card number, so that none is ever taken in.
//!
//! 12 to 19 digits of a length and a first part that a card scheme issues, with a correct check digit,
//! in groups with single spaces, dashes, points or underscores between them, however long the text
//! around. A number begins and ends with a group: a part of a longer number looks so by chance (in
//! half of all ids of 19 digits there is one), and nobody typed it as a card number. Tools that look
//! for card numbers, such as Microsoft Presidio, go by the same: length, issuer and check digit of what
//! stands between boundaries.
//!
//! Random ids are passed over, by their shape: of 1,000 UUIDs two have digits in them that look so.

use percent_encoding::percent_decode_str;

/// The least hexadecimal digits in a row that are an id and no number that somebody typed.
const ID_LENGTH_MIN: usize = 24;

/// The groups of a UUID.
const UUID: [usize; 5] = [8, 4, 4, 4, 12];

/// Whether somebody may have written a card number there, percent-encoded or not.
pub fn looks_like_card_number(text: &str) -> bool {
    let finds = |text: &str| has_run(text, |run| run.holds_card_number(|at| run.is_edge(at)));
    // An encoded space leaves digits of its own beside a number.
    finds(text) || text.contains('%') && finds(&percent_decode_str(text).decode_utf8_lossy())
}

/// The same in an address, in whose query a plus means a space.
pub fn looks_like_card_number_in_address(text: &str) -> bool {
    looks_like_card_number(text)
        || text.contains('+') && looks_like_card_number(&text.replace('+', " "))
}

/// Whether a card number is anywhere in the digits, whatever is beside it: for what costs nobody
/// anything when it is passed over.
pub fn hides_card_number(text: &str) -> bool {
    has_run(text, |run| run.holds_card_number(|_| true))
}

/// Digits that could belong together.
#[derive(Default)]
struct Run {
    digits: Vec<u8>,
    /// Of each, whether a group begins with it.
    begins: Vec<bool>,
}

impl Run {
    /// Whether a group ends before this place and another one, if there is one, begins there.
    fn is_edge(&self, at: usize) -> bool {
        self.begins.get(at).is_none_or(|begins| *begins)
    }

    /// Whether there is a card number between two of these places.
    fn holds_card_number(&self, is_edge: impl Fn(usize) -> bool) -> bool {
        let starts = (0..self.digits.len()).filter(|start| is_edge(*start));
        let mut numbers = starts.flat_map(|start| {
            let lengths = issued_lengths(&self.digits[start..]).iter();
            lengths.map(move |length| start..start + length)
        });
        numbers.any(|number| is_edge(number.end) && self.digits.get(number).is_some_and(luhn))
    }
}

/// Whether any of the runs of digits in a text is what is looked for.
fn has_run(text: &str, is_wanted: impl Fn(&Run) -> bool) -> bool {
    let mut run = Run::default();
    let mut separated = false;
    let bytes = text.as_bytes();
    let mut after_id = 0;
    for (at, letter) in text.char_indices() {
        if at < after_id {
            continue;
        }
        let is_first = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let id = is_first.then(|| id_length(&bytes[at..])).flatten();
        after_id = at + id.unwrap_or_default();
        let letter = if id.is_some() { 'x' } else { letter };
        match letter {
            '0'..='9' => {
                run.begins.push(separated || run.digits.is_empty());
                run.digits.push(letter as u8 - b'0');
                separated = false;
            }
            ' ' | '-' | '.' | '_' if !run.digits.is_empty() && !separated => separated = true,
            _ => {
                if is_wanted(&run) {
                    return true;
                }
                run.digits.clear();
                run.begins.clear();
                separated = false;
            }
        }
    }
    is_wanted(&run)
}

/// The length of the id that `text` begins with: a UUID or a long word of hexadecimal digits, with a
/// letter among them.
fn id_length(text: &[u8]) -> Option<usize> {
    let word = |text: &[u8]| text.iter().take_while(|it| it.is_ascii_hexdigit()).count();
    let uuid = || {
        let mut at = 0;
        for (number, length) in UUID.into_iter().enumerate() {
            at += usize::from(number > 0 && text.get(at) == Some(&b'-'));
            (word(&text[at..]) == length).then_some(())?;
            at += length;
        }
        Some(at).filter(|at| at - UUID.iter().sum::<usize>() == UUID.len() - 1)
    };
    let length = Some(word(text))
        .filter(|it| *it >= ID_LENGTH_MIN)
        .or_else(uuid)?;
    let ends = !text.get(length).is_some_and(u8::is_ascii_alphanumeric);
    let has_letter = text[..length].iter().any(u8::is_ascii_alphabetic);
    (ends && has_letter).then_some(length)
}

/// The lengths that the scheme whose range these digits start with issues.
fn issued_lengths(digits: &[u8]) -> &'static [usize] {
    let first = |count: usize| {
        digits.get(..count).map_or(0, |part| {
            part.iter()
                .fold(0_u32, |number, digit| number * 10 + u32::from(*digit))
        })
    };
    match (first(1), first(2), first(3), first(4)) {
        (4, ..) => &[13, 16, 19],                                      // Visa
        (_, 34 | 37, ..) => &[15],                                     // American Express
        (_, 51..=55, ..) | (_, _, _, 2221..=2720) => &[16],            // Mastercard
        (_, 36 | 38 | 39, ..) | (_, _, 300..=305, _) => &[14, 16, 19], // Diners Club
        // JCB and Discover
        (_, _, _, 3528..=3589 | 6011) | (_, 65, ..) | (_, _, 644..=649, _) => &[16, 19],
        (_, 62 | 81, ..) => &[16, 17, 18, 19], // UnionPay
        (_, 50 | 56..=58 | 63 | 67..=69, ..) => &[12, 13, 14, 15, 16, 17, 18, 19], // Maestro
        _ => &[],
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| match (index % 2, u32::from(digit)) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_test_numbers_of_every_scheme_are_seen_however_they_are_written() {
        for text in [
            "4242424242424242",
            "4242 4242 4242 4242",
            "4242-4242-4242-4242",
            "card=5555555555554444;",
            "378282246310005",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
            "2223003122003222",
            "6205500000000000004",
            "abc4242424242424242def",
            "42424242-4242-4242-4242-424242424242",
            "4242424242424242 deadbeefdeadbeefdeadbeef",
            "order 7 4242424242424242 12/29",
            "4242 4242 4242 4242 1229 123",
            "https://shop.example/?card=%204242424242424242",
            "4242%204242%204242%204242",
            "%34242424242424242",
            "100%4242424242424242",
        ] {
            assert!(looks_like_card_number(text), "{text}");
        }
    }

    #[test]
    fn a_plus_is_a_space_in_an_address_alone() {
        for text in ["4242+4242+4242+4242", "/?card=4242%204242+4242%204242"] {
            assert!(looks_like_card_number_in_address(text), "{text}");
            assert!(!looks_like_card_number(text), "{text}");
        }
        assert!(looks_like_card_number_in_address("/?card=4242424242424242"));
        assert!(!looks_like_card_number_in_address("/?card=4242+4242"));
    }

    #[test]
    fn what_is_no_card_number_passes() {
        for text in [
            "",
            "4242424242424241", // wrong check digit
            "order-20261121-0001",
            "pay_aphcmnbbbbbbbbbbbbbbbbbbbbbbbbbb",
            "0000000000000000", // nobody issues it
            "12345678901",
            "4242 4242  4242 4242", // two spaces part two fields
            "1850429492438201383",  // an id by time; in it there is 5042949243820138
            "1763740800000000000",  // nanoseconds since 1970
            "ref0004242424242424242000",
            "424242424242424242424242424242",
            "a2424242-4242-4242-8242-4242424242ff",
            "sk_4242424242424242424242424242424f",
        ] {
            assert!(!looks_like_card_number(text), "{text}");
        }
    }

    #[test]
    fn where_it_costs_nothing_a_number_is_found_with_digits_beside_it_too() {
        let id = "a2424242-4242-4242-8242-4242424242ff";
        for (text, expected) in [
            ("ref0004242424242424242000", true),
            ("424242424242424242424242424242", true),
            (
                "00-00000000000000004242424242424242-b7ad6b7169203331-01",
                true,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-4242424242424242-01",
                true,
            ),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                false,
            ),
            (id, false),
        ] {
            assert_eq!(hides_card_number(text), expected, "{text}");
        }
    }

    #[test]
    fn no_random_id_is_taken_for_a_card_number() {
        for number in 0..20_000_u32 {
            let digest = crate::digest::hex(&crate::digest::sha256(&number.to_be_bytes()));
            let key = &digest[..32];
            let uuid = format!(
                "{}-{}-{}-{}-{}",
                &key[..8],
                &key[8..12],
                &key[12..16],
                &key[16..20],
                &key[20..]
            );
            assert!(!looks_like_card_number(&uuid), "{uuid}");
            assert!(!looks_like_card_number(key), "{key}");
        }
    }
}
