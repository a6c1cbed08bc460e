//! A managed resource, as its author writes it.
//!
//! The order of a resource's life: the checks and rules of its Spec on every plan, without touching
//! the network, [`plan`] (or [`plan_destroy`]), [`apply`] (or [`delete`]), and [`read`] before every
//! later plan.
//!
//! What the author gets is typed: a Spec that the user wrote, a Status that the cloud reported, both
//! as drafts where a field may be null or unknown. What the author returns is typed as well, and it
//! is checked against the rules that Terraform itself applies, so that a mistake says where it is
//! instead of "Provider produced inconsistent result".
//!
//! [`plan`]: Resource::plan
//! [`plan_destroy`]: Resource::plan_destroy
//! [`apply`]: Resource::apply
//! [`delete`]: Resource::delete
//! [`read`]: Resource::read

mod answer;
mod request;
mod typed;

pub use answer::{Applied, Deleted, DestroyPlan, Imported, Plan, Replacement, Seen, State};
pub use request::{
    ApplyRequest, DeleteRequest, DestroyRequest, ForeignState, ImportBy, ImportRequest, PlanReason,
    PlanRequest, ReadRequest,
};
pub(crate) use typed::Typed;

use async_trait::async_trait;

use crate::{findings::Findings, spec::Spec};

/// A kind of object that Terraform manages.
///
/// Every method may be called for several objects at the same time.
#[async_trait]
pub trait Resource: Sized + Send + Sync + 'static {
    /// What the user sets; it names the Status, the type in Terraform and the schema's version.
    type Spec: Spec;

    /// What the provider block made.
    type Session: Send + Sync + 'static;

    /// Decides what apply will do.
    ///
    /// `plan` comes filled in with the usual answer: the configuration with its defaults; a Status
    /// that is unknown for a create and as before for an update; a replacement for each changed
    /// attribute that is declared `replace`. The author changes what is different.
    ///
    /// Terraform plans a second time inside apply and refuses any difference: the planned values
    /// must be a pure function of the request. What is looked up live belongs into findings.
    async fn plan(&self, request: &PlanRequest<Self>, plan: &mut Plan<Self>) {
        let _ = (request, plan);
    }

    /// Decides whether the object may be destroyed: an error here stops the plan.
    async fn plan_destroy(&self, request: &DestroyRequest<Self>, plan: &mut DestroyPlan) {
        let _ = (request, plan);
    }

    /// Creates the object, or changes it if there is a prior state.
    ///
    /// It runs in a task of its own and ends even if Terraform hangs up.
    async fn apply(&self, request: ApplyRequest<Self>) -> Applied<Self>;

    /// Deletes the object. What is answered with an error stays in Terraform's state.
    ///
    /// It runs in a task of its own and ends even if Terraform hangs up.
    async fn delete(&self, request: DeleteRequest<Self>) -> Deleted<Self>;

    /// Looks at the object as it is.
    ///
    /// Values that mean the same as the user's spelling keep the user's spelling.
    async fn read(&self, request: ReadRequest<Self>) -> Seen<Self>;

    /// Finds an object that Terraform does not know yet. A [`read`](Self::read) follows, so naming the
    /// object is enough.
    async fn import(&self, request: ImportRequest<Self>) -> Imported<Self> {
        let mut answer = Imported::nothing();
        answer
            .found
            .error(
                crate::path::Path::root(),
                "This resource cannot be imported",
            )
            .detail(format!(
                "{} has no way to find {}",
                Self::Spec::NAME,
                request.by
            ))
            .hint("let Terraform create a new object, and remove the import block");
        answer
    }

    /// Takes over an object that another resource type managed (a `moved` block across types).
    /// `None` means that there is no way from that type.
    fn move_from(&self, foreign: &ForeignState, found: &mut Findings) -> Option<State<Self::Spec>> {
        let _ = (foreign, found);
        None
    }

    /// Brings the state of an older version, as JSON, to today's attributes. `None` means that there
    /// is no way from that version. Attributes that no longer exist may stay: they are dropped.
    fn upgrade(
        &self,
        version: u64,
        state: serde_json::Value,
        found: &mut Findings,
    ) -> Option<serde_json::Value> {
        let _ = (version, state, found);
        None
    }
}
