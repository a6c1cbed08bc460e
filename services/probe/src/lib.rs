//! The synthetic probe: as a merchant does, it charges one unit of a currency through the whole flow
//! from outside, again and again, and tells by metrics whether a merchant could pay.
//!
//! It has the API key of a merchant of its own and asks payment-api over HTTP, and knows nothing else
//! of the services. Invariants:
//! - runs never overlap, and every step of one has a limit;
//! - what moves money is asked for under one idempotency key, however often; that of a refund follows
//!   from its payment, so whoever asks for it, before or after a crash, asks for the same one;
//! - a payment without the probe's own reference is never touched;
//! - no money is left behind: what a run charged and did not refund is refunded after it and each later
//!   one until it is, and what another process left is looked for at the start and every hour
//!   ([`rounds`]);
//! - a charge whose outcome is not known is asked for again under its key until it is, then refunded.
//!   A new start has lost that key: if such a charge becomes visible only after the look at the start,
//!   the look an hour later finds it; what is visible still later is found by another start only;
//! - a payment that another process may still refund in its run is left alone until that run is over;
//! - while more than five of its payments are not refunded or not known, it charges nothing;
//! - whatever comes of its runs, it stays up and ready: it is there to tell.

pub mod config;
pub mod merchant;
pub mod rounds;

mod ledger;
mod meter;
mod run;
mod step;
mod sweep;
mod trouble;
