//! The engine: one per process, shared by all resources.

use std::sync::Arc;

use paymesh_clock::Clock;

use crate::{
    Claims, End, Fault, Job, Memory, Outcome, Progress, Reading, locks::Locks, run::Run,
    seeded::Protections,
};

/// Converges graphs. Clones share locks and claims.
#[derive(Clone)]
pub struct Engine {
    pub(crate) clock: Clock,
    pub(crate) locks: Arc<Locks>,
    pub(crate) progress: Option<Progress>,
    pub(crate) protections: Protections,
    claims: Arc<Claims>,
}

impl Engine {
    /// An engine that waits on `clock`.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            locks: Arc::default(),
            progress: None,
            protections: Protections::of_this_program(),
            claims: Arc::default(),
        }
    }

    /// The same engine, telling `progress` what happens.
    #[must_use]
    pub fn reporting_to(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// The same engine with bugs put in on purpose: tests that stay green with them prove
    /// nothing.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn with_bugs(mut self, bugs: crate::seeded::SeededBugs) -> Self {
        self.protections.bugs = bugs;
        self
    }

    /// The claims of cloud names in this process.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The clock of every wait.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Reads everything once and says how it stands. Writes nothing.
    pub async fn observe(&self, job: &Job) -> Result<Reading, Vec<Fault>> {
        Run::new(self, job, job.graph.clone()).read().await
    }

    /// Brings everything to what the graph wants.
    ///
    /// If anything would be refused (a foreign object, a needed one missing), nothing at all is
    /// written.
    pub async fn converge(&self, job: &Job) -> Outcome {
        Run::new(self, job, job.graph.clone()).drive().await
    }

    /// Deletes everything that is ours, in the reversed order of needs. A stale memory is only
    /// forgotten, with a note.
    pub async fn destroy(&self, job: &Job) -> Outcome {
        let outcome = Run::new(self, job, job.graph.reversed())
            .destroying()
            .drive()
            .await;
        match outcome.end {
            End::Finished => Outcome {
                memory: Memory::default(),
                ..outcome
            },
            _ => outcome,
        }
    }
}
