//! One connection to PostgreSQL, and what its errors mean for a transaction.

use std::time::Duration;

use tokio_postgres::{Client, error::SqlState};

use super::{
    database::{Database, NoConnection, Wire},
    epoch,
};

/// How a transaction failed, by what can be done about it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The connection is gone. Whether a COMMIT under way took effect is unknown.
    #[error("the connection to the database is gone")]
    Disconnected(#[source] Option<tokio_postgres::Error>),
    /// Somebody else was faster; nothing was done, and doing it again can succeed.
    #[error("another transaction was in the way")]
    Conflict(#[source] tokio_postgres::Error),
    /// The database refuses. Nothing was done, and doing it again changes nothing.
    #[error("the database refuses")]
    Refused(#[source] tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(state) = error.code() else {
            return if error.is_closed()
                || std::error::Error::source(&error)
                    .is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
            {
                Self::Disconnected(Some(error))
            } else {
                Self::Refused(error)
            };
        };
        let class = &state.code()[..2];
        // What was prepared is of an older schema, or unknown: another connection prepares anew.
        let is_outdated = [
            SqlState::FEATURE_NOT_SUPPORTED,
            SqlState::INVALID_SQL_STATEMENT_NAME,
        ]
        .contains(state);
        // 25006: the server turned into a standby; 57P01..3: it is stopping or starting.
        if matches!(class, "08" | "53" | "57")
            || *state == SqlState::READ_ONLY_SQL_TRANSACTION
            || is_outdated
        {
            Self::Disconnected(Some(error))
        } else if class == "40"
            || *state == SqlState::UNIQUE_VIOLATION
            || *state == SqlState::LOCK_NOT_AVAILABLE
        {
            Self::Conflict(error)
        } else {
            Self::Refused(error)
        }
    }
}

/// Every statement names its rows, so one plan is right for all values, and is kept: by indexes from
/// row to row, since one that was made while tables were empty would read all that came since. What
/// a scan that cannot be avoided is then said to cost would have it compiled first.
const BY_INDEX: &str = "set plan_cache_mode = force_generic_plan; set jit = off;
    set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off";

/// An open connection. It closes when the client is dropped.
pub struct Connection {
    /// Sends statements.
    pub client: Client,
}

impl Connection {
    /// Opens a connection for work in milliseconds.
    ///
    /// No statement has a time limit: a COMMIT that waits for a standby must never be cancelled,
    /// since it would then be visible here and lost there. A dead peer is found by TCP.
    pub async fn open(database: &Database) -> Result<Self, Failure> {
        let (client, connection) = dial(database).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(reason = %Chain(&error), "a connection to the database ended");
            }
        });
        Ok(Self { client })
    }

    /// Opens a connection for short statements that are kept prepared, as [`Connection::enter`] does.
    pub(super) async fn enter_by_index(database: &Database) -> Result<Self, Failure> {
        let connection = Self::enter(database).await?;
        connection.client.batch_execute(BY_INDEX).await?;
        Ok(connection)
    }

    /// Opens a connection and enters the ledger's epoch: what it sees from then on is not lost with
    /// one host. Without a standby this waits, as every commit does.
    pub async fn enter(database: &Database) -> Result<Self, Failure> {
        let mut connection = Self::open(database).await?;
        match epoch::enter(&mut connection.client).await {
            Ok(()) => Ok(connection),
            Err(error) => {
                tracing::warn!(reason = %Chain(&error), "the ledger's epoch cannot be entered");
                Err(Failure::Disconnected(Some(error)))
            }
        }
    }
}

/// Dials the database, for work in milliseconds.
pub(super) async fn dial(database: &Database) -> Result<(Client, Wire), Failure> {
    let opened = database.connect(|config| {
        config
            .connect_timeout(Duration::from_secs(3))
            .keepalives_idle(Duration::from_secs(5))
            .keepalives_interval(Duration::from_secs(2))
            .keepalives_retries(3)
            .tcp_user_timeout(Duration::from_secs(10))
            .options("-c statement_timeout=0 -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s");
    });
    opened.await.map_err(|error| {
        tracing::warn!(reason = %Chain(&error), "no connection to the database");
        match error {
            NoConnection::Postgres(error) => Failure::Disconnected(Some(error)),
            NoConnection::Roots(_) => Failure::Disconnected(None),
        }
    })
}

/// An error with everything beneath it, for a log.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(out, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
