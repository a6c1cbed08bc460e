//! Long-running operations of a cloud.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Fault;

/// What a write came to.
pub enum Sent {
    /// It is done.
    Done,
    /// The cloud works on it.
    Started(Arc<dyn Operation>),
    /// Nothing was sent, on purpose; the text says why. Only for deletes.
    Kept(String),
}

/// An operation that runs in the cloud.
#[async_trait]
pub trait Operation: Send + Sync {
    /// What a later process needs to take the operation up again.
    fn id(&self) -> OperationId;

    /// Asks once how far it is. Never waits by itself.
    async fn poll(&self) -> Result<Poll, Fault>;
}

/// The state of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Poll {
    /// It runs; ask again after this time.
    Running {
        /// The cloud's wish, or the client's default.
        after: Duration,
        /// The cloud's word for the state: `Creating`, `45%`.
        status: String,
    },
    /// It ended well.
    Succeeded,
    /// It ended badly: failed, cancelled, done with an error.
    Failed(Box<Fault>),
    /// The cloud no longer knows it. Observing the object decides.
    Gone,
}

/// Names an operation across processes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationId {
    /// A short name that a person can look up; printed in faults and warnings.
    pub name: String,
    /// What the client needs to poll it (a URL, byte for byte). May be signed: never printed.
    pub token: String,
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationId")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("Done"),
            Self::Started(operation) => f.debug_tuple("Started").field(&operation.id()).finish(),
            Self::Kept(why) => f.debug_tuple("Kept").field(why).finish(),
        }
    }
}
