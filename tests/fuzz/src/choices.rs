//! An input read as decisions, so that any bytes mean something.

/// The decisions of an input. One that has ended decides for the first of everything.
#[derive(Debug)]
pub struct Choices<'b>(&'b [u8]);

impl<'b> Choices<'b> {
    /// Those of `input`.
    pub fn new(input: &'b [u8]) -> Self {
        Self(input)
    }

    /// A number below 256.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// A number below `count`, which is above 0.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % count
    }

    /// One of `all`, of which there are some.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Yes, once in so many cases, two at least.
    pub fn is_one_in(&mut self, cases: u8) -> bool {
        self.byte() % cases == 1
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'b [u8] {
        std::mem::take(&mut self.0)
    }

    /// The document that the bytes which are left spell, if they do.
    pub(crate) fn spelled(&mut self) -> Option<serde_json::Value> {
        let found = serde_json::from_slice(self.0).ok()?;
        self.0 = &[];
        Some(found)
    }
}
