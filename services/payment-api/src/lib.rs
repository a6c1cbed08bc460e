//! The payment API over HTTP: authentication, validation, waiting for the end of a payment.
//!
//! It holds no state that a restart would miss and no business logic: db-controller decides. So
//! any replica answers a replay. Invariants:
//! - an answer under an idempotency key is the one that db-controller keeps, byte for byte;
//! - what looks like a card number is refused before it is kept, sent on or logged anywhere;
//! - no body, header or query is ever logged.

pub mod app;
pub mod config;
pub mod leave;

mod acts;
mod answer;
mod auth;
mod confirm;
mod create;
mod disputes;
mod error;
mod events;
mod headers;
mod input;
mod ledger;
mod limits;
mod meter;
mod paging;
mod payments;
mod traces;
mod waiting;
mod webhooks;

pub use limits::Limits;
pub use waiting::Waiting;
