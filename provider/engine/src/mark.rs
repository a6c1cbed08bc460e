//! The owner mark, and the holder beside it.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{ObjectId, Ownership};

/// Says whose a remote object is. A pure function of configuration, because after a crash nothing
/// is in state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// Unique per state; the same for everything the state owns.
    pub owner: String,
    /// The resource within its owner: the name of its principal object. That is its address in the
    /// cloud, so that namesakes in two regions, groups or accounts differ.
    pub name: String,
}

/// A random word that says which state entry holds an object. Written fresh at every creation
/// and adoption; an entry that remembers another word is stale.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Holder(String);

impl Mark {
    /// The tag or label that holds the owner.
    pub const OWNER_KEY: &'static str = "paymesh-owner";
    /// The tag or label that holds the name.
    pub const NAME_KEY: &'static str = "paymesh-name";
    /// The tag or label that holds the [`Holder`].
    pub const HOLDER_KEY: &'static str = "paymesh-holder";

    /// The mark of `owner` that says `name`.
    pub fn new(owner: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            owner: owner.into(),
            name: name.into(),
        }
    }

    /// The mark of the resource of `owner` that `principal` stands for.
    pub fn of(owner: impl Into<String>, principal: &ObjectId) -> Self {
        Self::new(owner, principal.name.as_str())
    }

    /// The mark as words, for places that take any text: `(key, value)`.
    pub fn words(&self) -> [(&'static str, String); 2] {
        [
            (Self::OWNER_KEY, self.owner.clone()),
            (Self::NAME_KEY, self.name.clone()),
        ]
    }

    /// The mark for places with narrow character rules: the first 32 hex digits of the words'
    /// SHA-256.
    pub fn digests(&self) -> [(&'static str, String); 2] {
        [
            (Self::OWNER_KEY, digest(&self.owner)),
            (Self::NAME_KEY, digest(&self.name)),
        ]
    }

    /// The mark for places that take one text and nothing else: its digests in one line.
    pub fn line(&self) -> String {
        let words = self
            .digests()
            .map(|(key, digest)| format!("{key}={digest}"));
        words.join(" ")
    }

    /// The value of `key` in a line that holds a mark.
    pub fn word_in<'a>(line: &'a str, key: &str) -> Option<&'a str> {
        let mut words = line.split_whitespace();
        words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// Owner and name in a line that holds a mark, as digests.
    pub fn digests_in(line: &str) -> Option<[&str; 2]> {
        let word = |key| Self::word_in(line, key);
        Some([word(Self::OWNER_KEY)?, word(Self::NAME_KEY)?])
    }

    /// Judges a mark found as words.
    pub fn judge_words(&self, owner: Option<&str>, name: Option<&str>) -> Ownership {
        judge([&self.owner, &self.name], owner, name)
    }

    /// Judges a mark found as digests.
    pub fn judge_digests(&self, owner: Option<&str>, name: Option<&str>) -> Ownership {
        judge([&digest(&self.owner), &digest(&self.name)], owner, name)
    }
}

impl Holder {
    /// A fresh holder.
    pub fn fresh() -> Self {
        Self(uuid::Uuid::new_v4().simple().to_string())
    }

    /// The holder that was found as `text`.
    pub fn found(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The word itself: 32 lower-case hex digits, fit for tags and labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.owner)
    }
}

fn judge(ours: [&str; 2], owner: Option<&str>, name: Option<&str>) -> Ownership {
    match (owner, name) {
        (Some(owner), Some(name)) if [owner, name] == ours => Ownership::Ours,
        (None, None) => Ownership::Unmarked,
        _ => Ownership::Foreign(format!(
            "owner {}, name {}",
            owner.unwrap_or("(none)"),
            name.unwrap_or("(none)")
        )),
    }
}

fn digest(words: &str) -> String {
    use std::fmt::Write as _;
    Sha256::digest(words.as_bytes())
        .iter()
        .take(16)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_fit_googles_label_rules() {
        let [(_, owner), (_, name)] = Mark::new("payments/prod", "Main Cluster").digests();
        for value in [owner, name] {
            assert_eq!(value.len(), 32);
            assert!(
                value
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
            );
        }
    }

    #[test]
    fn a_line_tells_the_digests_whatever_stands_beside_them() {
        let mark = Mark::new("payments/prod", "main");
        let [(_, owner), (_, name)] = mark.digests();
        let line = format!("{} paymesh-holder=h1", mark.line());
        assert_eq!(Mark::digests_in(&line), Some([&*owner, &*name]));
        assert_eq!(Mark::word_in(&line, Mark::HOLDER_KEY), Some("h1"));
        assert_eq!(Mark::digests_in("paymesh-owner=a"), None);
    }

    #[test]
    fn namesakes_differ() {
        let of = |place: &str| Mark::of("payments/prod", &ObjectId::new("cluster", place));
        assert_ne!(of("west/pay"), of("north/pay"));
        assert_ne!(of("west/pay").digests(), of("north/pay").digests());
    }

    #[test]
    fn half_a_mark_is_somebody_elses() {
        let mark = Mark::new("a", "b");
        assert_eq!(mark.judge_words(Some("a"), Some("b")), Ownership::Ours);
        assert_eq!(mark.judge_words(None, None), Ownership::Unmarked);
        assert!(matches!(
            mark.judge_words(Some("a"), None),
            Ownership::Foreign(_)
        ));
        assert!(matches!(
            mark.judge_words(Some("a"), Some("c")),
            Ownership::Foreign(_)
        ));
    }
}
