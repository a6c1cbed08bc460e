//! What payment-processor is to do, and by which right.

use std::collections::HashSet;

use paymesh_contracts::{AttemptId, MessageId, PaymentId, TenantId, persistence as wire};
use tokio_postgres::{Row, types::ToSql};
use uuid::Uuid;

use super::{Failure, Reader};
use crate::{
    command::{About, Consumer},
    world::{MessageRow, Work, World, partition_of},
};

/// What a consumer has to know of a message, and the epoch it is handed out under; the rest says of
/// which, and begins with where they are had from.
macro_rules! messages {
    ($epoch:expr, $from:expr, $($rest:expr),+) => {
        concat!(
            "select o.id, o.partition, o.kind, o.try, o.payment_id, o.attempt_id,
                coalesce(a.amount, p.amount), p.currency, p.payment_method, o.event_id,
                o.endpoint_id, e.body, w.url, w.secret,
                p.tenant_id, k.key, k.fingerprint, p.reference,
                case when w.previous_until > clock_timestamp() then w.previous_secret end,
                w.disabled_at is not null, a.kind, f.id, a.dispute, a.explanation, o.trace, ",
            $epoch,
            " from ",
            $from,
            " o join payment p on p.id = o.payment_id
                left join attempt a on a.id = o.attempt_id
                left join attempt f on f.payment_id = p.id and f.number = 1
                join idempotency k on k.tenant_id = p.tenant_id
                    and k.key = coalesce(a.idempotency_key, p.idempotency_key)
                left join event e on e.id = o.event_id
                left join webhook_endpoint w on w.id = o.endpoint_id ",
            $($rest),+
        )
    };
}

/// Whether a message may be worked on now. While the ledger recovers nothing is sent to the
/// acquirer.
macro_rules! due {
    () => {
        " o.done_at is null and o.parked_at is null and o.available_at <= clock_timestamp()
            and (o.consumer <> 'attempts' or (select recovered_at is not null from ledger_epoch
                order by epoch desc limit 1)) "
    };
}

/// $2, $3: the partitions that are read, each with the epoch of its lease. However many wait, no more
/// are joined than are handed out: every one of them has its payment and its key.
const WAITING: &str = messages!(
    "($3::int8[])[array_position($2::int2[], o.partition)]",
    concat!(
        "(select * from outbox o where o.consumer = $1 and o.partition = any($2::int2[])
            and o.id <> all($4::uuid[]) and",
        due!(),
        "order by o.seq limit $5)"
    ),
    "order by o.seq"
);

/// Those that were handed out by a right that still holds, under the epoch of that right: a message
/// may be asked for under several.
const CLAIMED: &str = messages!(
    "c.epoch",
    "outbox",
    "join lease l on l.consumer = o.consumer and l.partition = o.partition
        join unnest($2::uuid[], $3::int8[]) c (id, epoch) on c.id = o.id and c.epoch = l.epoch
    where o.consumer = $1 and",
    due!(),
    "order by o.seq"
);

const STILL_DUE: &str = concat!(
    "select o.id from outbox o where o.id = any($1::uuid[]) and",
    due!()
);

/// A message to be handed out.
#[derive(Clone, Debug)]
pub struct Due {
    /// Which one.
    pub id: MessageId,
    /// All of it, but for the lease if it was not read from the database.
    pub message: wire::Message,
    /// What it is about: messages about one payment keep their order.
    pub about: About,
}

impl Due {
    /// Its partition of the queue.
    pub fn partition(&self) -> i16 {
        partition_of(self.about.payment_id)
    }

    /// The charge of a payment that this group took in, whole, if it is to be sent. It is due at once,
    /// and no other message of its payment is before it.
    pub(super) fn charge(
        world: &World,
        message_id: MessageId,
        row: &MessageRow,
        trace: Option<&str>,
    ) -> Option<Self> {
        let Work::SendAttempt(attempt_id) = row.work else {
            return None;
        };
        // Nothing is sent to the acquirer until what it has is compared with the ledger.
        if !world.is_recovered {
            return None;
        }
        let payment = world.payments.get(&row.payment_id)?;
        let key = world.keys.get(&payment.key)?;
        let (tenant_id, idempotency_key) = &payment.key;
        let attempt = wire::SendAttempt {
            attempt_id: attempt_id.bytes(),
            payment_id: row.payment_id.bytes(),
            amount: Some(wire::Money {
                amount_minor: payment.attempt(attempt_id)?.amount_minor,
                currency: payment.amount.currency.code().to_owned(),
            }),
            payment_method: payment.payment_method.clone(),
            origin: Some(wire::Origin {
                tenant_id: tenant_id.bytes(),
                payment_id: row.payment_id.bytes(),
                idempotency_key: idempotency_key.clone(),
                fingerprint: key.fingerprint.to_vec(),
                reference: payment.reference.clone().unwrap_or_default(),
                payment_method: payment.payment_method.clone(),
            }),
        };
        Some(Self {
            id: message_id,
            message: wire::Message {
                message_id: message_id.bytes(),
                lease: None,
                work: Some(wire::message::Work::SendAttempt(attempt)),
                trace: trace.unwrap_or_default().to_owned(),
            },
            about: About {
                payment_id: row.payment_id,
                tenant_id: *tenant_id,
                currency: Some(payment.amount.currency),
                key: Some(idempotency_key.clone()),
            },
        })
    }
}

impl Reader {
    /// Messages of some partitions that may be worked on now, but those being worked on; `limit` at
    /// most, and whether there may be more. Those that this version does not know are left to another.
    pub(crate) async fn waiting(
        &self,
        consumer: Consumer,
        leases: &[(i16, i64)],
        in_flight: &[Uuid],
        limit: i64,
    ) -> Result<(Vec<Due>, bool), Failure> {
        let (partitions, epochs): (Vec<i16>, Vec<i64>) = leases.iter().copied().unzip();
        let values: [&(dyn ToSql + Sync); 5] =
            [&consumer.word(), &partitions, &epochs, &in_flight, &limit];
        let rows = self.query(WAITING, &values).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|found| found >= limit);
        let due = |row: &Row| message(row, consumer);
        Ok((rows.iter().filter_map(due).collect(), is_full))
    }

    /// The messages that were handed out under these epochs, but those that came to their end or
    /// were handed out again since.
    pub(crate) async fn claimed(
        &self,
        consumer: Consumer,
        handed_out: &[(MessageId, i64)],
    ) -> Result<Vec<wire::Message>, Failure> {
        let (ids, epochs): (Vec<Uuid>, Vec<i64>) =
            handed_out.iter().map(|(id, epoch)| (id.0, *epoch)).unzip();
        let rows = self
            .query(CLAIMED, &[&consumer.word(), &ids, &epochs])
            .await?;
        let claimed = |row: &Row| message(row, consumer).map(|due| due.message);
        Ok(rows.iter().filter_map(claimed).collect())
    }

    /// Those of some messages that still wait to take effect, and not for a later time.
    pub(crate) async fn still_due(&self, ids: &[Uuid]) -> Result<HashSet<MessageId>, Failure> {
        let rows = self.query(STILL_DUE, &[&ids]).await?;
        Ok(rows.iter().map(|row| MessageId(row.get(0))).collect())
    }
}

/// The right to hand out messages of a partition, as readers are told of it.
pub(crate) fn lease(consumer: Consumer, partition: i16, epoch: i64) -> wire::Lease {
    wire::Lease {
        consumer: consumer.word().to_owned(),
        partition: partition.unsigned_abs().into(),
        epoch,
    }
}

fn message(row: &Row, consumer: Consumer) -> Option<Due> {
    let id = MessageId(row.get(0));
    let partition: i16 = row.get(1);
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
        Some(wire::Operate {
            attempt: Some(attempt()?),
            kind: row.get::<_, Option<String>>(20)?,
            charge_id: AttemptId(row.get::<_, Option<Uuid>>(21)?).bytes(),
            is_check,
        })
    };
    let answer = |is_check| {
        Some(wire::message::Work::AnswerDispute(wire::AnswerDispute {
            operate: Some(operate(is_check)?),
            dispute: row.get::<_, Option<String>>(22)?,
            explanation: row.get::<_, Option<String>>(23).unwrap_or_default(),
        }))
    };
    let work = match row.get(2) {
        "send_operation" => wire::message::Work::Operate(operate(false)?),
        "check_operation" => wire::message::Work::Operate(operate(true)?),
        "send_answer" => answer(false)?,
        "check_answer" => answer(true)?,
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
    let lease = lease(consumer, partition, row.get::<_, Option<i64>>(25)?);
    let message = wire::Message {
        message_id: id.bytes(),
        lease: Some(lease),
        work: Some(work),
        trace: row.get::<_, Option<String>>(24).unwrap_or_default(),
    };
    let is_of_attempt = row.get::<_, Option<Uuid>>(5).is_some();
    let about = About {
        payment_id: PaymentId(row.get(4)),
        tenant_id: TenantId(row.get(14)),
        currency: row.get::<_, &str>(7).parse().ok(),
        key: is_of_attempt.then(|| row.get(15)),
    };
    Some(Due { id, message, about })
}

#[cfg(test)]
mod tests {
    use paymesh_contracts::{Currency, Money, http::CaptureMethod};
    use uuid::Uuid;

    use super::*;
    use crate::{
        command::{Command, CreatePayment, Keyed},
        decide::{Decider, TimeOrderedIds},
        defect::Defects,
        world::{Changes, TenantRow},
    };

    const TENANT: TenantId = TenantId(Uuid::from_u128(1));
    const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(0x25));

    /// A payment that was just taken in, and the message that it left.
    fn taken_in() -> (World, MessageId, MessageRow) {
        let mut world = World {
            is_recovered: true,
            ..World::default()
        };
        world.tenants.insert(TENANT, TenantRow::default());
        let mut changes = Changes::default();
        let create = CreatePayment {
            request: Keyed {
                key: (TENANT, "order-7".to_owned()),
                fingerprint: [9; 32],
                request_id: Uuid::from_u128(3),
            },
            payment_id: PAYMENT,
            amount: Money::new(1_250, Currency::Eur),
            payment_method: "tok_approve".to_owned(),
            reference: Some("seven".to_owned()),
            capture: CaptureMethod::Automatic,
        };
        let mut decider = Decider {
            world: &mut world,
            changes: &mut changes,
            ids: &mut TimeOrderedIds,
            defects: Defects::default(),
        };
        decider.decide(&Command::CreatePayment(create));
        let (id, message) = changes.messages.remove(0);
        (world, id, message)
    }

    #[test]
    fn a_charge_that_is_handed_out_at_once_is_whole_but_for_its_lease() {
        let (world, id, row) = taken_in();
        let due = Due::charge(&world, id, &row, Some("a trace")).expect("it is due");
        let Work::SendAttempt(attempt_id) = row.work else {
            panic!("{:?}", row.work);
        };
        assert_eq!((due.id, due.partition()), (id, 5));
        let attempt = wire::SendAttempt {
            attempt_id: attempt_id.bytes(),
            payment_id: PAYMENT.bytes(),
            amount: Some(wire::Money {
                amount_minor: 1_250,
                currency: "EUR".to_owned(),
            }),
            payment_method: "tok_approve".to_owned(),
            origin: Some(wire::Origin {
                tenant_id: TENANT.bytes(),
                payment_id: PAYMENT.bytes(),
                idempotency_key: "order-7".to_owned(),
                fingerprint: vec![9; 32],
                reference: "seven".to_owned(),
                payment_method: "tok_approve".to_owned(),
            }),
        };
        let message = wire::Message {
            message_id: id.bytes(),
            lease: None,
            work: Some(wire::message::Work::SendAttempt(attempt)),
            trace: "a trace".to_owned(),
        };
        assert_eq!(due.message, message);
        assert_eq!(due.about.key.as_deref(), Some("order-7"));
    }

    #[test]
    fn only_a_charge_that_may_be_sent_is_handed_out_at_once() {
        let (_, id, row) = taken_in();
        let is_handed_out = |change: &dyn Fn(&mut World, &mut MessageRow)| {
            let (mut world, _, _) = taken_in();
            let mut row = row.clone();
            change(&mut world, &mut row);
            Due::charge(&world, id, &row, None).is_some()
        };
        assert!(is_handed_out(&|_, _| {}));
        assert!(!is_handed_out(&|world, _| world.is_recovered = false));
        assert!(!is_handed_out(&|_, row| {
            row.work = Work::CheckAttempt(row.work.attempt().expect("it has one"));
        }));
    }
}
