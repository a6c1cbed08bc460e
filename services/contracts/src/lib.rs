//! What the payment services say to each other and to the outside.
//!
//! Money and ids, the error catalogue, the bodies of the HTTP API, webhook events and signatures,
//! and the gRPC protocol of db-controller. Invariants:
//! - an amount is an integer of minor units and never travels without its currency;
//! - an id says of what it is, and holds no digits: it can never look like a card number;
//! - what a card number looks like is decided in one place, [`card`];
//! - a method of the protocol names its callers, in [`callers`];
//! - nothing here does IO, and nothing here knows a database, an acquirer or a web framework.

pub mod attempt;
pub mod callers;
pub mod card;
pub mod digest;
pub mod dispute;
pub mod errors;
pub mod event;
pub mod http;
pub mod id;
pub mod money;
pub mod reference;
pub mod scope;
pub mod signature;

/// The gRPC protocol of db-controller, version 1, generated from `proto/`.
#[allow(missing_docs, clippy::pedantic)]
pub mod persistence {
    tonic::include_proto!("paymesh.persistence.v1");
}

pub use errors::{Code, ErrorBody};
pub use id::{
    AttemptId, DisputeId, EndpointId, EventId, KeyId, MessageId, PaymentId, PostingId, TenantId,
};
pub use money::{Currency, Money};
pub use scope::Scope;
