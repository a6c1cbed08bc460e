//! What a group writes, in one statement, or in two where what is new changes as well, then COMMIT, all
//! sent in one go. One statement that nothing was locked for is a transaction by itself.
//!
//! When a statement fails the server ignores the rest and answers COMMIT with a rollback, so a
//! group is written whole or not at all.

use futures::try_join;
use paymesh_contracts::{AttemptId, Currency, Money, PaymentId};
use tokio_postgres::{Client, Error, types::ToSql};
use uuid::Uuid;

use super::statements::{self, Batch, Value, Writes};
use crate::{
    defect::Defects,
    ledger::{AccountId, AccountKind, Cause, Movement},
    payment::{AttemptRow, DisputeRow, PaymentRow},
    world::{Changes, KeyRow, Work, World, partition_of},
};

/// One column of several rows.
fn column<'a, R, T>(rows: &'a [R], cell: impl Fn(&'a R) -> T) -> Value<'a>
where
    Vec<T>: ToSql + Sync + Send + 'a,
{
    Box::new(rows.iter().map(cell).collect::<Vec<T>>())
}

/// Writes the changes and commits; `traces` says of each message where in a trace it was left,
/// `in_transaction` whether one is open.
pub(super) async fn commit(
    client: &Client,
    writes: &Writes,
    world: &World,
    changes: &Changes,
    traces: &[Option<&str>],
    defects: Defects,
    in_transaction: bool,
) -> Result<(), Error> {
    let now = &world.now_ms;

    let mut payments: Vec<(Uuid, &PaymentRow)> = changes
        .new_payments
        .iter()
        .map(|id| (id.0, &world.payments[id]))
        .collect();
    // Keys, payments and attempts in one order: two groups that race for the same keys do not wait in
    // a ring then.
    payments.sort_by(|one, other| one.1.key.cmp(&other.1.key));
    let keys: Vec<(Uuid, &str, &KeyRow)> = changes
        .new_keys
        .iter()
        .map(|key| (key.0.0, key.1.as_str(), &world.keys[key]))
        .collect();
    let row_of = |id: &AttemptId, payment: &PaymentId| world.payments[payment].attempt(*id);
    let mut attempts: Vec<(Uuid, &AttemptRow)> = changes
        .new_attempts
        .iter()
        .filter_map(|(id, payment)| Some((payment.0, row_of(id, payment)?)))
        .collect();
    attempts.sort_by_key(|row| row.1.id.0);
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
    let disputes: Vec<(Uuid, Money, &DisputeRow)> = changes
        .disputes
        .iter()
        .filter_map(|(id, payment)| {
            let row = &world.payments[payment];
            let dispute = row.dispute(*id)?;
            let amount = Money::new(dispute.amount_minor, row.amount.currency);
            Some((payment.0, amount, dispute))
        })
        .collect();
    let accounts: Vec<(Uuid, Uuid, AccountKind, Currency)> = changes
        .new_accounts
        .iter()
        .map(|(tenant, kind, currency)| {
            let id = AccountId::of(*tenant, *kind, *currency);
            (id.0, tenant.0, *kind, *currency)
        })
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

    let mut new = Batch::default();
    new.put(
        statements::INSERT_PAYMENTS,
        payments.len(),
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
        ],
    );
    new.put(
        statements::INSERT_KEYS,
        if defects.key_apart { 0 } else { keys.len() },
        key_values(),
    );
    new.put(
        statements::INSERT_ATTEMPTS,
        attempts.len(),
        vec![
            column(&attempts, |row| row.1.id.0),
            column(&attempts, |row| row.0),
            column(&attempts, |row| row.1.number),
            column(&attempts, |row| row.1.kind.word()),
            column(&attempts, |row| row.1.amount_minor),
            column(&attempts, |row| row.1.key.as_str()),
            column(&attempts, |row| row.1.dispute.as_deref()),
            column(&attempts, |row| row.1.explanation.as_deref()),
        ],
    );
    new.put(
        statements::PUT_DISPUTES,
        disputes.len(),
        vec![
            column(&disputes, |row| row.2.id.0),
            column(&disputes, |row| row.0),
            column(&disputes, |row| row.2.reference.as_str()),
            column(&disputes, |row| row.1.amount_minor),
            column(&disputes, |row| row.1.currency.code()),
            column(&disputes, |row| row.2.reason.as_str()),
            column(&disputes, |row| row.2.status.word()),
            column(&disputes, |row| row.2.version),
            column(&disputes, |row| row.2.respond_by_ms),
            column(&disputes, |row| row.2.covered_minor),
            column(&disputes, |row| row.2.opened_at_ms),
            Box::new(*now),
        ],
    );
    new.put(
        statements::OPEN_ACCOUNTS,
        accounts.len(),
        vec![
            column(&accounts, |row| row.0),
            column(&accounts, |row| row.1),
            column(&accounts, |row| row.2.word()),
            column(&accounts, |row| row.3.code()),
        ],
    );
    new.put(
        statements::OPEN_BALANCES,
        accounts.len(),
        vec![
            column(&accounts, |row| row.0),
            column(&accounts, |row| row.3.code()),
            column(&accounts, |row| row.2.floor_minor()),
        ],
    );
    new.put(
        statements::INSERT_POSTINGS,
        postings.len(),
        vec![
            column(postings, |row| row.id.0),
            column(postings, |row| row.payment_id.0),
            column(postings, |row| match row.cause {
                Cause::Attempt(id) => Some(id.0),
                Cause::Dispute(_) => None,
            }),
            column(postings, |row| match row.cause {
                Cause::Attempt(_) => None,
                Cause::Dispute(id) => Some(id.0),
            }),
            column(postings, |row| row.kind.word()),
            column(postings, |row| row.debit.0),
            column(postings, |row| row.credit.0),
            column(postings, |row| row.amount.currency.code()),
            column(postings, |row| row.amount.amount_minor),
            Box::new(*now),
        ],
    );
    new.put(
        statements::INSERT_EVENTS,
        events.len(),
        vec![
            column(events, |row| row.id.0),
            column(events, |row| row.tenant_id.0),
            column(events, |row| row.payment_id.0),
            column(events, |row| row.kind.clone()),
            column(events, |row| row.body.clone()),
            Box::new(*now),
        ],
    );
    new.put(
        statements::INSERT_MESSAGES,
        messages.len(),
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
            Box::new(traces),
        ],
    );
    new.put(
        statements::INSERT_INBOX,
        if defects.inbox_off {
            0
        } else {
            completed.len()
        },
        vec![
            column(completed, |row| row.1.consumer.word()),
            column(completed, |row| row.0.0),
            column(completed, |row| partition_of(row.1.payment_id)),
            column(completed, |row| row.2),
            Box::new(*now),
        ],
    );
    new.put(
        statements::INSERT_DELIVERIES,
        deliveries.len(),
        vec![
            column(deliveries, |row| row.message_id.0),
            column(deliveries, |row| row.status),
            column(deliveries, |row| row.error.clone()),
            column(deliveries, |row| row.delivered),
            Box::new(*now),
        ],
    );
    new.put(
        statements::INSERT_MISMATCHES,
        mismatches.len(),
        vec![
            column(mismatches, |row| row.attempt_id.0),
            column(mismatches, |row| row.recorded.as_str()),
            column(mismatches, |row| row.claimed.as_str()),
            Box::new(*now),
        ],
    );
    // No kind of a batch sees what another one writes.
    let mut altered = if changes.change_what_is_new() {
        Batch::default()
    } else {
        std::mem::take(&mut new)
    };
    altered.put(
        statements::UPDATE_PAYMENTS,
        touched.len(),
        vec![
            column(&touched, |row| row.0),
            column(&touched, |row| row.1.status.word()),
            column(&touched, |row| row.1.failure_code.as_deref()),
            column(&touched, |row| row.1.updated_at_ms),
            column(&touched, |row| row.1.captured_minor()),
            column(&touched, |row| {
                row.1.refunded_minor() + row.1.refunding_minor()
            }),
            column(&touched, |row| row.1.expires_at_ms),
        ],
    );
    altered.put(
        statements::UPDATE_ATTEMPTS,
        tried.len(),
        vec![
            column(&tried, |row| row.id.0),
            column(&tried, |row| row.status.word()),
            column(&tried, |row| row.acquirer_reference.as_deref()),
            column(&tried, |row| row.failure_code.as_deref()),
            column(&tried, |row| row.checks),
            column(&tried, |row| row.action_url.as_deref()),
        ],
    );
    altered.put(
        statements::UPDATE_BALANCES,
        balances.len(),
        vec![
            column(&balances, |row| row.0),
            column(&balances, |row| row.1.posted_minor),
            column(&balances, |row| row.1.held_minor),
        ],
    );
    altered.put(
        statements::UPDATE_ANSWERS,
        answers.len(),
        vec![
            column(&answers, |row| row.0),
            column(&answers, |row| row.1),
            column(&answers, |row| row.2),
            column(&answers, |row| row.3),
        ],
    );
    altered.put(
        statements::UPDATE_OUTBOX,
        completed.len(),
        vec![column(completed, |row| row.0.0), Box::new(*now)],
    );
    altered.put(
        statements::UPDATE_SETBACKS,
        setbacks.len(),
        vec![
            column(setbacks, |row| row.message_id.0),
            column(setbacks, |row| row.failures),
            column(setbacks, |row| row.available_at_ms),
            column(setbacks, |row| row.parked.as_deref()),
            Box::new(*now),
        ],
    );
    let (of_new, of_altered) = try_join!(
        writes.prepared(client, &new),
        writes.prepared(client, &altered),
    )?;
    assert!(
        in_transaction || of_new.is_none() || of_altered.is_none(),
        "two statements are no transaction by themselves"
    );
    let commit = async {
        if in_transaction {
            client.batch_execute("commit").await?;
        }
        Ok(())
    };
    try_join!(
        new.execute(client, of_new.as_ref()),
        altered.execute(client, of_altered.as_ref()),
        commit,
    )?;
    if defects.key_apart {
        let mut apart = Batch::default();
        apart.put(statements::INSERT_KEYS, keys.len(), key_values());
        let of_keys = writes.prepared(client, &apart).await?;
        apart.execute(client, of_keys.as_ref()).await?;
    }
    Ok(())
}
