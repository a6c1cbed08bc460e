//! The one clock of the simulated cloud. It drives operations, throttle budgets and drift.
//!
//! Simulated time never goes back, not even over a restart, but for a reset, after which nothing is
//! left that could remember it. Token lifetimes are the exception to
//! scaling: a client measures `expires_in` on its own, unscaled clock, so tokens age by
//! [`Clock::client_now`], which moves with the machine and with every explicit step.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

/// Simulated time, in milliseconds since the Unix epoch.
pub(crate) type Millis = i64;

/// The last moment that can be written as a date, 9999-12-30, in milliseconds since 1970.
const LATEST: f64 = 253_402_207_200_000.0;

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

    /// Whether time stands still.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// How many simulated seconds pass in one.
    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    /// Obeys `{"rate":…}`, `{"step_seconds":…}` and `{"freeze":…}` together, or nothing of them.
    pub(crate) fn obey(&mut self, wish: &Value) -> Result<(), String> {
        let rate = match wish.get("rate") {
            Some(rate) => checked_rate(rate.as_f64().unwrap_or(0.0))?,
            None => self.rate,
        };
        let shown = self.shown_now();
        let step = match wish.get("step_seconds").map(Value::as_f64) {
            Some(Some(step)) if step >= 0.0 && shown + step * 1000.0 <= LATEST => step * 1000.0,
            None => 0.0,
            _ => {
                return Err(
                    "step_seconds must be a number from 0, and end before the year 10000: time \
                     never goes back"
                        .into(),
                );
            }
        };
        let frozen = match wish.get("freeze") {
            Some(freeze) => freeze.as_bool().ok_or("freeze must be true or false")?,
            None => self.frozen,
        };
        self.shown = shown + step;
        self.stepped += step;
        self.anchor = Instant::now();
        self.rate = rate;
        self.frozen = frozen;
        Ok(())
    }

    /// What `GET /_sim/clock` shows.
    pub(crate) fn show(&self) -> Value {
        json!({ "now": self.text(), "rate": self.rate, "frozen": self.frozen })
    }
}

/// How many simulated seconds may pass in one.
pub(crate) fn checked_rate(rate: f64) -> Result<f64, String> {
    if (0.001..=1_000_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("the clock's rate must be a number between 0.001 and 1000000".into())
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
    fn a_clock_never_goes_back_nor_beyond_what_can_be_written() {
        let mut clock = Clock::new(0, 1.0);
        for step in [json!(-1), json!("1"), json!(1e12)] {
            assert!(clock.obey(&json!({ "step_seconds": step })).is_err());
        }
        clock.obey(&json!({ "step_seconds": 1e9 })).unwrap();
    }

    #[test]
    fn an_order_is_obeyed_wholly_or_not_at_all() {
        let mut clock = Clock::new(0, 1.0);
        for order in [
            json!({ "rate": 60, "step_seconds": -5 }),
            json!({ "rate": 60, "freeze": "yes" }),
            json!({ "rate": 0, "freeze": true }),
        ] {
            assert!(clock.obey(&order).is_err());
            assert!(clock.rate() < 2.0 && !clock.is_frozen(), "{order}");
        }
    }
}
