//! What a person makes the acquirer do.
//!
//! `POST /v1/charges/{id}/dispute` raises a dispute (`?amount=`), `POST /v1/disputes/{name}/won` and
//! `/lost` end one, `POST /v1/disputes/{name}/astray/{status}/{version}` tells something of it that
//! is not so, and `POST /v1/payouts` settles all that is not settled yet; `GET /v1/payouts/{name}` is
//! the report of that.

use std::{io, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};

use crate::{
    books::Books,
    server::{Acquirer, refuse},
};

#[derive(Deserialize)]
struct Part {
    amount: Option<i64>,
}

pub(crate) fn routes() -> Router<Arc<Acquirer>> {
    Router::new()
        .route("/v1/charges/{id}/dispute", post(raise))
        .route("/v1/payouts", post(pay_out))
        .route("/v1/payouts/{name}", get(report))
        .route("/v1/disputes/{name}/won", post(win))
        .route("/v1/disputes/{name}/lost", post(lose))
        .route(
            "/v1/disputes/{name}/astray/{status}/{version}",
            post(mislead),
        )
}

async fn raise(
    State(acquirer): State<Arc<Acquirer>>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Response {
    write(acquirer, move |books| books.raise(&id, part.amount)).await
}

async fn win(State(acquirer): State<Arc<Acquirer>>, Path(name): Path<String>) -> Response {
    write(acquirer, move |books| books.end(&name, "won")).await
}

async fn lose(State(acquirer): State<Arc<Acquirer>>, Path(name): Path<String>) -> Response {
    write(acquirer, move |books| books.end(&name, "lost")).await
}

async fn mislead(
    State(acquirer): State<Arc<Acquirer>>,
    Path((name, status, version)): Path<(String, String, i64)>,
) -> Response {
    write(acquirer, move |books| {
        books.mislead(&name, &status, version)
    })
    .await
}

async fn pay_out(State(acquirer): State<Arc<Acquirer>>) -> Response {
    match acquirer.write(Books::pay_out).await {
        Ok(report) => report.into_response(),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "books"),
    }
}

async fn report(State(acquirer): State<Arc<Acquirer>>, Path(name): Path<String>) -> Response {
    match acquirer.look(|books| books.report(&name)).await {
        Ok(Some(report)) => report.into_response(),
        Ok(None) => refuse(StatusCode::NOT_FOUND, "not_found"),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "books"),
    }
}

async fn write<T: Serialize + Send + 'static>(
    acquirer: Arc<Acquirer>,
    act: impl FnOnce(&mut Books) -> io::Result<Option<T>> + Send + 'static,
) -> Response {
    match acquirer.write(act).await {
        Ok(Some(done)) => Json(done).into_response(),
        Ok(None) => refuse(StatusCode::CONFLICT, "not_possible"),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "books"),
    }
}
