//! The contract between the engine and one remote object.

use std::{collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use paymesh_clock::Clock;
use serde::{Deserialize, Serialize};

use crate::{
    Child, Difference, Fault, Holder, Mark, Observation, Observations, Operation, OperationId,
    Seen, Sent, StopToken,
};

/// Names one remote object: what it is, and its deterministic name or path in the cloud.
///
/// Where the cloud compares names without case (Azure), build the id from one spelling.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectId {
    /// What it is, in the cloud's words: `managed cluster`, `node pool`.
    pub kind: String,
    /// Its full name or path in the cloud.
    pub name: String,
}

impl ObjectId {
    /// The id of the `kind` called `name`.
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            name: name.into(),
        }
    }
}

impl ObjectId {
    /// The kind and the last word of the name: enough within one resource.
    pub fn brief(&self) -> String {
        let name = self.name.rsplit('/').next().unwrap_or(&self.name);
        format!("{} {name}", self.kind)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Names something that admits one writer at a time: a cluster, a server, a virtual network.
///
/// Keys are compared over all resources of the process, so a key carries the full cloud path. How
/// long it is held is no part of it ([`Object::frees_locks_early`]): whoever writes one place keeps
/// all others out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LockKey(String);

impl LockKey {
    /// The key called `path`.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }
}

/// One remote object that the engine can observe and bring to its wanted shape.
///
/// An implementation holds its wanted shape and its cloud client. It keeps no memory between
/// calls: every act can be the first act of a new process.
#[async_trait]
pub trait Object: Send + Sync + 'static {
    /// Who it is. The same configuration always gives the same id.
    fn id(&self) -> ObjectId;

    /// The objects that must exist, settled, before this one is written, and that are deleted
    /// only after it. Ids outside the graph are ignored.
    fn needs(&self) -> Vec<ObjectId> {
        Vec::new()
    }

    /// The object inside which this one lives. Absent parent means absent child (no read is
    /// sent), and an object that cannot carry a mark follows its parent's ownership. A parent is
    /// a need; it need not be repeated in [`needs`](Self::needs).
    fn parent(&self) -> Option<ObjectId> {
        None
    }

    /// Whether deleting the parent deletes this object too, so that a destroy of both sends one
    /// delete (a pool goes with its cluster; a cluster does not go with a group that is deleted
    /// only when empty).
    fn goes_with_parent(&self) -> bool {
        false
    }

    /// The keys held while this object is written, until that has come to its end and shows.
    fn locks(&self) -> Vec<LockKey> {
        Vec::new()
    }

    /// Whether the keys are given back as soon as the cloud has answered: for a document that many
    /// write and each reads before, where nobody has to wait until another's part of it shows.
    fn frees_locks_early(&self) -> bool {
        false
    }

    /// What has to be done before this object is deleted while what it lives in stays: a pool is
    /// drained before it goes.
    fn farewell(&self) -> Option<Arc<dyn Object>> {
        None
    }

    /// The open-ended entries that this object wants to have and shares with others: its tags,
    /// its labels. What was wanted before is remembered, and handed to
    /// [`dropping`](Self::dropping) when it is wanted no more.
    fn keys(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    /// The same object, which also wants `keys` removed: entries that were wanted before.
    fn dropping(&self, keys: &BTreeSet<String>) -> Option<Arc<dyn Object>> {
        let _ = keys;
        None
    }

    /// The attribute of the user that asks for this object, to be named when it is missing.
    fn attribute(&self) -> Option<String> {
        None
    }

    /// The objects whose observation [`observe`](Self::observe) looks at. Those are read first,
    /// all others side by side. The parent need not be repeated here.
    fn observed_after(&self) -> Vec<ObjectId> {
        self.needs()
    }

    /// Whether the object has a place for the [`Holder`] (a tag, a label, a description).
    fn carries_holder(&self) -> bool {
        false
    }

    /// Reads the object. The context shows what was seen of
    /// [`observed_after`](Self::observed_after). A parent that memory lists may be read at the
    /// same time.
    async fn observe(&self, cx: &Context) -> Result<Observation, Fault>;

    /// Lists the children that exist inside this object, wanted or not.
    ///
    /// The engine deletes an unwanted one only if memory lists it or it bears our mark.
    async fn children(&self, cx: &Context, seen: &Seen) -> Result<Vec<Child>, Fault> {
        let _ = (cx, seen);
        Ok(Vec::new())
    }

    /// Compares what is seen with what is wanted. Pure; only managed attributes count, and mark
    /// and holder never do.
    fn differ(&self, cx: &Context, seen: &Seen) -> Difference;

    /// The steps, in words, that creating this object takes; for the plan's step list. Empty
    /// when creating it is nothing to announce.
    fn create_steps(&self) -> Vec<crate::Step> {
        Vec::new()
    }

    /// What would be seen after the next of the steps that [`differ`](Self::differ) lists, where
    /// what follows has to wait for others: a control plane's next version, or all that comes
    /// before a stop. A plan uses it to list the steps in their order. `None` if nothing follows.
    fn foresee(&self, cx: &Context, seen: &Seen) -> Option<Seen> {
        let _ = (cx, seen);
        None
    }

    /// Creates the object (`seen` is `None`), or makes the *first* of the steps that
    /// [`differ`](Self::differ) lists.
    ///
    /// Creation is conditional where the cloud has it, and its first request carries
    /// [`Context::mark`] and [`Context::holder`]. An update is read-modify-write on `seen.body`
    /// under its etag. The engine has observed the object just before, under its locks.
    async fn apply(&self, cx: &Context, seen: Option<&Seen>) -> Result<Sent, Fault>;

    /// Whether [`hold`](Self::hold) can be done as the object is: the clouds let a stopped one be
    /// started and deleted, and nothing else.
    fn may_be_held(&self, seen: &Seen) -> bool {
        let _ = seen;
        true
    }

    /// Makes [`hold`](Self::hold) possible where [`may_be_held`](Self::may_be_held) says that it is
    /// not. Called at adoption by an entry that begins with it; what is wanted comes after.
    async fn wake(&self, cx: &Context, seen: &Seen) -> Result<Sent, Fault> {
        let _ = (cx, seen);
        Ok(Sent::Done)
    }

    /// Writes [`Context::mark`] and [`Context::holder`] onto the existing object and nothing
    /// else. Called at adoption, only if [`carries_holder`](Self::carries_holder).
    async fn hold(&self, cx: &Context, seen: &Seen) -> Result<Sent, Fault> {
        let _ = (cx, seen);
        Ok(Sent::Done)
    }

    /// Waits until no operation that writes the mark runs on the busy object any more, where the
    /// cloud shows only at its end what one writes; whether the object has to be looked at again.
    /// A read asks for it before it says whose the object is, and waits for nothing else.
    async fn settle_mark(&self, cx: &Context) -> Result<bool, Fault> {
        let _ = cx;
        Ok(false)
    }

    /// Deletes the object. An object that must stay (a resource group that is not empty)
    /// answers [`Sent::Kept`].
    async fn delete(&self, cx: &Context, seen: &Seen) -> Result<Sent, Fault>;

    /// Takes up an operation on this object that an earlier process, or
    /// [`Seen::busy`](crate::Seen::busy), named. `None` if it cannot be polled: the engine then
    /// observes the object until it rests.
    fn resume(&self, operation: &OperationId) -> Option<Arc<dyn Operation>> {
        let _ = operation;
        None
    }
}

/// What an object's act may know beyond itself.
#[derive(Clone, Debug)]
pub struct Context {
    /// The mark to write on everything created, and to judge what is found by.
    pub mark: Mark,
    /// The holder to write on creation and adoption.
    pub holder: Holder,
    /// The clock for every wait.
    pub clock: Clock,
    /// Ends waits early. A request that was sent is never cut short.
    pub stop: StopToken,
    /// What was last seen of every object of the graph, as far as it has been observed.
    pub observations: Arc<Observations>,
    /// What objects asked earlier runs to remember.
    pub remarks: Vec<crate::Remark>,
}

impl Context {
    /// What was last seen of `id`, if it exists.
    pub fn seen(&self, id: &ObjectId) -> Option<&Seen> {
        self.observations.seen(id)
    }

    /// What `id` asked an earlier run to remember.
    pub fn remark(&self, id: &ObjectId) -> Option<&str> {
        let remark = self.remarks.iter().find(|it| it.object == *id)?;
        Some(&remark.text)
    }

    /// Waits for `duration` on the clock; returns early, with `false`, when asked to stop.
    pub async fn wait(&self, duration: std::time::Duration) -> bool {
        tokio::select! {
            () = self.clock.sleep(duration) => true,
            () = self.stop.stopped() => false,
        }
    }
}
