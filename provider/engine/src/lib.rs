//! Convergence of a graph of remote objects. Knows neither Terraform nor a cloud.
//!
//! A caller describes what it wants as a [`Graph`] of [`Object`]s and hands it to the [`Engine`].
//! The engine observes all objects, orders them by need, writes what is ready side by side, waits
//! for operations, and observes again until nothing differs. Create, create after a crash, resume
//! after a stop, adoption, update and drift repair are this one loop; destroy is the same loop on
//! the reversed graph.
//!
//! Invariants, whatever the interleaving and wherever a run is cut:
//! - One remote object per [`ObjectId`]: creation is conditional, or follows a read under the
//!   object's locks; what is already there is adopted or refused, never created again.
//! - Nothing that is not ours is written or deleted. Ours is what the caller's [`Memory`] lists
//!   and whose [`Holder`] is not somebody else's, or, when memory is silent, what bears our
//!   [`Mark`] and differs in nothing that would need a replacement.
//! - A run ends: every wait, retry and round has a limit in [`Limits`].
//! - All waiting goes through the [`paymesh_clock::Clock`].

mod act;
mod claims;
mod decide;
mod difference;
mod ending;
mod engine;
mod fault;
mod foresee;
mod graph;
mod job;
mod locks;
mod look;
mod mark;
mod memory;
mod object;
mod observation;
mod operation;
mod outcome;
mod progress;
mod reading;
mod refusals;
mod run;
mod seeded;
mod state;
mod stop;
#[cfg(test)]
mod tests;
mod wait;
mod whose;

pub use async_trait::async_trait;

pub use claims::{Claim, Claims, Intent};
pub use difference::{After, Change, Difference, Reason, Step, Subject, listed};
pub use engine::Engine;
pub use fault::{Fault, FaultKind};
pub use graph::{Graph, Node, Want};
pub use job::{Job, Limits};
pub use mark::{Holder, Mark};
pub use memory::{Imported, Keys, Memory, MemoryError, Remark, Unfinished};
pub use object::{Context, LockKey, Object, ObjectId};
pub use observation::{Busy, Child, NameHeld, Observation, Observations, Ownership, Seen};
pub use operation::{Operation, OperationId, Poll, Sent};
pub use outcome::{End, Note, Outcome, PlannedStep, Reading, Standing, StopCause};
pub use progress::{Event, Happening, Progress};
pub use stop::StopToken;
