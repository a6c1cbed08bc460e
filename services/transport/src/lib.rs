//! How the payment services reach each other, and how merchants reach them.
//!
//! gRPC between services is mutual TLS 1.3: [`Grpc`] serves it, [`Controller`] calls it. [`Https`]
//! is the merchants' side, [`Trust`] whom to believe of servers that are not ours. Invariants:
//! - whoever calls is known by the identity in their certificate, and each call is checked against
//!   the table of callers before any service sees it: there is no other way to serve;
//! - certificates are files that are read again when they change, and what cannot be used is not
//!   taken in place of what can;
//! - a call that its peer never took up is made anew, and no other;
//! - without TLS there is loopback only, and only when that was asked for;
//! - a trace that is seen goes on behind a call, and what is said of one lets nobody do anything;
//! - why a connection or a call was refused is logged here, and no key or certificate ever is.

mod accept;
mod connection;
mod files;
#[cfg(test)]
mod fixture;
mod grpc;
mod guard;
mod https;
mod identity;
mod line;
mod mutual;
mod pem;
mod reason;
mod texts;
mod traces;
mod trust;
mod verify;

pub use accept::bind;
pub use files::{Files, Renewed, shown};
pub use grpc::{Controller, Grpc};
pub use https::Https;
pub use identity::Identity;
pub use line::Line;
pub use mutual::Mutual;
pub use texts::Texts;
pub use traces::{Carry, Traced};
pub use trust::{Roots, Trust};
