//! The schema: numbered steps, each applied once.
//!
//! Payments go on meanwhile. A step is one short transaction; what would hold its locks for long is
//! done in parts that can be done again, so a step that was killed half-way is gone through once
//! more and finds what is left. A lock is waited for briefly, again and again, because everybody
//! else queues behind who waits.
//!
//! A step that was applied is never edited: its checksum is kept and compared. A database that is
//! ahead of this program is left alone, so that version N-1 may run beside N.

use std::time::Duration;

use paymesh_contracts::digest;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, Error, error::SqlState};
use uuid::Uuid;

use crate::store::{Connection, Database, Failure, chain};

/// A step of the schema.
struct Step {
    number: i32,
    name: &'static str,
    work: Work,
}

/// How a step is applied.
enum Work {
    /// In one transaction.
    Whole(&'static str),
    /// Each part by itself, and the first again if the last was not reached.
    Parts(&'static [Part]),
}

/// What has no effect when it is done a second time.
enum Part {
    /// Goes through a table in the order of its ids, some rows in each transaction: `$1` is the id
    /// behind which to begin, and the last one that was reached is given back, or none at the end.
    Batches(&'static str),
    /// An index that is made beside those who write.
    Index {
        name: &'static str,
        text: &'static str,
    },
    /// A statement.
    Statement(&'static str),
}

impl Part {
    fn text(&self) -> &'static str {
        match self {
            Self::Batches(text) | Self::Index { text, .. } | Self::Statement(text) => text,
        }
    }
}

impl Work {
    fn checksum(&self) -> [u8; 32] {
        match self {
            Self::Whole(text) => digest::sha256(text.as_bytes()),
            Self::Parts(parts) => {
                let texts: Vec<&str> = parts.iter().map(Part::text).collect();
                digest::sha256(texts.concat().as_bytes())
            }
        }
    }
}

const STEPS: &[Step] = &[
    Step {
        number: 1,
        name: "payments",
        work: Work::Whole(include_str!("../migrations/0001-payments.sql")),
    },
    Step {
        number: 2,
        name: "recovery",
        work: Work::Whole(include_str!("../migrations/0002-recovery.sql")),
    },
    Step {
        number: 3,
        name: "webhooks",
        work: Work::Whole(include_str!("../migrations/0003-webhooks.sql")),
    },
    Step {
        number: 4,
        name: "captures",
        work: Work::Whole(include_str!("../migrations/0004-captures.sql")),
    },
    Step {
        number: 5,
        name: "actions",
        work: Work::Whole(include_str!("../migrations/0005-actions.sql")),
    },
    Step {
        number: 6,
        name: "parked",
        work: Work::Whole(include_str!("../migrations/0006-parked.sql")),
    },
    Step {
        number: 7,
        name: "disputes",
        work: Work::Whole(include_str!("../migrations/0007-disputes.sql")),
    },
    Step {
        number: 8,
        name: "settlement",
        work: Work::Whole(include_str!("../migrations/0008-settlement.sql")),
    },
    Step {
        number: 9,
        name: "audit",
        work: Work::Whole(include_str!("../migrations/0009-audit.sql")),
    },
    Step {
        number: 10,
        name: "audit-of-events",
        work: Work::Parts(&[
            Part::Batches(include_str!(
                "../migrations/0010-audit-of-events/1-numbers.sql"
            )),
            Part::Index {
                name: "event_in_order",
                text: include_str!("../migrations/0010-audit-of-events/2-index.sql"),
            },
            Part::Statement(include_str!(
                "../migrations/0010-audit-of-events/3-all-numbered.sql"
            )),
        ]),
    },
    Step {
        number: 11,
        name: "traces",
        work: Work::Whole(include_str!("../migrations/0011-traces.sql")),
    },
];

/// No other db-migrate works while this advisory lock is held.
const LOCK: i64 = 0x7061_796d;
/// How long everybody may have to queue behind a step that waits for a lock.
const LOCK_MAX: Duration = Duration::from_secs(1);
/// How long after a lock was not had it is tried again: time for those who queued.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a lock is tried for, and another db-migrate waited for.
const PATIENCE: Duration = Duration::from_mins(5);

const NOTE: &str = "insert into migration (number, name, checksum) values ($1, $2, $3)";

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database failed.
    #[error("the database does not do it")]
    Database(#[source] Failure),
    /// Others hold locks for too long.
    #[error(
        "step {number} has not had its locks for {} s; `pg_stat_activity` tells who has been at work \
         for long",
        PATIENCE.as_secs()
    )]
    InTheWay {
        /// Which one.
        number: i32,
        /// What was said last.
        #[source]
        last: Failure,
    },
    /// Another one is at work.
    #[error("another db-migrate has been at work for {} s", PATIENCE.as_secs())]
    Another,
    /// A step was edited after it had been applied.
    #[error("step {number} was applied with another text; never edit a step, add one")]
    Edited {
        /// Which one.
        number: i32,
    },
}

impl<E: Into<Failure>> From<E> for MigrateError {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

/// Applies the steps that are missing; says which.
pub async fn migrate(database: &Database) -> Result<Vec<&'static str>, MigrateError> {
    let mut client = Connection::open(database).await?.client;
    be_alone(&client).await?;
    client
        .batch_execute(&format!(
            "set lock_timeout = {};
             create table if not exists migration (
                 number integer primary key,
                 name text not null,
                 checksum bytea not null,
                 applied_at timestamptz not null default now())",
            LOCK_MAX.as_millis()
        ))
        .await?;
    let applied = client
        .query("select number, checksum from migration", &[])
        .await?;
    let mut done = Vec::new();
    for step in STEPS {
        let known = applied
            .iter()
            .find(|row| row.get::<_, i32>(0) == step.number);
        match known {
            Some(row) if row.get::<_, &[u8]>(1) != step.work.checksum() => {
                return Err(MigrateError::Edited {
                    number: step.number,
                });
            }
            Some(_) => {}
            None => {
                step.apply(&mut client).await?;
                done.push(step.name);
            }
        }
    }
    Ok(done)
}

/// Waits until no other db-migrate is at work. A statement that waits would have a snapshot, and an
/// index that the other one makes would wait for that.
async fn be_alone(client: &Client) -> Result<(), MigrateError> {
    let began = Instant::now();
    loop {
        let row = client
            .query_one("select pg_try_advisory_lock($1)", &[&LOCK])
            .await?;
        if row.get(0) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(MigrateError::Another);
        }
        sleep(PAUSE).await;
    }
}

impl Step {
    async fn apply(&self, client: &mut Client) -> Result<(), MigrateError> {
        match self.work {
            Work::Whole(text) => {
                self.patiently(async || {
                    let transaction = client.transaction().await?;
                    transaction.batch_execute(text).await?;
                    let checksum = self.work.checksum();
                    transaction
                        .execute(NOTE, &[&self.number, &self.name, &checksum.as_slice()])
                        .await?;
                    transaction.commit().await
                })
                .await
            }
            Work::Parts(parts) => {
                for part in parts {
                    self.apply_part(client, part).await?;
                }
                let checksum = self.work.checksum();
                client
                    .execute(NOTE, &[&self.number, &self.name, &checksum.as_slice()])
                    .await?;
                Ok(())
            }
        }
    }

    async fn apply_part(&self, client: &Client, part: &Part) -> Result<(), MigrateError> {
        match part {
            Part::Batches(text) => {
                let mut reached = Some(Uuid::nil());
                while let Some(after) = reached {
                    let row = self.patiently(async || client.query_opt(*text, &[&after]).await);
                    reached = row.await?.map(|row| row.get(0));
                }
                Ok(())
            }
            Part::Index { name, text } => {
                self.patiently(async || make_index(client, name, text).await)
                    .await
            }
            Part::Statement(text) => {
                self.patiently(async || client.batch_execute(text).await)
                    .await
            }
        }
    }

    /// Does what waits for locks until it had them.
    async fn patiently<T>(
        &self,
        mut work: impl AsyncFnMut() -> Result<T, Error>,
    ) -> Result<T, MigrateError> {
        let began = Instant::now();
        loop {
            match work().await {
                Err(reason) if is_in_the_way(&reason) => {
                    if began.elapsed() > PATIENCE {
                        return Err(MigrateError::InTheWay {
                            number: self.number,
                            last: reason.into(),
                        });
                    }
                    tracing::info!(step = self.number, reason = %chain(&reason), "waits for others");
                    sleep(PAUSE).await;
                }
                done => return Ok(done?),
            }
        }
    }
}

fn is_in_the_way(reason: &Error) -> bool {
    let codes = [
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    reason.code().is_some_and(|code| codes.contains(code))
}

/// Makes an index beside those who write, which waits for all who are at work, while nobody waits
/// for it. One that was given up half-way is there and of no use.
async fn make_index(client: &Client, name: &str, text: &str) -> Result<(), Error> {
    let known = client
        .query_opt(
            "select indisvalid from pg_index where indexrelid = to_regclass($1)",
            &[&name],
        )
        .await?;
    match known.map(|row| row.get(0)) {
        Some(true) => return Ok(()),
        Some(false) => {
            let drop = format!("drop index concurrently {name}");
            without_limit(client, &drop).await?;
        }
        None => {}
    }
    without_limit(client, text).await
}

/// A statement of its own: what is made concurrently must be in no transaction.
async fn without_limit(client: &Client, text: &str) -> Result<(), Error> {
    client.batch_execute("set lock_timeout = 0").await?;
    tracing::info!(
        statement = text,
        "waits for every transaction that is older; pg_stat_activity tells which"
    );
    let done = client.batch_execute(text).await;
    let limit = format!("set lock_timeout = {}", LOCK_MAX.as_millis());
    done.and(client.batch_execute(&limit).await)
}
