//! Runs, one after the other.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::{merchant::Merchant, meter, run::run, sweep::Sweep};

/// Refunds what is left of earlier runs, then pays every `every` until `stop` is cancelled; a run that
/// was begun is finished, and one that takes long delays the next.
pub async fn run_until(merchant: &Merchant, every: Duration, stop: &CancellationToken) {
    let mut sweep = Sweep::default();
    sweep.run(merchant, stop).await;
    let mut due = interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = due.tick() => {}
        }
        match run(merchant).await {
            Ok(payment) => {
                meter::count(true);
                sweep.ok(payment);
            }
            Err(failure) => {
                meter::count(false);
                failure.tell();
                sweep.failed();
            }
        }
        sweep.run(merchant, stop).await;
    }
}
