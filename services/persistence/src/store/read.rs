//! Reads outside of any group, on a connection of their own. Money is never decided on these.

use std::{collections::HashSet, sync::Arc};

use futures::try_join;
use paymesh_contracts::{
    AttemptId, EndpointId, EventId, MessageId, PaymentId, TenantId, digest, persistence as wire,
};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Config, Row, types::ToSql};
use uuid::Uuid;

use super::{
    connection::{Connection, Failure},
    load, ms,
    page::{Side, Texts},
};
use crate::{
    command::Consumer,
    world::{AttemptRow, partition_of},
};

const ATTEMPTS: &str =
    load::attempts!("where a.payment_id = any($1::uuid[]) order by a.payment_id, a.number");

const PAYMENTS: Texts = Texts {
    older: load::payments!("where p.tenant_id = $1 and p.id < $2 order by p.id desc limit $3"),
    newer: load::payments!("where p.tenant_id = $1 and p.id > $2 order by p.id limit $3"),
};

const EVENTS: Texts = Texts {
    older: "select body from event where tenant_id = $1 and id < $2 order by id desc limit $3",
    newer: "select body from event where tenant_id = $1 and id > $2 order by id limit $3",
};

const BALANCES: &str = "select a.kind, b.currency, b.posted, b.held from balance b
    join account a on a.id = b.account_id
    where a.tenant_id = $1 and (b.posted <> 0 or b.held <> 0
        or exists (select from posting p where p.debit_account = a.id or p.credit_account = a.id))
    order by b.currency, a.kind";

const POSTINGS: &str = concat!(
    "select p.id, p.kind, d.kind, c.kind, p.amount, p.currency, p.payment_id, ",
    ms!("p.created_at"),
    " from posting p join account d on d.id = p.debit_account
        join account c on c.id = p.credit_account
        where d.tenant_id = $1 and ($2::uuid is null or p.payment_id = $2)
        order by p.seq desc limit 100"
);

/// While the ledger recovers nothing is sent to the acquirer.
const WAITING: &str = "select o.id, o.partition, o.kind, o.try, o.payment_id, o.attempt_id,
        coalesce(a.amount, p.amount), p.currency, p.payment_method, o.event_id, o.endpoint_id,
        e.body, w.url, w.secret,
        p.tenant_id, k.key, k.fingerprint, p.reference,
        case when w.previous_until > clock_timestamp() then w.previous_secret end,
        w.disabled_at is not null, a.kind, f.id
    from outbox o join payment p on p.id = o.payment_id
        left join attempt a on a.id = o.attempt_id
        left join attempt f on f.payment_id = p.id and f.number = 1
        join idempotency k on k.tenant_id = p.tenant_id
            and k.key = coalesce(a.idempotency_key, p.idempotency_key)
        left join event e on e.id = o.event_id
        left join webhook_endpoint w on w.id = o.endpoint_id
    where o.consumer = $1 and o.partition = any($2::int2[]) and o.done_at is null
        and o.parked_at is null and o.available_at <= clock_timestamp() and o.id <> all($3::uuid[])
        and (o.consumer <> 'attempts' or (select recovered_at is not null from ledger_epoch
            order by epoch desc limit 1))
    order by o.seq limit $4";

/// Takes what is free or already ours; a takeover is a new epoch. $4: this stream's first time,
/// when what another stream of the same reader held is taken over too.
const TAKE_LEASES: &str = "with free as (
        select l.partition from lease l
        where l.consumer = $1 and (l.holder = $2 or l.expires_at < clock_timestamp()
            or ($4 and l.reader = $5))
        order by l.partition for update)
    update lease l set
        epoch = case when l.holder is not distinct from $2 then l.epoch else l.epoch + 1 end,
        holder = $2, reader = $5,
        expires_at = clock_timestamp() + $3::int8 * interval '1 millisecond'
    from free where l.consumer = $1 and l.partition = free.partition
    returning l.partition, l.epoch";

const ENDPOINTS: &str = concat!(
    "select id, url, case when previous_until > clock_timestamp() then ",
    ms!("previous_until"),
    " end from webhook_endpoint
    where tenant_id = $1 and disabled_at is null order by id desc"
);

/// A merchant who rotates twice, because the first answer was lost, still knows the secret from
/// before the first time: that one goes on, and nobody ever saw the one in between.
const ROTATE_SECRET: &str = concat!(
    "update webhook_endpoint set
        previous_secret = case when $4::int8 = 0 then null
            when previous_until > clock_timestamp() then previous_secret else secret end,
        previous_until = case when $4::int8 = 0 then null
            else clock_timestamp() + $4::int8 * interval '1 second' end,
        secret = $3
    where tenant_id = $1 and id = $2 and disabled_at is null
    returning url, ",
    ms!("previous_until")
);

const REPLAY_EVENT: &str =
    "insert into outbox (id, consumer, partition, kind, payment_id, event_id,
        endpoint_id, available_at)
    select gen_random_uuid(), 'webhooks', $4::int2, 'deliver_webhook', $3::uuid, $2::uuid, id,
        clock_timestamp()
    from webhook_endpoint where tenant_id = $1 and disabled_at is null
    returning id";

/// By then a charge that was on its way to the acquirer has arrived, or never will.
const ARRIVED_MS: i64 = 60_000;

const OPEN_RECOVERY: &str = concat!(
    "select epoch, ",
    ms!("lost_since"),
    " from ledger_epoch
    where recovered_at is null or (settled_at is null
        and opened_at < clock_timestamp() - $1::int8 * interval '1 millisecond')
    order by epoch desc limit 1"
);

/// Earlier epochs end with it: what they had lost lies in the same window or before it.
const FINISH_RECOVERY: &str = "update ledger_epoch set
        recovered_at = coalesce(recovered_at, clock_timestamp()),
        settled_at = case when opened_at < clock_timestamp() - $2::int8 * interval '1 millisecond'
            then clock_timestamp() end
    where epoch = $1";

const LEAVE_LEASES: &str = "with ours as (
        select l.partition from lease l where l.consumer = $1 and l.holder = $2
        order by l.partition for update)
    update lease l set expires_at = clock_timestamp(), holder = null
    from ours where l.consumer = $1 and l.partition = ours.partition";

/// A connection that is opened again when it is gone.
#[derive(Clone)]
pub struct Reader {
    config: Arc<Config>,
    client: Arc<Mutex<Option<Arc<Client>>>>,
}

impl Reader {
    /// A reader that connects when it is first asked.
    pub fn new(config: Config) -> Self {
        Self {
            config: Arc::new(config),
            client: Arc::default(),
        }
    }

    async fn client(&self) -> Result<Arc<Client>, Failure> {
        let mut slot = self.client.lock().await;
        if let Some(client) = slot.as_ref().filter(|client| !client.is_closed()) {
            return Ok(client.clone());
        }
        let client = Arc::new(Connection::enter(&self.config).await?.client);
        *slot = Some(client.clone());
        Ok(client)
    }

    pub(super) async fn query(
        &self,
        text: &str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Failure> {
        Ok(self.client().await?.query(text, values).await?)
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

    /// A payment of a tenant.
    pub async fn payment(
        &self,
        tenant_id: TenantId,
        payment_id: PaymentId,
    ) -> Result<Option<wire::Payment>, Failure> {
        let rows = self
            .query(
                load::payments!("where p.tenant_id = $1 and p.id = $2"),
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
        let payment = |row: &Row| {
            let id: Uuid = row.get(0);
            let attempts = attempts
                .iter()
                .filter(|attempt| attempt.get::<_, Uuid>(0) == id);
            let payment = load::payment(row, attempts.filter_map(load::attempt).collect())?;
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
            })
        };
        Ok(rows.iter().filter_map(payment).collect())
    }

    /// The balances of a tenant and its newest postings, or those of one payment.
    pub async fn ledger(
        &self,
        tenant_id: TenantId,
        payment_id: Option<PaymentId>,
    ) -> Result<wire::Ledger, Failure> {
        let client = self.client().await?;
        let payment = payment_id.map(|id| id.0);
        let (tenant_values, posting_values): ([&(dyn ToSql + Sync); 1], [&(dyn ToSql + Sync); 2]) =
            ([&tenant_id.0], [&tenant_id.0, &payment]);
        let (balances, postings) = try_join!(
            client.query(BALANCES, &tenant_values),
            client.query(POSTINGS, &posting_values)
        )?;
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

    /// Adds an address where a tenant wants to be told.
    pub async fn add_endpoint(
        &self,
        tenant_id: TenantId,
        url: &str,
    ) -> Result<wire::WebhookEndpoint, Failure> {
        let (id, secret) = (Uuid::now_v7(), format!("whsec_{}", random_hex()));
        self.query(
            "insert into webhook_endpoint (id, tenant_id, url, secret) values ($1, $2, $3, $4)",
            &[&id, &tenant_id.0, &url, &secret],
        )
        .await?;
        Ok(wire::WebhookEndpoint {
            endpoint_id: id.as_bytes().to_vec(),
            url: url.to_owned(),
            secret,
            rotating_until_ms: 0,
        })
    }

    /// The addresses in use, newest first, without their secrets.
    pub async fn endpoints(&self, tenant_id: TenantId) -> Result<wire::WebhookEndpoints, Failure> {
        let rows = self.query(ENDPOINTS, &[&tenant_id.0]).await?;
        let endpoint = |row: &Row| wire::WebhookEndpoint {
            endpoint_id: row.get::<_, Uuid>(0).as_bytes().to_vec(),
            url: row.get(1),
            secret: String::new(),
            rotating_until_ms: row.get::<_, Option<i64>>(2).unwrap_or_default(),
        };
        Ok(wire::WebhookEndpoints {
            endpoints: rows.iter().map(endpoint).collect(),
        })
    }

    /// Gives an endpoint a new secret; the one before goes on for `overlap_seconds`.
    pub async fn rotate_secret(
        &self,
        tenant_id: TenantId,
        endpoint_id: EndpointId,
        overlap_seconds: u32,
    ) -> Result<Option<wire::WebhookEndpoint>, Failure> {
        let secret = format!("whsec_{}", random_hex());
        let rows = self
            .query(
                ROTATE_SECRET,
                &[
                    &tenant_id.0,
                    &endpoint_id.0,
                    &secret,
                    &i64::from(overlap_seconds),
                ],
            )
            .await?;
        Ok(rows.first().map(|row| wire::WebhookEndpoint {
            endpoint_id: endpoint_id.bytes(),
            url: row.get(0),
            secret: secret.clone(),
            rotating_until_ms: row.get::<_, Option<i64>>(1).unwrap_or_default(),
        }))
    }

    /// Sends nothing to an endpoint any more; says whether it was in use.
    pub async fn remove_endpoint(
        &self,
        tenant_id: TenantId,
        endpoint_id: EndpointId,
    ) -> Result<bool, Failure> {
        let rows = self
            .query(
                "update webhook_endpoint set disabled_at = clock_timestamp()
                 where tenant_id = $1 and id = $2 and disabled_at is null returning 1",
                &[&tenant_id.0, &endpoint_id.0],
            )
            .await?;
        Ok(!rows.is_empty())
    }

    /// At most `limit` events of a tenant on one side of another one, newest first.
    pub async fn events(
        &self,
        tenant_id: TenantId,
        side: Side,
        limit: u32,
    ) -> Result<wire::EventPage, Failure> {
        let page = self.page(&EVENTS, tenant_id, side, limit).await?;
        Ok(wire::EventPage {
            bodies: page.rows.iter().map(|row| row.get(0)).collect(),
            older: page.older,
            newer: page.newer,
        })
    }

    /// Tells of an event again; gives the number of endpoints, `None` if there is no such event.
    pub async fn replay_event(
        &self,
        tenant_id: TenantId,
        event_id: EventId,
    ) -> Result<Option<u32>, Failure> {
        let known = self
            .query(
                "select payment_id from event where tenant_id = $1 and id = $2",
                &[&tenant_id.0, &event_id.0],
            )
            .await?;
        let Some(row) = known.first() else {
            return Ok(None);
        };
        let payment = PaymentId(row.get(0));
        let values: [&(dyn ToSql + Sync); 4] = [
            &tenant_id.0,
            &event_id.0,
            &payment.0,
            &partition_of(payment),
        ];
        let told = self.query(REPLAY_EVENT, &values).await?;
        Ok(u32::try_from(told.len()).ok())
    }

    /// Messages of some partitions that may be worked on now, but those being worked on.
    pub(crate) async fn waiting(
        &self,
        consumer: Consumer,
        leases: &[(i16, i64)],
        in_flight: &[Uuid],
        limit: i64,
    ) -> Result<Vec<(MessageId, wire::Message)>, Failure> {
        let partitions: Vec<i16> = leases.iter().map(|lease| lease.0).collect();
        let rows = self
            .query(
                WAITING,
                &[&consumer.word(), &partitions, &in_flight, &limit],
            )
            .await?;
        Ok(rows
            .iter()
            .filter_map(|row| message(row, consumer, leases))
            .collect())
    }

    /// What has to be asked of the acquirer now, if anything: at once after a promotion, and again
    /// when everything that was on its way then has arrived.
    pub async fn open_recovery(&self) -> Result<Option<OpenRecovery>, Failure> {
        let rows = self.query(OPEN_RECOVERY, &[&ARRIVED_MS]).await?;
        Ok(rows.first().map(|row| OpenRecovery {
            epoch: row.get(0),
            since_ms: row.get(1),
        }))
    }

    /// Notes that the acquirer was asked for everything.
    pub async fn finish_recovery(&self, epoch: i64) -> Result<(), Failure> {
        self.query(FINISH_RECOVERY, &[&epoch, &ARRIVED_MS]).await?;
        Ok(())
    }

    /// Which of some attempts are in our books.
    pub async fn known_attempts(&self, ids: &[AttemptId]) -> Result<HashSet<AttemptId>, Failure> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = self
            .query("select id from attempt where id = any($1)", &[&ids])
            .await?;
        Ok(rows.iter().map(|row| AttemptId(row.get(0))).collect())
    }

    /// Notes a charge that is nobody's, before it is voided.
    pub async fn note_orphan(
        &self,
        epoch: i64,
        id: AttemptId,
        amount: &wire::Money,
        reason: &str,
    ) -> Result<(), Failure> {
        self.query(
            "insert into orphan_charge (attempt_id, epoch, amount, currency, reason)
             values ($1, $2, $3, $4, $5) on conflict do nothing",
            &[
                &id.0,
                &epoch,
                &amount.amount_minor,
                &amount.currency,
                &reason,
            ],
        )
        .await?;
        Ok(())
    }

    /// Takes or keeps the leases of every partition that nobody else holds.
    pub(crate) async fn take_leases(
        &self,
        consumer: Consumer,
        holder: Holder,
        lasting_ms: i64,
    ) -> Result<Vec<(i16, i64)>, Failure> {
        let rows = self
            .query(
                TAKE_LEASES,
                &[
                    &consumer.word(),
                    &holder.stream,
                    &lasting_ms,
                    &holder.is_new,
                    &holder.reader,
                ],
            )
            .await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// Gives all leases of a holder back.
    pub(crate) async fn leave_leases(
        &self,
        consumer: Consumer,
        holder: Uuid,
    ) -> Result<(), Failure> {
        self.query(LEAVE_LEASES, &[&consumer.word(), &holder])
            .await?;
        Ok(())
    }
}

/// Who takes leases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holder {
    /// The process that reads.
    pub(crate) reader: Uuid,
    /// Its stream: only one of them has the leases of a reader.
    pub(crate) stream: Uuid,
    /// Whether the stream has just begun.
    pub(crate) is_new: bool,
}

/// What has to be asked of the acquirer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRecovery {
    /// Under which epoch.
    pub epoch: i64,
    /// Charges since when.
    pub since_ms: i64,
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

fn message(
    row: &Row,
    consumer: Consumer,
    leases: &[(i16, i64)],
) -> Option<(MessageId, wire::Message)> {
    let id = MessageId(row.get(0));
    let partition: i16 = row.get(1);
    let (_, epoch) = leases.iter().find(|lease| lease.0 == partition)?;
    let number = row.get::<_, i32>(3).unsigned_abs();
    let attempt = || {
        Some(wire::SendAttempt {
            attempt_id: AttemptId(row.get::<_, Option<Uuid>>(5)?).bytes(),
            payment_id: PaymentId(row.get(4)).bytes(),
            amount: Some(wire::Money {
                amount_minor: row.get(6),
                currency: row.get(7),
            }),
            payment_method: row.get(8),
            origin: Some(wire::Origin {
                tenant_id: TenantId(row.get(14)).bytes(),
                payment_id: PaymentId(row.get(4)).bytes(),
                idempotency_key: row.get(15),
                fingerprint: row.get(16),
                reference: row.get::<_, Option<String>>(17).unwrap_or_default(),
                payment_method: row.get(8),
            }),
        })
    };
    let operate = |is_check| {
        Some(wire::message::Work::Operate(wire::Operate {
            attempt: Some(attempt()?),
            kind: row.get::<_, Option<String>>(20)?,
            charge_id: AttemptId(row.get::<_, Option<Uuid>>(21)?).bytes(),
            is_check,
        }))
    };
    let work = match row.get(2) {
        "send_operation" => operate(false)?,
        "check_operation" => operate(true)?,
        "expire" => wire::message::Work::Expire(wire::Expire {}),
        "send_attempt" => wire::message::Work::SendAttempt(attempt()?),
        "check_attempt" => wire::message::Work::CheckAttempt(wire::CheckAttempt {
            attempt: attempt(),
            check: number,
        }),
        "deliver_webhook" => wire::message::Work::DeliverWebhook(wire::DeliverWebhook {
            event_id: row.get::<_, Option<Uuid>>(9)?.as_bytes().to_vec(),
            endpoint_id: row.get::<_, Option<Uuid>>(10)?.as_bytes().to_vec(),
            body: row.get::<_, Option<Vec<u8>>>(11)?,
            url: row.get::<_, Option<String>>(12)?,
            secret: row.get::<_, Option<String>>(13)?,
            r#try: number,
            previous_secret: row.get::<_, Option<String>>(18).unwrap_or_default(),
            is_removed: row.get::<_, Option<bool>>(19)?,
        }),
        _ => return None,
    };
    let lease = wire::Lease {
        consumer: consumer.word().to_owned(),
        partition: u32::try_from(partition).ok()?,
        epoch: *epoch,
    };
    let message = wire::Message {
        message_id: id.bytes(),
        lease: Some(lease),
        work: Some(work),
    };
    Some((id, message))
}
