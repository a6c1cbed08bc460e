//! A PostgreSQL server as its administrator: connections that hold the lock while they write.
//!
//! Of two operators that both believe to lead, one waits: each connection that writes holds the
//! advisory lock of its object, and what it sends after it lost the lock fails with it. Two objects
//! need no lock between them: whose a role or a database is, is decided by who makes it.

use std::time::Duration;

use paymesh_operations::Secret;
use tokio_postgres::{Client, Config, NoTls, Row, config::SslMode, error::SqlState, types::ToSql};

use crate::{failure::Failure, tls::Tls, writes};

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A server that does not answer is given up; its locks end with the connection.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// In milliseconds: what waits longer for another operator tries again later.
const SETTINGS: &str = "-c statement_timeout=60000 -c lock_timeout=5000 -c search_path=pg_catalog";
/// A server, and who its administrator is.
pub(crate) struct Server {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Option<Tls>,
    pub(crate) username: String,
    pub(crate) password: Secret,
    /// What is locked: one number for each object.
    pub(crate) lock: i64,
}

impl Server {
    async fn connect(
        &self,
        database: &str,
        username: &str,
        password: &Secret,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config
            .host(&self.host)
            .port(self.port)
            .user(username)
            .password(password.expose())
            .dbname(database)
            .application_name("paymesh-db-operator")
            .options(SETTINGS)
            .connect_timeout(CONNECT_MAX)
            .tcp_user_timeout(SILENCE_MAX)
            .keepalives_idle(SILENCE_MAX);
        // The connection's own task ends with its client.
        if let Some(tls) = self.tls.clone() {
            config.ssl_mode(SslMode::Require);
            let (client, connection) = config.connect(tls).await?;
            tokio::spawn(connection);
            Ok(client)
        } else {
            config.ssl_mode(SslMode::Disable);
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            Ok(client)
        }
    }

    /// A connection of the administrator that holds the lock of a database.
    pub(crate) async fn session(&self, database: &str) -> Result<Session, Failure> {
        let what = format!(
            "PostgreSQL at {}:{}, database {database}, does not take the administrator's connection",
            self.host, self.port
        );
        let client = self
            .connect(database, &self.username, &self.password)
            .await
            .map_err(Failure::postgres(what))?;
        client
            .query_one("select pg_advisory_lock($1)", &[&self.lock])
            .await
            .map_err(Failure::postgres("the lock of the object was not given"))?;
        Ok(Session(client))
    }

    /// Whether a login with this password is let in.
    pub(crate) async fn accepts(
        &self,
        database: &str,
        login: &str,
        password: &Secret,
    ) -> Result<bool, Failure> {
        match self.connect(database, login, password).await {
            Ok(_) => Ok(true),
            Err(reason) if is_refused(&reason) => Ok(false),
            Err(reason) => Err(Failure::postgres(format!("{login} cannot log in"))(reason)),
        }
    }
}

fn is_refused(reason: &tokio_postgres::Error) -> bool {
    let refusals = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
    ];
    reason.code().is_some_and(|code| refusals.contains(code))
}

/// A connection that holds the lock.
pub(crate) struct Session(Client);

impl Session {
    /// Asks; changes nothing.
    pub(crate) async fn read(
        &self,
        what: &str,
        query: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let rows = self.0.query(query, values).await;
        rows.map_err(Failure::postgres(format!("{what} could not be read")))
    }

    /// Writes: statements sent together take effect together, or none does.
    pub(crate) async fn write(&self, what: &str, statements: &str) -> Result<(), Failure> {
        writes::note(what);
        let result = self.0.batch_execute(statements).await;
        result.map_err(Failure::postgres(format!("failed: {what}")))
    }
}

/// A name as SQL takes it.
pub(crate) fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// A text as SQL takes it.
pub(crate) fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_and_texts_cannot_end_their_quotes() {
        assert_eq!(super::name("a\"; drop"), "\"a\"\"; drop\"");
        assert_eq!(super::text("it's"), "'it''s'");
    }
}
