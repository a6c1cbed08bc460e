//! Settlement reports against our books: what differs is kept for a person, and nothing is mended.
//!
//! Each row of a report agrees with a booking or makes one break; each booking is in a report or
//! makes one. So no difference is lost, and none is counted twice.

use paymesh_contracts::PaymentId;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::{Connection, Database, Failure, Reader, ms};
use crate::settlement::{SettlementReport, SettlementRow};

/// No two reports are compared at once: what one settled, the other must not settle again unseen.
const ONE_AT_A_TIME: &str = "select pg_advisory_xact_lock(x'73657474'::int8)";

const INSERT_REPORT: &str = "insert into settlement_report (name, checksum, closed_at)
    values ($1, $2, to_timestamp($3::int8 / 1000.0)) on conflict do nothing";

const INSERT_ROWS: &str =
    "insert into settlement_row (report, line, movement, name, subject, amount, currency, fee)
    select $1, line, movement, name, subject, amount, currency, fee
    from unnest($2::int4[], $3::text[], $4::text[], $5::uuid[], $6::int8[], $7::text[], $8::int8[])
        as r (line, movement, name, subject, amount, currency, fee)
    order by line";

/// $1: what we booked until then is settled; $2: the report.
const COMPARE: &str = "with ours as materialized (
        select p.attempt_id as subject, a.kind as movement, p.amount, p.currency, p.created_at,
            p.payment_id
        from posting p join attempt a on a.id = p.attempt_id where p.kind in ('charge', 'refund')
        union all
        select p.dispute_id, case when p.kind like '%reversal' then 'dispute_won' else 'dispute' end,
            sum(p.amount)::int8, p.currency, min(p.created_at), p.payment_id
        from posting p where p.dispute_id is not null group by 1, 2, p.currency, p.payment_id),
    theirs as (
        select r.*, 1 + (select count(*) from settlement_row e
            where e.seq < r.seq and e.movement = r.movement and (e.subject = r.subject
                or e.subject is null and r.subject is null and e.name = r.name)) as times
        from settlement_row r where r.report = $2),
    differ as (
        select case when t.times > 1 then 'settled_twice' when o.subject is null then 'not_booked'
                else 'amount_differs' end as kind,
            t.report || ':' || t.line as place, t.movement, t.name,
            coalesce(a.payment_id, d.payment_id) as payment_id,
            'settled ' || t.amount || ' ' || t.currency || case
                when t.times > 1 then ' for the ' || t.times || '. time'
                when o.subject is not null then ', booked ' || o.amount || ' ' || o.currency
                when a.id is not null then ', not booked; attempt is ' || a.status
                else ', not booked' end as detail
        from theirs t
        left join ours o on o.subject = t.subject and o.movement = t.movement
        left join attempt a on a.id = t.subject
        left join dispute d on d.id = t.subject
        where t.times > 1 or (o.amount, o.currency) is distinct from (t.amount, t.currency)
        union all
        select 'not_settled', o.movement || ':' || o.subject, o.movement,
            coalesce(d.reference, a.acquirer_reference, ''), o.payment_id,
            'booked ' || o.amount || ' ' || o.currency || ', in no report'
        from ours o
        left join dispute d on d.id = o.subject
        left join attempt a on a.id = o.subject
        where o.created_at <= to_timestamp($1::int8 / 1000.0) and not exists (
            select from settlement_row r where r.subject = o.subject and r.movement = o.movement))
    insert into settlement_break (kind, place, movement, name, payment_id, detail)
    select kind, place, movement, name, payment_id, detail from differ order by place
    on conflict do nothing";

const INSERT_TOTAL: &str = "insert into settlement_break (kind, place, movement, name, detail)
    values ('total_differs', $1 || ':' || $2, 'payout', $1, $3) on conflict do nothing";

const BREAKS: &str = concat!(
    "select id, kind, movement, name, place, detail, ",
    ms!("noticed_at"),
    ", payment_id from settlement_break where closed_at is null order by id"
);

const CLOSE: &str = "update settlement_break set closed_at = clock_timestamp(), closed_reason = $2
    where id = $1 and closed_at is null returning 1";

/// Where a report differs from our books.
#[derive(Clone, Debug)]
pub struct SettlementBreak {
    /// Its number.
    pub id: i64,
    /// `not_booked`, `not_settled`, `amount_differs`, `settled_twice` or `total_differs`.
    pub kind: String,
    /// What moved.
    pub movement: String,
    /// As the acquirer calls it.
    pub name: String,
    /// The report and its line or currency, or the movement that is in none.
    pub place: String,
    /// What differs.
    pub detail: String,
    /// Since when that is known.
    pub noticed_at_ms: i64,
    /// The payment it is about, if it is one of ours.
    pub payment_id: Option<PaymentId>,
}

/// Why a report was not compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The database failed.
    #[error("the database does not do it; nothing was kept")]
    Database(#[source] Failure),
    /// What a promotion lost is not found again yet, so it would differ.
    #[error("the ledger recovers; compare when payments are taken in again")]
    Recovering,
    /// Another file with the name of this report was compared before.
    #[error("report {0} was read before with other rows; ask the acquirer which one is right")]
    Changed(String),
}

impl<E: Into<Failure>> From<E> for ReconcileError {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

/// Keeps a report and whatever of it, or of us until `grace_ms` before its end, differs. Twice is
/// the same as once.
pub async fn reconcile(
    database: &Database,
    report: &SettlementReport,
    grace_ms: i64,
) -> Result<(), ReconcileError> {
    if !Reader::new(database.clone()).is_recovered().await? {
        return Err(ReconcileError::Recovering);
    }
    let mut client = Connection::enter(database).await?.client;
    let transaction = client.transaction().await?;
    transaction.execute(ONE_AT_A_TIME, &[]).await?;
    if !take_down(&transaction, report).await? {
        return Err(ReconcileError::Changed(report.name.clone()));
    }
    let until_ms = report.closed_at_ms.saturating_sub(grace_ms);
    transaction
        .execute(COMPARE, &[&until_ms, &report.name])
        .await?;
    for total in report.wrong_totals() {
        let detail = format!(
            "paid out {} {currency}, its rows say {} {currency}",
            total.said_minor,
            total.found_minor,
            currency = total.currency
        );
        transaction
            .execute(INSERT_TOTAL, &[&report.name, &total.currency, &detail])
            .await?;
    }
    Ok(transaction.commit().await?)
}

/// Keeps the rows, if they are not known; false if other ones are.
async fn take_down(
    transaction: &Transaction<'_>,
    report: &SettlementReport,
) -> Result<bool, tokio_postgres::Error> {
    let checksum = report.checksum.as_slice();
    let new = transaction
        .execute(
            INSERT_REPORT,
            &[&report.name, &checksum, &report.closed_at_ms],
        )
        .await?;
    if new == 0 {
        let known = transaction
            .query_one(
                "select checksum = $2 from settlement_report where name = $1",
                &[&report.name, &checksum],
            )
            .await?;
        return Ok(known.get(0));
    }
    let rows = &report.rows;
    let lines: Vec<i32> = (1..).take(rows.len()).collect();
    let movements: Vec<&str> = rows.iter().map(|row| row.movement.as_str()).collect();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let subjects: Vec<Option<Uuid>> = rows.iter().map(SettlementRow::subject).collect();
    let amounts: Vec<i64> = rows.iter().map(|row| row.amount_minor).collect();
    let currencies: Vec<&str> = rows.iter().map(|row| row.currency.as_str()).collect();
    let fees: Vec<i64> = rows.iter().map(|row| row.fee_minor).collect();
    transaction
        .execute(
            INSERT_ROWS,
            &[
                &report.name,
                &lines,
                &movements,
                &names,
                &subjects,
                &amounts,
                &currencies,
                &fees,
            ],
        )
        .await?;
    Ok(true)
}

impl Reader {
    /// Every break that nobody closed, the oldest first.
    pub async fn breaks(&self) -> Result<Vec<SettlementBreak>, Failure> {
        let rows = self.query(BREAKS, &[]).await?;
        let breaks = rows.iter().map(|row| SettlementBreak {
            id: row.get(0),
            kind: row.get(1),
            movement: row.get(2),
            name: row.get(3),
            place: row.get(4),
            detail: row.get(5),
            noticed_at_ms: row.get(6),
            payment_id: row.get::<_, Option<Uuid>>(7).map(PaymentId),
        });
        Ok(breaks.collect())
    }

    /// Closes a break with a reason; says whether it was open.
    pub async fn close_break(&self, id: i64, reason: &str) -> Result<bool, Failure> {
        let rows = self.query(CLOSE, &[&id, &reason]).await?;
        Ok(!rows.is_empty())
    }
}
