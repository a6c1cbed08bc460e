//! What a run comes to.

use serde::Serialize;

use crate::{Fault, Memory, ObjectId, Observations, Unfinished};

/// The result of converging or destroying.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What was last seen of every object.
    pub observations: Observations,
    /// What to keep for the next run.
    pub memory: Memory,
    /// Things the user should know although nothing failed.
    pub notes: Vec<Note>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// Everything is as wanted.
    Finished,
    /// It was cut short; the same job with the outcome's memory goes on from here.
    Stopped {
        /// Why it was cut short.
        cause: StopCause,
        /// What is left, in order.
        unfinished: Vec<Unfinished>,
    },
    /// Something went wrong. Everything that went wrong side by side is here.
    Failed(Vec<Fault>),
}

/// Why a run was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopCause {
    /// The stop token was used.
    Asked,
    /// The limit on the whole run was reached.
    TimedOut,
}

/// Something to tell the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The object it is about.
    pub object: ObjectId,
    /// What there is to know.
    pub message: String,
}

/// The result of observing.
#[derive(Clone, Debug)]
pub struct Reading {
    /// What was seen of every object.
    pub observations: Observations,
    /// How memory stands to what was seen.
    pub standing: Standing,
    /// The memory to keep: objects that are gone are forgotten, and what was found at an import
    /// is listed.
    pub memory: Memory,
    /// Unwanted children that are not ours to delete, and the like.
    pub notes: Vec<Note>,
    /// What is left to do, in order.
    pub steps: Vec<PlannedStep>,
    /// What converging would refuse to do, and therefore do nothing at all.
    pub refusals: Vec<Fault>,
    /// The attributes in which what exists is not as wanted, as the user knows them.
    pub differing: Vec<String>,
}

/// How a state entry stands to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The principal object is the one that memory knows, or nothing speaks against it.
    Current,
    /// The principal object does not exist, nor does anything else of ours.
    Gone,
    /// The principal object does not exist, but others that memory lists do.
    Remains,
    /// Another holder has it: keep the prior values, refuse updates, let a delete only forget.
    Stale,
}

/// One step that a run would take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedStep {
    /// The object it writes.
    pub object: ObjectId,
    /// What it does.
    pub title: String,
    /// Whether it may disturb what runs.
    pub disruptive: bool,
}

impl Outcome {
    /// Whether anything of the resource exists: if not, a failed create leaves no state.
    pub fn exists(&self) -> bool {
        !self.memory.objects.is_empty()
    }

    /// Whether everything is as wanted.
    pub fn is_finished(&self) -> bool {
        self.end == End::Finished
    }
}
