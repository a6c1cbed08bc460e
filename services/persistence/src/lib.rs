//! Everything that touches the database: the ledger, payments, idempotency, the queue.
//!
//! Two programs are made of it, and no other program has a database credential: `db-migrate` owns
//! the schema, `db-controller` works in it. Invariants:
//! - what happens to money is decided by pure code ([`decide`]) on rows that are locked, and
//!   written in the same transaction as the idempotency row, the inbox row and the next message;
//! - a group of commands is one transaction: few round trips, one commit, each hot balance written
//!   once ([`lane`]);
//! - rows are locked in one order everywhere: payments, balances, each by id, then keys;
//! - what was booked is sealed after its commit, and nobody who books waits for that ([`audit`]);
//! - every command may be carried out twice and has its effect once, so a lost answer to COMMIT is
//!   settled by doing the group again.

pub mod audit;
pub mod command;
pub mod config;
pub mod decide;
pub mod defect;
pub mod lane;
pub mod ledger;
pub mod merchant;
pub mod migrate;
pub mod payment;
pub mod queue;
pub mod serve;
pub mod settlement;
pub mod state;
pub mod store;
mod traces;
pub mod world;
