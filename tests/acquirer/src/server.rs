//! The acquirer over HTTP: `PUT /v1/charges/{id}` charges once, `GET` says what became of it,
//! `POST .../void` gives it back, and `GET /v1/charges` lists what was charged since a time.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde::{Deserialize, Serialize};

use crate::{
    behaviour::{self, First},
    books::{Books, Charge},
};

struct Acquirer {
    books: Mutex<Books>,
    /// How often each id was tried.
    tries: Mutex<HashMap<String, u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    amount: i64,
    currency: String,
    token: String,
    #[serde(default)]
    metadata: serde_json::Value,
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since_ms: i64,
    #[serde(default)]
    after: usize,
}

#[derive(Serialize)]
struct Refusal {
    code: &'static str,
}

fn refuse(status: StatusCode, code: &'static str) -> Response {
    (status, Json(Refusal { code })).into_response()
}

/// An answer that breaks off: the caller learns nothing.
fn cut() -> Response {
    let broken = futures::stream::iter([Err::<Vec<u8>, _>(io::Error::other("cut"))]);
    Response::new(Body::from_stream(broken))
}

/// The routes.
pub(crate) fn app(books: Books, token: &str) -> Router {
    let acquirer = Arc::new(Acquirer {
        books: Mutex::new(books),
        tries: Mutex::default(),
    });
    let wanted = Arc::new(format!("Bearer {token}"));
    Router::new()
        .route("/v1/charges", get(list))
        .route("/v1/charges/{id}", put(charge).get(read))
        .route("/v1/charges/{id}/void", post(void))
        .layer(middleware::from_fn(move |request, next| {
            authenticate(wanted.clone(), request, next)
        }))
        .route("/readyz", get(|| async { "ready\n" }))
        .with_state(acquirer)
}

async fn authenticate(wanted: Arc<String>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    if given.is_some_and(|given| given.as_bytes() == wanted.as_bytes()) {
        next.run(request).await
    } else {
        refuse(StatusCode::UNAUTHORIZED, "unauthorized")
    }
}

async fn read(State(acquirer): State<Arc<Acquirer>>, Path(id): Path<String>) -> Response {
    let books = acquirer
        .books
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match books.find(&id) {
        Some(charge) => Json(charge.clone()).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "not_found"),
    }
}

async fn list(State(acquirer): State<Arc<Acquirer>>, Query(since): Query<Since>) -> Response {
    let books = acquirer
        .books
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let (data, next) = books.since(since.since_ms, since.after);
    let next = next.map(|next| next.to_string());
    Json(serde_json::json!({ "data": data, "next": next })).into_response()
}

async fn void(State(acquirer): State<Arc<Acquirer>>, Path(id): Path<String>) -> Response {
    let work = tokio::task::spawn_blocking(move || {
        let mut books = acquirer
            .books
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        books.void(&id)
    });
    match work.await {
        Ok(Ok(Some(charge))) => Json(charge).into_response(),
        Ok(Ok(None)) => refuse(StatusCode::NOT_FOUND, "not_found"),
        _ => refuse(StatusCode::INTERNAL_SERVER_ERROR, "books"),
    }
}

async fn charge(
    State(acquirer): State<Arc<Acquirer>>,
    Path(id): Path<String>,
    Json(order): Json<Order>,
) -> Response {
    // Like a real acquirer it goes on when the caller hangs up.
    let work = tokio::spawn(async move { acquirer.charge(id, order).await });
    work.await
        .unwrap_or_else(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal"))
}

impl Acquirer {
    async fn charge(self: Arc<Self>, id: String, order: Order) -> Response {
        let Some(behaviour) = behaviour::of(&order.token) else {
            return refuse(StatusCode::UNPROCESSABLE_ENTITY, "unknown_token");
        };
        let tries = {
            let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
            let count = tries.entry(id.clone()).or_default();
            *count += 1;
            *count
        };
        match behaviour.first {
            First::Busy(refused) if tries <= refused => {
                return refuse(StatusCode::SERVICE_UNAVAILABLE, "busy");
            }
            First::LostRequest if tries == 1 => return cut(),
            _ => {}
        }
        tokio::time::sleep(behaviour.delay).await;
        let charge = Charge {
            id,
            amount: order.amount,
            currency: order.currency,
            status: if behaviour.approve {
                "approved"
            } else {
                "declined"
            }
            .to_owned(),
            code: (!behaviour.approve).then(|| "insufficient_funds".to_owned()),
            reference: String::new(),
            at_ms: 0,
            metadata: order.metadata,
        };
        let (amount, currency) = (charge.amount, charge.currency.clone());
        let this = self.clone();
        let written = tokio::task::spawn_blocking(move || {
            let mut books = this.books.lock().unwrap_or_else(PoisonError::into_inner);
            books.write(charge)
        });
        match written.await {
            Ok(Ok(known)) if (known.amount, &known.currency) != (amount, &currency) => {
                refuse(StatusCode::CONFLICT, "id_used_for_another_charge")
            }
            Ok(Ok(_)) if behaviour.first == First::LostAnswer && tries == 1 => cut(),
            Ok(Ok(known)) => Json(known).into_response(),
            _ => refuse(StatusCode::INTERNAL_SERVER_ERROR, "books"),
        }
    }
}
