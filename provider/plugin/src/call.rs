//! What every call of an author's code carries: the session, and the wish to stop.

use std::{ops::Deref, sync::Arc};

use tokio_util::sync::CancellationToken;

/// The context of one call. It lends the session that [`Provider::configure`] made.
///
/// [`Provider::configure`]: crate::provider::Provider::configure
pub struct Call<X> {
    session: Arc<X>,
    stop: CancellationToken,
}

impl<X> Call<X> {
    /// A call in `session` that should end soon after `stop` is cancelled.
    pub fn new(session: Arc<X>, stop: CancellationToken) -> Self {
        Self { session, stop }
    }

    /// What the provider block made.
    pub fn session(&self) -> &Arc<X> {
        &self.session
    }

    /// Cancelled when the user interrupts Terraform. An apply should then stop waiting, keep what it
    /// has, and answer: Terraform waits for the answer, and what is not answered is lost.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }
}

impl<X> Clone for Call<X> {
    fn clone(&self) -> Self {
        Self {
            session: Arc::clone(&self.session),
            stop: self.stop.clone(),
        }
    }
}

impl<X> Deref for Call<X> {
    type Target = X;

    fn deref(&self) -> &X {
        &self.session
    }
}
