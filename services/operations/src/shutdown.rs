//! The end: the first SIGTERM or Ctrl-C.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{Health, Settings};

/// A token that is cancelled when the process is asked to end. What it holds back then is only
/// new work: whoever listens finishes what it began.
pub fn stop_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let stopped = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to end; finishing what was begun");
        stopped.cancel();
    });
    Ok(token)
}

/// Reads how long a service that is asked to end takes callers in all the same.
pub fn drain(settings: &mut Settings) -> Duration {
    settings.milliseconds(
        "PAYMESH_DRAIN_MS",
        "how long a service that is asked to end says that it is not ready, and takes callers in all \
         the same, until they are sent elsewhere, in milliseconds",
        5_000,
    )
}

/// A token that is cancelled `drain` after `stop`. From `stop` on the service says that it is not
/// ready, and works on: who sends callers here learns of it late, and nobody is to come to a closed
/// door.
pub fn closing(stop: CancellationToken, health: Health, drain: Duration) -> CancellationToken {
    let closing = CancellationToken::new();
    let closed = closing.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        health.end();
        tokio::time::sleep(drain).await;
        tracing::info!("takes no more callers in");
        closed.cancel();
    });
    closing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_ends_is_not_ready_again_and_takes_callers_in_for_a_while() {
        let (stop, health) = (CancellationToken::new(), Health::default());
        health.set_ready(true);
        let closing = closing(stop.clone(), health.clone(), Duration::from_secs(5));
        stop.cancel();
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(!health.is_ready());
        assert!(!closing.is_cancelled());
        // A connection to the database that is opened again makes nobody ready who ends.
        health.set_ready(true);
        assert!(!health.is_ready());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(closing.is_cancelled());
    }
}
