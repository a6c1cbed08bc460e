//! The whole chain and all it covers, read once and in order: memory does not grow with it.

use super::{Finding, Head, Shard, What, encoding::FORMAT, judge::Judge};
use crate::store::{
    Connection, Database, Failure, Rows, Seals, given_out, ids_without_number, wrong_balances,
};

/// Why a chain was not verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The database failed.
    #[error("the database does not do it")]
    Database(#[source] Failure),
    /// A newer version sealed.
    #[error("seal {seal} is of format {format}; verify with the version that seals now")]
    Newer {
        /// Which one.
        seal: i64,
        /// Its format.
        format: i16,
    },
}

impl<E: Into<Failure>> From<E> for VerifyError {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

/// Reads a shard and tells what is found. Gives where its chain ends, and how many rows are not
/// sealed yet.
///
/// It writes nothing, so it may read a standby. It holds one snapshot for as long as it reads, which
/// keeps the database from cleaning up meanwhile.
pub async fn verify(
    database: &Database,
    shard: Shard,
    known: &[Head],
    found: impl FnMut(Finding),
) -> Result<(Head, u64), VerifyError> {
    // Two, since both are read at once. Seals first: their rows are then there for the other.
    let seals_from = Connection::open(database).await?;
    let rows_from = Connection::open(database).await?;
    let mut seals = Seals::read(&seals_from.client, shard).await?;
    let all = (i64::MIN, i64::MAX);
    let mut rows = Rows::read(&rows_from.client, shard, all, None).await?;
    let mut row = rows.next().await?;
    let mut judge = Judge::new(shard, known, found);
    while let Some(seal) = seals.next().await? {
        if seal.format > FORMAT {
            return Err(VerifyError::Newer {
                seal: seal.number,
                format: seal.format,
            });
        }
        judge.seal(&seal);
        while let Some(found) = row.filter(|row| row.seq <= seal.last_seq) {
            judge.row(&found);
            row = rows.next().await?;
        }
    }
    let head = judge.end();
    // The rows were read before: all of them had their numbers by now.
    let given_out = given_out(&seals_from.client, shard).await?;
    let mut unsealed = 0;
    while let Some(found) = row {
        if found.seq > given_out {
            judge.row_from_nowhere(&found);
        } else {
            unsealed += 1;
        }
        row = rows.next().await?;
    }
    for id in ids_without_number(&rows_from.client, shard).await? {
        judge.row_without_number(id);
    }
    Ok((head, unsealed))
}

/// Tells which balances are not the sum of their postings, all of them at one moment.
pub async fn verify_balances(
    database: &Database,
    mut found: impl FnMut(Finding),
) -> Result<(), VerifyError> {
    let connection = Connection::open(database).await?;
    for wrong in wrong_balances(&connection.client).await? {
        found(Finding {
            what: What::BalanceDiffers,
            shard: Shard::Posting,
            id: Some(wrong.account_id.to_string()),
            seq: None,
            seal: None,
            detail: format!("it says {}, its postings {}", wrong.posted, wrong.sum),
        });
    }
    Ok(())
}
