//! SQL, and only here: connections, what a group loads, what it writes, what readers read.

mod audit;
mod backlog;
mod connection;
mod database;
mod deliveries;
mod endpoints;
mod epoch;
mod keys;
mod leases;
mod load;
mod messages;
mod news;
mod page;
mod parked;
mod read;
mod recovery;
mod rows;
mod session;
mod settlement;
mod statements;
mod wants;
mod write;

pub(crate) use audit::{Rows, Seals, given_out, ids_without_number, wrong_balances};
pub use backlog::Backlog;
pub use connection::{Connection, Failure};
pub use database::Database;
pub use keys::{KnownKey, KnownMerchant};
pub(crate) use leases::Holder;
pub use messages::Due;
pub(crate) use messages::lease;
pub(crate) use news::News;
pub use page::Side;
pub use parked::Parked;
pub use read::Reader;
pub(crate) use read::random_hex;
pub use recovery::OpenRecovery;
pub(crate) use session::Placed;
pub use session::{Done, Session};
pub use settlement::{ReconcileError, SettlementBreak, reconcile};

/// Milliseconds since 1970 of a `timestamptz` expression, exactly.
macro_rules! ms {
    ($column:literal) => {
        concat!("(extract(epoch from ", $column, ") * 1000)::int8")
    };
}

pub(crate) use ms;

/// An error with everything beneath it, for a log or a person.
pub fn chain(error: &dyn std::error::Error) -> impl std::fmt::Display {
    connection::Chain(error)
}
