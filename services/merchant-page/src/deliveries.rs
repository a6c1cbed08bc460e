//! How far endpoints were told of an event: all that is known here of
//! `GET /v1/events/{id}/deliveries`.

use futures::future::try_join_all;
use paymesh_contracts::{
    EventId,
    http::{Delivery, DeliveryList, DeliveryStatus},
};

use crate::{
    api::{Api, Part},
    sign_in::{Key, Refused},
    webhooks::Hosts,
    words::Badge,
};

/// An endpoint that is told of an event, or was.
#[derive(Debug)]
pub(crate) struct Told {
    /// Its id.
    pub(crate) endpoint: String,
    /// Where it is, or the end of its id if that is not known any more.
    pub(crate) whom: String,
    /// How far it was told.
    pub(crate) badge: Badge,
    /// How often it was tried.
    pub(crate) tries: String,
    /// The time that matters most.
    pub(crate) moment: Option<Moment>,
}

/// A time, and what it is the time of.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) what: &'static str,
    pub(crate) at: String,
}

/// How far endpoints were told of each of these events, in their order.
pub(crate) async fn of_each(
    api: &Api,
    key: &Key,
    events: &[EventId],
    hosts: &Hosts,
) -> Result<Vec<Part<Vec<Told>>>, Refused> {
    let asked: Vec<_> = events.iter().map(|event| ask(api, key, *event)).collect();
    let answers = try_join_all(asked).await?;
    let read = |list: DeliveryList| -> Vec<Told> {
        list.data.into_iter().map(|one| told(one, hosts)).collect()
    };
    Ok(answers.into_iter().map(|answer| answer.map(read)).collect())
}

async fn ask(api: &Api, key: &Key, event: EventId) -> Result<Part<DeliveryList>, Refused> {
    let address = format!("/v1/events/{event}/deliveries");
    api.get(key, &address).await
}

fn told(delivery: Delivery, hosts: &Hosts) -> Told {
    let of = |what, at: Option<String>| at.map(|at| Moment { what, at });
    let (class, meaning, moment) = match delivery.status {
        DeliveryStatus::Pending if delivery.next_try_at.is_none() => (
            "busy",
            "It was put aside, for whoever runs the services to look at.",
            of("last try", delivery.last_try_at),
        ),
        DeliveryStatus::Pending => (
            "busy",
            "It waits for a try.",
            of("next try", delivery.next_try_at),
        ),
        DeliveryStatus::Delivered => (
            "good",
            "The endpoint confirmed it.",
            of("confirmed", delivery.delivered_at),
        ),
        DeliveryStatus::GivenUp => (
            "bad",
            "The endpoint never confirmed it, and it is not tried any more.",
            of("last try", delivery.last_try_at),
        ),
    };
    Told {
        whom: hosts.name(&delivery.endpoint),
        endpoint: delivery.endpoint,
        badge: Badge {
            word: delivery.status.word(),
            meaning,
            class,
        },
        tries: match delivery.tries {
            1 => "1 try".to_owned(),
            tries => format!("{tries} tries"),
        },
        moment,
    }
}
