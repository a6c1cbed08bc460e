//! The whole database, read in one snapshot.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Everything the rules look at.
#[derive(Debug, Default)]
pub struct Database {
    /// Payments by id.
    pub payments: HashMap<Uuid, Payment>,
    /// Attempts.
    pub attempts: Vec<Attempt>,
    /// Disputes.
    pub disputes: Vec<Dispute>,
    /// Postings in the order they were booked.
    pub postings: Vec<Posting>,
    /// Accounts by id, with their balances.
    pub accounts: HashMap<Uuid, Account>,
    /// Idempotency rows.
    pub keys: Vec<Key>,
    /// Messages.
    pub messages: Vec<Message>,
    /// How many inbox rows name each message.
    pub inbox: HashMap<Uuid, usize>,
    /// What events tell of each payment.
    pub events: HashMap<Uuid, Vec<String>>,
    /// Contradictions of the acquirer.
    pub mismatches: usize,
    /// Charges that were found to be nobody's.
    pub orphans: HashSet<Uuid>,
    /// What is wrong with the audit chain.
    pub audit: Vec<String>,
}

/// A payment.
#[derive(Debug)]
pub struct Payment {
    /// Whose.
    pub tenant: Uuid,
    /// Its idempotency key.
    pub key: String,
    /// In minor units.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Where it stands.
    pub status: String,
    /// What its merchant pays.
    pub fee_basis_points: i32,
    /// How much is noted as given back, or about to be.
    pub refunding: i64,
}

/// An attempt.
#[derive(Debug)]
pub struct Attempt {
    /// Its id.
    pub id: Uuid,
    /// Of which payment.
    pub payment: Uuid,
    /// First is 1.
    pub number: i32,
    /// What is asked.
    pub kind: String,
    /// How much is asked for.
    pub amount: i64,
    /// The key of the request that wanted it.
    pub key: String,
    /// Where it stands.
    pub status: String,
    /// Whether its customer had to do something.
    pub had_action: bool,
}

impl Attempt {
    /// Whether the acquirer's word is still to come.
    pub fn is_open(&self) -> bool {
        matches!(self.status.as_str(), "pending" | "unknown")
    }

    /// Whether the acquirer did it.
    pub fn is_done(&self, kind: &str) -> bool {
        self.kind == kind && self.status == "approved"
    }
}

/// A dispute.
#[derive(Debug)]
pub struct Dispute {
    /// Its id.
    pub id: Uuid,
    /// Of which payment.
    pub payment: Uuid,
    /// As the acquirer calls it.
    pub name: String,
    /// How much.
    pub amount: i64,
    /// ISO 4217 code.
    pub currency: String,
    /// Where it stands.
    pub status: String,
    /// Of the newest word on it.
    pub version: i64,
}

/// A posting.
#[derive(Debug)]
pub struct Posting {
    /// Of which payment.
    pub payment: Uuid,
    /// By which attempt, or which dispute.
    pub cause: Uuid,
    /// Why.
    pub kind: String,
    /// From where.
    pub debit: Uuid,
    /// To where.
    pub credit: Uuid,
    /// ISO 4217 code.
    pub currency: String,
    /// In minor units.
    pub amount: i64,
}

/// An account and its balance.
#[derive(Debug)]
pub struct Account {
    /// Whose.
    pub tenant: Uuid,
    /// What for.
    pub kind: String,
    /// ISO 4217 code.
    pub currency: String,
    /// Credits less debits.
    pub posted: i64,
    /// Promised.
    pub held: i64,
}

/// An idempotency row.
#[derive(Debug)]
pub struct Key {
    /// The key.
    pub text: String,
    /// What it made.
    pub payment: Uuid,
    /// The final answer.
    pub answer: Option<(i16, Vec<u8>)>,
}

/// A message.
#[derive(Debug)]
pub struct Message {
    /// Its id.
    pub id: Uuid,
    /// What it asks for.
    pub kind: String,
    /// About which payment.
    pub payment: Uuid,
    /// About which attempt, if it is about one.
    pub attempt: Option<Uuid>,
    /// Whether it took effect.
    pub is_done: bool,
    /// Whether its time has come.
    pub is_due: bool,
    /// Why it was put aside.
    pub parked: Option<String>,
    /// Of a webhook: event and endpoint, and the number of the try.
    pub webhook: Option<(Uuid, Uuid)>,
    /// First is 1.
    pub try_number: i32,
    /// Of a webhook that was tried: whether nobody will be told again.
    pub is_last: Option<bool>,
}

impl Database {
    /// Reads all of it.
    pub async fn read(url: &str) -> io::Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls)
            .await
            .map_err(io::Error::other)?;
        let running = tokio::spawn(connection);
        let read = Self::read_with(&client).await.map_err(io::Error::other);
        drop(client);
        let _ = running.await;
        read
    }

    async fn read_with(client: &Client) -> Result<Self, tokio_postgres::Error> {
        client
            .batch_execute("begin isolation level repeatable read read only")
            .await?;
        let rows = async |text: &str| client.query(text, &[]).await;
        let payments = rows(
            "select p.id, p.tenant_id, p.idempotency_key, p.amount, p.currency, p.status,
                t.fee_basis_points, p.refunding from payment p join tenant t on t.id = p.tenant_id",
        );
        let payments = payments.await?.into_iter().map(|row| {
            let payment = Payment {
                tenant: row.get(1),
                key: row.get(2),
                amount: row.get(3),
                currency: row.get(4),
                status: row.get(5),
                fee_basis_points: row.get(6),
                refunding: row.get(7),
            };
            (row.get(0), payment)
        });
        let attempts = rows(
            "select a.id, a.payment_id, a.number, a.kind, coalesce(a.amount, p.amount),
                coalesce(a.idempotency_key, p.idempotency_key), a.status,
                a.action_url is not null
             from attempt a join payment p on p.id = a.payment_id order by a.number",
        );
        let attempts = attempts.await?.into_iter().map(|row| Attempt {
            id: row.get(0),
            payment: row.get(1),
            number: row.get(2),
            kind: row.get(3),
            amount: row.get(4),
            key: row.get(5),
            status: row.get(6),
            had_action: row.get(7),
        });
        let disputes = rows(
            "select id, payment_id, reference, amount, currency, status, version from dispute",
        );
        let disputes = disputes.await?.into_iter().map(|row| Dispute {
            id: row.get(0),
            payment: row.get(1),
            name: row.get(2),
            amount: row.get(3),
            currency: row.get(4),
            status: row.get(5),
            version: row.get(6),
        });
        let postings = rows(
            "select payment_id, coalesce(attempt_id, dispute_id), kind, debit_account, credit_account, currency, amount
             from posting order by seq",
        );
        let postings = postings.await?.into_iter().map(|row| Posting {
            payment: row.get(0),
            cause: row.get(1),
            kind: row.get(2),
            debit: row.get(3),
            credit: row.get(4),
            currency: row.get(5),
            amount: row.get(6),
        });
        let accounts = rows(
            "select a.id, a.tenant_id, a.kind, a.currency, b.posted, b.held
             from account a join balance b on b.account_id = a.id",
        );
        let accounts = accounts.await?.into_iter().map(|row| {
            let account = Account {
                tenant: row.get(1),
                kind: row.get(2),
                currency: row.get(3),
                posted: row.get(4),
                held: row.get(5),
            };
            (row.get(0), account)
        });
        let keys = rows("select key, payment_id, answer_status, answer_body from idempotency");
        let keys = keys.await?.into_iter().map(|row| Key {
            text: row.get(0),
            payment: row.get(1),
            answer: row.get::<_, Option<i16>>(2).zip(row.get(3)),
        });
        let messages = rows(
            "select o.id, o.kind, o.payment_id, o.done_at is not null, o.event_id, o.endpoint_id,
                o.try, d.delivered or o.try >= 24 or d.error = 'the endpoint was removed',
                o.attempt_id, o.available_at <= now(), o.parked_reason
             from outbox o left join webhook_delivery d on d.message_id = o.id",
        );
        let messages = messages.await?.into_iter().map(|row| Message {
            id: row.get(0),
            kind: row.get(1),
            payment: row.get(2),
            is_done: row.get(3),
            webhook: row.get::<_, Option<Uuid>>(4).zip(row.get(5)),
            try_number: row.get(6),
            is_last: row.get(7),
            attempt: row.get(8),
            is_due: row.get(9),
            parked: row.get(10),
        });
        let mut database = Self {
            payments: payments.collect(),
            attempts: attempts.collect(),
            disputes: disputes.collect(),
            postings: postings.collect(),
            accounts: accounts.collect(),
            keys: keys.collect(),
            messages: messages.collect(),
            ..Self::default()
        };
        for row in rows("select message_id from inbox").await? {
            *database.inbox.entry(row.get(0)).or_default() += 1;
        }
        for row in rows("select payment_id, kind from event").await? {
            let told = database.events.entry(row.get(0)).or_default();
            told.push(row.get(1));
        }
        for row in rows("select attempt_id from orphan_charge").await? {
            database.orphans.insert(row.get(0));
        }
        database.mismatches = rows("select 1 from mismatch").await?.len();
        database.audit = super::audit::read(client).await?;
        client.batch_execute("commit").await?;
        Ok(database)
    }
}
