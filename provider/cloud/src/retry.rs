//! When to try again, and after how long.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use jiff::{Timestamp, fmt::rfc2822};

/// First and longest wait between tries when the cloud names none.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);

/// The longest wait that an answer can ask for. Whatever is longer outlasts every limit as well,
/// and can be added to any moment.
const ASKED_MAX: Duration = Duration::from_hours(24);

/// How a failed try is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try again; the cloud has not looked at the request (too many requests).
    NotTaken,
    /// Try again; the request may have had its effect.
    Unclear,
    /// The answer stands.
    Final,
}

/// What an error status says about the try. `code` is the cloud's error code.
pub(crate) fn verdict(status: StatusCode, code: Option<&str>) -> Verdict {
    match status.as_u16() {
        429 => Verdict::NotTaken,
        // Google's older APIs throttle with 403.
        403 if matches!(code, Some("rateLimitExceeded" | "userRateLimitExceeded")) => {
            Verdict::NotTaken
        }
        408 | 500 | 502 | 503 | 504 => Verdict::Unclear,
        _ => Verdict::Final,
    }
}

/// The wait before try number `tries` + 1 when the cloud names none: doubling from a second to a
/// minute, with the upper half random so that resources do not knock in step.
pub fn backoff(tries: u32) -> Duration {
    let whole = FIRST
        .saturating_mul(1 << tries.saturating_sub(1).min(10))
        .min(LONGEST);
    whole.mul_f64(rand::random_range(0.5..=1.0))
}

/// The wait that the headers of an answer ask for: seconds, milliseconds or a date. A date is
/// compared with the answer's own `Date`, so a wrong local clock does not matter.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    asked(headers).map(|wait| wait.min(ASKED_MAX))
}

fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    for name in ["x-ms-retry-after-ms", "retry-after-ms"] {
        if let Some(ms) = text(name).and_then(|it| it.parse().ok()) {
            return Some(Duration::from_millis(ms));
        }
    }
    let value = text("retry-after")?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |it: &str| rfc2822::parse(it).ok().map(|zoned| zoned.timestamp());
    let until = date(value)?;
    let now = text("date").and_then(date).unwrap_or_else(Timestamp::now);
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_wait(headers: &[(&'static str, &'static str)], expected: Option<u64>) {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
            .into_iter()
            .collect();
        assert_eq!(
            retry_after(&map),
            expected.map(Duration::from_millis),
            "{headers:?}"
        );
    }

    #[test]
    fn the_clouds_wait_is_read_as_seconds_milliseconds_or_date() {
        check_wait(&[("retry-after", "15")], Some(15_000));
        check_wait(
            &[("retry-after-ms", "250"), ("retry-after", "15")],
            Some(250),
        );
        check_wait(
            &[
                ("date", "Wed, 21 Oct 2026 07:28:00 GMT"),
                ("retry-after", "Wed, 21 Oct 2026 07:28:40 GMT"),
            ],
            Some(40_000),
        );
        check_wait(&[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], Some(0));
        check_wait(&[("retry-after", "soon")], None);
        let day = Some(86_400_000);
        check_wait(&[("retry-after", "18446744073709551615")], day);
        check_wait(&[("retry-after-ms", "18446744073709551615")], day);
        check_wait(&[], None);
    }

    #[test]
    fn waits_grow_to_a_limit() {
        for (tries, least, most) in [(1, 500, 1000), (3, 2000, 4000), (30, 30_000, 60_000)] {
            let wait = backoff(tries).as_millis();
            assert!((least..=most).contains(&wait), "{tries}: {wait}");
        }
    }
}
