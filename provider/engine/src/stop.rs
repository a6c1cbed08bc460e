//! A cooperative stop.

use std::sync::Arc;

use tokio::sync::watch;

/// Asks running work to end soon. Clones share one request; once stopped, always stopped.
#[derive(Clone, Debug)]
pub struct StopToken(Arc<watch::Sender<bool>>);

impl StopToken {
    /// A token that nobody has stopped.
    pub fn new() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }

    /// Asks to stop. Returns at once.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }

    /// Whether a stop was asked for.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until a stop is asked for.
    pub async fn stopped(&self) {
        // The sender lives in `self`, so the wait cannot fail.
        let _ = self.0.subscribe().wait_for(|stopped| *stopped).await;
    }
}

impl Default for StopToken {
    fn default() -> Self {
        Self::new()
    }
}
