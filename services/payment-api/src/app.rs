//! The routes, and the document made from them.

use std::sync::Arc;

use axum::{Router, response::IntoResponse};
use paymesh_contracts::{Code, persistence::payments_client::PaymentsClient};
use paymesh_transport::{Carry, Line, Traced};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Waiting, acts, auth::Keys, confirm, create, disputes, error::Problem, events, ledger,
    limits::Limits, meter, payments, traces, webhooks,
};

/// What every request needs.
pub struct App {
    pub(crate) keys: Keys,
    pub(crate) limits: Limits,
    pub(crate) waiting: Waiting,
    channel: Line,
}

impl App {
    /// An API in front of a db-controller.
    pub fn new(channel: Line, waiting: Waiting, limits: Limits) -> Self {
        Self {
            keys: Keys::default(),
            limits,
            waiting,
            channel,
        }
    }

    /// db-controller.
    pub(crate) fn payments(&self) -> PaymentsClient<Traced> {
        PaymentsClient::with_interceptor(self.channel.clone(), Carry)
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Paymesh payments",
        version = "1.0.0",
        description = "Payments that are never lost and never doubled. Amounts are whole minor units."
    ),
    servers((url = "/")),
    modifiers(&BearerKey),
    security(("key" = [])),
)]
struct Document;

struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let key = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key"))
            .build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("key", SecurityScheme::Http(key));
    }
}

fn parts() -> (Router<Arc<App>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(create::create, payments::list))
        .routes(routes!(payments::read))
        .routes(routes!(acts::capture))
        .routes(routes!(acts::cancel))
        .routes(routes!(acts::refund))
        .routes(routes!(disputes::contest))
        .routes(routes!(disputes::accept))
        .routes(routes!(confirm::confirm))
        .routes(routes!(ledger::read))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::remove))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(events::list))
        .routes(routes!(events::replay))
        .routes(routes!(events::deliveries))
        .split_for_parts()
}

/// The OpenAPI document.
pub fn document() -> String {
    let mut text = parts()
        .1
        .to_pretty_json()
        .expect("the document is plain data");
    text.push('\n');
    text
}

async fn unknown() -> impl IntoResponse {
    Problem::from(Code::NotFound)
}

async fn wrong_method() -> impl IntoResponse {
    Problem::from(Code::MethodNotAllowed)
}

/// The API.
pub fn router(app: App) -> Router {
    meter::describe();
    parts()
        .0
        .with_state(Arc::new(app))
        .route(
            "/openapi.json",
            axum::routing::get(|| async {
                (
                    [(axum::http::header::CONTENT_TYPE, "application/json")],
                    document(),
                )
            }),
        )
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::middleware::from_fn(meter::count))
        .layer(axum::middleware::from_fn(traces::follow))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_document_is_the_one_that_is_published() {
        expect_test::expect_file!["../../contracts/openapi.json"].assert_eq(&super::document());
    }
}
