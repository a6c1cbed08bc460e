//! The engine: one per process, shared by all resources.

use std::sync::Arc;

use paymesh_clock::Clock;

use crate::{Claims, Progress, locks::Locks};

/// Converges graphs. Clones share locks and claims.
#[derive(Clone)]
pub struct Engine {
    clock: Clock,
    locks: Arc<Locks>,
    claims: Arc<Claims>,
    progress: Option<Progress>,
}

impl Engine {
    /// An engine that waits on `clock`.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            locks: Arc::default(),
            claims: Arc::default(),
            progress: None,
        }
    }

    /// The same engine, telling `progress` what happens.
    #[must_use]
    pub fn reporting_to(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
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
}
