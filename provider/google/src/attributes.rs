//! How the user knows what differs.

use std::collections::BTreeMap;

/// The user's attribute behind each of Google's words: "release channel", "surge".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub BTreeMap<&'static str, String>);

impl Attributes {
    /// The attribute behind `word`, or the word itself where the user has none.
    pub(crate) fn of(&self, word: &str) -> String {
        let known = self.0.get(word);
        known.map_or_else(|| word.to_owned(), Clone::clone)
    }

    /// The attribute behind the object as a whole.
    pub(crate) fn whole(&self) -> Option<String> {
        self.0.get("").cloned()
    }
}
