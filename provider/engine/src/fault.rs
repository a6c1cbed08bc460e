//! What went wrong, where, and what to do next.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::ObjectId;

/// One thing that went wrong with one object. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The object it happened to.
    pub object: ObjectId,
    /// What the engine, or the reader, can do about it.
    pub kind: FaultKind,
    /// What happened, in full sentences.
    pub message: String,
    /// The attribute that is to blame, if one is, spelled as the user knows it.
    pub attribute: Option<String>,
    /// The cloud's operation, by its printable name.
    pub operation: Option<String>,
    /// The cloud's id of the request that failed.
    pub request: Option<String>,
    /// What the user does next: a command or a change.
    pub next: Option<String>,
    /// When the cloud wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// The kinds of fault. The first five are the engine's to handle: it waits or reads again, within
/// limits, and reports them only when the limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Another operation runs on the object (409, `failedPrecondition`): wait for rest.
    Busy,
    /// Somebody was faster (412, etag mismatch, 409 exists, fingerprint): read again, decide
    /// again.
    LostRace,
    /// The request may have been received and its answer was lost: read, then decide.
    Uncertain,
    /// The object vanished (404 to a write): read again, decide again.
    Missing,
    /// Something just made is not yet known everywhere (a new principal, a new grant).
    Propagating,
    /// The cloud could not be asked, after all the client's retries.
    Unavailable,
    /// No token could be had: nothing was asked.
    SignIn,
    /// It took no more requests for now: a limit on their rate, not on what exists.
    Throttled,
    /// The cloud says no: not authorised.
    Denied,
    /// No quota or no capacity.
    Exhausted,
    /// The cloud says no: the request is not acceptable.
    Refused,
    /// A long-running operation ended badly.
    OperationFailed,
    /// A write was accepted and changed nothing of what differs.
    NotShrinking,
    /// Somebody else's object bears the name.
    Foreign,
    /// A deleted object still holds the name.
    NameHeld,
    /// Only a new object can be as wanted.
    MustReplace,
    /// The memory of this object is older than the object: another run or another state owns it.
    Stale,
    /// Two resources want the same cloud name.
    Claimed,
    /// A needed object that the user named does not exist.
    NeedMissing,
    /// A limit on time was reached.
    TimedOut,
    /// Somebody was faster each time, until a limit was reached: it is not tried again.
    KeepsChanging,
    /// The graph contradicts itself; a defect of this program.
    Defect,
}

impl Fault {
    /// A fault of `object`.
    pub fn new(object: ObjectId, kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            object,
            kind,
            message: message.into(),
            attribute: None,
            operation: None,
            request: None,
            next: None,
            retry_after: None,
        }
    }

    /// The same, blaming `attribute`.
    #[must_use]
    pub fn at(mut self, attribute: impl Into<String>) -> Self {
        self.attribute = Some(attribute.into());
        self
    }

    /// The same, with what the user does next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The same, naming the cloud's operation.
    #[must_use]
    pub fn during(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// The same, with the cloud's wish when to ask again.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.message)?;
        if let Some(operation) = &self.operation {
            write!(f, "\nOperation: {operation}")?;
        }
        if let Some(request) = &self.request {
            write!(f, "\nRequest: {request}")?;
        }
        if let Some(next) = &self.next {
            write!(f, "\n{next}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}
