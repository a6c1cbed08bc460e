//! The signature of a webhook: `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`.
//!
//! The time is signed so that an old delivery cannot be played again later; while a secret is
//! being rotated there is one `v1` for each.

use crate::digest::{hex, keyed};

/// The header that carries it.
pub const HEADER: &str = "paymesh-signature";

/// The value of the header for `body`, signed with each of `secrets`.
pub fn sign(secrets: &[&str], at_seconds: i64, body: &[u8]) -> String {
    let mut signed = format!("{at_seconds}.").into_bytes();
    signed.extend_from_slice(body);
    secrets
        .iter()
        .fold(format!("t={at_seconds}"), |value, secret| {
            value + ",v1=" + &hex(&keyed(secret.as_bytes(), &signed))
        })
}
