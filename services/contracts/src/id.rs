//! Ids: a UUID with the kind of thing it names, written without a digit.
//!
//! `pay_aphcmn...` is the prefix and the 32 hexadecimal digits of the UUID, each moved to the
//! letters a to p. A log, a table or a form field that holds an id can therefore never be taken
//! for one that holds a card number.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// A text or a byte string that is no id of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id that starts with `{prefix}_`")]
pub struct NotAnId {
    prefix: &'static str,
}

fn write_letters(id: Uuid, out: &mut impl fmt::Write) -> fmt::Result {
    for byte in id.into_bytes() {
        out.write_char(char::from(b'a' + (byte >> 4)))?;
        out.write_char(char::from(b'a' + (byte & 15)))?;
    }
    Ok(())
}

fn read_letters(text: &str) -> Option<Uuid> {
    let letters: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(letters.chunks_exact(2)) {
        let nibble = |letter: u8| (b'a'..=b'p').contains(&letter).then(|| letter - b'a');
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(Uuid::from_bytes(bytes))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// What the text of such an id starts with, before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// The id as gRPC carries it.
            pub fn bytes(self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }

            /// The id from what gRPC carries.
            pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAnId> {
                Uuid::from_slice(bytes).map(Self).map_err(|_| NotAnId { prefix: $prefix })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(concat!($prefix, "_"))?;
                write_letters(self.0, out)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, out)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(read_letters)
                    .map(Self)
                    .ok_or(NotAnId { prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A merchant and all that is theirs.
    TenantId "ten";
    /// A payment: what the merchant wants to happen.
    PaymentId "pay";
    /// One try to make a payment happen at an acquirer.
    AttemptId "att";
    /// Money that a customer took back by way of their bank.
    DisputeId "dsp";
    /// One movement of money between two accounts.
    PostingId "pst";
    /// Something that happened, as merchants are told.
    EventId "evt";
    /// Where a merchant wants to be told.
    EndpointId "hook";
    /// One message of the queue.
    MessageId "msg";
    /// An API key, for whoever must not see the key itself.
    KeyId "key";
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_survives_its_text_and_holds_no_digit(bytes in any::<[u8; 16]>()) {
            let id = PaymentId(Uuid::from_bytes(bytes));
            let text = id.to_string();
            prop_assert!(!text.contains(|letter: char| letter.is_ascii_digit()));
            prop_assert_eq!(text.parse(), Ok(id));
            prop_assert_eq!(PaymentId::from_bytes(&id.bytes()), Ok(id));
        }

        #[test]
        fn any_other_text_is_refused_without_a_panic(text in ".{0,48}") {
            if let Ok(id) = text.parse::<PaymentId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn an_id_of_one_kind_is_not_taken_for_another() {
        let text = AttemptId(Uuid::nil()).to_string();
        assert_eq!(text, "att_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        assert!(text.parse::<PaymentId>().is_err());
    }
}
