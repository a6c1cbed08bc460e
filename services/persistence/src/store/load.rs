//! What a group needs, locked in the one order: leases, payments, balances. Sent in one go; the
//! server works through it statement by statement, so each sees what the locks before it froze.

use std::collections::HashMap;

use futures::try_join;
use paymesh_contracts::{EndpointId, MessageId, PaymentId, TenantId};
use tokio_postgres::{Client, Error, Row, Statement, types::ToSql};
use uuid::Uuid;

use super::{
    ms,
    rows::{attempt, attempts, dispute, disputes, key, message, payment, payments},
    wants::Wants,
};
use crate::{
    command::{Command, Consumer},
    ledger::{AccountId, Balance},
    payment::{AttemptRow, DisputeRow},
    world::{TenantRow, World},
};

const LEASES: &str = "select l.consumer, l.partition, l.epoch from lease l
    join unnest($1::text[], $2::int2[]) as w (consumer, partition)
      on l.consumer = w.consumer and l.partition = w.partition
    order by l.consumer, l.partition for share of l";

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

const DISPUTES: &str = disputes!(
    "where d.payment_id = any(array(select o.payment_id from outbox o where o.id = any($1::uuid[])))
       or d.payment_id = any(array(select i.payment_id from idempotency i
            join unnest($2::uuid[], $3::text[]) as k (tenant_id, key)
              on i.tenant_id = k.tenant_id and i.key = k.key))
       or d.payment_id = any($4::uuid[])
    order by d.payment_id, d.opened_at, d.id"
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
    disputes: Statement,
    tenants: Statement,
    now: Statement,
}

impl Loads {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let (leases, payments, balances, messages, keys, attempts, disputes, tenants, now) = try_join!(
            client.prepare(LEASES),
            client.prepare(PAYMENTS),
            client.prepare(BALANCES),
            client.prepare(MESSAGES),
            client.prepare(KEYS),
            client.prepare(ATTEMPTS),
            client.prepare(DISPUTES),
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
            disputes,
            tenants,
            now,
        })
    }
}

type Value<'a> = &'a (dyn ToSql + Sync);

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
    let ((), leases, payments, balances, messages, keys, attempts, disputes, tenants, now) = try_join!(
        client.batch_execute("begin"),
        query(has_messages, &loads.leases, &of_leases),
        query(has_changes || has_settles, &loads.payments, &of_payments),
        query(has_verdicts, &loads.balances, &of_balances),
        query(has_messages, &loads.messages, &of_messages),
        query(has_keys, &loads.keys, &of_keys),
        query(has_changes || has_settles, &loads.attempts, &of_payments),
        query(has_changes || has_settles, &loads.disputes, &of_payments),
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
    let mut disputes_of: HashMap<PaymentId, Vec<DisputeRow>> = HashMap::new();
    for row in &disputes {
        disputes_of
            .entry(PaymentId(row.get(0)))
            .or_default()
            .extend(dispute(row));
    }
    for row in &payments {
        let id = PaymentId(row.get(0));
        let attempts = attempts_of.remove(&id).unwrap_or_default();
        let disputes = disputes_of.remove(&id).unwrap_or_default();
        if let Some(payment) = payment(row, attempts, disputes) {
            world.payments.insert(id, payment);
        }
    }
    take_accounts(&mut world, balances, tenants);
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
    Ok(world)
}

/// Opens the transaction, and locks and loads no more than what payments are booked on.
pub(super) async fn accounts(
    client: &Client,
    loads: &Loads,
    payments: &[Uuid],
    tenants: &[Uuid],
) -> Result<World, Error> {
    let messages: &[Uuid] = &[];
    let of_balances: [Value<'_>; 2] = [&messages, &payments];
    let of_tenants: [Value<'_>; 2] = [&messages, &tenants];
    let ((), balances, tenants, now) = try_join!(
        client.batch_execute("begin"),
        client.query(&loads.balances, &of_balances),
        client.query(&loads.tenants, &of_tenants),
        client.query_one(&loads.now, &[]),
    )?;
    let mut world = World {
        now_ms: now.get(0),
        is_recovered: now.get(1),
        ..World::default()
    };
    take_accounts(&mut world, balances, tenants);
    Ok(world)
}

fn take_accounts(world: &mut World, balances: Vec<Row>, tenants: Vec<Row>) {
    for row in balances {
        let balance = Balance {
            posted_minor: row.get(1),
            held_minor: row.get(2),
            floor_minor: row.get(3),
        };
        world.balances.insert(AccountId(row.get(0)), balance);
    }
    for row in tenants {
        let endpoints: Vec<Uuid> = row.get(2);
        let tenant = TenantRow {
            fee_basis_points: row.get(1),
            endpoints: endpoints.into_iter().map(EndpointId).collect(),
        };
        world.tenants.insert(TenantId(row.get(0)), tenant);
    }
}
