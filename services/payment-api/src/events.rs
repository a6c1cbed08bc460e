//! `/v1/events`: what happened, for merchants who missed it.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::HeaderMap,
};
use paymesh_contracts::{
    Code, ErrorBody, EventId, Scope,
    event::Event,
    http::{Delivery, DeliveryList, EventPage, Replay, Unreadable},
    persistence::{ListDeliveriesRequest, ListEventsRequest, ReplayEventRequest},
};

use crate::{
    app::App,
    auth::authorize,
    error::Problem,
    input::{Address, Clean},
    paging::{Cut, Page},
};

/// Lists events, newest first.
#[utoipa::path(
    get, path = "/v1/events", tag = "webhooks",
    params(
        ("limit" = Option<u32>, Query, description = "How many, 1 to 100.", minimum = 1, maximum = 100),
        ("after" = Option<String>, Query, description = "Older than this one.", pattern = "^evt_[a-p]{32}$"),
        ("before" = Option<String>, Query, description = "Newer than this one; not together with `after`.", pattern = "^evt_[a-p]{32}$"),
    ),
    responses(
        (status = 200, body = EventPage, description = "Some events."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 422, body = ErrorBody, description = "A value is not allowed."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    _: Clean,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<EventPage>, Problem> {
    let tenant_id = authorize(&app, &headers, Scope::PaymentsRead).await?;
    let cut = Cut::of(page, |text| text.parse().map(EventId::bytes))?;
    let request = ListEventsRequest {
        tenant_id: tenant_id.bytes(),
        limit: cut.limit,
        after: cut.after,
        before: cut.before,
    };
    let found = app.payments().list_events(request).await?.into_inner();
    let data = found
        .bodies
        .iter()
        .map(|body| serde_json::from_slice(body))
        .collect::<Result<Vec<Event>, _>>()
        .map_err(|_| Code::Internal)?;
    let id = |event: Option<&Event>| event.map(|event| event.id.to_string());
    Ok(Json(EventPage {
        next: found.older.then(|| id(data.last())).flatten(),
        previous: found.newer.then(|| id(data.first())).flatten(),
        data,
    }))
}

/// Tells of an event again, to every address in use. It keeps its id.
#[utoipa::path(
    post, path = "/v1/events/{id}/replay", tag = "webhooks",
    params(("id" = String, Path, description = "Its id", pattern = "^evt_[a-p]{32}$")),
    responses(
        (status = 200, body = Replay, description = "It is on its way."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such event."),
        (status = 422, body = ErrorBody, description = "Something looks like a card number."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    _: Clean,
    Address(id): Address<String>,
) -> Result<Json<Replay>, Problem> {
    let tenant_id = authorize(&app, &headers, Scope::WebhooksWrite).await?;
    let event_id: EventId = id.parse().map_err(|_| Problem::from(Code::NotFound))?;
    let request = ReplayEventRequest {
        tenant_id: tenant_id.bytes(),
        event_id: event_id.bytes(),
    };
    let told = app.payments().replay_event(request).await?.into_inner();
    Ok(Json(Replay {
        endpoints: told.endpoints,
    }))
}

/// Reads how far each address was told of an event.
///
/// An event that happened while there was no address has none.
#[utoipa::path(
    get, path = "/v1/events/{id}/deliveries", tag = "webhooks",
    params(("id" = String, Path, description = "Its id", pattern = "^evt_[a-p]{32}$")),
    responses(
        (status = 200, body = DeliveryList, description = "Each address, and how far it was told."),
        (status = 401, body = ErrorBody, description = "The API key is missing, unknown or revoked."),
        (status = 403, body = ErrorBody, description = "The API key may not do this."),
        (status = 404, body = ErrorBody, description = "There is no such event."),
        (status = 422, body = ErrorBody, description = "Something looks like a card number."),
        (status = 429, body = ErrorBody, description = "More requests than one replica takes of one merchant."),
        (status = 500, body = ErrorBody, description = "We made a mistake."),
        (status = 503, body = ErrorBody, description = "Try again."),
    ),
)]
pub(crate) async fn deliveries(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    _: Clean,
    Address(id): Address<String>,
) -> Result<Json<DeliveryList>, Problem> {
    let tenant_id = authorize(&app, &headers, Scope::PaymentsRead).await?;
    let event_id: EventId = id.parse().map_err(|_| Problem::from(Code::NotFound))?;
    let request = ListDeliveriesRequest {
        tenant_id: tenant_id.bytes(),
        event_id: event_id.bytes(),
    };
    let found = app.payments().list_deliveries(request).await;
    let found = found.map_err(|status| Problem::from_new_method(&status))?;
    let data = found.into_inner().deliveries.into_iter();
    let data: Result<Vec<Delivery>, Unreadable> = data.map(Delivery::try_from).collect();
    Ok(Json(DeliveryList { data: data? }))
}
