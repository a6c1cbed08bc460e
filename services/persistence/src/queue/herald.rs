//! Replicas tell each other which attempts are settled, so that who waits at one of them is told
//! whichever of them settles it.

use std::time::Duration;

use paymesh_contracts::AttemptId;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep_until, timeout},
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

/// How long what the database said of whether another replica listens is taken for true: one that
/// begins to meanwhile is told that much later.
const HEARD_FOR: Duration = Duration::from_millis(100);

/// Whether another replica listens, as the database said last, and when.
#[derive(Default)]
struct Heard(Option<(Instant, bool)>);

impl Heard {
    /// What it said, while that is taken for true.
    fn known(&self) -> Option<bool> {
        let (asked, is_heard) = self.0?;
        (asked.elapsed() < HEARD_FOR).then_some(is_heard)
    }

    /// When it is asked again.
    fn again(&self) -> Instant {
        self.0
            .map_or_else(Instant::now, |(asked, _)| asked + HEARD_FOR)
    }
}

/// What was settled here and nobody else was told of yet. It is kept while there is no connection, and
/// while nobody is known to listen until that is asked again.
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

    async fn tell(&mut self, news: &News, heard: &mut Heard) -> Result<(), Failure> {
        if self.attempts.is_empty() {
            return Ok(());
        }
        match heard.known() {
            Some(false) => return Ok(()),
            Some(true) => news.tell(&self.attempts).await?,
            None => {
                let asked = Instant::now();
                let is_heard = news.tell_if_heard(&self.attempts).await?;
                heard.0 = Some((asked, is_heard));
            }
        }
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
    let mut heard = Heard::default();
    loop {
        untold.tell(&news, &mut heard).await?;
        let is_kept = !untold.attempts.is_empty();
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
            () = sleep_until(heard.again()), if is_kept => {}
            () = stop.cancelled() => {
                untold.take();
                let mut heard = Heard::default();
                let last = timeout(LAST_MAX, untold.tell(&news, &mut heard)).await;
                return last.unwrap_or(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whether_anybody_listens_is_asked_again_when_its_time_is_over_and_not_before() {
        let mut heard = Heard::default();
        assert_eq!(heard.known(), None);
        assert!(heard.again() <= Instant::now());
        heard.0 = Some((Instant::now(), false));
        let again = heard.again();
        tokio::time::advance(HEARD_FOR / 2).await;
        assert_eq!(heard.known(), Some(false));
        sleep_until(again).await;
        assert_eq!(heard.known(), None);
    }
}
