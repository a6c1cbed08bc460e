//! A PostgreSQL server, and connections to it that wait for nothing without a limit.
//!
//! A silent peer costs a run, and no more: connecting and each statement have a limit here, a little
//! above the server's own. What passed it is not used again. The server gives up what is silent as
//! well, so the locks of an operator that stands still end within seconds.

use std::{sync::Arc, time::Duration};

use paymesh_operations::Secret;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_postgres::{
    Client, Config, Connection, NoTls, Row, config::SslMode, error::SqlState, types::ToSql,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{failure::Failure, guard::Guarded, home::HOME, tls::Tls, writes};

/// To connect, to encrypt and to log in.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How much longer than the server a statement is waited for here.
const STATEMENT_SLACK: Duration = Duration::from_secs(5);
/// How long the server lets a statement wait for a lock.
const LOCK_MAX: Duration = Duration::from_secs(5);
/// How often a session says that its operator is there, and how long the server waits for that.
const BEAT: Duration = Duration::from_secs(4);
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// A server, and who its administrator is.
pub struct Server {
    /// Its name, or its address.
    pub host: String,
    /// Its port.
    pub port: u16,
    pub(crate) tls: Option<Tls>,
    /// The authority of its certificate, for those who connect; `None` without TLS.
    pub authority: Option<String>,
    /// Its administrator.
    pub username: String,
    /// The administrator's password.
    pub password: Secret,
    /// The database that the administrator connects to before there is the operator's own.
    pub database: String,
    /// How long the server may work on a statement.
    pub(crate) statement_max: Duration,
}

impl Server {
    /// What the server is told for a session: its limits, in milliseconds where no unit is said, and
    /// what the owner of a database could have set otherwise for all who connect to it.
    fn settings(&self) -> String {
        let (statement, silence) = (self.statement_max.as_millis(), SILENCE_MAX.as_millis());
        let lock = LOCK_MAX.min(self.statement_max / 2).as_millis();
        [
            format!("statement_timeout={statement}"),
            format!("lock_timeout={lock}"),
            format!("idle_session_timeout={silence}"),
            format!("idle_in_transaction_session_timeout={silence}"),
            // Of a statement whose operator is gone.
            "client_connection_check_interval=2000".to_owned(),
            format!("tcp_user_timeout={silence}"),
            "tcp_keepalives_idle=5".to_owned(),
            "tcp_keepalives_interval=2".to_owned(),
            "tcp_keepalives_count=3".to_owned(),
            "search_path=pg_catalog".to_owned(),
            "role=none".to_owned(),
            "local_preload_libraries=".to_owned(),
            "default_transaction_read_only=off".to_owned(),
            "standard_conforming_strings=on".to_owned(),
        ]
        .map(|setting| format!("-c {setting}"))
        .join(" ")
    }

    async fn connect(
        &self,
        database: &str,
        username: &str,
        password: &Secret,
        what: String,
    ) -> Result<Link, Failure> {
        let mut config = Config::new();
        config
            .user(username)
            .password(password.expose())
            .dbname(database)
            .application_name("paymesh-db-operator")
            .options(self.settings());
        let network = |reason| Failure::Network {
            what: what.clone(),
            reason,
        };
        let link = async {
            let to = (self.host.as_str(), self.port);
            let socket = TcpStream::connect(to).await.map_err(network)?;
            socket.set_nodelay(true).map_err(network)?;
            let limit = self.statement_max + STATEMENT_SLACK;
            let linked = if let Some(tls) = &self.tls {
                let config = config.ssl_mode(SslMode::Require);
                let connected = config.connect_raw(socket, tls.to(&self.host)).await;
                connected.map(|connected| Link::new(connected, limit))
            } else {
                let config = config.ssl_mode(SslMode::Disable);
                let connected = config.connect_raw(Guarded::new(socket), NoTls).await;
                connected.map(|connected| Link::new(connected, limit))
            };
            linked.map_err(Failure::postgres(what.clone()))
        };
        let linked = timeout(CONNECT_MAX, link).await;
        linked.unwrap_or_else(|_| Err(Failure::silent(what, CONNECT_MAX)))
    }

    /// A connection of the administrator.
    pub(crate) async fn administrator(&self, database: &str) -> Result<Session, Failure> {
        let what = format!(
            "PostgreSQL at {}:{}, database {database}, does not take the administrator's connection",
            self.host, self.port
        );
        let link = self.connect(database, &self.username, &self.password, what);
        Ok(Session {
            link: Arc::new(link.await?),
            lock: None,
        })
    }

    /// A connection of the administrator that writes only while another one holds its lock.
    pub(crate) async fn beside(
        &self,
        session: &Session,
        database: &str,
    ) -> Result<Session, Failure> {
        let beside = self.administrator(database).await?;
        Ok(Session {
            lock: Some(session.link.clone()),
            ..beside
        })
    }

    /// Whether a login with this password is let in, or would be, had not the owner of the database
    /// shut it. PostgreSQL asks for the password before it looks at the database, so it is asked for
    /// in the operator's own then, which no login may enter.
    pub(crate) async fn accepts(
        &self,
        database: &str,
        login: &str,
        password: &Secret,
    ) -> Result<bool, Failure> {
        let what = || format!("{login} cannot log in");
        let failure = match self.connect(database, login, password, what()).await {
            Ok(_) => return Ok(true),
            Err(failure) if failure.has_code(&REFUSALS) => return Ok(false),
            Err(failure @ Failure::Postgres { .. }) => failure,
            Err(failure) => return Err(failure),
        };
        match self.connect(HOME, login, password, what()).await {
            Err(home) if home.has_code(&[SqlState::INSUFFICIENT_PRIVILEGE]) => Ok(true),
            _ => Err(failure),
        }
    }
}

const REFUSALS: [SqlState; 2] = [
    SqlState::INVALID_PASSWORD,
    SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
];

/// Says again and again that the operator is there; ends when nobody hears it.
async fn beat(client: &Client) {
    loop {
        sleep(BEAT).await;
        if client.check_connection().await.is_err() {
            return;
        }
    }
}

/// A connection, which ends when this is dropped, whatever is under way.
struct Link {
    client: Arc<Client>,
    task: AbortOnDropHandle<()>,
    limit: Duration,
}

impl Link {
    fn new<S, T>((client, connection): (Client, Connection<S, T>), limit: Duration) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let client = Arc::new(client);
        let beating = client.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                _ = connection => {}
                () = beat(&beating) => {}
            }
        });
        let task = AbortOnDropHandle::new(task);
        Self {
            client,
            task,
            limit,
        }
    }

    async fn in_time<T>(
        &self,
        what: String,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, Failure> {
        if let Ok(answer) = timeout(self.limit, answer).await {
            return answer.map_err(Failure::postgres(what));
        }
        // Nobody waits for it again.
        self.task.abort();
        Err(Failure::silent(what, self.limit))
    }
}

/// A connection of the administrator.
pub(crate) struct Session {
    link: Arc<Link>,
    /// The connection that holds the lock, if it is not this one.
    lock: Option<Arc<Link>>,
}

impl Session {
    /// Asks; changes nothing.
    pub(crate) async fn read(
        &self,
        what: &str,
        query: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let rows = self.link.client.query(query, values);
        let what = format!("{what} could not be read");
        self.link.in_time(what, rows).await
    }

    /// Writes: statements sent together take effect together, or none does.
    pub(crate) async fn write(&self, what: &str, statements: &str) -> Result<(), Failure> {
        if let Some(lock) = &self.lock {
            let is_held = lock.client.check_connection();
            let lost = format!("the lock was lost before: {what}");
            lock.in_time(lost, is_held).await?;
        }
        writes::note(what);
        let done = self.link.client.batch_execute(statements);
        self.link.in_time(format!("failed: {what}"), done).await
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
