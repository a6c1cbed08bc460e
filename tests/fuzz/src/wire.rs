//! Messages of protobuf near a sample: of bytes that are changed without regard to lengths, hardly any
//! are a message still.

use crate::{Choices, bytes, text};

/// The most changes of one sample.
const CHANGES_MAX: usize = 6;

/// The highest number that a field gets in place of its own.
const NUMBER_MAX: usize = 20;

/// A field, as it is on the wire.
#[derive(Clone, Debug, PartialEq)]
struct Field {
    number: u64,
    value: Value,
}

/// The two kinds of values that there are in the messages here.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(u64),
    Bytes(Vec<u8>),
}

/// A message near `sample`; bytes near it if that is none.
pub fn message(choices: &mut Choices<'_>, sample: &[u8]) -> Vec<u8> {
    let fields = read(sample).filter(|_| !choices.is_one_in(16));
    let Some(mut fields) = fields else {
        return bytes(choices, sample);
    };
    for _ in 0..choices.below(CHANGES_MAX) {
        change(choices, &mut fields);
    }
    write(&fields)
}

fn change(choices: &mut Choices<'_>, fields: &mut Vec<Field>) {
    if fields.is_empty() {
        return;
    }
    let at = choices.below(fields.len());
    match choices.below(8) {
        0 => drop(fields.remove(at)),
        1 => fields.push(fields[at].clone()),
        2 => fields[at].number = 1 + choices.below(NUMBER_MAX) as u64,
        3 => {
            let other = choices.one_of(fields).value.clone();
            fields[at].value = other;
        }
        _ => vary(choices, &mut fields[at].value),
    }
}

fn vary(choices: &mut Choices<'_>, value: &mut Value) {
    match value {
        Value::Number(number) => {
            let odd = [
                0,
                1,
                number.wrapping_add(1),
                number.wrapping_neg(),
                u64::from(choices.byte()),
                i64::MAX.unsigned_abs(),
                i64::MIN.unsigned_abs(),
                u64::from(u32::MAX) + 1,
                u64::MAX,
            ];
            *number = *choices.one_of(&odd);
        }
        Value::Bytes(inner) => {
            let fields = read(inner).filter(|fields| !fields.is_empty() && choices.is_one_in(2));
            if let Some(mut fields) = fields {
                change(choices, &mut fields);
                *inner = write(&fields);
            } else if let Ok(word) = str::from_utf8(inner) {
                *inner = text(choices, &[word]).into_bytes();
            } else {
                *inner = bytes(choices, inner);
            }
        }
    }
}

fn read(mut rest: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let key = read_number(&mut rest)?;
        let value = match key & 7 {
            0 => Value::Number(read_number(&mut rest)?),
            2 => {
                let length = usize::try_from(read_number(&mut rest)?).ok()?;
                let (value, after) = rest.split_at_checked(length)?;
                rest = after;
                Value::Bytes(value.to_vec())
            }
            _ => return None,
        };
        fields.push(Field {
            number: key >> 3,
            value,
        });
    }
    Some(fields)
}

/// Seven bits a byte, the lowest first; the eighth says that there are more.
fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn write(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for Field { number, value } in fields {
        match value {
            Value::Number(value) => {
                write_number(&mut out, number << 3);
                write_number(&mut out, *value);
            }
            Value::Bytes(value) => {
                write_number(&mut out, number << 3 | 2);
                write_number(&mut out, value.len() as u64);
                out.extend_from_slice(value);
            }
        }
    }
    out
}

fn write_number(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{1: "order", 2: 300, 3: {1: 7}}`, from the documentation of the encoding.
    const SAMPLE: &[u8] = b"\x0a\x05order\x10\xac\x02\x1a\x02\x08\x07";

    #[test]
    fn a_message_is_read_and_written_as_it_is() {
        let fields = read(SAMPLE).expect("it is a message");
        assert_eq!(fields.len(), 3);
        assert_eq!(fields[1].value, Value::Number(300));
        assert_eq!(write(&fields), SAMPLE);
        let number = |number| Field {
            number: 1,
            value: Value::Number(number),
        };
        for large in [0, 127, 128, u64::MAX] {
            let fields = [number(large)];
            assert_eq!(read(&write(&fields)).as_deref(), Some(&fields[..]));
        }
        for none in [&b"\x0a\x05orde"[..], b"\x0d\0\0\0\0", b"\x80"] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }

    #[test]
    fn no_input_leaves_a_message_as_it_is_and_what_is_near_it_is_mostly_one() {
        assert_eq!(message(&mut Choices::new(b""), SAMPLE), SAMPLE);
        // An odd step: a choice of some is what the seed leaves when divided by their number.
        let seeds = (0..u16::MAX).step_by(17);
        let all = seeds.len();
        let (mut changed, mut whole) = (0, 0);
        for seed in seeds {
            let input = seed.to_le_bytes().repeat(20);
            let near = message(&mut Choices::new(&input), SAMPLE);
            changed += usize::from(near != SAMPLE);
            whole += usize::from(read(&near).is_some());
        }
        assert!(
            changed > all / 4 && whole > all / 2,
            "{changed} {whole} of {all}"
        );
    }
}
