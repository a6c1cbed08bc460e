//! What a run reports while it goes on.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use crate::ObjectId;

/// Something that happened to an object during a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// The object.
    pub object: ObjectId,
    /// The step it happened in: `create`, `delete`, `control plane 1.32 -> 1.33`.
    pub step: String,
    /// What happened.
    pub happening: Happening,
    /// Time on the clock since the step started.
    pub elapsed: Duration,
}

/// What can happen in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// The step began.
    Started,
    /// Its operation was asked; the text is the cloud's word for its state.
    Polled(String),
    /// The step ended well.
    Finished,
    /// The step failed; the text says how.
    Failed(String),
}

/// Where events go. Must not block.
pub type Progress = Arc<dyn Fn(&Event) + Send + Sync>;
