//! Makes any resource that is a graph of remote objects a Terraform resource.
//!
//! A [`Converged`] resource says what its objects are, how observations become its Status and its
//! Spec, and what it intends while planning. Create, update, read, import and delete are here,
//! once, and go through the engine.
//!
//! Invariants:
//! - planned values are a pure function of configuration, prior state and provider settings; what
//!   is looked up live becomes a finding, never a value;
//! - a create that made anything ends with a state and a warning, because an error would taint it;
//! - deletion protection holds at plan for destroy and replacement, and in delete for what core
//!   plans without asking (tainted objects);
//! - private data is the engine's memory, and never empty.

mod drift;
mod faults;
mod life;
mod planning;
mod protection;
mod told;

use std::time::Duration;

use async_trait::async_trait;
use paymesh_clock::Clock;
use paymesh_engine::{Graph, Holder, Job, Limits, Memory, Observations, StopToken};
use paymesh_plugin::{
    call::Call,
    findings::Findings,
    path::Path,
    resource::{
        Applied, ApplyRequest, DeleteRequest, Deleted, DestroyPlan, DestroyRequest, ForeignState,
        ImportBy, ImportRequest, Imported, Plan, PlanRequest, ReadRequest, Replacement, Seen,
        State,
    },
    spec::{Attribute, Attributes, Draft, Spec},
    value::Value,
};

use crate::session::Session;

/// Everything is as wanted.
pub const READY: &str = "Ready";
/// The next apply goes on where the last one stopped.
pub const INCOMPLETE: &str = "Incomplete";
/// Something was changed behind Terraform's back; the next apply repairs it.
pub const DRIFTED: &str = "Drifted";

/// Another state or a later run owns the object; this entry only remembers it.
pub const STALE: &str = "Stale";

/// The Spec and Status of one state.
pub type Whole<C> = (<C as Converged>::Spec, <C as Converged>::Status);

/// A resource that consists of remote objects.
#[async_trait]
pub trait Converged: Send + Sync + 'static {
    /// What the user sets.
    type Spec: Spec<Status = Self::Status> + PartialEq + Send + Sync;
    /// What the cloud reports. Every field may be null: not known yet.
    type Status: paymesh_plugin::spec::Status + Default + Send + Sync;

    /// The words with which a finding speaks of the object: its name.
    fn title(spec: &Self::Spec) -> String;

    /// The cloud that the object is in.
    fn cloud(spec: &Self::Spec) -> &'static str;

    /// Whether the object must not be destroyed.
    fn is_protected(spec: &Self::Spec) -> bool;

    /// How long an operation may take, if the user says so.
    fn limit(spec: &Self::Spec, act: Act) -> Option<Duration>;

    /// The id that `import` takes, if it can be told from the configuration.
    fn import_id(session: &Session, spec: &Self::Spec) -> Option<String>;

    /// `spec` with what the provider block adds to it.
    fn wanted(session: &Session, spec: &Self::Spec) -> Self::Spec;

    /// The Spec in state with what the provider block added to it when it was applied. A provider
    /// block that adds something else since is a change of the user's, and nobody's drift.
    fn applied(session: &Session, prior: &Whole<Self>) -> Self::Spec;

    /// Plans what the provider block adds; `None` while it is not known.
    fn plan_additions(plan: &mut Draft<Self::Status>, wanted: Option<&Self::Spec>);

    /// The remote objects of a Spec as it is [`wanted`](Self::wanted) or was
    /// [`applied`](Self::applied). What was chosen before is in `prior`.
    fn graph(
        session: &Session,
        spec: &Self::Spec,
        prior: Option<&Whole<Self>>,
        found: &mut Findings,
    ) -> Option<Graph>;

    /// What the cloud reports, from what was seen. Fields of which nothing was seen stay null.
    fn status(
        spec: &Self::Spec,
        prior: Option<&Whole<Self>>,
        seen: &Observations,
        graph: &Graph,
    ) -> Self::Status;

    /// The configuration that describes what was seen, near the user's spelling; `None` if the
    /// object itself was not seen.
    fn described(
        session: &Session,
        spelling: &Self::Spec,
        prior: &Self::Status,
        seen: &Observations,
    ) -> Option<Self::Spec>;

    /// The attributes that are taken from what was seen when the one at `path` is.
    fn together(path: Path) -> Vec<Path> {
        vec![path]
    }

    /// Whether the object is stopped and meant to stay so: then nothing of it can be changed, and what
    /// was changed behind our back waits until it runs. Where the change from `before` to `spec` is to
    /// stop it, a run that was cut may have done that already, and the rest is still to do.
    fn rests(before: &Self::Spec, spec: &Self::Spec, status: &Self::Status) -> bool {
        let _ = (before, spec, status);
        false
    }

    /// Tells of an object that rests what was applied, not what others have made of it.
    fn as_applied(status: &mut Self::Status, before: &Self::Status) {
        let _ = (status, before);
    }

    /// Puts back what was chosen for the Spec of before, where that Spec stays in the state: what an
    /// unfinished run chose belongs to its own.
    fn as_chosen(status: &mut Self::Status, before: &Self::Status) {
        let _ = (status, before);
    }

    /// Whether the cloud is deleting the object: apply waits for that and makes another.
    fn is_leaving(spec: &Self::Spec, principal: &paymesh_engine::Seen) -> bool {
        let _ = (spec, principal);
        false
    }

    /// Takes out of the Status what is true of one incarnation alone.
    fn forget_incarnation(status: &mut Self::Status) {
        let _ = status;
    }

    /// The value of the attribute `status`.
    fn set_standing(status: &mut Self::Status, standing: &str);

    /// The value of the attribute `status`.
    fn standing(status: &Self::Status) -> Option<&str>;

    /// The word that says which state entry owns the object. It is in the Status too, because core
    /// deletes tainted objects without their private data.
    fn holder(status: &Self::Status) -> Option<&str>;

    /// Notes the holder.
    fn set_holder(status: &mut Self::Status, holder: Option<&Holder>);

    /// Plans that an apply writes this holder.
    fn plan_holder(plan: &mut Draft<Self::Status>, holder: Option<&Holder>);

    /// Changes that only a new object can take, beyond those that are declared, each with why.
    fn replacements(spec: &Self::Spec, prior: &Whole<Self>) -> Vec<Replacement> {
        let _ = (spec, prior);
        Vec::new()
    }

    /// Plans the Status of a create, or of an update that changes something. `plan.status` comes
    /// unknown, or as it was with null made unknown.
    fn intend(
        plan: &mut Draft<Self::Status>,
        spec: Option<&Self::Spec>,
        prior: Option<&Whole<Self>>,
    );

    /// Rules over the prior state and the plan, and over the resources of one run.
    async fn review(
        session: &Session,
        spec: &Self::Spec,
        prior: Option<&Whole<Self>>,
        found: &mut Findings,
    );

    /// Warns of what the steps of a plan do to those who use the object as it was seen.
    fn beware(spec: &Self::Spec, seen: &Observations, graph: &Graph, found: &mut Findings) {
        let _ = (spec, seen, graph, found);
    }

    /// Whether the cloud can be asked about the plan, and the object be where it is planned. Where it
    /// cannot, whatever else speaks against the plan follows from that.
    async fn locate(
        session: &Session,
        spec: &Self::Spec,
        prior: Option<&Whole<Self>>,
        found: &mut Findings,
    ) -> bool;

    /// Asks the cloud whether the plan can succeed where it was [located](Self::locate). `memory` is
    /// that of the entry, also where the plan is the second half of a replacement, which sees no prior
    /// state.
    async fn preflight(
        session: &Session,
        spec: &Self::Spec,
        prior: Option<&Whole<Self>>,
        memory: &Memory,
        found: &mut Findings,
    );

    /// Reads what the objects' bodies do not hold.
    async fn complete(
        session: &Session,
        prior: Option<&Whole<Self>>,
        spec: &Self::Spec,
        status: &mut Self::Status,
    );

    /// An existing object, as far as it is needed to read it.
    async fn find(session: &Session, id: &str, found: &mut Findings) -> Option<Whole<Self>>;

    /// The id inside an identity.
    fn id_of_identity(identity: &Value) -> Option<String>;

    /// Where the configuration wants an object that exists; `None` if that cannot be told.
    fn place(session: &Session, spec: &Self::Spec, prior: &Whole<Self>) -> Option<Place>;

    /// Whether the attribute at `path` says nothing but where the object is.
    fn only_places(path: &Path) -> bool;

    /// What is known of an object that another resource type managed: its id, at least. A read
    /// that finds the object follows.
    fn moved(foreign: &ForeignState, found: &mut Findings) -> Option<Self::Status> {
        let _ = (foreign, found);
        None
    }

    /// The id in a Status.
    fn id(status: &Self::Status) -> Option<&str>;
}

/// Where an object is, and where it is wanted. The address is state: it changes only with a
/// replacement that the plan shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is where the configuration wants it, however that is spelled.
    Stays,
    /// It is elsewhere; the text says where.
    Moves(String),
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Create.
    Create,
    /// Read.
    Read,
    /// Update.
    Update,
    /// Delete.
    Delete,
}

impl Act {
    /// How long it may take unless the user says otherwise.
    fn limits(self, clock: &Clock) -> Limits {
        match self {
            Self::Read => Limits::reading(clock),
            Self::Create | Self::Update | Self::Delete => Limits::writing(clock),
        }
    }
}

/// A [`Converged`] resource as a Terraform resource.
pub struct Resource<C>(pub C);

#[async_trait]
impl<C: Converged> paymesh_plugin::resource::Resource for Resource<C> {
    type Spec = C::Spec;
    type Session = Session;

    async fn plan(&self, request: &PlanRequest<Self>, plan: &mut Plan<Self>) {
        planning::plan::<C>(request, plan).await;
    }

    async fn plan_destroy(&self, request: &DestroyRequest<Self>, plan: &mut DestroyPlan) {
        planning::plan_destroy::<C>(request, plan);
    }

    async fn apply(&self, request: ApplyRequest<Self>) -> Applied<Self> {
        life::apply::<C>(request).await
    }

    async fn delete(&self, request: DeleteRequest<Self>) -> Deleted<Self> {
        life::delete::<C>(request).await
    }

    async fn read(&self, request: ReadRequest<Self>) -> Seen<Self> {
        life::read::<C>(request).await
    }

    async fn import(&self, request: ImportRequest<Self>) -> Imported<Self> {
        let id = match &request.by {
            ImportBy::Id(id) => Some(id.clone()),
            ImportBy::Identity(identity) => C::id_of_identity(identity),
        };
        let mut answer = Imported::nothing();
        let Some(id) = id else {
            answer
                .found
                .error(
                    paymesh_plugin::path::Path::root(),
                    "The identity names no object",
                )
                .detail("its id is missing")
                .hint("write identity = { id = \"...\" }");
            return answer;
        };
        if let Some((spec, status)) = C::find(request.call.session(), &id, &mut answer.found).await
        {
            answer.state = Some(State::new(spec, status));
        }
        answer.private = Memory::default().to_bytes();
        answer
    }

    fn move_from(&self, foreign: &ForeignState, found: &mut Findings) -> Option<State<C::Spec>> {
        let status = C::moved(foreign, found)?;
        let blank = State::<C::Spec>::blank();
        Some(State {
            status: status.into_draft().into_known().unwrap_or(blank.status),
            spec: blank.spec,
        })
    }
}

/// What the resource is called in findings.
fn named<C: Converged>(spec: &C::Spec) -> String {
    format!("{} {}", C::Spec::NAME, C::title(spec))
}

/// The typed form of a state, if all of it is known.
fn whole<C: Converged>(state: &State<C::Spec>) -> Option<Whole<C>> {
    let mut found = Findings::new();
    let spec = C::Spec::recall(&C::Spec::draft_value(&state.spec), &mut found)?;
    let status = C::Status::recall(&C::Status::draft_value(&state.status), &mut found)?;
    Some((spec, status))
}

/// What the state wants, so that the engine can tell what is wanted no more.
fn graph_before<C: Converged>(session: &Session, prior: &Whole<C>) -> Option<Graph> {
    let applied = C::applied(session, prior);
    C::graph(session, &applied, Some(prior), &mut Findings::new())
}

/// How the user takes over the object `id`, which exists and is not ours.
pub(crate) fn import_advice<S: Spec>(id: &str) -> String {
    let name = S::NAME;
    format!(
        "To manage the existing object, import it:\n\n  import {{\n    to = {name}.NAME\n    id = \"{id}\"\n  }}"
    )
}

/// The job for `graph`, stopped when Terraform asks for it.
fn job<C: Converged>(
    call: &Call<Session>,
    graph: Graph,
    spec: &C::Spec,
    memory: Option<Memory>,
    act: Act,
) -> Job {
    let principal = graph
        .principal_id()
        .expect("a resource has a principal object");
    let mark = call.mark(principal);
    let mut job = Job::new(graph, mark);
    job.memory = memory;
    job.limits = act.limits(call.engine().clock());
    if let Some(total) = C::limit(spec, act) {
        job.limits.total = total;
    }
    job.import_advice = C::import_id(call, spec).map(|id| import_advice::<C::Spec>(&id));
    job.stop = StopToken::from(call.stop());
    job
}
