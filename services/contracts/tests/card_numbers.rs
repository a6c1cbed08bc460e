//! How often a reference that is no card number is refused for looking like one: 1,000,000 of them,
//! in the shapes that shops give them. What was found is the page `card-numbers.md`.

use std::thread;

use expect_test::expect_file;
use paymesh_contracts::card::looks_like_card_number;

/// How many references there are of each shape.
const EACH: u32 = 100_000;

/// What schemes issue: the first four digits, from and to, and the lengths. Written down once more
/// and not taken from the check, so that a range that gets into that by mistake is above the bound.
const ISSUED: [(u64, u64, &[usize]); 23] = [
    (4000, 4999, &[13, 16, 19]),
    (3400, 3499, &[15]),
    (3700, 3799, &[15]),
    (5100, 5599, &[16]),
    (2221, 2720, &[16]),
    (3600, 3699, &[14, 16, 19]),
    (3800, 3899, &[14, 16, 19]),
    (3900, 3999, &[14, 16, 19]),
    (3000, 3059, &[14, 16, 19]),
    (3528, 3589, &[16, 19]),
    (6011, 6011, &[16, 19]),
    (6500, 6599, &[16, 19]),
    (6440, 6499, &[16, 19]),
    (6200, 6299, &[16, 17, 18, 19]),
    (8100, 8199, &[16, 17, 18, 19]),
    (5000, 5099, &MAESTRO),
    (5600, 5699, &MAESTRO),
    (5700, 5799, &MAESTRO),
    (5800, 5899, &MAESTRO),
    (6300, 6399, &MAESTRO),
    (6700, 6799, &MAESTRO),
    (6800, 6899, &MAESTRO),
    (6900, 6999, &MAESTRO),
];
const MAESTRO: [usize; 8] = [12, 13, 14, 15, 16, 17, 18, 19];

/// Country calling codes and how many digits follow them.
const PHONES: [(u64, u32); 10] = [
    (1, 10),
    (33, 9),
    (41, 9),
    (44, 10),
    (49, 11),
    (55, 11),
    (57, 10),
    (63, 10),
    (81, 10),
    (91, 10),
];

/// The same numbers on every machine and in every run (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }

    /// So many digits, at most 19.
    fn digits(&mut self, count: u32) -> String {
        let number = self.below(10_u64.pow(count));
        format!("{number:00$}", count as usize)
    }

    fn day(&mut self) -> String {
        let (year, month) = (2024 + self.below(4), 1 + self.below(12));
        format!("{year}{month:02}{:02}", 1 + self.below(28))
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.draw(), self.draw());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            8 + (low >> 62),
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        )
    }

    fn phone(&mut self) -> String {
        let (country, digits) = PHONES[usize::try_from(self.below(10)).unwrap()];
        let first = 100 + self.below(900);
        format!("+{country} {first} {}", self.digits(digits - 3))
    }
}

struct Shape {
    name: &'static str,
    /// The reference with a number.
    make: fn(&mut Chance, u64) -> String,
    /// Whether it is passed over for being a random id, whatever its digits are.
    is_id: bool,
}

const fn shape(name: &'static str, make: fn(&mut Chance, u64) -> String) -> Shape {
    Shape {
        name,
        make,
        is_id: false,
    }
}

const SHAPES: [Shape; 10] = [
    shape("random digits, 10 to 20 of them", |chance, _| {
        let count = 10 + u32::try_from(chance.below(11)).unwrap();
        let half = count / 2;
        chance.digits(half) + &chance.digits(count - half)
    }),
    shape("order numbers of 10 digits, counted up", |_, number| {
        format!("{}", 4_100_000_000 + number)
    }),
    shape("order numbers of 16 digits, counted up", |_, number| {
        format!("{}", 4_100_000_000_000_000 + number)
    }),
    shape("day and a counter of 6 digits", |chance, number| {
        format!("{}{:06}", chance.day(), number)
    }),
    shape("day, time and a counter of 4 digits", |chance, number| {
        let (hour, minute, second) = (chance.below(24), chance.below(60), chance.below(60));
        let counter = number % 10_000;
        format!(
            "{}{hour:02}{minute:02}{second:02}{counter:04}",
            chance.day()
        )
    }),
    shape("ids of 19 digits by time (snowflakes)", |chance, number| {
        let at = 1_850_000_000_000_000_000 + (number << 32);
        format!("{}", at + chance.below(1 << 22))
    }),
    shape(
        "invoices: customer, year and number, with dashes",
        |chance, number| format!("{}-2026-{number:06}", chance.digits(5)),
    ),
    Shape {
        name: "UUIDs",
        make: |chance, _| chance.uuid(),
        is_id: true,
    },
    shape("the digits of a UUID, without its letters", |chance, _| {
        chance
            .uuid()
            .replace(|letter: char| !letter.is_ascii_digit(), "")
    }),
    shape("phone numbers of ten countries", |chance, _| chance.phone()),
];

/// Whether digits have the beginning and the length of a card number.
fn is_likely(digits: &str) -> bool {
    let first = digits.get(..4).and_then(|first| first.parse().ok());
    first.is_some_and(|first: u64| {
        ISSUED.into_iter().any(|(from, to, lengths)| {
            (from..=to).contains(&first) && lengths.contains(&digits.len())
        })
    })
}

/// How many parts of a text, each of whole groups of digits, have the beginning and the length of a
/// card number.
fn candidates(text: &str) -> u32 {
    let apart = |letter: char| !letter.is_ascii_digit() && !" -._".contains(letter);
    let mut count = 0;
    for run in text.split(apart) {
        let groups: Vec<&str> = run.split([' ', '-', '.', '_']).collect();
        for start in 0..groups.len() {
            let mut part = String::new();
            for group in &groups[start..] {
                part.push_str(group);
                count += u32::from(is_likely(&part));
            }
        }
    }
    count
}

/// A row of the page. Of what has the beginning and the length of a card number one in ten has its
/// check digit, so no more can be refused but by chance, for which there are six deviations.
fn row(shape: &Shape) -> String {
    let mut chance = Chance(1);
    let (mut refused, mut likely, mut example) = (0_u32, 0_u32, String::new());
    for number in 0..EACH {
        let text = (shape.make)(&mut chance, u64::from(number));
        refused += u32::from(looks_like_card_number(&text));
        likely += if shape.is_id { 0 } else { candidates(&text) };
        example = text;
    }
    let expected = f64::from(likely) / 10.0;
    assert!(
        f64::from(refused) <= expected + 6.0 * expected.sqrt(),
        "{}: {refused} refused, {expected} by the arithmetic",
        shape.name
    );
    let percent = |count: f64| 100.0 * count / f64::from(EACH);
    format!(
        "| {} | `{example}` | {EACH} | {refused} | {:.3} % | {:.3} % |\n",
        shape.name,
        percent(refused.into()),
        percent(expected).min(100.0)
    )
}

#[test]
fn of_a_million_references_no_more_are_refused_than_schemes_and_check_digits_explain() {
    let mut page = String::from(
        "# How often a reference is taken for a card number\n\n\
        payment-api refuses what looks like a card number wherever it stands (`card_number_refused`), and so some numbers that are none. \
        1,000,000 references that are none, in shapes that shops give them, the same in every run: \
        `cargo test -p paymesh-contracts --test card_numbers -- --nocapture`.\n\n\
        The bound is arithmetic: the parts of a reference that begin as a scheme's numbers do and are as long, each of which has a right check digit once in ten. \
        A part is of whole groups of digits, between which stands a single space, dash, point or underscore: what is in the middle of a longer number counts for nothing, and so no long number is refused for its parts. \
        A reference with a letter after every eleventh digit is never refused.\n\n\
        | shape | for example | references | refused | share | at most |\n|---|---|---|---|---|---|\n",
    );
    // Side by side: a debug build takes its time.
    let rows = thread::scope(|scope| {
        let rows = SHAPES.each_ref().map(|shape| scope.spawn(|| row(shape)));
        rows.map(|row| row.join().unwrap())
    });
    page.extend(rows);
    println!("{page}");
    expect_file!["../card-numbers.md"].assert_eq(&page);
}
