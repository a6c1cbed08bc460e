//! The one clock of the simulated cloud. It drives operations, throttle budgets and drift.
//!
//! Simulated time never goes back, not even over a restart. Token lifetimes are the exception to
//! scaling: a client measures `expires_in` on its own, unscaled clock, so tokens age by
//! [`Clock::client_now`], which moves with the machine and with every explicit step.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

/// Simulated time, in milliseconds since the Unix epoch.
pub(crate) type Millis = i64;

/// A clock that can be scaled, stepped and frozen.
#[derive(Debug)]
pub(crate) struct Clock {
    rate: f64,
    frozen: bool,
    shown: f64,
    stepped: f64,
    anchor: Instant,
    client_start: Millis,
    start: Instant,
}

impl Clock {
    /// A clock that shows `at` (or the machine's time, if that is later) and runs at `rate`.
    pub(crate) fn new(at: Millis, rate: f64) -> Self {
        let machine = Timestamp::now().as_millisecond();
        Self {
            rate,
            frozen: false,
            shown: millis_to_float(at.max(machine)),
            stepped: 0.0,
            anchor: Instant::now(),
            client_start: machine,
            start: Instant::now(),
        }
    }

    fn shown_now(&self) -> f64 {
        if self.frozen {
            self.shown
        } else {
            self.shown + self.anchor.elapsed().as_secs_f64() * 1000.0 * self.rate
        }
    }

    /// Simulated time.
    pub(crate) fn now(&self) -> Millis {
        float_to_millis(self.shown_now())
    }

    /// Time as a client with an unscaled clock sees it, plus every explicit step.
    pub(crate) fn client_now(&self) -> Millis {
        self.client_start
            + float_to_millis(self.start.elapsed().as_secs_f64() * 1000.0 + self.stepped)
    }

    /// Simulated time as RFC 3339 with milliseconds.
    pub(crate) fn text(&self) -> String {
        text_of(self.now())
    }

    /// How many simulated seconds pass in one.
    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    /// Obeys `{"rate":…}`, `{"step_seconds":…}` and `{"freeze":…}`, in that order.
    pub(crate) fn obey(&mut self, wish: &Value) -> Result<(), String> {
        self.shown = self.shown_now();
        self.anchor = Instant::now();
        if let Some(rate) = wish.get("rate") {
            match rate.as_f64() {
                Some(rate) if (0.001..=1_000_000.0).contains(&rate) => self.rate = rate,
                _ => return Err("rate must be a number between 0.001 and 1000000".into()),
            }
        }
        if let Some(step) = wish.get("step_seconds") {
            match step.as_f64() {
                Some(step) if (0.0..=1e9).contains(&step) => {
                    self.shown += step * 1000.0;
                    self.stepped += step * 1000.0;
                }
                _ => {
                    return Err("step_seconds must be a number from 0: time never goes back".into());
                }
            }
        }
        if let Some(freeze) = wish.get("freeze") {
            self.frozen = freeze.as_bool().ok_or("freeze must be true or false")?;
        }
        Ok(())
    }

    /// What `GET /_sim/clock` shows.
    pub(crate) fn show(&self) -> Value {
        json!({ "now": self.text(), "rate": self.rate, "frozen": self.frozen })
    }
}

/// RFC 3339 with milliseconds.
pub(crate) fn text_of(at: Millis) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| format!("{at:.3}"))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 fit into 53 bits"
)]
fn millis_to_float(at: Millis) -> f64 {
    at as f64
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds since 1970 fit into 53 bits"
)]
fn float_to_millis(at: f64) -> Millis {
    at as Millis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_stepped() {
        let mut clock = Clock::new(0, 600.0);
        clock.obey(&json!({ "freeze": true })).unwrap();
        let before = clock.now();
        clock.obey(&json!({ "step_seconds": 90 })).unwrap();
        assert_eq!(clock.now() - before, 90_000);
    }

    #[test]
    fn a_clock_never_goes_back() {
        let mut clock = Clock::new(0, 1.0);
        assert!(clock.obey(&json!({ "step_seconds": -1 })).is_err());
    }
}
