//! How long the acquirer takes where it takes its time: most answers come soon, and some much later.

use std::{f64::consts::TAU, time::Duration};

/// Half of all answers come sooner.
const P50_SECONDS: f64 = 0.120;
/// One answer in a hundred comes later.
const P99_SECONDS: f64 = 0.380;
/// What one value in a hundred of the standard normal distribution exceeds.
const NORMAL_P99: f64 = 2.326_347_874;

/// A delay by the lognormal distribution with these two.
pub(super) fn draw() -> Duration {
    // A normal value by Box and Muller; from above 0 to 1, so that the logarithm is a number.
    let chance = 1.0 - rand::random::<f64>();
    let normal = (-2.0 * chance.ln()).sqrt() * (TAU * rand::random::<f64>()).cos();
    let spread = (P99_SECONDS / P50_SECONDS).ln() / NORMAL_P99;
    Duration::from_secs_f64(P50_SECONDS * (spread * normal).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_all_delays_are_below_120_ms_and_one_in_a_hundred_is_above_380() {
        let mut all: Vec<Duration> = (0..100_000).map(|_| draw()).collect();
        all.sort_unstable();
        let check = |index: usize, from_ms, to_ms| {
            let found = all[index];
            let expected = Duration::from_millis(from_ms)..Duration::from_millis(to_ms);
            assert!(expected.contains(&found), "{found:?}");
        };
        // Twelve standard deviations to either side.
        check(50_000, 117, 123);
        check(99_000, 353, 407);
    }
}
