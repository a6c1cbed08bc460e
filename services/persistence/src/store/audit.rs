//! The audit chain's rows and seals, read in order as they arrive, and seals added.

use std::pin::Pin;

use futures::StreamExt as _;
use tokio_postgres::{
    Client, Row, RowStream,
    types::{FromSql, ToSql, Type},
};
use uuid::Uuid;

use super::{Failure, Reader};
use crate::audit::{
    Shard,
    encoding::{Entry, Hash, NOTHING, Seal},
};

/// Every column of the rows with some numbers, in format 1: number and id first.
const POSTINGS: &str = "select seq, id, payment_id, attempt_id, dispute_id, kind, debit_account,
        credit_account, currency, amount, created_at
    from posting where seq > $1 and seq <= $2 order by seq limit $3";

const EVENTS: &str = "select seq, id, tenant_id, payment_id, kind, body, created_at
    from event where seq > $1 and seq <= $2 order by seq limit $3";

/// A seal's columns, in the order that [`seal`] reads them.
macro_rules! seals {
    ($rest:literal) => {
        concat!(
            "select number, format, epoch, after_seq, last_seq, entries, total,
                (extract(epoch from sealed_at) * 1000000)::int8, previous, hash
            from audit_seal where shard = $1 order by number ",
            $rest
        )
    };
}

const GIVEN_OUT: &str = "select case when is_called then last_value else 0 end from ";

/// Who may still commit rows: a transaction has this lock before it takes a number, and has it
/// until what it did can be seen.
const WRITERS: &str = "select distinct virtualtransaction as writer, relation::regclass::text
    from pg_locks where locktype = 'relation' and granted
        and relation in ('posting'::regclass, 'event'::regclass)
        and database = (select oid from pg_database where datname = current_database())
        and mode in ('RowExclusiveLock', 'AccessExclusiveLock')";

/// The lease is held while the seal is added: whoever takes it over comes before or after.
const ADD_SEAL: &str = "with fence as (
        select from lease where consumer = $1 and partition = $2 and epoch = $3 and holder = $4
        for share)
    insert into audit_seal (shard, number, format, epoch, after_seq, last_seq, entries, total,
        sealed_at, previous, hash)
    select $5, $6, $7, $3, $8, $9, $10, $11,
        'epoch'::timestamptz + $12::int8 * interval '1 microsecond', $13, $14
    from fence returning 1";

const WRONG_BALANCES: &str = "select account_id, coalesce(posted::text, 'nothing'),
        coalesce(sum, 0)::text
    from balance full join (
        select account_id, sum(amount) from (
            select credit_account, amount from posting
            union all select debit_account, -amount from posting) moved (account_id, amount)
        group by account_id) postings (account_id, sum) using (account_id)
    where posted is distinct from coalesce(sum, 0) order by account_id";

/// What leases of the chain are called.
const LEASES: &str = "audit";

/// Whatever PostgreSQL sends for a value.
struct Sent<'a>(Option<&'a [u8]>);

impl<'a> FromSql<'a> for Sent<'a> {
    fn from_sql(
        _: &Type,
        sent: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(sent)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Rows of a shard in the order of their numbers, one at a time.
pub(crate) struct Rows {
    shard: Shard,
    stream: Pin<Box<RowStream>>,
}

impl Rows {
    /// Those with numbers behind the first and up to the second, `limit` at most.
    pub(crate) async fn read(
        client: &Client,
        shard: Shard,
        (after_seq, until_seq): (i64, i64),
        limit: Option<i64>,
    ) -> Result<Self, Failure> {
        let text = match shard {
            Shard::Posting => POSTINGS,
            Shard::Event => EVENTS,
        };
        let values: [&(dyn ToSql + Sync); 3] = [&after_seq, &until_seq, &limit];
        let stream = Box::pin(client.query_raw(text, values).await?);
        Ok(Self { shard, stream })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Result<Option<Entry>, Failure> {
        let Some(row) = self.stream.next().await.transpose()? else {
            return Ok(None);
        };
        let columns = (0..row.len()).map(|column| row.get::<_, Sent<'_>>(column).0);
        Ok(Some(Entry::of(self.shard, row.get(0), row.get(1), columns)))
    }
}

/// The seals of a shard in their order, one at a time.
pub(crate) struct Seals(Pin<Box<RowStream>>);

impl Seals {
    /// All of them.
    pub(crate) async fn read(client: &Client, shard: Shard) -> Result<Self, Failure> {
        let stream = client.query_raw(seals!(""), [shard.word()]).await?;
        Ok(Self(Box::pin(stream)))
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Result<Option<Seal>, Failure> {
        Ok(self.0.next().await.transpose()?.as_ref().map(seal))
    }
}

fn seal(row: &Row) -> Seal {
    // A hash of another length is none that fits.
    let hash = |column| Hash::try_from(row.get::<_, &[u8]>(column)).unwrap_or(NOTHING);
    Seal {
        number: row.get(0),
        format: row.get(1),
        epoch: row.get(2),
        after_seq: row.get(3),
        last_seq: row.get(4),
        entries: row.get(5),
        total: row.get(6),
        sealed_at_us: row.get(7),
        previous: hash(8),
        hash: hash(9),
    }
}

/// Where the numbers of a shard come from.
fn sequence(shard: Shard) -> &'static str {
    match shard {
        Shard::Posting => "posting_seq_seq",
        Shard::Event => "event_seq",
    }
}

/// The highest number that any row of a shard was given.
pub(crate) async fn given_out(client: &Client, shard: Shard) -> Result<i64, Failure> {
    let row = client
        .query_one(&format!("{GIVEN_OUT}{}", sequence(shard)), &[])
        .await?;
    Ok(row.get(0))
}

/// Rows without a number that [`Rows`] reads, which no program of ours can add.
pub(crate) async fn ids_without_number(
    client: &Client,
    shard: Shard,
) -> Result<Vec<Uuid>, Failure> {
    let text = format!(
        "select id from {} where seq is null or seq = -9223372036854775808",
        shard.word()
    );
    let rows = client.query(&text, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// A balance that is not the sum of its postings.
pub(crate) struct WrongBalance {
    /// Of which account.
    pub(crate) account_id: Uuid,
    /// What it says.
    pub(crate) posted: String,
    /// What its postings say.
    pub(crate) sum: String,
}

/// Every balance that is not the sum of its postings. One statement, so that it sees one moment.
pub(crate) async fn wrong_balances(client: &Client) -> Result<Vec<WrongBalance>, Failure> {
    let wrong = |row: &Row| WrongBalance {
        account_id: row.get(0),
        posted: row.get(1),
        sum: row.get(2),
    };
    Ok(client
        .query(WRONG_BALANCES, &[])
        .await?
        .iter()
        .map(wrong)
        .collect())
}

impl Reader {
    /// Takes or keeps the leases of every shard that nobody else seals.
    pub(crate) async fn take_shards(
        &self,
        holder: Uuid,
        lasting_ms: i64,
    ) -> Result<Vec<(Shard, i64)>, Failure> {
        let holder = super::Holder {
            reader: holder,
            stream: holder,
            is_new: false,
        };
        let leases = self.take_leases(LEASES, holder, lasting_ms).await?;
        let shard = |(partition, epoch): (i16, i64)| {
            let shard = Shard::ALL.get(usize::try_from(partition).ok()?)?;
            Some((*shard, epoch))
        };
        Ok(leases.into_iter().filter_map(shard).collect())
    }

    /// Gives them back.
    pub(crate) async fn leave_shards(&self, holder: Uuid) -> Result<(), Failure> {
        self.leave_leases(LEASES, holder).await
    }

    /// The last seal of a shard, if there is any.
    pub(crate) async fn last_seal(&self, shard: Shard) -> Result<Option<Seal>, Failure> {
        let rows = self.query(seals!("desc limit 1"), &[&shard.word()]).await?;
        Ok(rows.first().map(seal))
    }

    /// The highest number that any row of a shard was given.
    pub(crate) async fn given_out(&self, shard: Shard) -> Result<i64, Failure> {
        let client = self.client().await?;
        given_out(&client, shard).await
    }

    /// The transactions that may still commit rows, each with the table it writes to.
    pub(crate) async fn writers(&self) -> Result<Vec<(String, String)>, Failure> {
        let rows = self.query(WRITERS, &[]).await?;
        Ok(rows.iter().map(|row| (row.get(1), row.get(0))).collect())
    }

    /// Rows of a shard with numbers behind the first and up to the second, `limit` at most.
    pub(crate) async fn audited(
        &self,
        shard: Shard,
        numbers: (i64, i64),
        limit: i64,
    ) -> Result<Rows, Failure> {
        let client = self.client().await?;
        Rows::read(&client, shard, numbers, Some(limit)).await
    }

    /// The time of the database, in microseconds since 1970.
    pub(crate) async fn time_us(&self) -> Result<i64, Failure> {
        let text = "select (extract(epoch from clock_timestamp()) * 1000000)::int8";
        let rows = self.query(text, &[]).await?;
        let row = rows.first().ok_or(Failure::Disconnected(None))?;
        Ok(row.get(0))
    }

    /// Adds a seal, if the lease under which it was made still holds; says whether it did.
    pub(crate) async fn add_seal(
        &self,
        shard: Shard,
        holder: Uuid,
        seal: &Seal,
    ) -> Result<bool, Failure> {
        let partition = Shard::ALL.iter().position(|it| *it == shard);
        let partition = partition.and_then(|at| i16::try_from(at).ok());
        let rows = self
            .query(
                ADD_SEAL,
                &[
                    &LEASES,
                    &partition,
                    &seal.epoch,
                    &holder,
                    &shard.word(),
                    &seal.number,
                    &seal.format,
                    &seal.after_seq,
                    &seal.last_seq,
                    &seal.entries,
                    &seal.total,
                    &seal.sealed_at_us,
                    &seal.previous.as_slice(),
                    &seal.hash.as_slice(),
                ],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// How long the oldest row of a shard that is not sealed has been there, in seconds; for ever, if
    /// a seal is of numbers that were not given out, since that has every later row pass for sealed.
    ///
    /// The oldest row is next to the lowest number: both are taken within one transaction.
    pub(crate) async fn unsealed_seconds(&self, shard: Shard) -> Result<f64, Failure> {
        let text = format!(
            "select case when last.seq > given_out.seq then 'Infinity'::float8 else coalesce((
                select extract(epoch from clock_timestamp() - created_at)::float8 from {table}
                where {table}.seq > last.seq order by {table}.seq limit 1), 0) end
            from (select coalesce((select last_seq from audit_seal where shard = $1
                    order by number desc limit 1), '-9223372036854775808'::int8) as seq) last,
                ({GIVEN_OUT}{sequence}) given_out (seq)",
            table = shard.word(),
            sequence = sequence(shard),
        );
        let client = self.client().await?;
        let row = client.query_one(&text, &[&shard.word()]).await?;
        Ok(row.get(0))
    }
}
