//! The schema: numbered steps, each applied once, in a transaction of its own.
//!
//! A step that was applied is never edited: its checksum is kept and compared. A database that is
//! ahead of this program is left alone, so that version N-1 may run beside N.

use paymesh_contracts::digest;

use crate::store::{Connection, Database, Failure};

/// A step of the schema.
struct Step {
    number: i32,
    name: &'static str,
    text: &'static str,
}

const STEPS: &[Step] = &[
    Step {
        number: 1,
        name: "payments",
        text: include_str!("../migrations/0001-payments.sql"),
    },
    Step {
        number: 2,
        name: "recovery",
        text: include_str!("../migrations/0002-recovery.sql"),
    },
    Step {
        number: 3,
        name: "webhooks",
        text: include_str!("../migrations/0003-webhooks.sql"),
    },
    Step {
        number: 4,
        name: "captures",
        text: include_str!("../migrations/0004-captures.sql"),
    },
    Step {
        number: 5,
        name: "actions",
        text: include_str!("../migrations/0005-actions.sql"),
    },
    Step {
        number: 6,
        name: "parked",
        text: include_str!("../migrations/0006-parked.sql"),
    },
    Step {
        number: 7,
        name: "disputes",
        text: include_str!("../migrations/0007-disputes.sql"),
    },
    Step {
        number: 8,
        name: "settlement",
        text: include_str!("../migrations/0008-settlement.sql"),
    },
    Step {
        number: 9,
        name: "audit",
        text: include_str!("../migrations/0009-audit.sql"),
    },
    Step {
        number: 10,
        name: "audit-of-events",
        text: include_str!("../migrations/0010-audit-of-events.sql"),
    },
];

/// No other db-migrate works while this advisory lock is held.
const LOCK: i64 = 0x7061_796d;

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database failed.
    #[error("the database does not do it")]
    Database(#[source] Failure),
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
    client
        .batch_execute(&format!(
            "set lock_timeout = '60s';
             select pg_advisory_lock({LOCK});
             create table if not exists migration (
                 number integer primary key,
                 name text not null,
                 checksum bytea not null,
                 applied_at timestamptz not null default now())"
        ))
        .await?;
    let applied = client
        .query("select number, checksum from migration", &[])
        .await?;
    let mut done = Vec::new();
    for step in STEPS {
        let checksum = digest::sha256(step.text.as_bytes());
        let known = applied
            .iter()
            .find(|row| row.get::<_, i32>(0) == step.number);
        if let Some(row) = known {
            if row.get::<_, &[u8]>(1) != checksum {
                return Err(MigrateError::Edited {
                    number: step.number,
                });
            }
            continue;
        }
        let transaction = client.transaction().await?;
        transaction.batch_execute(step.text).await?;
        transaction
            .execute(
                "insert into migration (number, name, checksum) values ($1, $2, $3)",
                &[&step.number, &step.name, &checksum.as_slice()],
            )
            .await?;
        transaction.commit().await?;
        done.push(step.name);
    }
    Ok(done)
}
