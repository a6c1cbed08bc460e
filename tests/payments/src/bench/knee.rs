//! The knee: the most that is paid a second before latencies or backlogs grow.
//!
//! What else a machine does disturbs a step now and then, so one that is too much is tried once more,
//! and only what was too much twice ends the search.

use serde::Serialize;

use super::seen::Seen;

/// A step breaks when its p99 is so many times that of the first one, and above `P99_US_MIN`.
const P99_TIMES: u64 = 5;
/// Below this nobody minds: an eighth of what a caller waits for an answer who says nothing of it.
const P99_US_MIN: u64 = 250_000;
/// How often a load has to be too much.
const TRIES: usize = 2;
/// More steps than doubling and halving can take.
const STEPS_MAX: usize = 40;

/// How a knee is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// It is this one, and nothing is looked for.
    pub(super) known: Option<u32>,
    /// It is found when the next higher step that broke is no further away than a part of it.
    pub(super) part: u32,
}

impl Search {
    /// Within an eighth.
    pub(super) const USUAL: Self = Self {
        known: None,
        part: 8,
    };
    /// Within a twentieth: two knees are compared.
    pub(super) const CLOSE: Self = Self {
        known: None,
        part: 20,
    };
}

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
    /// Judges what was seen beside the first step before it that was not too much.
    pub(super) fn judge(per_second: u32, seen: Seen, before: &[Self]) -> Self {
        let calm = before.iter().find(|step| step.broke.is_none());
        let limit = limit_us(calm.map_or(&seen, |step| &step.seen));
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

/// How often so many a second were too much; never, if they held once.
fn times_broken(steps: &[Step], per_second: u32) -> usize {
    let of_it = steps.iter().filter(|step| step.per_second == per_second);
    let of_it: Vec<&Step> = of_it.collect();
    let has_held = of_it.iter().any(|step| step.broke.is_none());
    if has_held { 0 } else { of_it.len() }
}

fn lowest_that_broke(steps: &[Step]) -> Option<u32> {
    let tried = steps.iter().map(|step| step.per_second);
    let broke = tried.filter(|per_second| times_broken(steps, *per_second) >= TRIES);
    broke.min()
}

/// What to try next: twice as much until it is too much, then the middle between that and the most that
/// held, each once more if it was too much. `None` when the knee is known to a part of it.
pub(super) fn next(steps: &[Step], first: u32, part: u32) -> Option<u32> {
    if steps.len() >= STEPS_MAX {
        return None;
    }
    let last = steps.last().map(|step| step.per_second);
    let again = last.filter(|last| (1..TRIES).contains(&times_broken(steps, *last)));
    if again.is_some() {
        return again;
    }
    let held = knee(steps);
    match lowest_that_broke(steps) {
        None if steps.is_empty() => Some(first),
        None => held.checked_mul(2),
        Some(broke) => {
            let gap = broke - held;
            (held > 0 && gap > 1 && gap > held / part).then(|| held + gap / 2)
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

    /// What is tried to find the knee within a part of it, and what is found, when up to `can` are paid
    /// without a fault, but for steps whose places are in `disturbed`.
    fn check(can: u32, part: u32, disturbed: &[usize], tried: &[u32], found: u32) {
        let mut steps: Vec<Step> = Vec::new();
        while let Some(per_second) = next(&steps, 50, part) {
            let is_too_much = per_second > can || disturbed.contains(&steps.len());
            let p99_us = if is_too_much { 400_000 } else { 20_000 };
            steps.push(Step::judge(per_second, seen(p99_us), &steps));
        }
        let all: Vec<u32> = steps.iter().map(|step| step.per_second).collect();
        assert_eq!((all.as_slice(), knee(&steps)), (tried, found), "{can}");
    }

    #[test]
    fn the_load_is_doubled_and_then_halved_between_what_held_and_what_broke() {
        let tried = [
            50, 100, 200, 400, 800, 1_600, 1_600, 1_200, 1_200, 1_000, 1_100, 1_100,
        ];
        check(1_050, 8, &[], &tried, 1_000);
        check(60, 8, &[], &[50, 100, 100, 75, 75, 62, 62, 56], 56);
    }

    #[test]
    fn two_knees_that_are_compared_are_found_more_closely() {
        let tried = [
            50, 100, 200, 400, 800, 800, 600, 600, 500, 500, 450, 450, 425, 425, 412,
        ];
        check(420, 20, &[], &tried, 412);
    }

    #[test]
    fn one_disturbed_step_ends_no_search_and_lowers_no_knee() {
        let tried = [
            50, 100, 200, 200, 400, 800, 1_600, 1_600, 1_200, 1_200, 1_000, 1_000, 1_100, 1_100,
        ];
        check(1_050, 8, &[2, 10], &tried, 1_000);
    }

    #[test]
    fn what_broke_once_is_no_knee_when_the_time_is_over() {
        let step = |per_second, p99_us| Step::judge(per_second, seen(p99_us), &[]);
        let mut steps = vec![step(50, 20_000), step(100, 20_000)];
        steps.push(Step::judge(200, seen(400_000), &steps));
        assert_eq!((next(&steps, 50, 8), knee(&steps)), (Some(200), 100));
    }

    #[test]
    fn when_the_first_step_breaks_twice_there_is_no_knee() {
        let mut first = Step::judge(50, seen(20_000), &[]);
        first.broke = Some("the backlog grew".to_owned());
        let once = [first.clone()];
        assert_eq!(next(&once, 50, 8), Some(50));
        let twice = [first.clone(), first];
        assert_eq!((next(&twice, 50, 8), knee(&twice)), (None, 0));
    }

    #[test]
    fn a_step_breaks_when_its_slowest_take_five_times_as_long_and_somebody_minds() {
        let first = Step::judge(50, seen(60_000), &[]);
        let before = std::slice::from_ref(&first);
        let broke = |p99_us| Step::judge(100, seen(p99_us), before).broke;
        assert_eq!(first.broke, None);
        assert_eq!(broke(300_000), None);
        assert_eq!(broke(301_000).as_deref(), Some("p99 is 301 ms"));
        let mut disturbed = Step::judge(50, seen(90_000), &[]);
        disturbed.broke = Some("the backlog grew".to_owned());
        let step = Step::judge(100, seen(301_000), &[disturbed, first.clone()]);
        assert!(step.broke.is_some(), "it is judged by a step that held");
        let quick = Step::judge(50, seen(1_000), &[]);
        let step = Step::judge(100, seen(240_000), std::slice::from_ref(&quick));
        assert_eq!(step.broke, None);
    }
}
