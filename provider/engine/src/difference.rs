//! How what is seen differs from what is wanted.

use std::fmt;

use serde::Serialize;

use crate::ObjectId;

/// The answer of [`Object::differ`](crate::Object::differ).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Nothing managed differs.
    Same,
    /// It can be changed in place.
    Change(Change),
    /// Only a new object can be as wanted.
    Replace(Vec<Reason>),
}

/// What differs about an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// An attribute of the user, by its path: `node_pools["a"].min_nodes`.
    Attribute(String),
    /// What no attribute reaches, in the cloud's words: `shielded nodes`.
    Setting(String),
}

impl Subject {
    /// The path of the user's attribute, if there is one.
    pub fn attribute(&self) -> Option<&str> {
        match self {
            Self::Attribute(path) => Some(path),
            Self::Setting(_) => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Attribute(words) | Self::Setting(words)) = self;
        f.write_str(words)
    }
}

/// `subjects` as a step or a message lists them.
pub fn listed(subjects: &[Subject]) -> String {
    let words: Vec<String> = subjects.iter().map(ToString::to_string).collect();
    words.join(", ")
}

/// Why only a new object can be as wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// What cannot be changed.
    pub subject: Subject,
    /// Why it cannot.
    pub why: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.why)
    }
}

/// A difference that writes can remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What differs.
    pub subjects: Vec<Subject>,
    /// The writes that are left, in order; [`Object::apply`](crate::Object::apply) makes the
    /// first. Each write must leave fewer steps, or equally many with fewer subjects.
    pub steps: Vec<Step>,
    /// What must be settled first, although it may need this object. Until then this object
    /// counts as settled for that, and for all that it waits for.
    pub after: After,
}

/// What must be settled before a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// These, if they are in the graph: a control plane at 1.33 waits for its pools before it
    /// goes to 1.34.
    These(Vec<ObjectId>),
    /// All others in the graph: a cluster is stopped last.
    Everything,
}

impl Default for After {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

/// One step of a procedure, as a plan prints it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What the step does: `control plane 1.32 -> 1.33`.
    pub title: String,
    /// Whether it may disturb what runs on the object.
    pub disruptive: bool,
}

impl Step {
    /// A step that nobody notices.
    pub fn quiet(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            disruptive: false,
        }
    }

    /// A step that a plan announces.
    pub fn disruptive(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            disruptive: true,
        }
    }
}

impl Difference {
    /// One write that changes `subjects` and disturbs nobody.
    pub fn change(subjects: Vec<Subject>) -> Self {
        let step = Step::quiet(format!("update {}", listed(&subjects)));
        Self::Change(Change {
            subjects,
            steps: vec![step],
            after: After::default(),
        })
    }
}

impl Change {
    /// The same with its disruptive steps only, if there are any.
    pub(crate) fn without_quiet_steps(mut self) -> Option<Self> {
        self.steps.retain(|step| step.disruptive);
        (!self.steps.is_empty()).then_some(self)
    }

    /// Whether this change, seen after a write, shows that the write had its effect: fewer steps
    /// are left, or something that differed before does no more. What somebody else changed
    /// meanwhile does not count.
    pub(crate) fn shows_effect_since(&self, before: &Self) -> bool {
        self.steps.len() < before.steps.len()
            || before.subjects.iter().any(|it| !self.subjects.contains(it))
    }
}
