//! One write that brings an object closer to its wanted shape.

use http::Method;
use paymesh_engine::{Change, Difference, ObjectId, Step};
use serde_json::Value;

/// One write and what it is for.
pub(crate) struct Update {
    /// The attribute that differs.
    pub(crate) attribute: String,
    /// The step as a plan prints it.
    pub(crate) step: Step,
    /// The request's verb.
    pub(crate) method: Method,
    /// The custom verb after the object's path: `:setSize`, or empty.
    pub(crate) verb: &'static str,
    /// The request's body.
    pub(crate) body: Value,
}

impl Update {
    /// A write that nobody notices.
    pub(crate) fn quiet(
        attribute: impl Into<String>,
        method: Method,
        verb: &'static str,
        body: Value,
    ) -> Self {
        let attribute = attribute.into();
        let step = Step::quiet(format!("update {attribute}"));
        Self {
            attribute,
            step,
            method,
            verb,
            body,
        }
    }
}

/// The difference that `updates` remove; `after` are objects to settle before the first of them.
pub(crate) fn difference(updates: Vec<Update>, after: Vec<ObjectId>) -> Difference {
    if updates.is_empty() {
        return Difference::Same;
    }
    let (paths, steps) = updates
        .into_iter()
        .map(|update| (update.attribute, update.step))
        .unzip();
    Difference::Change(Change {
        paths,
        steps,
        after,
    })
}
