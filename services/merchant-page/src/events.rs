//! Events as a page shows them, and those of one payment.

use jiff::Timestamp;
use paymesh_contracts::{
    EventId, PaymentId,
    event::Event,
    http::{EventPage, Payment},
};
use uuid::Uuid;

use crate::{
    api::{Api, Lack, Part},
    deliveries::Told,
    figures::short,
    sign_in::{Key, Refused},
};

/// How many events are looked through at either end of a payment's life.
const LOOKED_THROUGH: u32 = 50;
/// What the clocks of two replicas of db-controller may differ by.
const SKEW_MS: i64 = 1_000;

/// An event.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: EventId,
    pub(crate) short: String,
    pub(crate) at: String,
    pub(crate) kind: String,
    pub(crate) payment: PaymentId,
    pub(crate) payment_short: String,
    pub(crate) reference: Option<String>,
    /// How far endpoints were told of it, where that was asked.
    pub(crate) told: Option<Part<Vec<Told>>>,
}

impl From<Event> for Row {
    fn from(event: Event) -> Self {
        Self {
            id: event.id,
            short: short(&event.id.to_string()),
            at: event.created_at,
            kind: event.kind,
            payment: event.payment.id,
            payment_short: short(&event.payment.id.to_string()),
            reference: event.payment.reference,
            told: None,
        }
    }
}

/// The events of one payment, the first of them first.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) events: Vec<Event>,
    /// Whether there are events that were not looked through.
    pub(crate) may_miss: bool,
}

/// The first id that an event of this moment, or of one after it, may have.
///
/// payment-api has no list of the events of a payment. But ids of events sort by the time they were
/// drawn at (UUID version 7), and its lists begin beside any id, whether there is such an event or
/// not.
fn id_at(ms: i64) -> EventId {
    EventId(Uuid::from_u128(u128::from(ms.max(0).unsigned_abs()) << 80))
}

/// The events of a payment, among those that came first after it was made and those that came last
/// before it last changed.
pub(crate) async fn of_payment(
    api: &Api,
    key: &Key,
    payment: &Payment,
) -> Result<Part<Found>, Refused> {
    let moment = |text: &str| text.parse::<Timestamp>().map(Timestamp::as_millisecond);
    let moments = (moment(&payment.created_at), moment(&payment.updated_at));
    let (Ok(made), Ok(changed)) = moments else {
        return Ok(Err(Lack::Unreadable));
    };
    let events = format!("/v1/events?limit={LOOKED_THROUGH}");
    let first = format!("{events}&before={}", id_at(made - SKEW_MS));
    let last = format!("{events}&after={}", id_at(changed + SKEW_MS));
    let (first, last) = tokio::try_join!(
        api.get::<EventPage>(key, &first),
        api.get::<EventPage>(key, &last),
    )?;
    Ok(match (first, last) {
        (Ok(first), Ok(last)) => Ok(Found::of(payment.id, first, last)),
        (Err(lack), _) | (_, Err(lack)) => Err(lack),
    })
}

impl Found {
    fn of(payment: PaymentId, first: EventPage, last: EventPage) -> Self {
        let ends = first.data.first().zip(last.data.last());
        let is_apart = ends.is_some_and(|(newest, oldest)| newest.id < oldest.id);
        let may_miss = first.previous.is_some() && is_apart;
        let all = first.data.into_iter().chain(last.data);
        let mut events: Vec<Event> = all.filter(|event| event.payment.id == payment).collect();
        events.sort_by_key(|event| event.id);
        events.dedup_by_key(|event| event.id);
        Self { events, may_miss }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::from_value;

    use super::*;
    use crate::fixture::{PAYMENT, event, payment};

    /// Events of these moments, newest first, as payment-api lists them; those of an even moment are
    /// about another payment.
    fn page(moments: impl IntoIterator<Item = i64>, is_more: bool) -> EventPage {
        let other = PAYMENT.replace("abcd", "dcba");
        let at = |moment: i64| {
            let is_other = moment % 2 == 0;
            let whose = if is_other { other.as_str() } else { PAYMENT };
            let event = event("payment.succeeded", &payment(whose, "order 7"));
            let mut event: Event = from_value(event).unwrap();
            event.id = id_at(moment);
            event
        };
        EventPage {
            data: moments.into_iter().map(at).collect(),
            next: None,
            previous: is_more.then(String::new),
        }
    }

    fn check(first: EventPage, last: EventPage, expected: &[i64], may_miss: bool) {
        let found = Found::of(PAYMENT.parse().unwrap(), first, last);
        let ids: Vec<EventId> = found.events.iter().map(|event| event.id).collect();
        let expected: Vec<EventId> = expected.iter().map(|moment| id_at(*moment)).collect();
        assert_eq!((ids, found.may_miss), (expected, may_miss));
    }

    #[test]
    fn the_events_of_a_payment_are_found_once_and_a_gap_is_told() {
        let all = || page([5, 4, 3, 2, 1], false);
        check(all(), all(), &[1, 3, 5], false);
        check(
            page([3, 2, 1], true),
            page([5, 4, 3], false),
            &[1, 3, 5],
            false,
        );
        check(page([2, 1], true), page([5, 4], false), &[1, 5], true);
        check(page([], false), page([], false), &[], false);
    }

    #[test]
    fn ids_of_moments_sort_as_the_moments_do_and_before_every_id_of_their_own() {
        assert_eq!(id_at(-1), id_at(0));
        assert!(id_at(1_764_000_000_000) < id_at(1_764_000_000_001));
        // 017f22e2-79b0-7cc3-98c4-dc0c0c07398f is of 2022-02-22T19:22:22.000Z: RFC 9562, A.6.
        let drawn = EventId(Uuid::from_u128(0x017f_22e2_79b0_7cc3_98c4_dc0c_0c07_398f));
        let moment = "2022-02-22T19:22:22.000Z".parse::<Timestamp>().unwrap();
        let moment = moment.as_millisecond();
        assert!(id_at(moment) < drawn && drawn < id_at(moment + 1));
    }
}
