//! Which new payments are taken in while many wait for the acquirer.
//!
//! A payment costs most after it was taken in: who takes in all that come finishes fewer of them. So
//! when many wait and are being worked on, a new one takes the place of one that came to its end, and
//! the rest is refused before it cost anything. While nothing comes to its end, because the bus or the
//! acquirer is away, payments wait: they are taken in, however many.

use std::{
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::store::Done;

/// Without an end for so long, nothing is being worked on.
const STILL: Duration = Duration::from_secs(2);

/// Counts messages for the acquirer: at once what is committed here and what ends at other replicas,
/// all of them whenever the database is asked. What others take in is known by that alone, so each
/// replica may give away the same place until then.
#[derive(Debug)]
pub(crate) struct Admission {
    /// So many may always wait.
    enough: i64,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    messages: i64,
    /// How many there were at most while nothing came to its end, since the last time that few waited.
    most: i64,
    last_end: Option<Instant>,
}

impl Admission {
    pub(super) fn new(waiting_max: NonZeroU32) -> Self {
        Self {
            enough: waiting_max.get().into(),
            waiting: Mutex::default(),
        }
    }

    /// Whether one more is taken in.
    pub(crate) fn admits(&self) -> bool {
        let waiting = self.waiting();
        !waiting.is_worked_on() || waiting.messages < waiting.most.max(self.enough)
    }

    /// Whether payments could be refused, so that it matters how many wait. What is known here does not
    /// say that: it sinks with what ends of others' payments, and knows nothing of those taken in.
    pub(super) fn could_refuse(&self) -> bool {
        self.waiting().is_worked_on()
    }

    /// What a group did.
    pub(super) fn committed(&self, done: &Done) {
        let mut waiting = self.waiting();
        // An attempt of which nobody knows what became of it came to no end.
        if !done.settled.is_empty() {
            waiting.last_end = Some(Instant::now());
        }
        let messages = waiting.messages + count(done.attempts_left) - count(done.attempts_ended);
        waiting.set(messages, self.enough);
    }

    /// An attempt came to its end at another replica.
    pub(super) fn ended_elsewhere(&self) {
        let mut waiting = self.waiting();
        waiting.last_end = Some(Instant::now());
        let messages = waiting.messages - 1;
        waiting.set(messages, self.enough);
    }

    /// What the database says.
    pub(super) fn counted(&self, messages: i64) {
        self.waiting().set(messages, self.enough);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_worked_on(&self) -> bool {
        self.last_end.is_some_and(|at| at.elapsed() < STILL)
    }

    fn set(&mut self, messages: i64, enough: i64) {
        self.messages = messages.max(0);
        if self.messages < enough {
            self.most = 0;
        } else if !self.is_worked_on() {
            // What is more than that while work goes on, replicas took in for the same end: it has to
            // end before any of them takes more.
            self.most = self.most.max(self.messages);
        }
    }
}

fn count(messages: usize) -> i64 {
    i64::try_from(messages).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use paymesh_contracts::AttemptId;
    use uuid::Uuid;

    use super::*;
    use crate::{command::Answer, world::Settled};

    const ENOUGH: u32 = 100;

    fn admission() -> Admission {
        Admission::new(NonZeroU32::new(ENOUGH).unwrap())
    }

    fn done(left: usize, ended: usize) -> Done {
        let settled = Settled {
            attempt_id: AttemptId(Uuid::nil()),
            payment_id: None,
            answer: Answer {
                status: 200,
                body: Vec::new(),
            },
        };
        Done {
            attempts_left: left,
            attempts_ended: ended,
            settled: vec![settled; ended],
            ..Done::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn when_many_wait_one_is_taken_in_for_each_that_ends() {
        let admission = admission();
        admission.committed(&done(ENOUGH as usize - 1, 1));
        assert!(admission.admits(), "fewer than the limit");
        admission.committed(&done(3, 1));
        assert!(!admission.admits());
        admission.committed(&done(0, 1));
        assert!(admission.admits());
        admission.committed(&done(1, 0));
        assert!(!admission.admits());
    }

    #[tokio::test(start_paused = true)]
    async fn while_nothing_ends_all_are_taken_in_and_then_the_heap_grows_no_more() {
        let admission = admission();
        admission.committed(&done(0, 1));
        admission.counted(i64::from(3 * ENOUGH));
        assert!(!admission.admits());
        tokio::time::advance(STILL).await;
        assert!(admission.admits());
        admission.committed(&done(5, 0));
        assert!(admission.admits());
        let unknown = Done {
            settled: Vec::new(),
            ..done(0, 1)
        };
        admission.committed(&unknown);
        admission.committed(&done(1, 0));
        assert!(admission.admits(), "what is unknown is no end");
        admission.committed(&done(0, 1));
        assert!(admission.admits(), "work goes on, and one place is free");
        admission.committed(&done(1, 0));
        assert!(!admission.admits());
        admission.counted(i64::from(ENOUGH) - 1);
        assert!(admission.admits());
        admission.committed(&done(1, 0));
        assert!(
            !admission.admits(),
            "what waited before does not count any more"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_replicas_took_in_for_the_same_end_has_to_end_before_more_is_taken_in() {
        let admission = admission();
        admission.committed(&done(0, 1));
        admission.counted(i64::from(2 * ENOUGH));
        admission.ended_elsewhere();
        assert!(!admission.admits(), "the heap would grow with every end");
        admission.counted(i64::from(ENOUGH));
        assert!(!admission.admits());
        admission.ended_elsewhere();
        assert!(admission.admits());
    }

    #[tokio::test(start_paused = true)]
    async fn it_matters_how_many_wait_while_any_end_however_few_are_known_here() {
        let admission = admission();
        admission.counted(i64::from(2 * ENOUGH));
        assert!(!admission.could_refuse(), "nothing ends, all are taken in");
        admission.counted(0);
        admission.ended_elsewhere();
        assert!(admission.could_refuse());
        tokio::time::advance(STILL).await;
        assert!(!admission.could_refuse());
        admission.committed(&done(0, 1));
        assert!(admission.could_refuse());
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_at_another_replica_makes_room_here_and_shows_that_work_goes_on() {
        let admission = admission();
        admission.committed(&done(ENOUGH as usize + 1, 0));
        assert!(admission.admits(), "nobody knows that anything ends");
        admission.ended_elsewhere();
        assert!(admission.admits(), "one place is free");
        admission.committed(&done(1, 0));
        assert!(!admission.admits());
        admission.ended_elsewhere();
        assert!(admission.admits());
    }
}
