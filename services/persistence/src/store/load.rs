//! What a group needs, locked in the one order: leases, payments, balances. Sent in one go; the
//! server works through it statement by statement, so each sees what the locks before it froze.

use std::collections::HashMap;

use futures::try_join;
use paymesh_contracts::{
    AttemptId, EndpointId, EventId, MessageId, Money, PaymentId, TenantId,
    http::{AttemptKind, AttemptStatus, CaptureMethod, PaymentStatus},
};
use tokio_postgres::{Client, Error, Row, Statement, types::ToSql};
use uuid::Uuid;

use super::ms;
use crate::{
    command::{Answer, Command, Consumer, Effect},
    ledger::{AccountId, Balance},
    world::{AttemptRow, KeyRow, MessageRow, PaymentRow, TenantRow, Work, World},
};

const LEASES: &str = "select l.consumer, l.partition, l.epoch from lease l
    join unnest($1::text[], $2::int2[]) as w (consumer, partition)
      on l.consumer = w.consumer and l.partition = w.partition
    order by l.consumer, l.partition for share of l";

/// The columns of a payment, in the order that [`payment`] reads them.
macro_rules! payments {
    ($rest:literal) => {
        concat!(
            "select p.id, p.tenant_id, p.idempotency_key, p.amount, p.currency, p.payment_method,
                p.reference, p.status, p.failure_code, ",
            $crate::store::ms!("p.created_at"),
            ", ",
            $crate::store::ms!("p.updated_at"),
            ", p.capture, ",
            $crate::store::ms!("p.expires_at"),
            " from payment p ",
            $rest
        )
    };
}

/// The columns of an attempt, in the order that [`attempt`] reads them. What an earlier version
/// wrote is about the whole amount, under the key of its payment.
macro_rules! attempts {
    ($rest:literal) => {
        concat!(
            "select a.payment_id, a.id, a.number, a.status, a.acquirer_reference, a.failure_code,
                a.checks, a.kind, coalesce(a.amount, p.amount),
                coalesce(a.idempotency_key, p.idempotency_key), a.action_url
            from attempt a join payment p on p.id = a.payment_id ",
            $rest
        )
    };
}

pub(super) use {attempts, payments};

/// $1: messages whose payments may change; $2, $3: keys whose payments are read; $4: payments that
/// something is to be done with.
const PAYMENTS: &str = payments!(
    "where p.id = any(array(select o.payment_id from outbox o where o.id = any($1::uuid[])))
       or p.id = any(array(select i.payment_id from idempotency i
            join unnest($2::uuid[], $3::text[]) as k (tenant_id, key)
              on i.tenant_id = k.tenant_id and i.key = k.key))
       or p.id = any($4::uuid[])
    order by p.id for update of p"
);

/// $1: messages that bring the acquirer's word; $2: payments that something is to be done with.
const BALANCES: &str = "select b.account_id, b.posted, b.held, b.floor from balance b
    where b.account_id = any(array(select a.id from payment p
        join account a on a.tenant_id = p.tenant_id and a.currency = p.currency
        where p.id = any(array(select o.payment_id from outbox o where o.id = any($1::uuid[])))
           or p.id = any($2::uuid[])))
    order by b.account_id for update of b";

const MESSAGES: &str = "select o.id, o.consumer, o.kind, o.payment_id, o.attempt_id, o.event_id,
        o.endpoint_id, o.try, exists (select from inbox i
            where i.consumer = o.consumer and i.message_id = o.id), o.failures
    from outbox o where o.id = any($1::uuid[])";

/// $1: messages whose attempts may be settled; $2, $3: keys that are asked for.
const KEYS: &str = "select i.tenant_id, i.key, i.fingerprint, i.request_id, i.payment_id,
        i.answer_status, i.answer_body
    from (select k.tenant_id, k.key from unnest($2::uuid[], $3::text[]) as k (tenant_id, key)
          union select p.tenant_id, coalesce(a.idempotency_key, p.idempotency_key) from outbox o
            join payment p on p.id = o.payment_id join attempt a on a.id = o.attempt_id
            where o.id = any($1::uuid[])) w
    join idempotency i on i.tenant_id = w.tenant_id and i.key = w.key";

const ATTEMPTS: &str = attempts!(
    "where a.payment_id = any(array(select o.payment_id from outbox o where o.id = any($1::uuid[])))
       or a.payment_id = any(array(select i.payment_id from idempotency i
            join unnest($2::uuid[], $3::text[]) as k (tenant_id, key)
              on i.tenant_id = k.tenant_id and i.key = k.key))
       or a.payment_id = any($4::uuid[])
    order by a.payment_id, a.number"
);

const TENANTS: &str = "select t.id, t.fee_basis_points,
        array(select e.id from webhook_endpoint e
              where e.tenant_id = t.id and e.disabled_at is null order by e.id)
    from tenant t where t.id = any(array(select p.tenant_id from outbox o
        join payment p on p.id = o.payment_id where o.id = any($1::uuid[])))
        or t.id = any($2::uuid[])";

const NOW: &str = concat!(
    "select ",
    ms!("clock_timestamp()"),
    ", (select recovered_at is not null from ledger_epoch order by epoch desc limit 1)"
);

/// The statements above, prepared.
pub(super) struct Loads {
    leases: Statement,
    payments: Statement,
    balances: Statement,
    messages: Statement,
    keys: Statement,
    attempts: Statement,
    tenants: Statement,
    now: Statement,
}

impl Loads {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let (leases, payments, balances, messages, keys, attempts, tenants, now) = try_join!(
            client.prepare(LEASES),
            client.prepare(PAYMENTS),
            client.prepare(BALANCES),
            client.prepare(MESSAGES),
            client.prepare(KEYS),
            client.prepare(ATTEMPTS),
            client.prepare(TENANTS),
            client.prepare(NOW),
        )?;
        Ok(Self {
            leases,
            payments,
            balances,
            messages,
            keys,
            attempts,
            tenants,
            now,
        })
    }
}

type Value<'a> = &'a (dyn ToSql + Sync);

/// What the commands of a group name.
#[derive(Default)]
struct Wants {
    lease_consumers: Vec<&'static str>,
    lease_partitions: Vec<i16>,
    messages: Vec<Uuid>,
    payment_messages: Vec<Uuid>,
    verdicts: Vec<Uuid>,
    payments: Vec<Uuid>,
    key_tenants: Vec<Uuid>,
    keys: Vec<String>,
    settle_tenants: Vec<Uuid>,
    settle_keys: Vec<String>,
    tenants: Vec<Uuid>,
}

impl Wants {
    fn of(commands: &[&Command]) -> Self {
        let mut wants = Self::default();
        for command in commands {
            match command {
                Command::CreatePayment(create) => wants.key(&create.request.key),
                Command::Adopt(create) => {
                    wants.key(&create.request.key);
                    wants.tenants.push(create.request.key.0.0);
                }
                Command::Act(act) | Command::AdoptAct(act) => {
                    wants.key(&act.request.key);
                    wants.payments.push(act.payment_id.0);
                }
                Command::Confirm(_, payment_id) => wants.payments.push(payment_id.0),
                Command::SettleAnswer(key) => {
                    wants.key(key);
                    wants.settle_tenants.push(key.0.0);
                    wants.settle_keys.push(key.1.clone());
                }
                Command::Complete(complete) => {
                    let id = complete.message_id.0;
                    wants.messages.push(id);
                    match complete.effect {
                        Effect::WebhookTried { .. } | Effect::CannotHandle { .. } => {}
                        Effect::Unknown { .. } | Effect::ActionRequired { .. } => {
                            wants.payment_messages.push(id);
                        }
                        Effect::Approved { .. } | Effect::Declined { .. } | Effect::Expired => {
                            wants.payment_messages.push(id);
                            wants.verdicts.push(id);
                        }
                    }
                    let lease = (complete.lease.consumer.word(), complete.lease.partition);
                    if !wants
                        .lease_consumers
                        .iter()
                        .copied()
                        .zip(wants.lease_partitions.iter().copied())
                        .any(|known| known == lease)
                    {
                        wants.lease_consumers.push(lease.0);
                        wants.lease_partitions.push(lease.1);
                    }
                }
            }
        }
        wants
    }

    fn key(&mut self, key: &crate::command::Key) {
        self.key_tenants.push(key.0.0);
        self.keys.push(key.1.clone());
    }
}

/// Opens the transaction, locks and loads. Statements that cannot find anything are not sent.
pub(super) async fn world(
    client: &Client,
    loads: &Loads,
    commands: &[&Command],
) -> Result<World, Error> {
    let wants = Wants::of(commands);
    let query = async |is_wanted: bool, statement: &Statement, values: &[Value<'_>]| {
        if is_wanted {
            client.query(statement, values).await
        } else {
            Ok(Vec::new())
        }
    };
    let has_messages = !wants.messages.is_empty();
    let has_settles = !wants.settle_keys.is_empty();
    let has_changes = !wants.payment_messages.is_empty() || !wants.payments.is_empty();
    let has_verdicts = !wants.verdicts.is_empty() || !wants.payments.is_empty();
    let has_keys = !wants.payment_messages.is_empty() || !wants.keys.is_empty();
    let has_tenants = !wants.payment_messages.is_empty() || !wants.tenants.is_empty();
    let of_leases: [Value<'_>; 2] = [&wants.lease_consumers, &wants.lease_partitions];
    let of_payments: [Value<'_>; 4] = [
        &wants.payment_messages,
        &wants.settle_tenants,
        &wants.settle_keys,
        &wants.payments,
    ];
    let of_keys: [Value<'_>; 3] = [&wants.payment_messages, &wants.key_tenants, &wants.keys];
    let of_balances: [Value<'_>; 2] = [&wants.verdicts, &wants.payments];
    let of_messages: [Value<'_>; 1] = [&wants.messages];
    let of_tenants: [Value<'_>; 2] = [&wants.payment_messages, &wants.tenants];
    let ((), leases, payments, balances, messages, keys, attempts, tenants, now) = try_join!(
        client.batch_execute("begin"),
        query(has_messages, &loads.leases, &of_leases),
        query(has_changes || has_settles, &loads.payments, &of_payments),
        query(has_verdicts, &loads.balances, &of_balances),
        query(has_messages, &loads.messages, &of_messages),
        query(has_keys, &loads.keys, &of_keys),
        query(has_changes || has_settles, &loads.attempts, &of_payments),
        query(has_tenants, &loads.tenants, &of_tenants),
        client.query_one(&loads.now, &[]),
    )?;
    let mut world = World {
        now_ms: now.get(0),
        is_recovered: now.get(1),
        ..World::default()
    };
    for row in leases {
        if let Some(consumer) = Consumer::from_word(row.get(0)) {
            world.epochs.insert((consumer, row.get(1)), row.get(2));
        }
    }
    let mut attempts_of: HashMap<PaymentId, Vec<AttemptRow>> = HashMap::new();
    for row in &attempts {
        attempts_of
            .entry(PaymentId(row.get(0)))
            .or_default()
            .extend(attempt(row));
    }
    for row in &payments {
        let id = PaymentId(row.get(0));
        let attempts = attempts_of.remove(&id).unwrap_or_default();
        if let Some(payment) = payment(row, attempts) {
            world.payments.insert(id, payment);
        }
    }
    for row in balances {
        let balance = Balance {
            posted_minor: row.get(1),
            held_minor: row.get(2),
            floor_minor: row.get(3),
        };
        world.balances.insert(AccountId(row.get(0)), balance);
    }
    for row in &messages {
        let id = MessageId(row.get(0));
        if row.get(8) {
            world.completed.insert(id);
        }
        if let Some(message) = message(row) {
            world.messages.insert(id, message);
        }
    }
    for row in &keys {
        if let Some(known) = key(row) {
            world.keys.insert((TenantId(row.get(0)), row.get(1)), known);
        }
    }
    for row in tenants {
        let endpoints: Vec<Uuid> = row.get(2);
        let tenant = TenantRow {
            fee_basis_points: row.get(1),
            endpoints: endpoints.into_iter().map(EndpointId).collect(),
        };
        world.tenants.insert(TenantId(row.get(0)), tenant);
    }
    Ok(world)
}

/// A payment from the columns of [`payments!`]; `None` for a word this version does not
/// know, which then counts as absent.
pub(super) fn payment(row: &Row, attempts: Vec<AttemptRow>) -> Option<PaymentRow> {
    Some(PaymentRow {
        key: (TenantId(row.get(1)), row.get(2)),
        amount: Money::new(row.get(3), row.get::<_, &str>(4).parse().ok()?),
        payment_method: row.get(5),
        reference: row.get(6),
        status: PaymentStatus::from_word(row.get(7))?,
        failure_code: row.get(8),
        created_at_ms: row.get(9),
        updated_at_ms: row.get(10),
        capture: CaptureMethod::from_word(row.get(11))?,
        expires_at_ms: row.get(12),
        attempts,
    })
}

/// An attempt from the columns of [`attempts!`].
pub(super) fn attempt(row: &Row) -> Option<AttemptRow> {
    Some(AttemptRow {
        id: AttemptId(row.get(1)),
        number: row.get(2),
        kind: AttemptKind::from_word(row.get(7))?,
        amount_minor: row.get(8),
        key: row.get(9),
        status: AttemptStatus::from_word(row.get(3))?,
        acquirer_reference: row.get(4),
        failure_code: row.get(5),
        checks: row.get(6),
        action_url: row.get(10),
    })
}

fn message(row: &Row) -> Option<MessageRow> {
    let attempt = row.get::<_, Option<Uuid>>(4).map(AttemptId);
    let event = row.get::<_, Option<Uuid>>(5).map(EventId);
    let endpoint = row.get::<_, Option<Uuid>>(6).map(EndpointId);
    let work = match row.get(2) {
        "send_attempt" => Work::SendAttempt(attempt?),
        "check_attempt" => Work::CheckAttempt(attempt?),
        "send_operation" => Work::SendOperation(attempt?),
        "check_operation" => Work::CheckOperation(attempt?),
        "expire" => Work::Expire,
        "deliver_webhook" => Work::DeliverWebhook(event?, endpoint?),
        _ => return None,
    };
    Some(MessageRow {
        consumer: Consumer::from_word(row.get(1))?,
        payment_id: PaymentId(row.get(3)),
        work,
        try_number: row.get(7),
        available_at_ms: 0,
        failures: row.get(9),
    })
}

fn key(row: &Row) -> Option<KeyRow> {
    let status: Option<i16> = row.get(5);
    let body: Option<Vec<u8>> = row.get(6);
    let answer = match (status.and_then(|status| u16::try_from(status).ok()), body) {
        (Some(status), Some(body)) => Some(Answer { status, body }),
        _ => None,
    };
    Some(KeyRow {
        fingerprint: row.get::<_, &[u8]>(2).try_into().ok()?,
        request_id: row.get(3),
        payment_id: PaymentId(row.get(4)),
        answer,
        is_committed: true,
    })
}
