//! What replicas tell each other: which attempts are settled.

use futures::{StreamExt as _, stream::poll_fn};
use paymesh_contracts::AttemptId;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, Notification, Statement};
use uuid::Uuid;

use super::{
    Database, Failure,
    connection::{Chain, dial},
};

/// Nobody waits for a standby or a disk until something was told that is committed already.
const LISTEN: &str = "set application_name = 'paymesh-news'; set synchronous_commit = off;
    listen paymesh_settled";
const TELL: &str = "select pg_notify('paymesh_settled', $1)";
/// To tell nobody would be a transaction too. To find out is dear: what every connection of the server
/// does is read for it.
const TELL_IF_HEARD: &str = "select pg_notify('paymesh_settled', $1) where exists (
    select from pg_stat_activity where application_name = 'paymesh-news'
        and datname = current_database() and pid <> pg_backend_pid())";
/// PostgreSQL takes less than 8,000 bytes at once, and an id is 32.
const IDS_MAX: usize = 240;

/// A connection over which replicas tell each other.
pub(crate) struct News {
    client: Client,
    tell: Statement,
    tell_if_heard: Statement,
    /// By which what it told itself is known.
    process_id: i32,
    told: UnboundedReceiver<Notification>,
}

impl News {
    /// Listens from now on.
    pub(crate) async fn open(database: &Database) -> Result<Self, Failure> {
        let (client, mut wire) = dial(database).await?;
        let (out, told) = unbounded_channel();
        tokio::spawn(async move {
            let mut messages = poll_fn(move |context| wire.poll_message(context));
            while let Some(message) = messages.next().await {
                match message {
                    Ok(AsyncMessage::Notification(notification)) => {
                        if out.send(notification).is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(reason = %Chain(&error), "a connection to the database ended");
                        return;
                    }
                }
            }
        });
        client.batch_execute(LISTEN).await?;
        let row = client.query_one("select pg_backend_pid()", &[]).await?;
        Ok(Self {
            process_id: row.get(0),
            tell: client.prepare(TELL).await?,
            tell_if_heard: client.prepare(TELL_IF_HEARD).await?,
            client,
            told,
        })
    }

    /// Tells the others that these are settled.
    pub(crate) async fn tell(&self, attempts: &[AttemptId]) -> Result<(), Failure> {
        for some in attempts.chunks(IDS_MAX) {
            self.client.execute(&self.tell, &[&text(some)]).await?;
        }
        Ok(())
    }

    /// Tells others, if any listen, that these are settled; says whether any do.
    pub(crate) async fn tell_if_heard(&self, attempts: &[AttemptId]) -> Result<bool, Failure> {
        let (first, rest) = attempts.split_at(attempts.len().min(IDS_MAX));
        let told = self
            .client
            .query(&self.tell_if_heard, &[&text(first)])
            .await?;
        if told.is_empty() {
            return Ok(false);
        }
        self.tell(rest).await?;
        Ok(true)
    }

    /// What another replica told; nothing once the connection is gone.
    pub(crate) async fn next(&mut self) -> Option<Vec<AttemptId>> {
        loop {
            let told = self.told.recv().await?;
            if told.process_id() != self.process_id {
                return Some(read(told.payload()));
            }
        }
    }
}

/// What a notification of these says.
fn text(attempts: &[AttemptId]) -> String {
    let ids = attempts.iter().map(|id| id.0.simple().to_string());
    ids.collect()
}

/// The ids of a notification. Who may connect may tell anything, and nothing is believed of it but
/// that it is worth a look.
fn read(payload: &str) -> Vec<AttemptId> {
    let ids = payload.as_bytes().chunks(32);
    ids.filter_map(|id| Uuid::try_parse_ascii(id).ok().map(AttemptId))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_is_passed_over() {
        let (one, two) = (AttemptId(Uuid::from_u128(7)), AttemptId(Uuid::from_u128(8)));
        assert_eq!(read(&text(&[one, two])), [one, two]);
        assert_eq!(read(&("x".repeat(32) + &text(&[two]))), [two]);
        assert_eq!(read("seven"), []);
    }
}
