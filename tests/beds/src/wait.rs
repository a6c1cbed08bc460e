//! Waiting for a state, with a limit and the last status.

use std::time::{Duration, Instant};

/// A state that did not come in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("waited {waited_ms} ms for {what}; last seen: {last}")]
pub struct Late {
    what: String,
    waited_ms: u128,
    last: String,
}

/// Asks until `look` gives a value; its errors say what was seen instead.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> Result<T, Late> {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(last) if start.elapsed() > limit => {
                return Err(Late {
                    what: what.to_owned(),
                    waited_ms: start.elapsed().as_millis(),
                    last,
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
