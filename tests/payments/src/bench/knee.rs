//! The knee: the most that is paid a second before latencies or backlogs grow.

use serde::Serialize;

use super::seen::Seen;

/// A step breaks when its p99 is so many times that of the first one, and above `P99_US_MIN`.
const P99_TIMES: u64 = 5;
/// Below this nobody minds.
const P99_US_MIN: u64 = 100_000;
/// The knee is known when the next higher step that broke is no further away than a part of it.
const PART: u32 = 8;
/// More steps than doubling and halving can take.
const STEPS_MAX: usize = 20;

/// One try.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// How many a second.
    pub per_second: u32,
    /// Why that was too much; `None` if it was not.
    pub broke: Option<String>,
    /// What was seen.
    pub seen: Seen,
}

impl Step {
    /// Judges what was seen beside the steps before it.
    pub(super) fn judge(per_second: u32, seen: Seen, before: &[Self]) -> Self {
        let limit = limit_us(before.first().map_or(&seen, |step| &step.seen));
        let slow = (p99_us(&seen) > limit).then(|| format!("p99 is {} ms", p99_us(&seen) / 1_000));
        let broke = seen.faults(per_second).into_iter().next().or(slow);
        Self {
            per_second,
            broke,
            seen,
        }
    }
}

fn p99_us(seen: &Seen) -> u64 {
    seen.latency.map_or(0, |latency| latency.p99_us)
}

/// What one payment in a hundred may take before it is too much, beside a load that was not.
pub(super) fn limit_us(calm: &Seen) -> u64 {
    (p99_us(calm) * P99_TIMES).max(P99_US_MIN)
}

/// The most that held; 0 if nothing did.
pub(super) fn knee(steps: &[Step]) -> u32 {
    let broke = lowest_that_broke(steps).unwrap_or(u32::MAX);
    let held = steps.iter().filter(|step| step.broke.is_none());
    let held = held.map(|step| step.per_second);
    held.filter(|held| *held < broke).max().unwrap_or(0)
}

fn lowest_that_broke(steps: &[Step]) -> Option<u32> {
    let broke = steps.iter().filter(|step| step.broke.is_some());
    broke.map(|step| step.per_second).min()
}

/// What to try next: twice as much until it is too much, then the middle. `None` when the knee is
/// known.
pub(super) fn next(steps: &[Step], first: u32) -> Option<u32> {
    if steps.len() >= STEPS_MAX {
        return None;
    }
    let held = knee(steps);
    match lowest_that_broke(steps) {
        None if steps.is_empty() => Some(first),
        None => held.checked_mul(2),
        Some(broke) => {
            let gap = broke - held;
            (held > 0 && gap > 1 && gap > held / PART).then(|| held + gap / 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::seen::Latency;

    fn seen(p99_us: u64) -> Seen {
        let latency = Latency {
            p50_us: 1,
            p99_us,
            p999_us: p99_us,
            max_us: p99_us,
        };
        Seen {
            sent: 1_000,
            ended: 1_000,
            latency: Some(latency),
            ..Seen::default()
        }
    }

    /// What is tried, and what is found, when up to `can` are paid without a fault.
    fn check(can: u32, tried: &[u32], found: u32) {
        let mut steps: Vec<Step> = Vec::new();
        while let Some(per_second) = next(&steps, 50) {
            let p99_us = if per_second > can { 400_000 } else { 20_000 };
            steps.push(Step::judge(per_second, seen(p99_us), &steps));
        }
        let all: Vec<u32> = steps.iter().map(|step| step.per_second).collect();
        assert_eq!((all.as_slice(), knee(&steps)), (tried, found), "{can}");
    }

    #[test]
    fn the_load_is_doubled_and_then_halved_between_what_held_and_what_broke() {
        check(
            1_050,
            &[50, 100, 200, 400, 800, 1_600, 1_200, 1_000, 1_100],
            1_000,
        );
        check(60, &[50, 100, 75, 62, 56], 56);
    }

    #[test]
    fn when_the_first_step_breaks_there_is_no_knee() {
        let mut first = Step::judge(50, seen(20_000), &[]);
        first.broke = Some("the backlog grew".to_owned());
        let steps = [first];
        assert_eq!((next(&steps, 50), knee(&steps)), (None, 0));
    }

    #[test]
    fn a_step_breaks_when_its_slowest_take_five_times_as_long_and_somebody_minds() {
        let first = Step::judge(50, seen(30_000), &[]);
        let before = std::slice::from_ref(&first);
        let broke = |p99_us| Step::judge(100, seen(p99_us), before).broke;
        assert_eq!(first.broke, None);
        assert_eq!(broke(150_000), None);
        assert_eq!(broke(151_000).as_deref(), Some("p99 is 151 ms"));
        let quick = Step::judge(50, seen(1_000), &[]);
        let step = Step::judge(100, seen(90_000), std::slice::from_ref(&quick));
        assert_eq!(step.broke, None);
    }
}
