//! What a record in Kafka holds.

use prost::Message as _;

use crate::persistence::MessageReference;

impl MessageReference {
    /// The bytes of a record.
    pub fn to_record(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Reads a record; `None` if it is none of ours.
    pub fn from_record(bytes: &[u8]) -> Option<Self> {
        Self::decode(bytes).ok()
    }
}
