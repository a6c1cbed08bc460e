//! Runs, one after the other.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    merchant::Merchant,
    meter,
    run::run,
    step::{Failure, Step},
    sweep::Sweep,
};

/// Refunds what is left of earlier runs, then pays every `every` until `stop` is cancelled; a run that
/// was begun is finished, and one that takes long delays the next. While too much is not refunded,
/// nothing is charged, and the run has failed.
pub async fn run_until(merchant: &Merchant, every: Duration, stop: &CancellationToken) {
    let mut sweep = Sweep::new();
    sweep.run(merchant, stop).await;
    let mut due = interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = due.tick() => {}
        }
        match round(merchant, &mut sweep).await {
            Ok(()) => meter::count(true),
            Err(failure) => {
                meter::count(false);
                failure.tell();
            }
        }
        sweep.run(merchant, stop).await;
    }
}

async fn round(merchant: &Merchant, sweep: &mut Sweep) -> Result<(), Failure> {
    if let Some(trouble) = sweep.objection() {
        return Err(meter::failed(Step::Refund, trouble));
    }
    let key = format!("probe-charge-{}", Uuid::new_v4());
    let ran = run(merchant, &key).await;
    if let Err(failure) = &ran {
        sweep.failed(key, &failure.trouble);
    }
    ran
}
