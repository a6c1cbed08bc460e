//! Replicas tell each other which attempts are settled, so that who waits at one of them is told
//! whichever of them settles it.

use std::time::Duration;

use paymesh_contracts::AttemptId;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::Hub;
use crate::{
    store::{Database, Failure, News, chain},
    world::Settled,
};

/// How long after the connection was lost it is opened again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long the last news may take.
const LAST_MAX: Duration = Duration::from_secs(1);

/// What was settled here and nobody else was told of yet. It is kept while there is no connection.
struct Untold {
    settled: Receiver<Settled>,
    attempts: Vec<AttemptId>,
}

impl Untold {
    /// Waits until there is more; says whether there can be.
    async fn more(&mut self) -> bool {
        match self.settled.recv().await {
            Ok(first) => self.attempts.push(first.attempt_id),
            // Too many to follow: who waits elsewhere looks when their time is over.
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return false,
        }
        self.take();
        true
    }

    /// Takes what is there already.
    fn take(&mut self) {
        while let Ok(next) = self.settled.try_recv() {
            self.attempts.push(next.attempt_id);
        }
    }

    async fn tell(&mut self, news: &News) -> Result<(), Failure> {
        news.tell(&self.attempts).await?;
        self.attempts.clear();
        Ok(())
    }
}

/// Tells and listens until `stop` is cancelled, when nothing more is settled here.
pub async fn herald(database: Database, hub: Hub, stop: CancellationToken) {
    let mut untold = Untold {
        settled: hub.settled(),
        attempts: Vec::new(),
    };
    let mut is_known = false;
    while !stop.is_cancelled() {
        let opened = stop.run_until_cancelled(News::open(&database)).await;
        let failure = match opened {
            None => return,
            Some(Ok(news)) => {
                is_known = false;
                match exchange(news, &hub, &mut untold, &stop).await {
                    Ok(()) => return,
                    Err(failure) => failure,
                }
            }
            Some(Err(failure)) => failure,
        };
        if !is_known {
            tracing::warn!(reason = %chain(&failure), "no news of other replicas");
        }
        is_known = true;
        stop.run_until_cancelled(tokio::time::sleep(AGAIN)).await;
    }
}

async fn exchange(
    mut news: News,
    hub: &Hub,
    untold: &mut Untold,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    // What was told before, nobody heard.
    hub.hear(None);
    loop {
        untold.tell(&news).await?;
        tokio::select! {
            told = news.next() => match told {
                Some(attempts) => for attempt in attempts {
                    hub.hear(Some(attempt));
                },
                None => return Err(Failure::Disconnected(None)),
            },
            can_be_more = untold.more() => if !can_be_more {
                return Ok(());
            },
            () = stop.cancelled() => {
                untold.take();
                let last = timeout(LAST_MAX, untold.tell(&news)).await;
                return last.unwrap_or(Ok(()));
            }
        }
    }
}
