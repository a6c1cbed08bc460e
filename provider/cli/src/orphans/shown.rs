//! How what was found is shown: whose it is in words, and nothing that could steer a terminal.

use std::collections::{BTreeMap, BTreeSet};

use paymesh_engine::Mark;

use super::clouds::Found;
use crate::plain::plain;

/// The owners whose words are known. GKE bears digests of them only.
pub(crate) struct Owners(BTreeMap<String, String>);

impl Owners {
    /// The owners that `found` names in words, and the one that was asked for.
    pub(crate) fn known(found: &[Found], asked: Option<&str>) -> Self {
        let words = found.iter().map(|it| it.mark[0].as_str()).chain(asked);
        let digested = words.map(|words| {
            let [(_, digest), _] = Mark::new(words, "").digests();
            (digest, words.to_owned())
        });
        Self(digested.collect())
    }

    fn of<'a>(&'a self, found: &'a Found) -> &'a str {
        let [owner, _] = &found.mark;
        self.0.get(owner).unwrap_or(owner)
    }

    /// One line about `found`.
    pub(crate) fn line(&self, found: &Found) -> String {
        let (Found { kind, id, .. }, [_, name]) = (found, &found.mark);
        // A digest says nothing, and a cluster's mark says its own id.
        let is_told = name.contains('/') && !name.eq_ignore_ascii_case(id);
        let of = if is_told {
            format!(", for {name}")
        } else {
            String::new()
        };
        plain(&format!("{kind} {id}  (owner {}{of})", self.of(found)))
    }

    /// All owners of `found`.
    pub(crate) fn list(&self, found: &[Found]) -> String {
        let owners: BTreeSet<&str> = found.iter().map(|it| self.of(it)).collect();
        let owners: Vec<&str> = owners.into_iter().collect();
        plain(&owners.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(owner: &str, name: &str, asked: Option<&str>, line: &str) {
        let mut found = Found::of_test("/g/a", name, None);
        found.mark[0] = owner.to_owned();
        let all = [found];
        assert_eq!(Owners::known(&all, asked).line(&all[0]), line);
    }

    #[test]
    fn an_owner_is_told_in_words_where_they_are_known() {
        let [(_, digest), _] = Mark::new("pay/prod", "").digests();
        let unknown = format!("object /g/a  (owner {digest})");
        check(&digest, "0af3", None, &unknown);
        check(
            &digest,
            "0af3",
            Some("pay/prod"),
            "object /g/a  (owner pay/prod)",
        );
        check("pay/prod", "/G/a", None, "object /g/a  (owner pay/prod)");
        check(
            "pay/prod",
            "/g/b",
            None,
            "object /g/a  (owner pay/prod, for /g/b)",
        );
    }

    #[test]
    fn a_tag_cannot_steer_the_terminal() {
        let name = "/x\u{1b}[2K\u{1b}[1A";
        let line = r"object /g/a  (owner a, for /x\u{1b}[2K\u{1b}[1A)";
        check("a", name, None, line);
    }
}
