//! What a record in Kafka holds.

use prost::Message as _;

use crate::{MessageId, persistence::MessageReference};

impl MessageReference {
    /// The bytes of a record.
    pub fn to_record(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// Reads a record; `None` if it is none of ours. Nearly any bytes are a message of protobuf, no
    /// bytes at all are one: only what names a message and a lease is a reference.
    pub fn from_record(bytes: &[u8]) -> Option<Self> {
        let reference = Self::decode(bytes).ok()?;
        let is_whole =
            MessageId::from_bytes(&reference.message_id).is_ok() && reference.lease.is_some();
        is_whole.then_some(reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::Lease;

    fn reference(id: &[u8], lease: Option<Lease>) -> MessageReference {
        MessageReference {
            message_id: id.to_vec(),
            lease,
        }
    }

    #[test]
    fn a_record_is_a_reference_only_if_it_names_a_message_and_a_lease() {
        let lease = Lease {
            consumer: "attempts".to_owned(),
            partition: 3,
            epoch: 7,
        };
        let whole = reference(&[5; 16], Some(lease.clone()));
        let read =
            |reference: &MessageReference| MessageReference::from_record(&reference.to_record());
        assert_eq!(read(&whole), Some(whole));
        for id in [&[][..], &[5; 15], &[5; 17]] {
            assert_eq!(read(&reference(id, Some(lease.clone()))), None, "{id:?}");
        }
        assert_eq!(read(&reference(&[5; 16], None)), None);
        for bytes in [&b""[..], b"{}", b"\x0a\x03abc", b"\xff\xff", b"hello"] {
            assert_eq!(MessageReference::from_record(bytes), None, "{bytes:?}");
        }
    }
}
