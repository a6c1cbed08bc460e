//! What a group writes with, a part for each kind of row, however many there are.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio_postgres::{Client, Error, Statement, types::ToSql};

pub(super) const INSERT_PAYMENTS: &str =
    "insert into payment (id, tenant_id, idempotency_key, amount,
        currency, payment_method, reference, capture, status, created_at, updated_at)
    select id, tenant_id, key, amount, currency, payment_method, reference, capture, 'processing',
        to_timestamp($9::int8 / 1000.0), to_timestamp($9::int8 / 1000.0)
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int8[], $5::text[], $6::text[],
        $7::text[], $8::text[])
        as p (id, tenant_id, key, amount, currency, payment_method, reference, capture)";

pub(super) const INSERT_KEYS: &str =
    "insert into idempotency (tenant_id, key, fingerprint, request_id,
        payment_id, created_at)
    select tenant_id, key, fingerprint, request_id, payment_id, to_timestamp($6::int8 / 1000.0)
    from unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[], $5::uuid[])
        as k (tenant_id, key, fingerprint, request_id, payment_id)";

pub(super) const INSERT_ATTEMPTS: &str =
    "insert into attempt (id, payment_id, number, kind, amount,
        idempotency_key, dispute, explanation, status)
    select id, payment_id, number, kind, amount, key, dispute, explanation, 'pending'
    from unnest($1::uuid[], $2::uuid[], $3::int4[], $4::text[], $5::int8[], $6::text[],
        $7::text[], $8::text[])
        as a (id, payment_id, number, kind, amount, key, dispute, explanation)";

pub(super) const PUT_DISPUTES: &str =
    "insert into dispute (id, payment_id, reference, amount, currency, reason,
        status, version, respond_by, covered, opened_at, updated_at)
    select id, payment_id, reference, amount, currency, reason, status, version,
        to_timestamp(respond_by / 1000.0), covered, to_timestamp(opened_at / 1000.0),
        to_timestamp($12::int8 / 1000.0)
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int8[], $5::text[], $6::text[],
        $7::text[], $8::int8[], $9::int8[], $10::int8[], $11::int8[])
        as d (id, payment_id, reference, amount, currency, reason, status, version, respond_by,
              covered, opened_at)
    on conflict (id) do update set status = excluded.status, version = excluded.version,
        respond_by = excluded.respond_by, covered = excluded.covered,
        updated_at = excluded.updated_at";

/// Whoever needs an account of a merchant at the same time finds it.
pub(super) const OPEN_ACCOUNTS: &str = "insert into account (id, tenant_id, kind, currency)
    select id, tenant_id, kind, currency
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[])
        as a (id, tenant_id, kind, currency)
    on conflict do nothing";

pub(super) const OPEN_BALANCES: &str = "insert into balance (account_id, currency, floor)
    select account_id, currency, floor
    from unnest($1::uuid[], $2::text[], $3::int8[]) as b (account_id, currency, floor)
    on conflict do nothing";

pub(super) const UPDATE_PAYMENTS: &str = "update payment p set status = c.status,
        failure_code = c.failure_code, updated_at = to_timestamp(c.updated_at / 1000.0),
        captured = nullif(c.captured, 0), refunding = c.refunding,
        expires_at = to_timestamp(c.expires_at / 1000.0)
    from unnest($1::uuid[], $2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::int8[])
        as c (id, status, failure_code, updated_at, captured, refunding, expires_at)
    where p.id = c.id";

pub(super) const UPDATE_ATTEMPTS: &str = "update attempt a set status = c.status,
        acquirer_reference = c.acquirer_reference, failure_code = c.failure_code,
        checks = c.checks, action_url = c.action_url
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int4[], $6::text[])
        as c (id, status, acquirer_reference, failure_code, checks, action_url)
    where a.id = c.id";

pub(super) const INSERT_POSTINGS: &str =
    "insert into posting (id, payment_id, attempt_id, dispute_id,
        kind, debit_account, credit_account, currency, amount, created_at)
    select id, payment_id, attempt_id, dispute_id, kind, debit, credit, currency, amount,
        to_timestamp($10::int8 / 1000.0)
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[],
        $7::uuid[], $8::text[], $9::int8[])
        as p (id, payment_id, attempt_id, dispute_id, kind, debit, credit, currency, amount)";

pub(super) const UPDATE_BALANCES: &str = "update balance b set posted = b.posted + c.posted,
        held = b.held + c.held
    from unnest($1::uuid[], $2::int8[], $3::int8[]) as c (account_id, posted, held)
    where b.account_id = c.account_id";

pub(super) const UPDATE_ANSWERS: &str = "update idempotency i set answer_status = c.status,
        answer_body = c.body
    from unnest($1::uuid[], $2::text[], $3::int2[], $4::bytea[])
        as c (tenant_id, key, status, body)
    where i.tenant_id = c.tenant_id and i.key = c.key and i.answer_status is null";

pub(super) const INSERT_EVENTS: &str =
    "insert into event (id, tenant_id, payment_id, kind, body, created_at)
    select id, tenant_id, payment_id, kind, body, to_timestamp($6::int8 / 1000.0)
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[])
        as e (id, tenant_id, payment_id, kind, body)";

pub(super) const INSERT_MESSAGES: &str =
    "insert into outbox (id, consumer, partition, kind, payment_id,
        attempt_id, event_id, endpoint_id, try, available_at, trace)
    select id, consumer, partition, kind, payment_id, attempt_id, event_id, endpoint_id, try,
        to_timestamp(available_at / 1000.0), trace
    from unnest($1::uuid[], $2::text[], $3::int2[], $4::text[], $5::uuid[], $6::uuid[],
        $7::uuid[], $8::uuid[], $9::int4[], $10::int8[], $11::text[])
        as m (id, consumer, partition, kind, payment_id, attempt_id, event_id, endpoint_id, try,
              available_at, trace)";

pub(super) const INSERT_INBOX: &str = "insert into inbox (consumer, message_id, partition, epoch,
        completed_at)
    select consumer, message_id, partition, epoch, to_timestamp($5::int8 / 1000.0)
    from unnest($1::text[], $2::uuid[], $3::int2[], $4::int8[])
        as i (consumer, message_id, partition, epoch)";

pub(super) const UPDATE_OUTBOX: &str =
    "update outbox set done_at = to_timestamp($2::int8 / 1000.0) where id = any($1::uuid[])";

pub(super) const UPDATE_SETBACKS: &str = "update outbox o set failures = s.failures,
        available_at = to_timestamp(s.available_at / 1000.0), parked_reason = s.reason,
        parked_at = case when s.reason is not null then to_timestamp($5::int8 / 1000.0) end
    from unnest($1::uuid[], $2::int4[], $3::int8[], $4::text[])
        as s (id, failures, available_at, reason)
    where o.id = s.id and o.done_at is null";

pub(super) const INSERT_DELIVERIES: &str =
    "insert into webhook_delivery (message_id, status, error,
        delivered, tried_at)
    select message_id, status, error, delivered, to_timestamp($5::int8 / 1000.0)
    from unnest($1::uuid[], $2::int4[], $3::text[], $4::bool[])
        as d (message_id, status, error, delivered)";

pub(super) const INSERT_MISMATCHES: &str =
    "insert into mismatch (attempt_id, recorded, claimed, noticed_at)
    select attempt_id, recorded, claimed, to_timestamp($4::int8 / 1000.0)
    from unnest($1::uuid[], $2::text[], $3::text[]) as m (attempt_id, recorded, claimed)
    on conflict do nothing";

/// Rows of several kinds that are written by one statement, since each has a price of its own in the
/// server. No kind of a batch sees what another one writes.
#[derive(Default)]
pub(super) struct Batch<'a> {
    parts: Vec<&'static str>,
    values: Vec<Value<'a>>,
}

/// A value of a statement.
pub(super) type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

impl<'a> Batch<'a> {
    /// Adds a kind, if there are rows of it.
    pub(super) fn put(&mut self, part: &'static str, rows: usize, values: Vec<Value<'a>>) {
        if rows > 0 {
            self.parts.push(part);
            self.values.extend(values);
        }
    }

    /// Sends it by the statement that was prepared for it.
    pub(super) async fn execute(
        self,
        client: &Client,
        statement: Option<&Statement>,
    ) -> Result<(), Error> {
        if let Some(statement) = statement {
            client.execute_raw(statement, self.values).await?;
        }
        Ok(())
    }

    /// The statement: all kinds but the last are attached to the last, with values numbered through.
    fn text(&self) -> String {
        let mut text = String::new();
        let mut before = 0;
        for (at, part) in self.parts.iter().enumerate() {
            let is_last = at + 1 == self.parts.len();
            let open = match (at, is_last) {
                (0, true) => String::new(),
                (0, false) => "with part_0 as (".to_owned(),
                (_, false) => format!("), part_{at} as ("),
                (_, true) => ") ".to_owned(),
            };
            text += &open;
            before += number_from(&mut text, part, before);
        }
        text
    }
}

/// Adds a part with its values numbered behind those `before` it; returns how many it has.
fn number_from(text: &mut String, part: &str, before: usize) -> usize {
    let mut pieces = part.split('$');
    text.push_str(pieces.next().unwrap_or_default());
    let mut most = 0;
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let number: usize = piece[..digits].parse().expect("a value has a number");
        most = most.max(number);
        text.push('$');
        text.push_str(&(before + number).to_string());
        text.push_str(&piece[digits..]);
    }
    most
}

/// How many statements a connection keeps. Which rows meet in a group is chance, and there are
/// hundreds of ways, each with a plan that the server keeps too.
const PREPARED_MAX: usize = 128;

/// Statements for the batches that were written so far, prepared.
#[derive(Default)]
pub(super) struct Writes {
    prepared: Mutex<HashMap<Vec<&'static str>, Statement>>,
}

impl Writes {
    /// The statement of a batch, prepared when such a one is met for the first time.
    pub(super) async fn prepared(
        &self,
        client: &Client,
        batch: &Batch<'_>,
    ) -> Result<Option<Statement>, Error> {
        if batch.parts.is_empty() {
            return Ok(None);
        }
        let known = self.known().get(&batch.parts).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let statement = client.prepare(&batch.text()).await?;
        let mut known = self.known();
        // What is met often is soon there again.
        if known.len() >= PREPARED_MAX {
            known.clear();
        }
        known.insert(batch.parts.clone(), statement.clone());
        Ok(Some(statement))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Vec<&'static str>, Statement>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_batch_are_numbered_through() {
        let value = || -> Value<'static> { Box::new(1_i64) };
        let mut batch = Batch::default();
        batch.put("insert into a select $2, $1", 1, vec![value(), value()]);
        assert_eq!(batch.text(), "insert into a select $2, $1");
        batch.put("insert into b select $1", 0, vec![value()]);
        batch.put("insert into c select $1::int8 / 2, $1", 7, vec![value()]);
        let twelve = (0..12).map(|_| value()).collect();
        batch.put("update d set e = $1 + $12", 1, twelve);
        assert_eq!(
            batch.text(),
            "with part_0 as (insert into a select $2, $1), \
            part_1 as (insert into c select $3::int8 / 2, $3) update d set e = $4 + $15"
        );
        assert_eq!(batch.values.len(), 15);
    }
}
