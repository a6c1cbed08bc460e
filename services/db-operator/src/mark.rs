//! Whose a thing is: a text in the comment of a role, or on a Secret.
//!
//! A database belongs to its owner's role, so it is whose that role is: on the database itself its
//! owner could write, and nobody who logs in by a Secret of ours can write on a role. Only what bears
//! the mark of this very object is changed or dropped. The uid in it is the object's: one that is
//! deleted and made again under its name is another. What a deleted object left behind says so, and
//! is taken up by the next of the same namespace and name.

use std::fmt;

use kube::ResourceExt as _;

use crate::crd::Database;

const PREFIX: &str = "paymesh.dev/database";
const RELEASED: &str = "released";

/// The mark of one `Database`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// NAMESPACE/NAME.
    pub(crate) object: String,
    uid: String,
}

/// Whose a thing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This object's.
    Ours,
    /// It was left behind by a deleted object of this namespace and name.
    Released,
    /// Somebody else's, with what is written on it, if anything is.
    Others(Option<String>),
}

impl Mark {
    /// The mark of an object.
    pub fn of(database: &Database) -> Self {
        Self {
            object: format!(
                "{}/{}",
                database.namespace().unwrap_or_default(),
                database.name_any()
            ),
            uid: database.uid().unwrap_or_default(),
        }
    }

    /// The number that stands for the object in an advisory lock: the beginning of its uid.
    pub fn lock(&self) -> i64 {
        let digits = self.uid.chars().filter_map(|digit| digit.to_digit(16));
        digits
            .take(15)
            .fold(0, |number, digit| number << 4 | i64::from(digit))
    }

    /// What is written on a thing that is left behind.
    pub fn released(&self) -> String {
        format!("{PREFIX} {} {RELEASED}", self.object)
    }

    /// Whose a thing is on which `text` is written.
    pub fn read(&self, text: Option<&str>) -> Whose {
        match text {
            Some(text) if text == self.to_string() => Whose::Ours,
            Some(text) if text == self.released() => Whose::Released,
            other => Whose::Others(other.map(ToOwned::to_owned)),
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PREFIX} {} {}", self.object, self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_object_has_what_bears_its_mark() {
        let mark = |object: &str, uid: &str| Mark {
            object: object.to_owned(),
            uid: uid.to_owned(),
        };
        let (ours, later) = (mark("pay/ledger", "1"), mark("pay/ledger", "2"));
        assert_eq!(ours.read(Some(&ours.to_string())), Whose::Ours);
        assert_eq!(later.read(Some(&ours.released())), Whose::Released);
        for text in [ours.to_string(), mark("pay/other", "2").released()] {
            assert_eq!(later.read(Some(&text)), Whose::Others(Some(text)));
        }
        assert_eq!(ours.read(None), Whose::Others(None));
    }
}
