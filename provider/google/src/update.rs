//! One write that brings an object closer to its wanted shape.

use http::Method;
use paymesh_engine::{After, Change, Difference, ObjectId, Step};
use serde_json::Value;

use crate::{Word, Wording};

/// One write and what it is for.
pub(crate) struct Update {
    /// What differs.
    pub(crate) word: Word,
    /// The step as a plan prints it; what it updates if not set.
    pub(crate) step: Option<Step>,
    /// The request's verb.
    pub(crate) method: Method,
    /// The custom verb after the object's path: `:setSize`, or empty.
    pub(crate) verb: &'static str,
    /// The request's body.
    pub(crate) body: Value,
}

impl Update {
    /// A write that nobody notices.
    pub(crate) fn quiet(word: Word, method: Method, verb: &'static str, body: Value) -> Self {
        Self {
            word,
            step: None,
            method,
            verb,
            body,
        }
    }

    /// The same write, which disturbs what runs.
    pub(crate) fn disturbing(self, title: String) -> Self {
        let step = Some(Step::disruptive(title));
        Self { step, ..self }
    }
}

/// The difference that `updates` of the object called `name` remove; `after` are objects to settle
/// before the first of them.
pub(crate) fn difference(
    updates: Vec<Update>,
    wording: &Wording,
    name: &str,
    after: Vec<ObjectId>,
) -> Difference {
    if updates.is_empty() {
        return Difference::Same;
    }
    let (subjects, steps) = updates
        .into_iter()
        .map(|update| {
            let subject = wording.of(update.word);
            let quiet = || Step::quiet(format!("update {name}: {subject}"));
            let step = update.step.unwrap_or_else(quiet);
            (subject, step)
        })
        .unzip();
    Difference::Change(Change {
        subjects,
        steps,
        after: After::These(after),
    })
}
