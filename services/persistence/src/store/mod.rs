//! SQL, and only here: connections, what a group loads, what it writes, what readers read.

mod connection;
mod epoch;
mod load;
mod page;
mod parked;
mod read;
mod session;
mod write;

pub use connection::{Connection, Failure};
pub use page::Side;
pub use parked::Parked;
pub(crate) use read::Holder;
pub(crate) use read::random_hex;
pub use read::{OpenRecovery, Reader};
pub use session::{Done, Session};

/// Milliseconds since 1970 of a `timestamptz` expression, exactly.
macro_rules! ms {
    ($column:literal) => {
        concat!("(extract(epoch from ", $column, ") * 1000)::int8")
    };
}

pub(crate) use ms;

/// An error with everything beneath it, for a log.
pub(crate) fn chain(error: &dyn std::error::Error) -> impl std::fmt::Display {
    connection::Chain(error)
}
