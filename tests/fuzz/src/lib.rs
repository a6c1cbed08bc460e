//! What the fuzz targets in `tests` make of an input: a document, a text or a message near one that
//! somebody really sends. Bytes alone would hardly ever pass the first letter of a decoder.
//!
//! Two programs: `fuzz` for what the provider reads, `services` for what the payment services read.
//! A target tries for as long as `BOLERO_RANDOM_TEST_TIME_MS` says (a second), after all inputs that
//! once found something: each is a file in `tests/PROGRAM/__fuzz__/TARGET/corpus`. A file that is JSON
//! is the document itself.

mod choices;
mod near;
mod wire;

pub use choices::Choices;
pub use near::{bytes, document, text};
pub use wire::message;
