//! How far merchants were told of an event, as the messages that tell of it say.

use paymesh_contracts::{
    EndpointId, EventId, TenantId, event::ENDPOINT_REMOVED, http::DeliveryStatus,
    persistence as wire,
};
use tokio_postgres::{Row, types::ToSql};

use super::{Failure, Reader, ms};
use crate::{decide::WEBHOOK_TRIES_MAX, world::told_between};

const EVENT: &str = "select from event where tenant_id = $1 and id = $2";

/// By the keys of messages, tries and endpoints: no other index knows of which event a message tells,
/// so their ids begin as the event's does ($2, $3). One that a version before that left has an id of
/// its own time, and is found if it was left together with the event. $4: what a message ended with
/// that was not tried.
const TOLD: &str = concat!(
    "select w.id, w.disabled_at is not null, max(m.try), bool_or(m.done_at is null),
        count(d.message_id) filter (where d.error is distinct from $4::text), ",
    ms!("max(d.tried_at) filter (where d.error is distinct from $4::text)"),
    ", ",
    ms!("min(m.available_at) filter (where m.done_at is null and m.parked_at is null)"),
    ", ",
    ms!("max(d.tried_at) filter (where d.delivered)"),
    " from outbox m join webhook_endpoint w on w.id = m.endpoint_id
        left join webhook_delivery d on d.message_id = m.id
    where m.id between $2 and $3 and m.event_id = $1
    group by w.id order by w.id desc"
);

/// What became of all messages that tell one endpoint of an event.
#[derive(Clone, Copy)]
struct Told {
    endpoint_id: EndpointId,
    /// Whether nobody wants to be told there any more.
    is_removed: bool,
    /// The number of the last try that was ever to be made.
    number_max: i32,
    /// Whether one of them is not done; it may have been put aside.
    is_open: bool,
    tries: i64,
    last_try_at_ms: Option<i64>,
    next_try_at_ms: Option<i64>,
    delivered_at_ms: Option<i64>,
}

impl Told {
    fn read(row: &Row) -> Self {
        Self {
            endpoint_id: EndpointId(row.get(0)),
            is_removed: row.get(1),
            number_max: row.get(2),
            is_open: row.get(3),
            tries: row.get(4),
            last_try_at_ms: row.get(5),
            next_try_at_ms: row.get(6),
            delivered_at_ms: row.get(7),
        }
    }

    /// Nothing is said where a message is missing: a try that did not reach anybody is followed by
    /// another one, and only that of an earlier version is not found.
    fn status(&self) -> Option<DeliveryStatus> {
        if self.is_open && !self.is_removed {
            Some(DeliveryStatus::Pending)
        } else if self.delivered_at_ms.is_some() {
            Some(DeliveryStatus::Delivered)
        } else if self.is_removed || self.number_max >= WEBHOOK_TRIES_MAX {
            Some(DeliveryStatus::GivenUp)
        } else {
            None
        }
    }

    fn message(&self) -> Option<wire::Delivery> {
        let status = self.status()?;
        // What waits for an endpoint that was removed ends untried.
        let is_tried = status == DeliveryStatus::Pending;
        let next_try_at_ms = self.next_try_at_ms.filter(|_| is_tried);
        Some(wire::Delivery {
            endpoint_id: self.endpoint_id.bytes(),
            status: status.word().to_owned(),
            tries: u32::try_from(self.tries).ok()?,
            last_try_at_ms: self.last_try_at_ms.unwrap_or_default(),
            next_try_at_ms: next_try_at_ms.unwrap_or_default(),
            delivered_at_ms: self.delivered_at_ms.unwrap_or_default(),
        })
    }
}

impl Reader {
    /// How far each endpoint was told of an event, newest first; `None` if there is no such event.
    pub async fn deliveries(
        &self,
        tenant_id: TenantId,
        event_id: EventId,
    ) -> Result<Option<wire::Deliveries>, Failure> {
        let known = self.query(EVENT, &[&tenant_id.0, &event_id.0]).await?;
        if known.is_empty() {
            return Ok(None);
        }
        let (first, last) = told_between(event_id);
        let values: [&(dyn ToSql + Sync); 4] = [&event_id.0, &first, &last, &ENDPOINT_REMOVED];
        let rows = self.query(TOLD, &values).await?;
        let delivery = |row: &Row| Told::read(row).message();
        Ok(Some(wire::Deliveries {
            deliveries: rows.iter().filter_map(delivery).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const SOON_MS: i64 = 9_000;

    /// After one try that was answered with anything but a 2xx; the next one waits.
    fn refused() -> Told {
        Told {
            endpoint_id: EndpointId(Uuid::nil()),
            is_removed: false,
            number_max: 2,
            is_open: true,
            tries: 1,
            last_try_at_ms: Some(4_000),
            next_try_at_ms: Some(SOON_MS),
            delivered_at_ms: None,
        }
    }

    /// The same once nothing waits.
    fn over(told: Told) -> Told {
        Told {
            is_open: false,
            next_try_at_ms: None,
            ..told
        }
    }

    fn confirmed(told: Told) -> Told {
        Told {
            delivered_at_ms: Some(5_000),
            ..told
        }
    }

    fn removed(told: Told) -> Told {
        Told {
            is_removed: true,
            ..told
        }
    }

    fn after_so_many(number_max: i32) -> Told {
        over(Told {
            number_max,
            ..refused()
        })
    }

    fn check(told: &Told, status: &str, next_try_at_ms: i64) {
        let message = told.message().unwrap();
        assert_eq!(
            (message.status.as_str(), message.next_try_at_ms),
            (status, next_try_at_ms)
        );
        assert_eq!((message.tries, message.last_try_at_ms), (1, 4_000));
        let delivered_at_ms = told.delivered_at_ms.unwrap_or_default();
        assert_eq!(message.delivered_at_ms, delivered_at_ms);
    }

    #[test]
    fn what_waits_is_pending_also_when_an_earlier_try_was_confirmed_or_it_was_put_aside() {
        check(&refused(), "pending", SOON_MS);
        check(&confirmed(refused()), "pending", SOON_MS);
        let aside = Told {
            next_try_at_ms: None,
            ..refused()
        };
        check(&aside, "pending", 0);
    }

    #[test]
    fn what_was_confirmed_once_is_delivered_when_nothing_waits_and_when_nobody_listens_any_more() {
        check(&confirmed(over(refused())), "delivered", 0);
        check(&confirmed(after_so_many(24)), "delivered", 0);
        check(&confirmed(removed(refused())), "delivered", 0);
    }

    #[test]
    fn what_was_never_confirmed_is_given_up_after_the_last_try_or_with_its_endpoint() {
        check(&after_so_many(24), "given_up", 0);
        check(&removed(refused()), "given_up", 0);
        check(&removed(over(refused())), "given_up", 0);
    }

    #[test]
    fn nothing_is_said_of_an_endpoint_whose_next_try_is_not_found() {
        for number in 1..24 {
            assert_eq!(after_so_many(number).message(), None);
        }
    }
}
