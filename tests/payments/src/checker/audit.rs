//! The audit chain, computed again by the database's own functions, as anybody with psql can: the
//! encoding is written down in `services/persistence/src/audit/encoding.rs`, and is done here a
//! second time.

use std::fmt::Write as _;

use tokio_postgres::{Client, Error};

use super::{Database, Report};

/// Every column of a table, in the order it is hashed in, with its type.
const TABLES: [(&str, &[(&str, &str)]); 2] = [
    (
        "posting",
        &[
            ("seq", "bigint"),
            ("id", "uuid"),
            ("payment_id", "uuid"),
            ("attempt_id", "uuid"),
            ("dispute_id", "uuid"),
            ("kind", "text"),
            ("debit_account", "uuid"),
            ("credit_account", "uuid"),
            ("currency", "text"),
            ("amount", "bigint"),
            ("created_at", "timestamp with time zone"),
        ],
    ),
    (
        "event",
        &[
            ("seq", "bigint"),
            ("id", "uuid"),
            ("tenant_id", "uuid"),
            ("payment_id", "uuid"),
            ("kind", "text"),
            ("body", "bytea"),
            ("created_at", "timestamp with time zone"),
        ],
    ),
];

/// Columns that a row has and no seal covers would be free to change.
const COLUMNS: &str =
    "select string_agg(column_name || ' ' || data_type, ', ' order by column_name)
    from information_schema.columns where table_schema = 'public' and table_name = $1";

/// A value as PostgreSQL sends it, behind its length; a null has the length -1.
fn field(value: &str) -> String {
    format!("coalesce(int4send(octet_length({value})) || {value}, '\\xffffffff')")
}

fn fields(values: &[String]) -> String {
    let fields: Vec<String> = values.iter().map(|value| field(value)).collect();
    fields.join(" || ")
}

fn sent(column: &str, kind: &str) -> String {
    match kind {
        "bigint" => format!("int8send({column})"),
        "uuid" => format!("uuid_send({column})"),
        "text" => format!("convert_to({column}, 'UTF8')"),
        "timestamp with time zone" => format!("timestamptz_send({column})"),
        _ => column.to_owned(),
    }
}

/// Seals of a table that are not what its rows and the seal before say.
fn wrong_seals(table: &str, columns: &[(&str, &str)]) -> String {
    let name = format!("convert_to('{table}', 'UTF8')");
    let mut row = vec![name.clone(), "int2send(1::int2)".to_owned()];
    let columns = columns.iter();
    row.extend(columns.map(|(column, kind)| sent(&format!("r.{column}"), kind)));
    let number = |column: &str| format!("int8send(s.{column})");
    let seal = [
        name,
        number("number"),
        "int2send(s.format)".to_owned(),
        number("epoch"),
        number("after_seq"),
        number("last_seq"),
        "s.entries".to_owned(),
        number("total"),
        "int8send((extract(epoch from s.sealed_at) * 1000000)::int8)".to_owned(),
        "s.previous".to_owned(),
    ];
    let least = i64::MIN;
    format!(
        "select s.number from (
            select *, lag(number, 1, 0::int8) over w as number_before,
                lag(last_seq, 1, '{least}'::int8) over w as seq_before,
                lag(total, 1, 0::int8) over w as total_before,
                lag(epoch, 1, epoch) over w as epoch_before,
                lag(hash, 1, decode(repeat('00', 32), 'hex')) over w as hash_before
            from audit_seal where shard = '{table}' window w as (order by number)) s,
        lateral (
            select count(*) as count, coalesce(string_agg(
                int8send(r.seq) || uuid_send(r.id) || sha256({row}), ''::bytea order by r.seq), '') as entries
            from {table} r where r.seq > s.after_seq and r.seq <= s.last_seq) r
        where not (s.number = number_before + 1 and s.after_seq = seq_before and s.format = 1
            and s.epoch >= epoch_before and s.total = total_before + r.count and r.count > 0
            and s.previous = hash_before and s.entries = r.entries and s.hash = sha256({seal}))
        order by s.number",
        row = fields(&row),
        seal = fields(&seal),
    )
}

/// What is wrong with the chains.
pub(super) async fn read(client: &Client) -> Result<Vec<String>, Error> {
    let mut wrong = Vec::new();
    for (table, columns) in TABLES {
        let mut known: Vec<_> = columns.iter().collect();
        known.sort_unstable();
        let known: Vec<String> = known
            .iter()
            .map(|(name, kind)| format!("{name} {kind}"))
            .collect();
        let there: String = client.query_one(COLUMNS, &[&table]).await?.get(0);
        if there != known.join(", ") {
            wrong.push(format!("columns of {table} that no seal covers: {there}"));
        }
        let seals = client.query(&wrong_seals(table, columns), &[]).await?;
        let mut numbers = String::new();
        for seal in &seals {
            write!(numbers, " {}", seal.get::<_, i64>(0)).expect("a string takes everything");
        }
        if !seals.is_empty() {
            wrong.push(format!("seals of {table} do not fit:{numbers}"));
        }
    }
    Ok(wrong)
}

/// Nothing that was sealed differs.
pub(super) fn check(database: &Database, report: &mut Report) {
    report.broken.extend(database.audit.iter().cloned());
}
