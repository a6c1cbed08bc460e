//! A cooperative stop.

use tokio_util::sync::CancellationToken;

/// Asks running work to end soon. Clones share one request; once stopped, always stopped.
#[derive(Clone, Debug, Default)]
pub struct StopToken(CancellationToken);

impl StopToken {
    /// A token that nobody has stopped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop. Returns at once.
    pub fn stop(&self) {
        self.0.cancel();
    }

    /// Whether a stop was asked for.
    pub fn is_stopped(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until a stop is asked for.
    pub async fn stopped(&self) {
        self.0.cancelled().await;
    }
}

impl From<&CancellationToken> for StopToken {
    /// A token that stops with `token`, and not the other way round.
    fn from(token: &CancellationToken) -> Self {
        Self(token.child_token())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stops_with_the_one_it_is_from_and_never_stops_that() {
        let theirs = CancellationToken::new();
        StopToken::from(&theirs).stop();
        assert!(!theirs.is_cancelled());
        let ours = StopToken::from(&theirs);
        assert!(!ours.is_stopped());
        theirs.cancel();
        assert!(ours.is_stopped());
    }
}
