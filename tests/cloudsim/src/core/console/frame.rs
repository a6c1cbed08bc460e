//! What every page has around its own part: place, clock, navigation.

use super::look::Look;
use crate::core::{Call, World};

/// The frame of a page.
pub(super) struct Frame {
    /// The page's name.
    pub(super) title: &'static str,
    /// Where the page lives, for the navigation.
    pub(super) path: String,
    /// The address of the page's data.
    pub(super) json: String,
    /// The address itself, for forms that come back.
    pub(super) here: String,
    /// Simulated time, to the second.
    pub(super) now: String,
    /// How fast the clock goes, in words.
    pub(super) speed: String,
    /// Whether the clock stands.
    pub(super) frozen: bool,
    /// How many things are wrong.
    pub(super) troubles: usize,
    /// What the script compares to see whether the page is old.
    pub(super) version: String,
}

impl Frame {
    pub(super) fn new(look: &Look, call: &Call, title: &'static str) -> Self {
        let here = format!("{}{}", call.path, query_with(call, &[("format", "")]));
        let json = format!("{}{}", call.path, query_with(call, &[("format", "json")]));
        Self {
            title,
            path: call.path.clone(),
            json,
            here,
            now: look.now.time.clone(),
            speed: look.speed.clone(),
            frozen: look.frozen,
            troubles: super::trouble::all(look).len(),
            version: look.version.clone(),
        }
    }

    /// Whether this page is at or below `path`.
    pub(super) fn is_at(&self, path: &str) -> bool {
        match path {
            "/console" => self.path == path || self.path.starts_with("/console/object"),
            _ => self.path.starts_with(path),
        }
    }
}

/// The query of a call with some parameters set anew, or taken out where the value is empty;
/// starts with `?` unless nothing is left.
pub(super) fn query_with(call: &Call, changes: &[(&str, &str)]) -> String {
    let kept = call
        .query
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| !changes.iter().any(|(changed, _)| changed == key));
    let pairs: Vec<_> = kept
        .chain(changes.iter().copied())
        .filter(|(_, value)| !value.is_empty())
        .collect();
    if pairs.is_empty() {
        return String::new();
    }
    let text = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    format!("?{text}")
}

/// Changes whenever a page could look different; while operations run, with every tenth of their
/// way.
pub(super) fn version(world: &World) -> String {
    let now = world.clock.now();
    let mut running = 0;
    let mut tenths = 0;
    for operation in world.operations().iter().filter(|one| one.running()) {
        running += 1;
        tenths += (now - operation.started) * 10 / (operation.due - operation.started).max(1);
    }
    let requests = world
        .journal
        .since(0)
        .last()
        .map_or(0, |entry| entry.number);
    let faults = world.faults.show();
    let clock = world.clock.show();
    format!(
        "{requests}.{running}.{tenths}.{}.{}.{}",
        faults.to_string().len(),
        clock["frozen"],
        clock["rate"]
    )
}
