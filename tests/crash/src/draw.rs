//! Draws by seed: the same seed and commit give the same cases.

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

/// A source of draws.
#[derive(Debug)]
pub struct Draw(StdRng);

impl Draw {
    /// The draws of `seed`.
    pub fn of(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// One of `all`.
    pub fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.0.random_range(0..all.len())]
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.0.random_range(0..times) == 0
    }

    /// Another order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        all.shuffle(&mut self.0);
    }
}
