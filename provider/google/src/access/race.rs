//! The race for a policy: everybody writes it, and a write is refused if it has changed since it was
//! read.

use std::time::Duration;

use paymesh_clock::{Clock, Moment};
use paymesh_cloud::backoff;
use paymesh_engine::Limits;

/// Tries to write a policy, each of which reads it before. One is lost (409) when somebody else
/// writes in between, and when what was read is of the past: IAM's reads are eventually consistent,
/// its writes are in order (IAM documentation, "Consistency model for the IAM API", read 2026-11).
///
/// It is run again for as long as a cloud may take to show what it has confirmed
/// ([`Limits::settle`], five minutes), with waits that grow from a second to a minute, half of each
/// random. Users who lost races in Google's own provider, which gave up after 16 seconds and left
/// nothing to chance, asked for just this (hashicorp/terraform-provider-google#10786).
pub(crate) struct Race {
    clock: Clock,
    began: Moment,
    lost: u32,
}

impl Race {
    /// What to do once it is given up.
    pub(crate) const NEXT: &'static str = "Find what else writes this policy (another run of \
        Terraform, a script; the project's audit log says who calls SetIamPolicy) and let it end. \
        Then run the command again.";

    /// A race that begins now.
    pub(crate) fn begin(clock: &Clock) -> Self {
        Self {
            clock: clock.clone(),
            began: clock.now(),
            lost: 0,
        }
    }

    /// Notes a lost try. The wait before the next one, no shorter than the cloud has `asked` for;
    /// `None` if that would be past the limit.
    pub(crate) fn lost(&mut self, asked: Option<Duration>) -> Option<Duration> {
        self.lost += 1;
        let wait = backoff(self.lost).max(asked.unwrap_or_default());
        let limit = Limits::writing(&self.clock).settle;
        (self.elapsed() + wait <= limit).then_some(wait)
    }

    /// How it went.
    pub(crate) fn told(&self) -> String {
        let times = match self.lost {
            1 => "once".to_owned(),
            lost => format!("{lost} times"),
        };
        let seconds = self.elapsed().as_secs();
        format!(
            "It was tried {times} in {seconds} s; each time the policy had changed since it was read."
        )
    }

    fn elapsed(&self) -> Duration {
        self.clock.now().since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits of a race on `clock` that is always lost, and how it is told.
    async fn lost_for_good(clock: &Clock) -> (Vec<Duration>, String) {
        let mut race = Race::begin(clock);
        let mut waits = Vec::new();
        while let Some(wait) = race.lost(None) {
            clock.sleep(wait).await;
            waits.push(wait);
        }
        (waits, race.told())
    }

    #[tokio::test(start_paused = true)]
    async fn a_race_is_run_for_five_minutes_of_the_clock_with_waits_that_grow_to_a_minute() {
        // A sleep ends up to a millisecond of the machine late.
        let (longest, late) = (Duration::from_mins(1), Duration::from_secs(1));
        for clock in [Clock::real(), Clock::scaled(60.0).unwrap()] {
            let began = clock.now();
            let (waits, told) = lost_for_good(&clock).await;
            let took = clock.now().since(began);
            let limit = Limits::default().settle;
            assert!(took <= limit + late && took + longest > limit, "{took:?}");
            for (number, wait) in waits.iter().enumerate() {
                let most = Duration::from_secs(1 << number.min(6)).min(longest);
                assert!(*wait <= most && *wait * 2 >= most, "{waits:?}");
            }
            let tries = waits.len() + 1;
            let start = format!("It was tried {tries} times in {} s; ", took.as_secs());
            assert!(told.starts_with(&start), "{told}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_races_that_begin_at_once_do_not_wait_in_step() {
        let clock = Clock::real();
        let (one, other) = tokio::join!(lost_for_good(&clock), lost_for_good(&clock));
        assert_ne!(one.0, other.0);
    }

    #[test]
    fn the_clouds_own_wait_is_kept_and_ends_the_race_if_it_is_past_the_limit() {
        let mut race = Race::begin(&Clock::real());
        let asked = Duration::from_mins(2);
        assert_eq!(race.lost(Some(asked)), Some(asked));
        assert_eq!(race.lost(Some(Duration::from_mins(6))), None);
    }
}
