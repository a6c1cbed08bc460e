//! `/webhooks`: where events are sent, and how far each was told.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::StatusCode,
    response::Response,
};
use paymesh_contracts::{
    EventId,
    http::{EndpointList, EventPage},
};
use url::Url;

use crate::{
    api::{Api, Part, outcome_of},
    deliveries,
    events::Row,
    figures::short,
    frame::{Frame, lost, show},
    paging::{Side, Ways, part_of},
    sign_in::{Key, Refused},
};

/// How many events one page shows.
const LENGTH: u32 = 25;
/// Of how many of them it is asked how far they were told: each is a request of its own.
const ASKED_MAX: usize = 5;

/// The list of endpoints, at payment-api.
pub(crate) const ENDPOINTS: &str = "/v1/webhook_endpoints";

#[derive(Template)]
#[template(path = "webhooks.html")]
struct Page {
    frame: Frame,
    endpoints: Part<Vec<Endpoint>>,
    events: Part<List>,
}

struct Endpoint {
    id: String,
    short: String,
    host: String,
    rotating_until: Option<String>,
}

struct List {
    rows: Vec<Row>,
    ways: Ways,
}

/// Where endpoints are, by their ids.
pub(crate) struct Hosts(HashMap<String, String>);

impl Hosts {
    /// Of what payment-api told; of none, if it told nothing.
    pub(crate) fn of(endpoints: &Part<EndpointList>) -> Self {
        let listed = endpoints.iter().flat_map(|list| &list.data);
        Self(listed.map(|one| (one.id.clone(), host(&one.url))).collect())
    }

    /// Where an endpoint is, or else the end of its id.
    pub(crate) fn name(&self, endpoint: &str) -> String {
        let known = self.0.get(endpoint).cloned();
        known.unwrap_or_else(|| short(endpoint))
    }
}

/// Scheme, host and port of an address. What is behind them may be a secret of the merchant's.
fn host(url: &str) -> String {
    Url::parse(url).map_or_else(
        |_| "an address that cannot be read".to_owned(),
        |url| url.origin().ascii_serialization(),
    )
}

/// Shows endpoints and some events.
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    key: Key,
    side: Result<Query<Side>, QueryRejection>,
) -> Result<Response, Refused> {
    let Some(part) = part_of::<EventId>(side) else {
        return Ok(lost());
    };
    let address = format!("/v1/events?limit={LENGTH}{part}");
    let (endpoints, events) = tokio::try_join!(
        api.get::<EndpointList>(&key, ENDPOINTS),
        api.get::<EventPage>(&key, &address),
    )?;
    let hosts = Hosts::of(&endpoints);
    // Either part is worth a page.
    let outcome = if endpoints.is_ok() {
        StatusCode::OK.into()
    } else {
        outcome_of(&events)
    };
    let mut events = events.map(|found| List {
        rows: found.data.into_iter().map(Row::from).collect(),
        ways: Ways::of(&part, found.previous, found.next),
    });
    if let Ok(list) = &mut events {
        let asked: Vec<EventId> = list.rows.iter().take(ASKED_MAX).map(|row| row.id).collect();
        let told = deliveries::of_each(&api, &key, &asked, &hosts).await?;
        for (row, told) in list.rows.iter_mut().zip(told) {
            row.told = Some(told);
        }
    }
    let endpoints = endpoints.map(|list| {
        let listed = list.data.into_iter().map(|one| Endpoint {
            short: short(&one.id),
            host: host(&one.url),
            rotating_until: one.rotating_until,
            id: one.id,
        });
        listed.collect()
    });
    let page = Page {
        frame: Frame::live("Webhooks", "/webhooks", outcome.status),
        endpoints,
        events,
    };
    Ok(show(outcome, &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_its_host_is_shown() {
        let secret = "https://shop.example/hooks/s3cret?token=s3cret";
        assert_eq!(host(secret), "https://shop.example");
        assert_eq!(host("http://127.0.0.1:8080/x"), "http://127.0.0.1:8080");
        assert_eq!(host("http://[::1]:8080/x"), "http://[::1]:8080");
        assert_eq!(host("s3cret"), "an address that cannot be read");
    }
}
