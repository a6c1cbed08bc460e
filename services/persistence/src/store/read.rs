//! Reads outside of any group, on a connection of their own. Money is never decided on these.

use std::{collections::HashMap, sync::Arc};

use futures::{FutureExt, try_join};
use paymesh_contracts::{PaymentId, TenantId, digest, persistence as wire};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio_postgres::{Client, Row, Statement, types::ToSql};
use uuid::Uuid;

use super::{
    connection::{Connection, Failure},
    database::Database,
    ms,
    page::{Side, Texts},
    rows,
};
use crate::{
    command::Key,
    payment::{AttemptRow, DisputeRow},
};

const ATTEMPTS: &str =
    rows::attempts!("where a.payment_id = any($1::uuid[]) order by a.payment_id, a.number");

const DISPUTES: &str = rows::disputes!(
    "where d.payment_id = any($1::uuid[]) order by d.payment_id, d.opened_at, d.id"
);

const PAYMENTS: Texts = Texts {
    older: rows::payments!("where p.tenant_id = $1 and p.id < $2 order by p.id desc limit $3"),
    newer: rows::payments!("where p.tenant_id = $1 and p.id > $2 order by p.id limit $3"),
};

const IS_USED: &str = "select from idempotency where tenant_id = $1 and key = $2";

const BALANCES: &str = "select a.kind, b.currency, b.posted, b.held from balance b
    join account a on a.id = b.account_id
    where a.tenant_id = $1 order by b.currency, a.kind";

/// What `moved` moved, the newest first. A ledger grows without an end, so it is never walked
/// through: postings are found by their payments.
macro_rules! postings {
    ($moved:literal) => {
        concat!(
            $moved,
            " select p.id, p.kind, d.kind, c.kind, p.amount, p.currency, p.payment_id, ",
            ms!("p.created_at"),
            " from moved p join account d on d.id = p.debit_account
                join account c on c.id = p.credit_account
                where d.tenant_id = $1 order by p.seq desc limit 100"
        )
    };
}

const POSTINGS_OF_PAYMENT: &str =
    postings!("with moved as materialized (select * from posting where payment_id = $2)");

/// Whatever moves money tells of it in the same transaction: what moved since the oldest of the
/// newest events is all of the payments that these are about.
const NEWEST_POSTINGS: &str = postings!(
    "with told as materialized (select payment_id, created_at from event
            where tenant_id = $1 order by id desc limit 100),
        moved as materialized (select * from posting
            where payment_id = any (array(select payment_id from told))
                and created_at >= (select min(created_at) from told))"
);

/// A connection that is opened again when it is gone.
#[derive(Clone)]
pub struct Reader {
    database: Arc<Database>,
    open: Arc<Mutex<Option<Open>>>,
}

/// A connection, and what was prepared on it.
struct Open {
    client: Arc<Client>,
    statements: HashMap<&'static str, Statement>,
}

impl Reader {
    /// A reader that connects when it is first asked.
    pub fn new(database: Database) -> Self {
        Self {
            database: Arc::new(database),
            open: Arc::default(),
        }
    }

    /// A reader with a connection of its own, for who would have others wait.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self {
            database: self.database.clone(),
            open: Arc::default(),
        }
    }

    async fn open(&self) -> Result<MappedMutexGuard<'_, Open>, Failure> {
        let mut slot = self.open.lock().await;
        if slot.as_ref().is_none_or(|open| open.client.is_closed()) {
            let connection = Connection::enter_by_index(&self.database).await?;
            *slot = Some(Open {
                client: Arc::new(connection.client),
                statements: HashMap::new(),
            });
        }
        Ok(MutexGuard::map(slot, |slot| {
            slot.as_mut().expect("set above")
        }))
    }

    pub(super) async fn client(&self) -> Result<Arc<Client>, Failure> {
        Ok(self.open().await?.client.clone())
    }

    /// Asks with a statement that is prepared when it is first asked with.
    pub(super) async fn query(
        &self,
        text: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        let (client, known) = {
            let open = self.open().await?;
            (open.client.clone(), open.statements.get(text).cloned())
        };
        let is_known = known.is_some();
        let asked = async {
            let statement = match known {
                Some(statement) => statement,
                None => client.prepare(text).await?,
            };
            let rows = client.query(&statement, values).await?;
            Ok((statement, rows))
        };
        let asked: Result<_, tokio_postgres::Error> = asked.await;
        let result = asked.map_err(Failure::from);
        if is_known && result.is_ok() {
            return result.map(|(_, rows)| rows);
        }
        let mut slot = self.open.lock().await;
        // Somebody may have opened another one meanwhile.
        let ours = slot.as_mut().filter(|it| Arc::ptr_eq(&it.client, &client));
        match (result, ours) {
            (Ok((statement, rows)), ours) => {
                if let Some(open) = ours {
                    open.statements.insert(text, statement);
                }
                Ok(rows)
            }
            (Err(failure), ours) => {
                if ours.is_some() && matches!(failure, Failure::Disconnected(_)) {
                    *slot = None;
                }
                Err(failure)
            }
        }
    }

    /// Whose API key this is; `keyed_hash` is what the database knows of it.
    pub async fn tenant_of_key(&self, keyed_hash: &[u8]) -> Result<Option<wire::Tenant>, Failure> {
        let rows = self
            .query(
                "select tenant_id, scopes from api_key where hash = $1 and revoked_at is null",
                &[&keyed_hash],
            )
            .await?;
        Ok(rows.first().map(|row| wire::Tenant {
            tenant_id: TenantId(row.get(0)).bytes(),
            scopes: row.get(1),
        }))
    }

    /// Whether something was made with an idempotency key.
    pub(crate) async fn is_used(&self, key: &Key) -> Result<bool, Failure> {
        let rows = self.query(IS_USED, &[&key.0.0, &key.1]).await?;
        Ok(!rows.is_empty())
    }

    /// A payment of a tenant.
    pub async fn payment(
        &self,
        tenant_id: TenantId,
        payment_id: PaymentId,
    ) -> Result<Option<wire::Payment>, Failure> {
        let rows = self
            .query(
                rows::payments!("where p.tenant_id = $1 and p.id = $2"),
                &[&tenant_id.0, &payment_id.0],
            )
            .await?;
        Ok(self.with_attempts(&rows).await?.pop())
    }

    /// At most `limit` payments of a tenant on one side of another one, newest first.
    pub async fn payments(
        &self,
        tenant_id: TenantId,
        side: Side,
        limit: u32,
    ) -> Result<wire::PaymentPage, Failure> {
        let page = self.page(&PAYMENTS, tenant_id, side, limit).await?;
        Ok(wire::PaymentPage {
            payments: self.with_attempts(&page.rows).await?,
            older: page.older,
            newer: page.newer,
        })
    }

    async fn with_attempts(&self, rows: &[Row]) -> Result<Vec<wire::Payment>, Failure> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
        let attempts = self.query(ATTEMPTS, &[&ids]).await?;
        let disputes = self.query(DISPUTES, &[&ids]).await?;
        let payment = |row: &Row| {
            let id: Uuid = row.get(0);
            let attempts = attempts
                .iter()
                .filter(|attempt| attempt.get::<_, Uuid>(0) == id);
            let disputes = disputes
                .iter()
                .filter(|dispute| dispute.get::<_, Uuid>(0) == id);
            let payment = rows::payment(
                row,
                attempts.filter_map(rows::attempt).collect(),
                disputes.filter_map(rows::dispute).collect(),
            )?;
            let (captured_minor, refunded_minor) =
                (payment.captured_minor(), payment.refunded_minor());
            let next_action_url = payment.action_url().unwrap_or_default();
            Some(wire::Payment {
                payment_id: PaymentId(id).bytes(),
                amount: Some(payment.amount.into()),
                status: payment.status.word().to_owned(),
                payment_method: payment.payment_method,
                reference: payment.reference.unwrap_or_default(),
                failure_code: payment.failure_code.unwrap_or_default(),
                created_at_ms: payment.created_at_ms,
                updated_at_ms: payment.updated_at_ms,
                capture: payment.capture.word().to_owned(),
                captured_minor,
                refunded_minor,
                next_action_url,
                expires_at_ms: payment.expires_at_ms.unwrap_or_default(),
                attempts: payment.attempts.into_iter().map(attempt_message).collect(),
                disputes: payment.disputes.into_iter().map(dispute_message).collect(),
            })
        };
        Ok(rows.iter().filter_map(payment).collect())
    }

    /// The newest postings of a tenant, which came with its newest hundred events, or those of one
    /// payment; and the balances that are not 0 or moved by these.
    pub async fn ledger(
        &self,
        tenant_id: TenantId,
        payment_id: Option<PaymentId>,
    ) -> Result<wire::Ledger, Failure> {
        let client = self.client().await?;
        let payment = payment_id.map(|id| id.0);
        let tenant: [&(dyn ToSql + Sync); 1] = [&tenant_id.0];
        let both: [&(dyn ToSql + Sync); 2] = [&tenant_id.0, &payment];
        let postings = match payment_id {
            Some(_) => client.query(POSTINGS_OF_PAYMENT, &both).left_future(),
            None => client.query(NEWEST_POSTINGS, &tenant).right_future(),
        };
        let (balances, postings) = try_join!(client.query(BALANCES, &tenant), postings)?;
        let is_moved = |kind: &str, currency: &str| {
            postings.iter().any(|row| {
                let of = [2, 3].map(|at| row.get::<_, &str>(at) == kind);
                of.contains(&true) && row.get::<_, &str>(5) == currency
            })
        };
        let is_shown = |row: &Row| {
            let [posted, held] = [2, 3].map(|at| row.get::<_, i64>(at));
            posted != 0 || held != 0 || is_moved(row.get(0), row.get(1))
        };
        let balances: Vec<Row> = balances.into_iter().filter(is_shown).collect();
        let balance = |row: Row| wire::Balance {
            account: row.get(0),
            posted: Some(wire::Money {
                amount_minor: row.get(2),
                currency: row.get(1),
            }),
            held_minor: row.get(3),
        };
        let posting = |row: Row| wire::Posting {
            posting_id: row.get::<_, Uuid>(0).as_bytes().to_vec(),
            kind: row.get(1),
            debit: row.get(2),
            credit: row.get(3),
            amount: Some(wire::Money {
                amount_minor: row.get(4),
                currency: row.get(5),
            }),
            payment_id: PaymentId(row.get(6)).bytes(),
            created_at_ms: row.get(7),
        };
        Ok(wire::Ledger {
            balances: balances.into_iter().map(balance).collect(),
            postings: postings.into_iter().map(posting).collect(),
        })
    }
}

/// 128 random bits.
pub(crate) fn random_hex() -> String {
    digest::hex(&rand::random::<[u8; 16]>())
}

fn attempt_message(attempt: AttemptRow) -> wire::Attempt {
    wire::Attempt {
        attempt_id: attempt.id.bytes(),
        number: attempt.number.unsigned_abs(),
        status: attempt.status.word().to_owned(),
        acquirer_reference: attempt.acquirer_reference.unwrap_or_default(),
        failure_code: attempt.failure_code.unwrap_or_default(),
        kind: attempt.kind.word().to_owned(),
        amount_minor: attempt.amount_minor,
    }
}

fn dispute_message(dispute: DisputeRow) -> wire::Dispute {
    wire::Dispute {
        dispute_id: dispute.id.bytes(),
        amount_minor: dispute.amount_minor,
        reason: dispute.reason,
        status: dispute.status.word().to_owned(),
        respond_by_ms: dispute.respond_by_ms.unwrap_or_default(),
        opened_at_ms: dispute.opened_at_ms,
    }
}
