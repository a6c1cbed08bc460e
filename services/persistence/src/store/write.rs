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
fn column<'a, R, T>(rows: &[R], cell: impl Fn(&R) -> T) -> Value<'a>
where
    Vec<T>: ToSql + Sync + Send + 'a,
{
    Box::new(rows.iter().map(cell).collect::<Vec<T>>())
}

/// What commands decided together, to be written together.
pub(super) struct Group<'a> {
    /// Where the rows are that changed.
    pub(super) world: &'a World,
    /// What changed.
    pub(super) changes: &'a Changes,
    /// Where in a trace each new message was left.
    pub(super) traces: &'a [Option<&'a str>],
    /// What goes wrong on purpose.
    pub(super) defects: Defects,
}

impl<'a> Group<'a> {
    /// Writes it and commits; `in_transaction` says whether one is open.
    pub(super) async fn commit(
        &self,
        client: &Client,
        writes: &Writes,
        in_transaction: bool,
    ) -> Result<(), Error> {
        let mut new = self.new_rows();
        // No kind of a batch sees what another one writes.
        let mut altered = if self.changes.change_what_is_new() {
            Batch::default()
        } else {
            std::mem::take(&mut new)
        };
        self.alter_rows(&mut altered);
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
        if self.defects.key_apart {
            let mut apart = Batch::default();
            self.insert_keys(&mut apart);
            let of_keys = writes.prepared(client, &apart).await?;
            apart.execute(client, of_keys.as_ref()).await?;
        }
        Ok(())
    }

    /// Rows to insert. Keys, payments and attempts in one order: two groups that race for the same
    /// keys do not wait in a ring then.
    fn new_rows(&self) -> Batch<'a> {
        let mut batch = Batch::default();
        self.insert_payments(&mut batch);
        if !self.defects.key_apart {
            self.insert_keys(&mut batch);
        }
        self.insert_attempts(&mut batch);
        self.put_disputes(&mut batch);
        self.open_accounts(&mut batch);
        self.insert_postings(&mut batch);
        self.insert_events(&mut batch);
        self.insert_messages(&mut batch);
        if !self.defects.inbox_off {
            self.insert_inbox(&mut batch);
        }
        self.insert_deliveries(&mut batch);
        self.insert_mismatches(&mut batch);
        batch
    }

    /// Adds the rows to change.
    fn alter_rows(&self, batch: &mut Batch<'a>) {
        self.update_payments(batch);
        self.update_attempts(batch);
        self.update_balances(batch);
        self.update_answers(batch);
        self.update_outbox(batch);
        self.update_setbacks(batch);
    }

    fn insert_payments(&self, batch: &mut Batch<'a>) {
        let ids = self.changes.new_payments.iter();
        let mut payments: Vec<(Uuid, &'a PaymentRow)> =
            ids.map(|id| (id.0, &self.world.payments[id])).collect();
        payments.sort_by(|one, other| one.1.key.cmp(&other.1.key));
        batch.put(
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
                Box::new(self.world.now_ms),
            ],
        );
    }

    fn insert_keys(&self, batch: &mut Batch<'a>) {
        let keys = self.changes.new_keys.iter();
        let keys: Vec<(Uuid, &'a str, &'a KeyRow)> = keys
            .map(|key| (key.0.0, key.1.as_str(), &self.world.keys[key]))
            .collect();
        batch.put(
            statements::INSERT_KEYS,
            keys.len(),
            vec![
                column(&keys, |row| row.0),
                column(&keys, |row| row.1),
                column(&keys, |row| row.2.fingerprint.to_vec()),
                column(&keys, |row| row.2.request_id),
                column(&keys, |row| row.2.payment_id.0),
                Box::new(self.world.now_ms),
            ],
        );
    }

    fn insert_attempts(&self, batch: &mut Batch<'a>) {
        let ids = self.changes.new_attempts.iter();
        let mut attempts: Vec<(Uuid, &'a AttemptRow)> = ids
            .filter_map(|(id, payment)| Some((payment.0, self.attempt(*id, *payment)?)))
            .collect();
        attempts.sort_by_key(|row| row.1.id.0);
        batch.put(
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
    }

    fn put_disputes(&self, batch: &mut Batch<'a>) {
        let ids = self.changes.disputes.iter();
        let disputes: Vec<(Uuid, Money, &'a DisputeRow)> = ids
            .filter_map(|(id, payment)| {
                let row = &self.world.payments[payment];
                let dispute = row.dispute(*id)?;
                let amount = Money::new(dispute.amount_minor, row.amount.currency);
                Some((payment.0, amount, dispute))
            })
            .collect();
        batch.put(
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
                Box::new(self.world.now_ms),
            ],
        );
    }

    fn open_accounts(&self, batch: &mut Batch<'a>) {
        let owners = self.changes.new_accounts.iter();
        let accounts: Vec<(Uuid, Uuid, AccountKind, Currency)> = owners
            .map(|(tenant, kind, currency)| {
                let id = AccountId::of(*tenant, *kind, *currency);
                (id.0, tenant.0, *kind, *currency)
            })
            .collect();
        batch.put(
            statements::OPEN_ACCOUNTS,
            accounts.len(),
            vec![
                column(&accounts, |row| row.0),
                column(&accounts, |row| row.1),
                column(&accounts, |row| row.2.word()),
                column(&accounts, |row| row.3.code()),
            ],
        );
        batch.put(
            statements::OPEN_BALANCES,
            accounts.len(),
            vec![
                column(&accounts, |row| row.0),
                column(&accounts, |row| row.3.code()),
                column(&accounts, |row| row.2.floor_minor()),
            ],
        );
    }

    fn insert_postings(&self, batch: &mut Batch<'a>) {
        let postings = &self.changes.postings;
        batch.put(
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
                Box::new(self.world.now_ms),
            ],
        );
    }

    fn insert_events(&self, batch: &mut Batch<'a>) {
        let events: Vec<_> = self.changes.events.iter().collect();
        batch.put(
            statements::INSERT_EVENTS,
            events.len(),
            vec![
                column(&events, |row| row.id.0),
                column(&events, |row| row.tenant_id.0),
                column(&events, |row| row.payment_id.0),
                column(&events, |row| row.kind.as_str()),
                column(&events, |row| row.body.as_slice()),
                Box::new(self.world.now_ms),
            ],
        );
    }

    fn insert_messages(&self, batch: &mut Batch<'a>) {
        let messages = &self.changes.messages;
        let webhook_of = |work: Work| match work {
            Work::DeliverWebhook(event, endpoint) => (Some(event.0), Some(endpoint.0)),
            _ => (None, None),
        };
        batch.put(
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
                Box::new(self.traces),
            ],
        );
    }

    fn insert_inbox(&self, batch: &mut Batch<'a>) {
        let completed = &self.changes.completed;
        batch.put(
            statements::INSERT_INBOX,
            completed.len(),
            vec![
                column(completed, |row| row.1.consumer.word()),
                column(completed, |row| row.0.0),
                column(completed, |row| partition_of(row.1.payment_id)),
                column(completed, |row| row.2),
                Box::new(self.world.now_ms),
            ],
        );
    }

    fn insert_deliveries(&self, batch: &mut Batch<'a>) {
        let deliveries: Vec<_> = self.changes.deliveries.iter().collect();
        batch.put(
            statements::INSERT_DELIVERIES,
            deliveries.len(),
            vec![
                column(&deliveries, |row| row.message_id.0),
                column(&deliveries, |row| row.status),
                column(&deliveries, |row| row.error.as_deref()),
                column(&deliveries, |row| row.delivered),
                Box::new(self.world.now_ms),
            ],
        );
    }

    fn insert_mismatches(&self, batch: &mut Batch<'a>) {
        let mismatches: Vec<_> = self.changes.mismatches.iter().collect();
        batch.put(
            statements::INSERT_MISMATCHES,
            mismatches.len(),
            vec![
                column(&mismatches, |row| row.attempt_id.0),
                column(&mismatches, |row| row.recorded.as_str()),
                column(&mismatches, |row| row.claimed.as_str()),
                Box::new(self.world.now_ms),
            ],
        );
    }

    fn update_payments(&self, batch: &mut Batch<'a>) {
        let ids = self.changes.payments.iter();
        let touched: Vec<(Uuid, &'a PaymentRow)> =
            ids.map(|id| (id.0, &self.world.payments[id])).collect();
        batch.put(
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
    }

    fn update_attempts(&self, batch: &mut Batch<'a>) {
        let ids = self.changes.attempts.iter();
        let tried: Vec<&'a AttemptRow> = ids
            .filter_map(|(id, payment)| self.attempt(*id, *payment))
            .collect();
        batch.put(
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
    }

    fn update_balances(&self, batch: &mut Batch<'a>) {
        let movements = self.changes.balances.iter();
        let balances: Vec<(Uuid, Movement)> = movements
            .map(|(account, movement)| (account.0, *movement))
            .collect();
        batch.put(
            statements::UPDATE_BALANCES,
            balances.len(),
            vec![
                column(&balances, |row| row.0),
                column(&balances, |row| row.1.posted_minor),
                column(&balances, |row| row.1.held_minor),
            ],
        );
    }

    fn update_answers(&self, batch: &mut Batch<'a>) {
        let keys = self.changes.answers.iter();
        let answers: Vec<(Uuid, &'a str, i16, &'a [u8])> = keys
            .filter_map(|key| {
                let answer = self.world.keys[key].answer.as_ref()?;
                let status = i16::try_from(answer.status).ok()?;
                Some((key.0.0, key.1.as_str(), status, answer.body.as_slice()))
            })
            .collect();
        batch.put(
            statements::UPDATE_ANSWERS,
            answers.len(),
            vec![
                column(&answers, |row| row.0),
                column(&answers, |row| row.1),
                column(&answers, |row| row.2),
                column(&answers, |row| row.3),
            ],
        );
    }

    fn update_outbox(&self, batch: &mut Batch<'a>) {
        let completed = &self.changes.completed;
        batch.put(
            statements::UPDATE_OUTBOX,
            completed.len(),
            vec![
                column(completed, |row| row.0.0),
                Box::new(self.world.now_ms),
            ],
        );
    }

    fn update_setbacks(&self, batch: &mut Batch<'a>) {
        let setbacks: Vec<_> = self.changes.setbacks.iter().collect();
        batch.put(
            statements::UPDATE_SETBACKS,
            setbacks.len(),
            vec![
                column(&setbacks, |row| row.message_id.0),
                column(&setbacks, |row| row.failures),
                column(&setbacks, |row| row.available_at_ms),
                column(&setbacks, |row| row.parked.as_deref()),
                Box::new(self.world.now_ms),
            ],
        );
    }

    fn attempt(&self, id: AttemptId, payment: PaymentId) -> Option<&'a AttemptRow> {
        self.world.payments[&payment].attempt(id)
    }
}
