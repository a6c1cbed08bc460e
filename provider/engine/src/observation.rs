//! What observing an object can tell.

use std::{sync::Arc, time::Duration};

use indexmap::IndexMap;
use serde_json::Value;

use crate::{Holder, Object, ObjectId, OperationId};

/// The state of one remote object at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Observation {
    /// It does not exist and its name is free.
    Absent,
    /// It exists, at rest or busy, ours or not.
    Present(Seen),
    /// It does not exist, but the cloud still holds its name (soft delete).
    NameHeld(NameHeld),
}

/// An existing object as the cloud describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The body exactly as the cloud sent it, unknown fields included.
    pub body: Value,
    /// Whose mark it bears.
    pub ownership: Ownership,
    /// The holder written beside the mark, if any.
    pub holder: Option<Holder>,
    /// The cloud's own id of this incarnation, which a re-creation changes.
    pub incarnation: Option<String>,
    /// The operation that runs on it now.
    pub busy: Option<Busy>,
    /// What later runs are to know of it, by [`Context::remark`](crate::Context::remark).
    pub remark: Option<String>,
}

/// Whose an existing object is, by its mark. The engine asks only when memory is silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It bears our owner and name.
    Ours,
    /// It could bear a mark and bears none.
    Unmarked,
    /// It bears somebody else's mark; the text says whose, as far as it can be read.
    Foreign(String),
    /// It cannot bear a mark: it is whose its parent is.
    FollowsParent,
}

/// Something runs on the object: writes would be refused until it rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// What runs, in the cloud's words: `Updating`, `UPGRADE_MASTER`.
    pub what: String,
    /// The operation, where the cloud names it.
    pub operation: Option<OperationId>,
}

/// A name that a deleted object still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameHeld {
    /// Why the name is not free.
    pub why: String,
    /// How long until the cloud frees it, if it does so soon by itself; the engine then waits.
    pub frees_in: Option<Duration>,
    /// What the user can do: the command that recovers or purges it.
    pub next: String,
}

/// A child that a parent's listing found.
#[derive(Clone)]
pub struct Child {
    /// The child as an object that can at least be observed and deleted.
    pub object: Arc<dyn Object>,
    /// What the listing told of it.
    pub seen: Seen,
}

impl Seen {
    /// An object at rest with `body`, bearing no mark.
    pub fn new(body: Value) -> Self {
        Self {
            body,
            ownership: Ownership::Unmarked,
            holder: None,
            incarnation: None,
            busy: None,
            remark: None,
        }
    }
}

impl Observation {
    /// The object, if it exists.
    pub fn seen(&self) -> Option<&Seen> {
        match self {
            Self::Present(seen) => Some(seen),
            Self::Absent | Self::NameHeld(_) => None,
        }
    }
}

/// What was last seen of each object, in graph order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observations(IndexMap<ObjectId, Observation>);

impl Observations {
    /// The observation of `id`, if it was observed.
    pub fn observation(&self, id: &ObjectId) -> Option<&Observation> {
        self.0.get(id)
    }

    /// What was seen of `id`, if it exists.
    pub fn seen(&self, id: &ObjectId) -> Option<&Seen> {
        self.0.get(id).and_then(Observation::seen)
    }

    /// Notes the newest observation of `id`.
    pub fn insert(&mut self, id: ObjectId, observation: Observation) {
        self.0.insert(id, observation);
    }

    /// The objects that exist, in graph order.
    pub fn present(&self) -> impl Iterator<Item = (&ObjectId, &Seen)> {
        self.0
            .iter()
            .filter_map(|(id, observation)| Some((id, observation.seen()?)))
    }
}
