//! What ends the process: Terraform's goodbye, Terraform's death, SIGTERM. Not SIGINT.

use std::{io, thread, time::Duration};

use rustix::process::{Pid, getppid};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How often the parent is looked at. `PR_SET_PDEATHSIG` would be quicker, but it fires when the
/// parent's *thread* ends, and Go programs end threads at will.
const PARENT_POLL: Duration = Duration::from_millis(500);

/// Takes SIGINT's usual effect away, for the rest of the process: the handler that this installs
/// stays when nobody listens any more.
pub(super) fn outlive_interrupts() -> io::Result<()> {
    signal(SignalKind::interrupt()).map(drop)
}

/// Cancels `end` when Terraform is gone or SIGTERM arrives; swallows SIGINT.
pub(super) fn watch(end: &CancellationToken) -> io::Result<()> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminations = signal(SignalKind::terminate())?;
    let ended = end.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupts.recv() => tracing::debug!("ignoring SIGINT: StopProvider follows"),
                _ = terminations.recv() => {
                    tracing::info!("SIGTERM: ending");
                    ended.cancel();
                }
                () = ended.cancelled() => return,
            }
        }
    });
    let parent = getppid();
    let ended = end.clone();
    // A thread of its own, because it must notice even if the runtime is busy.
    thread::Builder::new()
        .name("parent-watch".to_owned())
        .spawn(move || {
            while !ended.is_cancelled() {
                if is_orphaned(parent) {
                    tracing::warn!("Terraform is gone: ending");
                    ended.cancel();
                    return;
                }
                thread::sleep(PARENT_POLL);
            }
        })?;
    Ok(())
}

/// Whether the process that was the parent is gone.
pub(super) fn is_orphaned(parent: Option<Pid>) -> bool {
    getppid() != parent
}

/// Waits for `work` no longer than `limit`; whether it ended in time.
///
/// This is the machine's own time, not a cloud's: the clock that a simulated cloud speeds up does not
/// apply. A thread measures it, because it must end even if the runtime is busy.
pub(super) async fn within(limit: Duration, work: impl Future<Output = ()>) -> bool {
    let late = CancellationToken::new();
    let alarm = late.clone();
    let thread = thread::Builder::new()
        .name("goodbye".to_owned())
        .spawn(move || {
            thread::sleep(limit);
            alarm.cancel();
        });
    if thread.is_err() {
        return false;
    }
    tokio::select! {
        () = work => true,
        () = late.cancelled() => false,
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::getpid;

    use super::*;

    #[test]
    fn who_has_another_parent_than_at_the_start_is_an_orphan() {
        assert!(!is_orphaned(getppid()));
        assert!(is_orphaned(Some(getpid())));
    }

    #[tokio::test]
    async fn work_is_waited_for_until_it_ends_or_time_is_up() {
        assert!(within(Duration::from_mins(1), std::future::ready(())).await);
        assert!(!within(Duration::ZERO, std::future::pending()).await);
    }
}
