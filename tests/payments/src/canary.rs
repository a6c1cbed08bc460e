//! Numbers of cards that nobody has: sent to see where they are written.

use std::collections::BTreeSet;

/// What every canary begins with: Visa's range.
const ISSUER: u64 = 421_337;
/// How many digits it has, as powers of ten: without the first one, and without the issuer's.
const ALL_BUT_ONE: u64 = 1_000_000_000_000_000;
const ALL_BUT_ISSUER: u64 = 10_000_000_000;

/// Card number `index`, with its check digit.
pub fn canary(index: usize) -> u64 {
    let body = ISSUER * 1_000_000_000 + index as u64;
    let text = body.to_string();
    let sum: u64 = text
        .bytes()
        .rev()
        .enumerate()
        .map(
            |(place, digit)| match (place % 2, u64::from(digit - b'0')) {
                (0, digit) => digit * 2 / 10 + digit * 2 % 10,
                (_, digit) => digit,
            },
        )
        .sum();
    body * 10 + (10 - sum % 10) % 10
}

/// A number as it may be written.
pub fn spellings(number: u64) -> [String; 3] {
    let plain = number.to_string();
    let groups = || [&plain[..4], &plain[4..8], &plain[8..12], &plain[12..]];
    [plain.clone(), groups().join(" "), groups().join("-")]
}

/// Every number of 16 digits that begins like a canary, however it is parted.
pub fn numbers_in(bytes: &[u8]) -> BTreeSet<u64> {
    let (mut found, mut length, mut number) = (BTreeSet::new(), 0_u32, 0_u64);
    for byte in bytes {
        match byte {
            b'0'..=b'9' => {
                number = number % ALL_BUT_ONE * 10 + u64::from(byte - b'0');
                length = (length + 1).min(16);
                if length == 16 && number / ALL_BUT_ISSUER == ISSUER {
                    found.insert(number);
                }
            }
            b' ' | b'-' | b'.' | b'_' => {}
            _ => length = 0,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_however_it_is_written() {
        let number = canary(7);
        assert_eq!(number, 4_213_370_000_000_077);
        for text in spellings(number) {
            let among = format!("at 2026-11-22T20:00:00.5Z {text}0, 17");
            assert_eq!(
                numbers_in(among.as_bytes()),
                BTreeSet::from([number]),
                "{among}"
            );
        }
        assert_eq!(numbers_in(b"421337 and 0000000077"), BTreeSet::new());
    }
}
