//! What Terraform's states say they hold.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{Result, clouds::Found};

/// How the types of our resources begin.
const OURS: &str = "paymesh_";

/// What all given states hold of ours.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct States {
    /// Holders: each entry writes its own onto what it holds.
    holders: BTreeSet<String>,
    /// Ids, in lower case.
    ids: BTreeSet<String>,
    /// How many objects they hold.
    held: usize,
    /// The given states that hold nothing of ours.
    bare: Vec<PathBuf>,
}

impl States {
    /// Reads the states; `-` is standard input.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self> {
        let mut states = Self::default();
        for path in paths {
            let about = |error: io::Error| format!("{}: {error}", path.display());
            let text = if path == Path::new("-") {
                let mut text = String::new();
                io::stdin().read_to_string(&mut text).map_err(about)?;
                text
            } else {
                fs::read_to_string(path).map_err(about)?
            };
            let about = |why: String| format!("{}: {why}", path.display());
            if !states.add(&text).map_err(about)? {
                states.bare.push(path.clone());
            }
        }
        Ok(states)
    }

    /// The first given state that holds nothing of ours: an empty one, that of another folder or
    /// workspace, or what a failed `terraform state pull` printed.
    pub(crate) fn bare(&self) -> Option<&Path> {
        self.bare.first().map(PathBuf::as_path)
    }

    /// Adds what one state holds, if it holds anything of ours. `terraform state pull` prints
    /// nothing where there is no state.
    fn add(&mut self, text: &str) -> Result<bool> {
        if text.trim().is_empty() {
            return Ok(false);
        }
        let is_state =
            |it: &Value| it.get("version").is_some() || it.get("format_version").is_some();
        let state: Option<Value> = serde_json::from_str(text).ok();
        let state = state.filter(is_state);
        let state = state.ok_or("this is no state; write one with: terraform state pull > FILE")?;
        let before = self.held;
        self.walk(&state);
        Ok(self.held > before)
    }

    /// Both forms say `type` of a resource; below it are its attributes, in `values` or in the
    /// `attributes` of each of its `instances`, deposed ones too.
    fn walk(&mut self, part: &Value) {
        let kind = part["type"].as_str().unwrap_or_default();
        if kind.starts_with(OURS) && part["mode"] != "data" {
            self.hold(&part["values"]);
            let instances = part["instances"].as_array().into_iter().flatten();
            instances.for_each(|it| self.hold(&it["attributes"]));
            return;
        }
        match part {
            Value::Array(parts) => parts.iter().for_each(|part| self.walk(part)),
            Value::Object(fields) => fields.values().for_each(|part| self.walk(part)),
            _ => {}
        }
    }

    fn hold(&mut self, attributes: &Value) {
        let word = |key: &str| attributes[key].as_str().filter(|it| !it.is_empty());
        let (holder, id) = (word("holder"), word("id"));
        self.held += usize::from(holder.or(id).is_some());
        self.holders.extend(holder.map(str::to_owned));
        self.ids.extend(id.map(str::to_ascii_lowercase));
    }

    /// What of `found` no state has. All that bears one mark is one resource's: a state that has
    /// any of it has all. A group, which many share, is had by whoever has something in it.
    pub(crate) fn orphans(&self, found: Vec<Found>) -> Vec<Found> {
        let has = |it: &Found| {
            let id = it.id.to_ascii_lowercase();
            let holds = it
                .holder
                .as_ref()
                .is_some_and(|it| self.holders.contains(it));
            holds || self.ids.contains(&id)
        };
        let had: Vec<Found> = found.iter().filter(|it| has(it)).cloned().collect();
        let mut ids = self.ids.clone();
        ids.extend(had.iter().map(|it| it.id.to_ascii_lowercase()));
        let is_had = |it: &Found| {
            let below = format!("{}/", it.id.to_ascii_lowercase());
            let is_sibling = |other: &Found| {
                !it.is_shared && (&it.place, &it.mark) == (&other.place, &other.mark)
            };
            had.iter().any(is_sibling) || ids.iter().any(|id| id.starts_with(&below))
        };
        found
            .into_iter()
            .filter(|it| !has(it) && !is_had(it))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check_held(state: &Value) {
        let mut states = States::default();
        assert_eq!(states.add(&state.to_string()), Ok(true));
        assert_eq!(states.holders, BTreeSet::from(["h1".to_owned()]));
        assert_eq!(states.ids, BTreeSet::from(["/a/b".to_owned()]));
    }

    #[test]
    fn both_forms_of_a_state_are_read() {
        let attributes = json!({ "id": "/A/b", "holder": "h1" });
        check_held(&json!({ "version": 4, "resources": [
            { "mode": "managed", "type": "paymesh_cluster", "instances": [{ "attributes": attributes }] },
            { "mode": "data", "type": "paymesh_cluster", "instances": [{ "attributes": { "id": "x" } }] },
        ] }));
        check_held(
            &json!({ "format_version": "1.0", "values": { "root_module": { "child_modules": [
            { "resources": [{ "mode": "managed", "type": "paymesh_cluster", "values": attributes }] },
        ] } } }),
        );
    }

    #[test]
    fn what_is_no_state_is_refused() {
        for text in [
            "{}",
            "[]",
            "<html>",
            "provider \"paymesh\" {}",
            "{ \"version\": 4",
        ] {
            let why = States::default().add(text).unwrap_err();
            assert!(why.starts_with("this is no state"), "{text}: {why}");
        }
    }

    #[test]
    fn what_holds_nothing_of_ours_is_told() {
        let data = r#"{ "version": 4, "resources": [
            { "mode": "data", "type": "paymesh_cluster", "instances": [{ "attributes": { "id": "x" } }] },
            { "mode": "managed", "type": "paymesh_cluster", "instances": [] }
        ] }"#;
        for text in ["", "\n", r#"{ "format_version": "1.0" }"#, data] {
            assert_eq!(States::default().add(text), Ok(false), "{text}");
        }
    }

    fn found(id: &str, mark: &str, holder: Option<&str>) -> Found {
        Found::of_test(id, mark, holder)
    }

    #[test]
    fn a_state_has_all_that_bears_the_mark_of_what_it_has() {
        let mut states = States::default();
        states.holders.insert("h1".to_owned());
        let all = vec![
            found("/g/cluster", "one", Some("h1")),
            found("/g/identity", "one", Some("h2")),
            found("/g/lost", "two", Some("h3")),
            found("/g", "two", None),
            found("/other", "two", None),
        ];
        let orphans = states.orphans(all).into_iter();
        let ids: Vec<String> = orphans.map(|it| it.id).collect();
        assert_eq!(ids, ["/g/lost", "/other"]);
    }
}
