//! Card numbers, however they are spelled and wherever they stand.

use bolero::check;
use paymesh_contracts::card::looks_like_card_number;
use paymesh_fuzz::{Choices, text};

/// Numbers that schemes publish for tests.
const NUMBERS: [&str; 9] = [
    "4242424242424242",
    "5555555555554444",
    "378282246310005",
    "6011111111111117",
    "3530111333300000",
    "30569309025904",
    "2223003122003222",
    "6205500000000000004",
    "4222222222222",
];

/// What a number may be parted by.
pub(crate) const PARTED_BY: [&str; 4] = [" ", "-", ".", "_"];

/// What can stand beside a number so that both together are no random id: those are passed over, and
/// are made of hexadecimal digits and dashes.
const BESIDE: [&str; 10] = ["/", ":", "=", "\"", "x", "Z", "é", "(", "#", "\u{1F600}"];

/// A number with one of `parted_by` between any of its digits, and with more digits before and behind
/// it, which one of these parts from it.
pub(crate) fn spelled(choices: &mut Choices<'_>, parted_by: &[&str]) -> String {
    let digits = |choices: &mut Choices<'_>| "0731".get(..choices.below(4)).unwrap_or_default();
    let before = digits(choices);
    let number = *choices.one_of(&NUMBERS);
    let after = digits(choices);
    let mut spelled = String::new();
    for part in [before, number, after] {
        for (index, digit) in part.chars().enumerate() {
            if !spelled.is_empty() && (index == 0 || choices.is_one_in(4)) {
                spelled.push_str(choices.one_of::<&str>(parted_by));
            }
            spelled.push(digit);
        }
    }
    spelled
}

/// Words around a number that are no part of it.
pub(crate) fn around(choices: &mut Choices<'_>, spelled: &str) -> String {
    let words = [
        "",
        "order-7",
        "deadbeef-4242",
        "4242 ",
        "ref 0b1c2d3e4f50617283940a1b2c3d4e5f",
    ];
    let [before, after] = [(); 2].map(|()| text(choices, &words));
    let [left, right] = [(); 2].map(|()| *choices.one_of(&BESIDE));
    format!("{before}{left}{spelled}{right}{after}")
}

/// A number is found wherever it stands.
#[test]
fn a_card_number() {
    check!().for_each(|input: &[u8]| {
        let mut choices = Choices::new(input);
        let number = spelled(&mut choices, &PARTED_BY);
        assert!(looks_like_card_number(&number), "{number}");
        let text = around(&mut choices, &number);
        assert!(looks_like_card_number(&text), "{text:?}");
    });
}
