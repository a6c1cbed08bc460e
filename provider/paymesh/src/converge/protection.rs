//! What the two calls of a planned replacement tell each other: that the object was protected.
//!
//! Of `-replace` core tells the first call nothing, and the second one no prior state, but it gets
//! the private data of the first (`provider/plugin/tests/calls`). The note stands beside the engine's
//! memory there, which reads past it; the next apply or read writes the memory without it.

use serde_json::{Map, Value};

const KEY: &str = "was_protected";

/// `private` with the note.
pub(super) fn note(private: &[u8]) -> Vec<u8> {
    let mut entries: Map<String, Value> = serde_json::from_slice(private).unwrap_or_default();
    entries.insert(KEY.to_owned(), Value::Bool(true));
    Value::Object(entries).to_string().into_bytes()
}

/// Whether the note is in `private`.
pub(super) fn is_noted(private: &[u8]) -> bool {
    serde_json::from_slice::<Value>(private).is_ok_and(|value| value[KEY] == true)
}

#[cfg(test)]
mod tests {
    use paymesh_engine::{Holder, Memory};

    use super::*;

    #[test]
    fn the_note_stands_beside_the_memory_and_is_forgotten_with_the_next_one() {
        let memory = Memory {
            holder: Some(Holder::found("h1")),
            ..Memory::default()
        };
        let noted = note(&memory.to_bytes());
        assert!(is_noted(&noted));
        assert_eq!(Memory::from_bytes(&noted).unwrap(), memory);
        assert!(!is_noted(&memory.to_bytes()));
    }
}
