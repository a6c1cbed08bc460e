//! Looks after `Database` objects: databases on PostgreSQL servers, their owners, least-privilege
//! roles, extensions, and credentials in Secrets that are rotated without an outage.
//!
//! Invariants: what was not made for an object is never changed, taken or dropped; the Secret is what
//! is true of a password, and is written in one request with its login; a run goes by what the API
//! server and PostgreSQL say now, and writes only what differs, so a run that was killed anywhere is
//! finished by the next one; two that lead at once write one after the other; no password is in a
//! statement, a log, an event or a status, and none is told to a server: it is proved by SCRAM; nothing
//! is waited for without a limit.

pub mod administrator;
pub mod context;
mod converge;
pub mod crd;
pub mod credentials;
mod database;
pub mod failure;
mod grants;
pub mod guard;
mod home;
pub mod leader;
pub mod manifests;
pub mod mark;
mod password;
mod problem;
mod reach;
pub mod reconcile;
mod remove;
mod roles;
pub mod run;
pub mod runs;
mod server;
pub mod settings;
mod status;
mod tls;
mod writes;

pub use server::Server;
