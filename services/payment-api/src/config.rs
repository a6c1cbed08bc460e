//! The settings of payment-api.

use std::{net::SocketAddr, num::NonZeroU32, str::FromStr, time::Duration};

use paymesh_contracts::callers::Service;
use paymesh_operations::{Collector, Settings, SettingsError, drain};
use paymesh_transport::{Controller, Https};

/// What payment-api needs to run.
pub struct Api {
    /// db-controller.
    pub controller: Controller,
    /// How and where HTTP is served.
    pub https: Https,
    /// Where health and metrics are served.
    pub health: SocketAddr,
    /// Where spans go, if anywhere.
    pub collector: Option<Collector>,
    /// How many requests a second this replica takes of one merchant.
    pub requests_per_second: NonZeroU32,
    /// How long it takes callers in after it was asked to end.
    pub drain: Duration,
}

struct Rate(NonZeroU32);

impl Rate {
    /// Far more than one shop asks, and far less than one replica answers.
    const DEFAULT: Self = Self(NonZeroU32::new(100).unwrap());
    /// More is no limit.
    const MAX: u32 = 1_000_000;
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rate = text
            .parse()
            .ok()
            .filter(|rate: &NonZeroU32| rate.get() <= Self::MAX);
        rate.map(Self).ok_or("it is not a number from 1 to 1000000")
    }
}

impl Api {
    /// Reads all of it.
    pub fn read(mut settings: Settings) -> Result<Self, SettingsError> {
        let controller = Controller::read(&mut settings, Service::PaymentApi);
        let https = Https::read(&mut settings, "PAYMESH_LISTEN");
        let Rate(requests_per_second) = settings.optional(
            "PAYMESH_REQUESTS_PER_SECOND",
            "how many requests a second this replica takes of one merchant",
            Rate::DEFAULT,
        );
        let health = settings.required(
            "PAYMESH_HEALTH_LISTEN",
            "where health and metrics are served, as IP:PORT",
        );
        let collector = Collector::read(&mut settings);
        let drain = drain(&mut settings);
        let api = (|| {
            Some(Self {
                controller: controller?,
                https: https?,
                health: health?,
                collector,
                requests_per_second,
                drain,
            })
        })();
        settings.done(api)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_rate(text: &str, expected: Option<u32>) {
        let read = text.parse::<Rate>().ok().map(|rate| rate.0.get());
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn a_rate_is_a_number_that_limits_something() {
        check_rate("1", Some(1));
        check_rate("1000000", Some(1_000_000));
        for wrong in ["0", "-1", "1000001", "fast", ""] {
            check_rate(wrong, None);
        }
    }
}
