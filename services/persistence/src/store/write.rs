//! What a group writes: every kind of row in one statement, then COMMIT, all sent in one go.
//!
//! When a statement fails the server ignores the rest and answers COMMIT with a rollback, so a
//! group is written whole or not at all.

use futures::{TryFutureExt as _, try_join};
use paymesh_contracts::{AttemptId, PaymentId};
use tokio_postgres::{Client, Error, Statement, types::ToSql};
use uuid::Uuid;

use crate::{
    defect::Defects,
    ledger::Movement,
    world::{AttemptRow, Changes, KeyRow, PaymentRow, Work, World, partition_of},
};

const INSERT_PAYMENTS: &str = "insert into payment (id, tenant_id, idempotency_key, amount,
        currency, payment_method, reference, capture, status, created_at, updated_at)
    select id, tenant_id, key, amount, currency, payment_method, reference, capture, 'processing',
        to_timestamp($9::int8 / 1000.0), to_timestamp($9::int8 / 1000.0)
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int8[], $5::text[], $6::text[],
        $7::text[], $8::text[])
        as p (id, tenant_id, key, amount, currency, payment_method, reference, capture)";

const INSERT_KEYS: &str = "insert into idempotency (tenant_id, key, fingerprint, request_id,
        payment_id, created_at)
    select tenant_id, key, fingerprint, request_id, payment_id, to_timestamp($6::int8 / 1000.0)
    from unnest($1::uuid[], $2::text[], $3::bytea[], $4::uuid[], $5::uuid[])
        as k (tenant_id, key, fingerprint, request_id, payment_id)";

const INSERT_ATTEMPTS: &str = "insert into attempt (id, payment_id, number, kind, amount,
        idempotency_key, status)
    select id, payment_id, number, kind, amount, key, 'pending'
    from unnest($1::uuid[], $2::uuid[], $3::int4[], $4::text[], $5::int8[], $6::text[])
        as a (id, payment_id, number, kind, amount, key)";

const UPDATE_PAYMENTS: &str = "update payment p set status = c.status,
        failure_code = c.failure_code, updated_at = to_timestamp(c.updated_at / 1000.0),
        captured = nullif(c.captured, 0), refunding = c.refunding,
        expires_at = to_timestamp(c.expires_at / 1000.0)
    from unnest($1::uuid[], $2::text[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::int8[])
        as c (id, status, failure_code, updated_at, captured, refunding, expires_at)
    where p.id = c.id";

const UPDATE_ATTEMPTS: &str = "update attempt a set status = c.status,
        acquirer_reference = c.acquirer_reference, failure_code = c.failure_code,
        checks = c.checks, action_url = c.action_url
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int4[], $6::text[])
        as c (id, status, acquirer_reference, failure_code, checks, action_url)
    where a.id = c.id";

const INSERT_POSTINGS: &str = "insert into posting (id, payment_id, attempt_id, kind,
        debit_account, credit_account, currency, amount, created_at)
    select id, payment_id, attempt_id, kind, debit, credit, currency, amount,
        to_timestamp($9::int8 / 1000.0)
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[],
        $7::text[], $8::int8[])
        as p (id, payment_id, attempt_id, kind, debit, credit, currency, amount)";

const UPDATE_BALANCES: &str = "update balance b set posted = b.posted + c.posted,
        held = b.held + c.held
    from unnest($1::uuid[], $2::int8[], $3::int8[]) as c (account_id, posted, held)
    where b.account_id = c.account_id";

const UPDATE_ANSWERS: &str = "update idempotency i set answer_status = c.status,
        answer_body = c.body
    from unnest($1::uuid[], $2::text[], $3::int2[], $4::bytea[])
        as c (tenant_id, key, status, body)
    where i.tenant_id = c.tenant_id and i.key = c.key and i.answer_status is null";

const INSERT_EVENTS: &str = "insert into event (id, tenant_id, payment_id, kind, body, created_at)
    select id, tenant_id, payment_id, kind, body, to_timestamp($6::int8 / 1000.0)
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[])
        as e (id, tenant_id, payment_id, kind, body)";

const INSERT_MESSAGES: &str = "insert into outbox (id, consumer, partition, kind, payment_id,
        attempt_id, event_id, endpoint_id, try, available_at)
    select id, consumer, partition, kind, payment_id, attempt_id, event_id, endpoint_id, try,
        to_timestamp(available_at / 1000.0)
    from unnest($1::uuid[], $2::text[], $3::int2[], $4::text[], $5::uuid[], $6::uuid[],
        $7::uuid[], $8::uuid[], $9::int4[], $10::int8[])
        as m (id, consumer, partition, kind, payment_id, attempt_id, event_id, endpoint_id, try,
              available_at)";

const INSERT_INBOX: &str = "insert into inbox (consumer, message_id, partition, epoch,
        completed_at)
    select consumer, message_id, partition, epoch, to_timestamp($5::int8 / 1000.0)
    from unnest($1::text[], $2::uuid[], $3::int2[], $4::int8[])
        as i (consumer, message_id, partition, epoch)";

const UPDATE_OUTBOX: &str =
    "update outbox set done_at = to_timestamp($2::int8 / 1000.0) where id = any($1::uuid[])";

const UPDATE_SETBACKS: &str = "update outbox o set failures = s.failures,
        available_at = to_timestamp(s.available_at / 1000.0), parked_reason = s.reason,
        parked_at = case when s.reason is not null then to_timestamp($5::int8 / 1000.0) end
    from unnest($1::uuid[], $2::int4[], $3::int8[], $4::text[])
        as s (id, failures, available_at, reason)
    where o.id = s.id and o.done_at is null";

const INSERT_DELIVERIES: &str = "insert into webhook_delivery (message_id, status, error,
        delivered, tried_at)
    select message_id, status, error, delivered, to_timestamp($5::int8 / 1000.0)
    from unnest($1::uuid[], $2::int4[], $3::text[], $4::bool[])
        as d (message_id, status, error, delivered)";

const INSERT_MISMATCHES: &str = "insert into mismatch (attempt_id, recorded, claimed, noticed_at)
    select attempt_id, recorded, claimed, to_timestamp($4::int8 / 1000.0)
    from unnest($1::uuid[], $2::text[], $3::text[]) as m (attempt_id, recorded, claimed)
    on conflict do nothing";

macro_rules! statements {
    ($($name:ident $text:ident,)*) => {
        /// The statements above, prepared.
        pub(super) struct Writes { $($name: Statement,)* }

        impl Writes {
            pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
                let ($($name,)*) = try_join!($(client.prepare($text),)*)?;
                Ok(Self { $($name,)* })
            }
        }
    };
}

statements! {
    payments INSERT_PAYMENTS,
    keys INSERT_KEYS,
    attempts INSERT_ATTEMPTS,
    payment_changes UPDATE_PAYMENTS,
    attempt_changes UPDATE_ATTEMPTS,
    postings INSERT_POSTINGS,
    balance_changes UPDATE_BALANCES,
    answers UPDATE_ANSWERS,
    events INSERT_EVENTS,
    messages INSERT_MESSAGES,
    inbox INSERT_INBOX,
    outbox UPDATE_OUTBOX,
    setbacks UPDATE_SETBACKS,
    deliveries INSERT_DELIVERIES,
    mismatches INSERT_MISMATCHES,
}

type Value<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// One column of several rows.
fn column<'a, R, T>(rows: &'a [R], cell: impl Fn(&'a R) -> T) -> Value<'a>
where
    Vec<T>: ToSql + Sync + Send + 'a,
{
    Box::new(rows.iter().map(cell).collect::<Vec<T>>())
}

/// Writes the changes and commits.
pub(super) async fn commit(
    client: &Client,
    writes: &Writes,
    world: &World,
    changes: &Changes,
    defects: Defects,
) -> Result<(), Error> {
    let now = &world.now_ms;
    let execute = async |rows: usize, statement: &Statement, values: Vec<Value<'_>>| {
        if rows > 0 {
            client.execute_raw(statement, values).await?;
        }
        Ok::<(), Error>(())
    };

    let mut payments: Vec<(Uuid, &PaymentRow)> = changes
        .new_payments
        .iter()
        .map(|id| (id.0, &world.payments[id]))
        .collect();
    // In the order of their keys: two groups that race for the same keys then never wait in a ring.
    payments.sort_by(|one, other| one.1.key.cmp(&other.1.key));
    let keys: Vec<(Uuid, &str, &KeyRow)> = changes
        .new_keys
        .iter()
        .map(|key| (key.0.0, key.1.as_str(), &world.keys[key]))
        .collect();
    let row_of = |id: &AttemptId, payment: &PaymentId| world.payments[payment].attempt(*id);
    let attempts: Vec<(Uuid, &AttemptRow)> = changes
        .new_attempts
        .iter()
        .filter_map(|(id, payment)| Some((payment.0, row_of(id, payment)?)))
        .collect();
    let touched: Vec<(Uuid, &PaymentRow)> = changes
        .payments
        .iter()
        .map(|id| (id.0, &world.payments[id]))
        .collect();
    let tried: Vec<&AttemptRow> = changes
        .attempts
        .iter()
        .filter_map(|(id, payment)| row_of(id, payment))
        .collect();
    let answers: Vec<(Uuid, &str, i16, &[u8])> = changes
        .answers
        .iter()
        .filter_map(|key| {
            let answer = world.keys[key].answer.as_ref()?;
            let status = i16::try_from(answer.status).ok()?;
            Some((key.0.0, key.1.as_str(), status, answer.body.as_slice()))
        })
        .collect();
    let balances: Vec<(Uuid, Movement)> = changes
        .balances
        .iter()
        .map(|(account, movement)| (account.0, *movement))
        .collect();
    let postings = &changes.postings;
    let events = &changes.events;
    let messages = &changes.messages;
    let completed = &changes.completed;
    let setbacks = &changes.setbacks;
    let deliveries = &changes.deliveries;
    let mismatches = &changes.mismatches;
    let webhook_of = |work: Work| match work {
        Work::DeliverWebhook(event, endpoint) => (Some(event.0), Some(endpoint.0)),
        _ => (None, None),
    };

    let key_values = || {
        vec![
            column(&keys, |row| row.0),
            column(&keys, |row| row.1),
            column(&keys, |row| row.2.fingerprint.to_vec()),
            column(&keys, |row| row.2.request_id),
            column(&keys, |row| row.2.payment_id.0),
            Box::new(*now),
        ]
    };

    try_join!(
        execute(
            payments.len(),
            &writes.payments,
            vec![
                column(&payments, |row| row.0),
                column(&payments, |row| row.1.key.0.0),
                column(&payments, |row| row.1.key.1.as_str()),
                column(&payments, |row| row.1.amount.amount_minor),
                column(&payments, |row| row.1.amount.currency.code()),
                column(&payments, |row| row.1.payment_method.as_str()),
                column(&payments, |row| row.1.reference.as_deref()),
                column(&payments, |row| row.1.capture.word()),
                Box::new(*now),
            ]
        ),
        execute(
            if defects.key_apart { 0 } else { keys.len() },
            &writes.keys,
            key_values()
        ),
        execute(
            attempts.len(),
            &writes.attempts,
            vec![
                column(&attempts, |row| row.1.id.0),
                column(&attempts, |row| row.0),
                column(&attempts, |row| row.1.number),
                column(&attempts, |row| row.1.kind.word()),
                column(&attempts, |row| row.1.amount_minor),
                column(&attempts, |row| row.1.key.as_str()),
            ]
        ),
        execute(
            touched.len(),
            &writes.payment_changes,
            vec![
                column(&touched, |row| row.0),
                column(&touched, |row| row.1.status.word()),
                column(&touched, |row| row.1.failure_code.as_deref()),
                column(&touched, |row| row.1.updated_at_ms),
                column(&touched, |row| row.1.captured_minor()),
                column(&touched, |row| row.1.refunded_minor()
                    + row.1.refunding_minor()),
                column(&touched, |row| row.1.expires_at_ms),
            ]
        ),
        execute(
            tried.len(),
            &writes.attempt_changes,
            vec![
                column(&tried, |row| row.id.0),
                column(&tried, |row| row.status.word()),
                column(&tried, |row| row.acquirer_reference.as_deref()),
                column(&tried, |row| row.failure_code.as_deref()),
                column(&tried, |row| row.checks),
                column(&tried, |row| row.action_url.as_deref()),
            ]
        ),
        execute(
            postings.len(),
            &writes.postings,
            vec![
                column(postings, |row| row.id.0),
                column(postings, |row| row.payment_id.0),
                column(postings, |row| row.attempt_id.0),
                column(postings, |row| row.kind.word()),
                column(postings, |row| row.debit.0),
                column(postings, |row| row.credit.0),
                column(postings, |row| row.amount.currency.code()),
                column(postings, |row| row.amount.amount_minor),
                Box::new(*now),
            ]
        ),
        execute(
            balances.len(),
            &writes.balance_changes,
            vec![
                column(&balances, |row| row.0),
                column(&balances, |row| row.1.posted_minor),
                column(&balances, |row| row.1.held_minor),
            ]
        ),
        execute(
            answers.len(),
            &writes.answers,
            vec![
                column(&answers, |row| row.0),
                column(&answers, |row| row.1),
                column(&answers, |row| row.2),
                column(&answers, |row| row.3),
            ]
        ),
        execute(
            events.len(),
            &writes.events,
            vec![
                column(events, |row| row.id.0),
                column(events, |row| row.tenant_id.0),
                column(events, |row| row.payment_id.0),
                column(events, |row| row.kind.clone()),
                column(events, |row| row.body.clone()),
                Box::new(*now),
            ]
        ),
        execute(
            messages.len(),
            &writes.messages,
            vec![
                column(messages, |row| row.0.0),
                column(messages, |row| row.1.consumer.word()),
                column(messages, |row| partition_of(row.1.payment_id)),
                column(messages, |row| row.1.work.word()),
                column(messages, |row| row.1.payment_id.0),
                column(messages, |row| row.1.work.attempt().map(|id| id.0)),
                column(messages, |row| webhook_of(row.1.work).0),
                column(messages, |row| webhook_of(row.1.work).1),
                column(messages, |row| row.1.try_number),
                column(messages, |row| row.1.available_at_ms),
            ]
        ),
        execute(
            if defects.inbox_off {
                0
            } else {
                completed.len()
            },
            &writes.inbox,
            vec![
                column(completed, |row| row.1.consumer.word()),
                column(completed, |row| row.0.0),
                column(completed, |row| partition_of(row.1.payment_id)),
                column(completed, |row| row.2),
                Box::new(*now),
            ]
        ),
        execute(
            completed.len(),
            &writes.outbox,
            vec![column(completed, |row| row.0.0), Box::new(*now)]
        ),
        execute(
            setbacks.len(),
            &writes.setbacks,
            vec![
                column(setbacks, |row| row.message_id.0),
                column(setbacks, |row| row.failures),
                column(setbacks, |row| row.available_at_ms),
                column(setbacks, |row| row.parked.as_deref()),
                Box::new(*now),
            ]
        ),
        execute(
            deliveries.len(),
            &writes.deliveries,
            vec![
                column(deliveries, |row| row.message_id.0),
                column(deliveries, |row| row.status),
                column(deliveries, |row| row.error.clone()),
                column(deliveries, |row| row.delivered),
                Box::new(*now),
            ]
        ),
        execute(
            mismatches.len(),
            &writes.mismatches,
            vec![
                column(mismatches, |row| row.attempt_id.0),
                column(mismatches, |row| row.recorded.word()),
                column(mismatches, |row| row.claimed.as_str()),
                Box::new(*now),
            ]
        ),
        client.batch_execute("commit").map_ok(|()| ()),
    )?;
    if defects.key_apart {
        execute(keys.len(), &writes.keys, key_values()).await?;
    }
    Ok(())
}
