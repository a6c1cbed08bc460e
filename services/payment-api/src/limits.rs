//! How much this replica takes of one merchant.
//!
//! A merchant who asks for more is told to wait, so that nobody has to wait for them. Each replica
//! counts for itself: behind N replicas a merchant may ask N times as much.

use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use paymesh_contracts::{Code, TenantId};

use crate::error::Problem;

/// A bucket for each merchant with a key in use: it holds what may be asked in one second.
pub struct Limits(DefaultKeyedRateLimiter<TenantId>);

impl Limits {
    /// So many requests a second for each merchant.
    pub fn new(requests_per_second: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_second(requests_per_second)))
    }

    /// Takes one request out of a merchant's bucket.
    pub(crate) fn take(&self, merchant: TenantId) -> Result<(), Problem> {
        self.0
            .check_key(&merchant)
            .map_err(|_| Code::RateLimited.into())
    }
}
