//! What a resource answers.

use super::Resource;
use crate::{
    findings::Findings,
    path::Path,
    spec::{Attribute, Attributes, Draft, DraftObject, Spec, state_value},
    value::Value,
};

/// An object as Terraform keeps it: what the user set and what the cloud reported.
#[derive(Clone, Debug)]
pub struct State<S: Spec> {
    /// What the user set.
    pub spec: Draft<S>,
    /// What the cloud reported.
    pub status: Draft<S::Status>,
}

/// What [`Resource::plan`] answers.
pub struct Plan<R: Resource> {
    /// The planned Spec. It may differ from the configuration only where the user left something
    /// out, or by keeping exactly what is in state.
    pub spec: Draft<R::Spec>,
    /// The planned Status: unknown is what only apply can tell.
    pub status: Draft<<R::Spec as Spec>::Status>,
    /// The attributes whose change takes a new object, and why.
    pub replace: Vec<Replacement>,
    /// Private data for apply.
    pub private: Vec<u8>,
    /// What findings call the object: its type, unless the author says more. Terraform folds
    /// warnings with equal titles, so a title has to name the object.
    pub title: String,
    /// What is wrong, or worth knowing.
    pub found: Findings,
}

/// An attribute whose change takes a new object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The attribute.
    pub path: Path,
    /// Why it cannot change in place, if that is not plain from the attribute's description.
    pub why: Option<String>,
}

/// What [`Resource::plan_destroy`] answers.
pub struct DestroyPlan {
    /// Private data for delete.
    pub private: Vec<u8>,
    /// What is wrong, or worth knowing.
    pub found: Findings,
}

/// What [`Resource::apply`] answers.
pub struct Applied<R: Resource> {
    /// The object as it is now; `None` if nothing was made.
    ///
    /// A create that got part of the way answers with a state whose unfinished Status is null and a
    /// warning. With an error Terraform would taint the object and replace it.
    pub state: Option<State<R::Spec>>,
    /// Private data to keep.
    pub private: Vec<u8>,
    /// What went wrong, or is worth knowing.
    pub found: Findings,
}

/// What [`Resource::delete`] answers.
pub struct Deleted<R: Resource> {
    /// What remains. `None` without an error means that the object is gone; `None` with an error
    /// keeps the prior state, so that a failed delete is never forgotten.
    pub remains: Option<State<R::Spec>>,
    /// Private data to keep with what remains.
    pub private: Vec<u8>,
    /// What went wrong, or is worth knowing.
    pub found: Findings,
}

/// What [`Resource::read`] answers.
pub struct Seen<R: Resource> {
    /// The object as it is; `None` if it is gone.
    pub state: Option<State<R::Spec>>,
    /// Private data to keep.
    pub private: Vec<u8>,
    /// What went wrong, or is worth knowing.
    pub found: Findings,
}

/// What [`Resource::import`] answers.
pub struct Imported<R: Resource> {
    /// As much of the object as [`Resource::read`] needs to find it; `None` if there is none.
    pub state: Option<State<R::Spec>>,
    /// Private data to keep.
    pub private: Vec<u8>,
    /// What went wrong, or is worth knowing.
    pub found: Findings,
}

impl<S: Spec> State<S> {
    /// An object of which everything is known.
    pub fn new(spec: S, status: S::Status) -> Self {
        let spec = spec
            .into_draft()
            .into_known()
            .unwrap_or_else(Draft::<S>::null);
        let status = status
            .into_draft()
            .into_known()
            .unwrap_or_else(Draft::<S::Status>::null);
        Self { spec, status }
    }

    /// An object of which nothing is known: the start of an import.
    pub fn blank() -> Self {
        Self {
            spec: Draft::<S>::null(),
            status: Draft::<S::Status>::null(),
        }
    }

    /// Reads an object as Terraform keeps it, looking only at types.
    pub fn read(value: &Value, found: &mut Findings) -> Self {
        Self {
            spec: S::read_state(value, found),
            status: S::Status::read_state(value, found),
        }
    }

    /// The object as Terraform keeps it.
    pub fn value(&self) -> Value {
        state_value(
            S::draft_value(&self.spec),
            S::Status::draft_value(&self.status),
        )
    }
}

impl<R: Resource> Plan<R> {
    /// Says that the change of the attribute at `path` takes a new object, and why.
    pub fn replace(&mut self, path: Path, why: impl Into<String>) {
        self.replace.retain(|replacement| replacement.path != path);
        self.replace.push(Replacement {
            path,
            why: Some(why.into()),
        });
    }

    /// Whether the object will be replaced.
    pub fn is_replacement(&self) -> bool {
        !self.replace.is_empty()
    }
}

impl<R: Resource> Applied<R> {
    /// The object is as wanted.
    pub fn done(spec: R::Spec, status: <R::Spec as Spec>::Status) -> Self {
        Self::state(State::new(spec, status))
    }

    /// The object is in this state.
    pub fn state(state: State<R::Spec>) -> Self {
        Self {
            state: Some(state),
            private: Vec::new(),
            found: Findings::new(),
        }
    }

    /// Nothing was made, and `found` says why.
    pub fn nothing(found: Findings) -> Self {
        Self {
            state: None,
            private: Vec::new(),
            found,
        }
    }

    /// The same with private data.
    #[must_use]
    pub fn with_private(mut self, private: Vec<u8>) -> Self {
        self.private = private;
        self
    }

    /// The same with more findings.
    #[must_use]
    pub fn with_found(mut self, found: Findings) -> Self {
        self.found.extend(found);
        self
    }
}

impl<R: Resource> Deleted<R> {
    /// The object is gone.
    pub fn gone() -> Self {
        Self {
            remains: None,
            private: Vec::new(),
            found: Findings::new(),
        }
    }

    /// The object is still there, and `found` says why.
    pub fn failed(found: Findings) -> Self {
        Self {
            remains: None,
            private: Vec::new(),
            found,
        }
    }
}

impl<R: Resource> Seen<R> {
    /// The object is gone.
    pub fn gone() -> Self {
        Self {
            state: None,
            private: Vec::new(),
            found: Findings::new(),
        }
    }

    /// The object is in this state.
    pub fn state(state: State<R::Spec>, private: Vec<u8>) -> Self {
        Self {
            state: Some(state),
            private,
            found: Findings::new(),
        }
    }
}

impl<R: Resource> Imported<R> {
    /// There is no such object.
    pub fn nothing() -> Self {
        Self {
            state: None,
            private: Vec::new(),
            found: Findings::new(),
        }
    }

    /// The object, as far as reading it takes.
    pub fn state(state: State<R::Spec>) -> Self {
        Self {
            state: Some(state),
            private: Vec::new(),
            found: Findings::new(),
        }
    }
}
