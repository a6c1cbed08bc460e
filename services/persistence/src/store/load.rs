//! What a group needs, locked in the one order: payments, balances. Sent in one go, once it is known
//! which payments those are, and disputes apart, if there are any; the server works through it
//! statement by statement, so each sees what the locks before it froze. Each statement has a price in
//! processor time whatever it finds, so there are few.

use std::collections::HashMap;

use futures::try_join;
use paymesh_contracts::{EndpointId, MessageId, PaymentId, TenantId};
use tokio_postgres::{Client, Error, Row, Statement, types::ToSql};
use uuid::Uuid;

use super::{
    ms,
    rows::{
        ATTEMPT_COLUMNS, attempt, attempts, dispute, disputes, key, message, payment, payments,
    },
    wants::Wants,
};
use crate::{
    command::Command,
    ledger::{AccountId, Balance},
    payment::{AttemptRow, DisputeRow},
    world::{TenantRow, World},
};

/// What never changes of the payments that a group is about, read before its transaction: the rest is
/// then asked for by its own ids. $1: messages; $2: payments; $3, $4: keys of which the first is
/// answered.
const ABOUT: &str = "select o.id, p.id, p.tenant_id, p.currency,
        case when a.id is not null then coalesce(a.idempotency_key, p.idempotency_key) end
    from outbox o join payment p on p.id = o.payment_id left join attempt a on a.id = o.attempt_id
    where o.id = any($1::uuid[])
    union all
    select null, p.id, p.tenant_id, p.currency, null from payment p where p.id = any($2::uuid[])
    union all
    select null, p.id, p.tenant_id, p.currency, null
    from unnest($3::uuid[], $4::text[]) as k (tenant_id, key)
    join idempotency i on i.tenant_id = k.tenant_id and i.key = k.key
    join payment p on p.id = i.payment_id";

/// No key of a payment ever changes: a webhook that names one waits for none that is locked here.
const PAYMENTS: &str =
    payments!("where p.id = any($1::uuid[]) order by p.id for no key update of p");

const BALANCES: &str = "select b.account_id, b.posted, b.held, b.floor from balance b
    where b.account_id = any($1::uuid[]) order by b.account_id for update of b";

/// The lease is not locked: when it is taken over meanwhile, the inbox lets one end of the message in.
const MESSAGES: &str = "select o.id, o.consumer, o.kind, o.payment_id, o.attempt_id, o.event_id,
        o.endpoint_id, o.try, i.message_id is not null, o.failures, o.partition, l.epoch
    from outbox o left join inbox i on i.consumer = o.consumer and i.message_id = o.id
    join lease l on l.consumer = o.consumer and l.partition = o.partition
    where o.id = any($1::uuid[])";

const KEYS: &str = "select i.tenant_id, i.key, i.fingerprint, i.request_id, i.payment_id,
        i.answer_status, i.answer_body
    from unnest($1::uuid[], $2::text[]) as k (tenant_id, key)
    join idempotency i on i.tenant_id = k.tenant_id and i.key = k.key";

/// With whether the payment has disputes.
const ATTEMPTS: &str = attempts!(
    ", (select true from dispute d where d.payment_id = a.payment_id limit 1)",
    "where a.payment_id = any($1::uuid[]) order by a.payment_id, a.number"
);

const DISPUTES: &str =
    disputes!("where d.payment_id = any($1::uuid[]) order by d.payment_id, d.opened_at, d.id");

/// The time, whether the ledger has recovered, and merchants.
const TENANTS: &str = concat!(
    "select n.now_ms, n.is_recovered, t.id, t.fee_basis_points,
        array(select e.id from webhook_endpoint e
              where e.tenant_id = t.id and e.disabled_at is null order by e.id)
    from (select ",
    ms!("clock_timestamp()"),
    " as now_ms, (select recovered_at is not null from ledger_epoch order by epoch desc limit 1)
            as is_recovered) n
    left join tenant t on t.id = any($1::uuid[])"
);

/// The statements above, prepared.
pub(super) struct Loads {
    about: Statement,
    payments: Statement,
    balances: Statement,
    messages: Statement,
    keys: Statement,
    attempts: Statement,
    disputes: Statement,
    tenants: Statement,
}

impl Loads {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let (about, payments, balances, messages, keys, attempts, disputes, tenants) = try_join!(
            client.prepare(ABOUT),
            client.prepare(PAYMENTS),
            client.prepare(BALANCES),
            client.prepare(MESSAGES),
            client.prepare(KEYS),
            client.prepare(ATTEMPTS),
            client.prepare(DISPUTES),
            client.prepare(TENANTS),
        )?;
        Ok(Self {
            about,
            payments,
            balances,
            messages,
            keys,
            attempts,
            disputes,
            tenants,
        })
    }
}

type Value<'a> = &'a (dyn ToSql + Sync);

/// Locks and loads, in a transaction that it opens if `in_transaction`. Statements that cannot find
/// anything are not sent.
pub(super) async fn world(
    client: &Client,
    loads: &Loads,
    commands: &[&Command],
    in_transaction: bool,
) -> Result<World, Error> {
    let mut wants = Wants::of(commands);
    let query = async |is_wanted: bool, statement: &Statement, values: &[Value<'_>]| {
        if is_wanted {
            client.query(statement, values).await
        } else {
            Ok(Vec::new())
        }
    };
    let has_messages = !wants.messages.is_empty();
    if wants.asks() {
        let named: Vec<Uuid> = wants.named.iter().copied().collect();
        let of_payments: [Value<'_>; 4] = [
            &wants.payment_messages,
            &named,
            &wants.settle_tenants,
            &wants.settle_keys,
        ];
        let about = client.query(&loads.about, &of_payments).await?;
        wants.belonging(&about);
    }
    wants.dedup();
    let accounts = wants.accounts();
    let has_payments = !wants.payments.is_empty();
    let of_payments: [Value<'_>; 1] = [&wants.payments];
    let of_accounts: [Value<'_>; 1] = [&accounts];
    let of_messages: [Value<'_>; 1] = [&wants.messages];
    let of_keys: [Value<'_>; 2] = [&wants.key_tenants, &wants.keys];
    let of_tenants: [Value<'_>; 1] = [&wants.tenants];
    let ((), payments, balances, messages, keys, attempts, tenants) = try_join!(
        open(client, in_transaction),
        query(has_payments, &loads.payments, &of_payments),
        query(!accounts.is_empty(), &loads.balances, &of_accounts),
        query(has_messages, &loads.messages, &of_messages),
        query(!wants.keys.is_empty(), &loads.keys, &of_keys),
        query(has_payments, &loads.attempts, &of_payments),
        client.query(&loads.tenants, &of_tenants),
    )?;
    let has_disputes = attempts
        .iter()
        .any(|row| row.get::<_, Option<bool>>(ATTEMPT_COLUMNS) == Some(true));
    let disputes = query(has_disputes, &loads.disputes, &of_payments).await?;
    let mut world = World::default();
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
            let place = (message.consumer, row.get(10));
            world.epochs.insert(place, row.get(11));
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

async fn open(client: &Client, in_transaction: bool) -> Result<(), Error> {
    if in_transaction {
        client.batch_execute("begin").await?;
    }
    Ok(())
}

/// Opens the transaction, and locks and loads no more than what payments are booked on.
pub(super) async fn accounts(
    client: &Client,
    loads: &Loads,
    accounts: &[Uuid],
    tenants: &[Uuid],
) -> Result<World, Error> {
    let of_balances: [Value<'_>; 1] = [&accounts];
    let of_tenants: [Value<'_>; 1] = [&tenants];
    let ((), balances, tenants) = try_join!(
        client.batch_execute("begin"),
        client.query(&loads.balances, &of_balances),
        client.query(&loads.tenants, &of_tenants),
    )?;
    let mut world = World::default();
    take_accounts(&mut world, balances, tenants);
    Ok(world)
}

/// Takes balances, merchants and the time.
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
        (world.now_ms, world.is_recovered) = (row.get(0), row.get(1));
        let Some(id) = row.get::<_, Option<Uuid>>(2) else {
            continue;
        };
        let endpoints: Vec<Uuid> = row.get(4);
        let tenant = TenantRow {
            fee_basis_points: row.get(3),
            endpoints: endpoints.into_iter().map(EndpointId).collect(),
        };
        world.tenants.insert(TenantId(id), tenant);
    }
}
