//! The payment services as somebody else sees them: started, driven, killed and checked.
//!
//! Nothing here is shared with `services/`, except that the OpenAPI document, the gRPC protocol and
//! the page of its callers are read: what both sides got wrong in the same way would otherwise look
//! right. [`Stack`] starts PostgreSQL, the services and the sandbox acquirer; [`Client`] drives the API
//! and writes down, on disk, what it asked and heard; [`check`] joins that with the acquirer's books
//! and the database. A [`Shop`] is all of that in a folder of its own, for one test.

pub mod bench;
pub mod books;
pub mod caller;
pub mod canary;
pub mod checker;
pub mod client;
pub mod collector;
pub mod document;
pub mod listener;
pub mod receiver;
pub mod shop;
pub mod stack;
pub mod torture;

pub use caller::{Called, Caller};
pub use checker::{Report, check};
pub use client::Client;
pub use collector::Collector;
pub use listener::Listener;
pub use receiver::Receiver;
pub use shop::{Shop, order};
pub use stack::{Audit, Bus, Member, Pauses, Release, Replica, Stack, Wire, Wires, Wishes};
