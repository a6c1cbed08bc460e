//! HTTP to a cloud API: tokens, retry, throttle budgets, shared reads, long-running operations.
//!
//! Knows how clouds behave on the wire, and no object of any cloud. Invariants:
//! - every wait goes through [`paymesh_clock::Clock`];
//! - a bearer token goes to the configured endpoint only, and over plain http on loopback only;
//! - a write whose answer was lost is reported as *may have been received*: the caller asks the
//!   cloud what exists instead of guessing;
//! - no secret is logged or put into an error: tokens never print, signed URLs are cut.

mod body;
mod client;
mod error;
mod operation;
mod pages;
mod reads;
mod redact;
mod request;
mod retry;
mod throttle;
mod token;
mod transport;

pub use client::{Client, ClientBuilder, Patience};
pub use error::{Error, ErrorDetail, ErrorKind};
pub use operation::{Operation, Progress, Shape};
pub use redact::{is_plainly_a_path, redacted};
pub use request::{Reply, Request, VerbClass};
pub use retry::backoff;
pub use throttle::Rate;
pub use token::{FixedToken, Token, TokenError, TokenSource};
pub use transport::{is_loopback, transport};
