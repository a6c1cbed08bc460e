//! Replicas tell each other which attempts are settled, so that who waits at one of them is told
//! whichever of them settles it.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::Hub;
use crate::store::{Database, Failure, News, chain};

/// How long after the connection was lost it is opened again.
const AGAIN: Duration = Duration::from_millis(500);

/// Tells and listens until `stop` is cancelled.
pub async fn herald(database: Database, hub: Hub, stop: CancellationToken) {
    stop.run_until_cancelled(async {
        loop {
            if let Err(failure) = exchange(&database, &hub).await {
                tracing::warn!(reason = %chain(&failure), "no news of other replicas");
            }
            tokio::time::sleep(AGAIN).await;
        }
    })
    .await;
}

async fn exchange(database: &Database, hub: &Hub) -> Result<(), Failure> {
    let mut settled = hub.settled();
    let mut news = News::open(database).await?;
    // What was told before, nobody heard.
    hub.hear(None);
    loop {
        tokio::select! {
            told = news.next() => match told {
                Some(attempts) => for attempt in attempts {
                    hub.hear(Some(attempt));
                },
                None => return Err(Failure::Disconnected(None)),
            },
            here = settled.recv() => {
                // Too many to follow: who waits elsewhere looks when their time is over.
                let first = match here {
                    Ok(first) => Some(first.attempt_id),
                    Err(RecvError::Lagged(_)) => None,
                    Err(RecvError::Closed) => return Ok(()),
                };
                let mut attempts: Vec<_> = first.into_iter().collect();
                while let Ok(next) = settled.try_recv() {
                    attempts.push(next.attempt_id);
                }
                news.tell(&attempts).await?;
            }
        }
    }
}
