//! The synthetic probe: as a merchant does, it charges one unit of a currency through the whole flow
//! from outside, again and again, and tells by metrics whether a merchant could pay.
//!
//! It has the API key of a merchant of its own and asks payment-api over HTTP, and knows nothing else
//! of the services. Invariants:
//! - runs never overlap, and every step of one has a limit;
//! - what moves money is asked for under one idempotency key, however often; that of a refund follows
//!   from its payment, so whoever asks for it, before or after a crash, asks for the same one;
//! - a payment without the probe's own reference is never touched;
//! - no money is left behind: what a run charged and did not refund is refunded when the probe starts,
//!   and after each run until nothing is left ([`rounds`]);
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
