//! What the fuzz targets in `tests/fuzz` make of an input: a document, a text or a message near one
//! that somebody really sends. Bytes alone would hardly ever pass the first letter of a decoder.
//!
//! A target tries for as long as `BOLERO_RANDOM_TEST_TIME_MS` says (a second), after all inputs that
//! once found something: each is a file in `tests/fuzz/__fuzz__/TARGET/corpus`. A file that is JSON
//! is the document itself.

mod choices;
mod near;

pub use choices::Choices;
pub use near::{bytes, document, text};
