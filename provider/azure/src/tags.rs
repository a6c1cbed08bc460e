//! Tags: the user's labels, the owner mark and the holder.

use std::collections::{BTreeMap, BTreeSet};

use paymesh_engine::{Holder, Mark, Ownership, Seen};
use serde_json::{Map, Value};

/// The user's tags with mark and holder, for a create.
pub(crate) fn marked(
    labels: &BTreeMap<String, String>,
    mark: &Mark,
    holder: Option<&Holder>,
) -> Value {
    let mut tags = Map::new();
    for (key, value) in labels {
        tags.insert(key.clone(), value.as_str().into());
    }
    write(&mut tags, mark, holder);
    Value::Object(tags)
}

/// How our own tags begin: mark, holder, role.
pub(crate) const OWN: &str = "paymesh-";

/// How the engine remembers the tag `key`.
const TAG: &str = "tag ";

/// The tags as the engine remembers them.
pub(crate) fn keys(tags: &BTreeMap<String, String>) -> BTreeSet<String> {
    tags.keys().map(|key| format!("{TAG}{key}")).collect()
}

/// The tags among `keys`.
pub(crate) fn among(keys: &BTreeSet<String>) -> Vec<String> {
    let tags = keys.iter().filter_map(|key| key.strip_prefix(TAG));
    tags.map(str::to_owned).collect()
}

/// The part of the tags that is managed: those of the user, and null for those that the user had
/// and has no more.
pub(crate) fn wanted(labels: &BTreeMap<String, String>, gone: &[String]) -> Value {
    let gone = gone.iter().map(|key| (key.clone(), Value::Null));
    let all = labels
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().into()));
    gone.chain(all).collect::<Map<_, _>>().into()
}

/// The tags of `body` with mark and holder, everything else as it is.
pub(crate) fn remarked(body: &Value, mark: &Mark, holder: &Holder) -> Value {
    let mut tags = body
        .get("tags")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    write(&mut tags, mark, Some(holder));
    Value::Object(tags)
}

fn write(tags: &mut Map<String, Value>, mark: &Mark, holder: Option<&Holder>) {
    for (key, value) in mark.words() {
        tags.insert(key.to_owned(), value.into());
    }
    if let Some(holder) = holder {
        tags.insert(Mark::HOLDER_KEY.to_owned(), holder.as_str().into());
    }
}

/// The tag `key`; tag names are case-insensitive.
pub(crate) fn tag<'a>(tags: &'a Value, key: &str) -> Option<&'a str> {
    let found = tags
        .as_object()?
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(key))?;
    found.1.as_str()
}

/// Whose the object with these tags is.
pub(crate) fn ownership(tags: &Value, mark: &Mark) -> Ownership {
    mark.judge_words(tag(tags, Mark::OWNER_KEY), tag(tags, Mark::NAME_KEY))
}

/// `body` as the engine sees it, marked by its top-level tags.
pub(crate) fn seen(body: Value, mark: &Mark) -> Seen {
    let tags = body.get("tags").cloned().unwrap_or_default();
    let mut seen = Seen::new(body);
    seen.ownership = ownership(&tags, mark);
    seen.holder = tag(&tags, Mark::HOLDER_KEY).map(Holder::found);
    seen
}
