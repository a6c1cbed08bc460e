//! One object: what it is, what was done to it, who asked for it.

use askama::Template;
use serde::Serialize;

use super::{
    frame::Frame,
    look::{Look, Thing, short},
    operations::Row,
    requests::Line,
};
use crate::core::Call;

/// How many requests the page shows.
const LENGTH: usize = 50;

#[derive(Template, Serialize)]
#[template(path = "console/object.html")]
pub(super) struct Object {
    #[serde(skip)]
    frame: Frame,
    id: String,
    name: String,
    /// Absent once it is deleted.
    thing: Option<Thing>,
    operations: Vec<Row>,
    requests: Vec<Line>,
    hidden: usize,
}

/// The page, if anything was ever heard of the object.
pub(super) fn page(look: &Look, call: &Call) -> Option<Object> {
    let id = call.query("id").filter(|id| !id.is_empty())?.to_owned();
    let lower = id.to_ascii_lowercase();
    let below = format!("{lower}/");
    let thing = look.thing(&id).cloned();
    let mut operations: Vec<_> = look
        .operations
        .iter()
        .filter(|operation| {
            let target = operation.target.to_ascii_lowercase();
            target == lower || target.starts_with(&below)
        })
        .collect();
    operations.sort_by_key(|operation| std::cmp::Reverse(operation.started));
    let requests: Vec<_> = look
        .entries
        .iter()
        .filter(|entry| entry.path.to_ascii_lowercase().contains(&lower))
        .collect();
    if thing.is_none() && operations.is_empty() && requests.is_empty() {
        return None;
    }
    Some(Object {
        frame: Frame::new(look, call, "Object"),
        name: thing
            .as_ref()
            .map_or_else(|| short(&id), |thing| thing.name.clone()),
        operations: operations
            .into_iter()
            .map(|operation| Row::alone(look, operation))
            .collect(),
        hidden: requests.len().saturating_sub(LENGTH),
        requests: requests
            .iter()
            .rev()
            .take(LENGTH)
            .map(|entry| Line::new(entry))
            .collect(),
        id,
        thing,
    })
}
