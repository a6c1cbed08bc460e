//! Drives attempts through an acquirer and tells merchants by webhook.
//!
//! It has no state and no database: it reads messages, over gRPC or Kafka ([`bus`]), does what they ask and says what came of
//! it. Invariants:
//! - every call to the acquirer carries the attempt's id, which the acquirer charges once;
//! - an answer that did not come is `unknown`, never a failure: it is asked for, and the attempt is
//!   sent again under the same id when the acquirer has never heard of it;
//! - a webhook goes to a public address, or the operator said otherwise;
//! - a message is worked on until db-controller took its completion or gave it to somebody else.

pub mod acquirer;
pub mod attempts;
pub mod bus;
pub mod config;
pub mod consumer;
pub mod notices;
pub mod recovery;
pub mod webhooks;

mod public;
mod traces;
