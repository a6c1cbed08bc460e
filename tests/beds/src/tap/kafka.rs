//! Kafka's protocol, as far as its steps have names: a record is put, comes to who reads, and a
//! group says how far it has come.
//!
//! Who reads asks for more all the time, so that asking is no step, nor is an answer without records.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is asked for, of what is a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Produce,
    Fetch,
    OffsetCommit,
}

impl Asked {
    /// By the number that the protocol gives it.
    fn of(key: [u8; 2]) -> Option<Self> {
        match u16::from_be_bytes(key) {
            0 => Some(Self::Produce),
            1 => Some(Self::Fetch),
            8 => Some(Self::OffsetCommit),
            _ => None,
        }
    }
}

/// The requests of one connection that wait for an answer, by their numbers; both directions know.
#[derive(Clone, Default)]
pub(super) struct Open(Arc<Mutex<HashMap<[u8; 4], Asked>>>);

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 4], Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The step that a request is: behind its length it has what it asks for, the version of that
    /// and its number.
    pub(super) fn request(&self, message: &[u8]) -> Option<&'static str> {
        let asked = Asked::of(*message.get(4..)?.first_chunk::<2>()?)?;
        let number = *message.get(8..)?.first_chunk::<4>()?;
        self.lock().insert(number, asked);
        match asked {
            Asked::Produce => Some("> produce"),
            Asked::Fetch => None,
            Asked::OffsetCommit => Some("> offset commit"),
        }
    }

    /// The step that an answer is: behind its length it has the number of its request.
    pub(super) fn answer(&self, message: &[u8]) -> Option<&'static str> {
        let number = message.get(4..)?.first_chunk::<4>()?;
        match self.lock().remove(number)? {
            Asked::Produce => Some("< produce"),
            Asked::OffsetCommit => Some("< offset commit"),
            Asked::Fetch => match has_records(message) {
                Some(true) => Some("< fetch"),
                Some(false) => None,
                None => Some("< fetch that is not understood"),
            },
        }
    }
}

/// Whether an answer to a fetch brings records, in versions 13 to 18 of it, which Kafka 4 speaks;
/// its fields are those of `FetchResponse.json` in Kafka's sources.
fn has_records(message: &[u8]) -> Option<bool> {
    let mut words = Words(message);
    // Its length and number.
    words.skip(4 + 4)?;
    words.tagged()?;
    // Throttle time, error, session.
    words.skip(4 + 2 + 4)?;
    for _ in 0..words.count()? {
        // The topic's id.
        words.skip(16)?;
        for _ in 0..words.count()? {
            // Partition, error, high watermark, last stable offset, start of the log.
            words.skip(4 + 2 + 8 + 8 + 8)?;
            for _aborted in 0..words.count()? {
                words.skip(8 + 8)?;
                words.tagged()?;
            }
            // The replica to be preferred.
            words.skip(4)?;
            if words.count()? > 0 {
                return Some(true);
            }
            words.tagged()?;
        }
        words.tagged()?;
    }
    Some(false)
}

/// What is left of a message.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.0 = self.0.get(bytes..)?;
        Some(())
    }

    /// A number of seven bits a byte, the lowest first.
    fn number(&mut self) -> Option<usize> {
        let mut number = 0;
        for shift in (0..35).step_by(7) {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= usize::from(first & 0x7f) << shift;
            if first & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// How many elements follow: one less than is written, and nothing at all is written as 0.
    fn count(&mut self) -> Option<usize> {
        Some(self.number()?.saturating_sub(1))
    }

    /// Fields that are there only if they say something.
    fn tagged(&mut self) -> Option<()> {
        for _ in 0..self.number()? {
            self.number()?;
            let length = self.number()?;
            self.skip(length)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap();
        [&length.to_be_bytes()[..], body].concat()
    }

    fn request(key: u8, version: u8, number: u8) -> Vec<u8> {
        framed(&[0, key, 0, version, 0, 0, 0, number, 0xff, 0xff])
    }

    /// An answer of one partition with these records.
    fn fetched(number: u8, records: &[u8]) -> Vec<u8> {
        let mut body = vec![0, 0, 0, number, 0];
        body.extend([0; 4 + 2 + 4]);
        // One topic, one partition, no aborted transactions, nothing preferred.
        body.push(2);
        body.extend([7; 16]);
        body.push(2);
        body.extend([0; 4 + 2 + 8 + 8 + 8]);
        body.push(0);
        body.extend([0xff; 4]);
        body.push(u8::try_from(records.len() + 1).unwrap());
        body.extend(records);
        body.extend([0; 3]);
        framed(&body)
    }

    #[test]
    fn what_is_put_fetched_and_committed_has_a_name_and_nothing_else_has() {
        let open = Open::default();
        assert_eq!(open.request(&request(0, 13, 1)), Some("> produce"));
        assert_eq!(open.request(&request(8, 10, 2)), Some("> offset commit"));
        assert_eq!(open.request(&request(3, 13, 3)), None, "metadata");
        assert_eq!(open.request(&request(1, 17, 4)), None, "asking for more");
        let answer = |number: u8| framed(&[0, 0, 0, number, 0]);
        assert_eq!(open.answer(&answer(3)), None);
        assert_eq!(open.answer(&answer(2)), Some("< offset commit"));
        assert_eq!(open.answer(&answer(1)), Some("< produce"));
        assert_eq!(open.answer(&answer(1)), None, "it was answered");
        assert_eq!(open.answer(&fetched(4, &[])), None, "no records");
        open.request(&request(1, 17, 5));
        assert_eq!(open.answer(&fetched(5, &[1; 70])), Some("< fetch"));
        open.request(&request(1, 17, 6));
        let cut = framed(&[0, 0, 0, 6, 0, 0]);
        let told = Some("< fetch that is not understood");
        assert_eq!(open.answer(&cut), told);
    }
}
