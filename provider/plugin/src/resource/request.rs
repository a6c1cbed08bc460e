//! What a resource is asked.

use std::fmt;

use super::{Resource, State};
use crate::{
    call::Call,
    spec::{Change, Draft, Spec},
    value::Value,
};

/// Why a plan is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlanReason {
    /// Nothing is in state, or what is there is tainted.
    Create,
    /// The object is in state; it may turn out that it must be replaced.
    Update,
    /// The create half of a replacement: the second call for the same object. The private data is
    /// what the first call planned.
    Replacement,
}

/// What [`Resource::plan`] is asked.
pub struct PlanRequest<R: Resource> {
    /// The session.
    pub call: Call<R::Session>,
    /// Why this plan is made.
    pub reason: PlanReason,
    /// What the user wrote, with defaults.
    pub config: Draft<R::Spec>,
    /// The object as it was last read.
    pub prior: Option<State<R::Spec>>,
    /// The attributes that differ between state and configuration.
    pub changes: Vec<Change>,
    /// Private data of the last apply or read; for [`PlanReason::Replacement`] that of the first call.
    pub private: Vec<u8>,
}

/// What [`Resource::plan_destroy`] is asked.
pub struct DestroyRequest<R: Resource> {
    /// The session.
    pub call: Call<R::Session>,
    /// The object as it was last read.
    pub prior: State<R::Spec>,
    /// Private data of the last apply or read.
    pub private: Vec<u8>,
}

/// What [`Resource::apply`] is asked.
pub struct ApplyRequest<R: Resource> {
    /// The session.
    pub call: Call<R::Session>,
    /// What the user wants, wholly known, secrets included.
    pub spec: R::Spec,
    /// The Status that was planned: what is known there must come out as planned.
    pub planned: Draft<<R::Spec as Spec>::Status>,
    /// The object as it was; `None` means create.
    pub prior: Option<State<R::Spec>>,
    /// Private data of the plan.
    pub private: Vec<u8>,
}

/// What [`Resource::delete`] is asked.
pub struct DeleteRequest<R: Resource> {
    /// The session.
    pub call: Call<R::Session>,
    /// The object as it was.
    pub prior: State<R::Spec>,
    /// Private data of [`Resource::plan_destroy`]. In a replacement that destroys first, core does not
    /// plan the destruction: this is then what [`Resource::plan`] made for the new object, and for a
    /// tainted object that plan knew nothing of the old private data. What a delete needs must
    /// therefore be carried through both plans, or be in the state.
    pub private: Vec<u8>,
}

/// What [`Resource::read`] is asked.
pub struct ReadRequest<R: Resource> {
    /// The session.
    pub call: Call<R::Session>,
    /// The object as it was last seen; after an import, what the import said.
    pub prior: State<R::Spec>,
    /// Private data of the last apply, read or import.
    pub private: Vec<u8>,
}

/// What [`Resource::import`] is asked.
pub struct ImportRequest<R: Resource> {
    /// The session.
    pub call: Call<R::Session>,
    /// What the user named.
    pub by: ImportBy,
}

/// How the user names an object to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportBy {
    /// `terraform import` or `import { id = "..." }`.
    Id(String),
    /// `import { identity = { ... } }`.
    Identity(Value),
}

/// The state of an object that another resource type managed.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignState {
    /// Address of the other provider, such as `registry.terraform.io/hashicorp/azurerm`.
    pub provider: String,
    /// The other type.
    pub type_name: String,
    /// The other schema's version.
    pub version: i64,
    /// The other state's attributes.
    pub state: serde_json::Value,
}

impl fmt::Display for ImportBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "id {id:?}"),
            Self::Identity(identity) => write!(f, "identity {identity}"),
        }
    }
}
