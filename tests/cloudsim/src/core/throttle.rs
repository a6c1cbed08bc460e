//! Token buckets in simulated time, one per key of the caller's choosing.

use std::collections::BTreeMap;

use super::clock::Millis;

/// How big a bucket is and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Requests in a full bucket.
    pub(crate) size: f64,
    /// Requests that come back per second.
    pub(crate) per_second: f64,
}

/// All buckets.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    buckets: BTreeMap<String, (f64, Millis)>,
}

impl Throttle {
    /// Takes one request from the bucket `key`: what is left, or the seconds to wait.
    pub(crate) fn take(&mut self, key: &str, budget: Budget, now: Millis) -> Result<u32, u32> {
        let (left, at) = self.buckets.entry(key.into()).or_insert((budget.size, now));
        let passed = f64::from(u32::try_from((now - *at).max(0)).unwrap_or(u32::MAX)) / 1000.0;
        *left = (*left + passed * budget.per_second).min(budget.size);
        *at = now;
        if *left >= 1.0 {
            *left -= 1.0;
            Ok(whole(*left))
        } else {
            Err(whole(((1.0 - *left) / budget.per_second).ceil()).max(1))
        }
    }

    /// Fills every bucket.
    pub(crate) fn clear(&mut self) {
        self.buckets.clear();
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small and positive"
)]
fn whole(number: f64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bucket_names_the_wait_and_fills_with_time() {
        let budget = Budget {
            size: 2.0,
            per_second: 0.5,
        };
        let mut throttle = Throttle::default();
        assert_eq!(throttle.take("k", budget, 0), Ok(1));
        assert_eq!(throttle.take("k", budget, 0), Ok(0));
        assert_eq!(throttle.take("k", budget, 0), Err(2));
        assert_eq!(throttle.take("k", budget, 2000), Ok(0));
    }
}
