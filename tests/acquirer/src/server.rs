//! The acquirer over HTTP: `PUT /v1/charges/{id}` charges once, `PUT /v1/operations/{id}` reserves,
//! captures, voids or refunds once; `GET` says what became of it, the lists what was done since a
//! time, and `POST /v1/charges/{id}/void` gives back what nobody wants. `GET /v1/notices` tells of
//! disputes.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State},
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::{get, post, put},
};
use serde::{Deserialize, Serialize};

use crate::{
    behaviour::{self, Behaviour, First},
    books::{Books, Disk, Row},
    hand,
    rules::refusal,
};

pub(crate) struct Acquirer {
    /// Where customers find us.
    address: String,
    books: Mutex<Books>,
    disk: Arc<Disk>,
    /// How often each id was tried.
    tries: Mutex<HashMap<String, u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    amount: i64,
    currency: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    charge: String,
    #[serde(default)]
    dispute: String,
    #[serde(default)]
    explanation: String,
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

#[derive(Deserialize)]
struct From {
    #[serde(default)]
    after: String,
}

#[derive(Serialize)]
struct Refusal {
    code: &'static str,
}

pub(crate) fn refuse(status: StatusCode, code: &'static str) -> Response {
    (status, Json(Refusal { code })).into_response()
}

/// An answer that breaks off: the caller learns nothing.
fn cut() -> Response {
    let broken = futures::stream::iter([Err::<Vec<u8>, _>(io::Error::other("cut"))]);
    Response::new(Body::from_stream(broken))
}

/// The routes.
pub(crate) fn app(books: Books, address: String, token: &str) -> Router {
    let acquirer = Arc::new(Acquirer {
        address,
        disk: books.disk(),
        books: Mutex::new(books),
        tries: Mutex::default(),
    });
    let wanted = Arc::new(format!("Bearer {token}"));
    Router::new()
        .route("/v1/charges", get(charges))
        .route("/v1/charges/{id}", put(order).get(read))
        .route("/v1/operations", get(operations))
        .route("/v1/operations/{id}", put(order).get(read))
        .route("/v1/charges/{id}/void", post(void))
        .route("/v1/notices", get(notices))
        .merge(hand::routes())
        .layer(middleware::from_fn(move |request, next| {
            authenticate(wanted.clone(), request, next)
        }))
        .route("/3ds/{id}", get(ask_customer))
        .route("/3ds/{id}/{said}", post(hear_customer))
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

/// What a customer sees.
async fn ask_customer(State(acquirer): State<Arc<Acquirer>>, Path(id): Path<String>) -> Response {
    let found = acquirer.look(|books| books.find(&id).cloned()).await;
    let Some(charge) = found
        .ok()
        .flatten()
        .filter(|charge| charge.status == "requires_action")
    else {
        return refuse(StatusCode::NOT_FOUND, "not_found");
    };
    // The id is in our books, so it holds letters only.
    Html(format!(
        "<!doctype html><title>Sandbox bank</title><p>Pay {} {} (minor units)?
         <form method=post action=/3ds/{id}/approve><button>Yes</button></form>
         <form method=post action=/3ds/{id}/deny><button>No</button></form>",
        charge.amount, charge.currency
    ))
    .into_response()
}

async fn hear_customer(
    State(acquirer): State<Arc<Acquirer>>,
    Path((id, said)): Path<(String, String)>,
) -> Response {
    let approve = said == "approve";
    match acquirer
        .write(move |books| books.decide(&id, approve))
        .await
    {
        Ok(Some(_)) => Html("Done; go back to the shop.").into_response(),
        Ok(None) => refuse(StatusCode::CONFLICT, "nothing_to_decide"),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "books"),
    }
}

async fn read(State(acquirer): State<Arc<Acquirer>>, Path(id): Path<String>) -> Response {
    match acquirer.look(|books| books.find(&id).cloned()).await {
        Ok(Some(row)) => Json(row).into_response(),
        Ok(None) => refuse(StatusCode::NOT_FOUND, "not_found"),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "books"),
    }
}

async fn charges(State(acquirer): State<Arc<Acquirer>>, Query(since): Query<Since>) -> Response {
    acquirer.list(true, since).await
}

async fn operations(State(acquirer): State<Arc<Acquirer>>, Query(since): Query<Since>) -> Response {
    acquirer.list(false, since).await
}

/// What was told of disputes, oldest first.
async fn notices(State(acquirer): State<Arc<Acquirer>>, Query(from): Query<From>) -> Response {
    let after = from.after.parse().unwrap_or(0);
    let told = |books: &Books| {
        let (data, more) = books.notices(after);
        let next = after + data.len();
        let next = if next == 0 {
            String::new()
        } else {
            next.to_string()
        };
        serde_json::json!({ "data": data, "next": next, "more": more })
    };
    answer(acquirer.look(told).await)
}

async fn void(State(acquirer): State<Arc<Acquirer>>, Path(id): Path<String>) -> Response {
    match acquirer.write(move |books| books.void(&id)).await {
        Ok(Some(charge)) => Json(charge).into_response(),
        Ok(None) => refuse(StatusCode::NOT_FOUND, "not_found"),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "books"),
    }
}

async fn order(
    State(acquirer): State<Arc<Acquirer>>,
    Path(id): Path<String>,
    Json(order): Json<Order>,
) -> Response {
    // Like a real acquirer it goes on when the caller hangs up.
    let work = tokio::spawn(async move { acquirer.order(id, order).await });
    work.await
        .unwrap_or_else(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal"))
}

impl Acquirer {
    pub(crate) fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes, and waits for the disk.
    pub(crate) async fn write<T: Send + 'static>(
        self: Arc<Self>,
        act: impl FnOnce(&mut Books) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let written = tokio::task::spawn_blocking(move || {
            let done = act(&mut self.books())?;
            self.disk.keep()?;
            Ok(done)
        });
        written.await?
    }

    /// What the books say, once that is on disk.
    pub(crate) async fn look<T>(&self, look: impl FnOnce(&Books) -> T) -> io::Result<T> {
        let seen = look(&self.books());
        let disk = self.disk.clone();
        tokio::task::spawn_blocking(move || disk.keep()).await??;
        Ok(seen)
    }

    async fn list(&self, is_charge: bool, since: Since) -> Response {
        let listed = |books: &Books| {
            let (data, next) = books.since(is_charge, since.since_ms, since.after);
            let next = next.map(|next| next.to_string());
            serde_json::json!({ "data": data, "next": next })
        };
        answer(self.look(listed).await)
    }

    async fn order(self: Arc<Self>, id: String, order: Order) -> Response {
        // What is done with a charge goes as its token says.
        let token = if order.charge.is_empty() {
            order.token.clone()
        } else {
            match self.books().find(&order.charge) {
                Some(charge) => charge.token.clone(),
                None => return refuse(StatusCode::UNPROCESSABLE_ENTITY, "unknown_charge"),
            }
        };
        let Some(behaviour) = behaviour::of(&token) else {
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
        let began = Instant::now();
        let is_slow = !behaviour.delay.is_zero();
        if is_slow {
            tokio::time::sleep(behaviour.delay).await;
        }
        let delay_us = is_slow.then(|| began.elapsed().as_micros());
        let asked = Row {
            id,
            kind: order.kind,
            charge: order.charge,
            dispute: order.dispute,
            explanation: order.explanation,
            amount: order.amount,
            currency: order.currency,
            token: order.token,
            metadata: order.metadata,
            delay_us: delay_us.and_then(|delay| delay.try_into().ok()),
            ..Row::default()
        };
        let (wanted, address) = (asked.clone(), self.address.clone());
        let written = self.write(move |books| decide(books, &address, asked, behaviour));
        let same = |known: &Row| {
            (known.amount, &known.currency, &known.kind, &known.charge)
                == (
                    wanted.amount,
                    &wanted.currency,
                    &wanted.kind,
                    &wanted.charge,
                )
        };
        match written.await {
            Ok(known) if !same(&known) => {
                refuse(StatusCode::CONFLICT, "id_used_for_another_charge")
            }
            Ok(_) if behaviour.first == First::LostAnswer && tries == 1 => cut(),
            Ok(known) => Json(known).into_response(),
            Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "books"),
        }
    }
}

/// Decides and writes down: what comes at once is decided one after the other.
fn decide(books: &mut Books, address: &str, asked: Row, behaviour: Behaviour) -> io::Result<Row> {
    let code = match books.find(&asked.charge) {
        Some(charge) => refusal(books, charge, &asked),
        None => (!behaviour.approve).then_some("insufficient_funds"),
    };
    let needs_action = behaviour.action && asked.charge.is_empty();
    let status = match code {
        None if needs_action => "requires_action",
        None => "approved",
        Some(_) => "declined",
    };
    books.write(Row {
        status: status.to_owned(),
        action_url: needs_action.then(|| format!("{address}/3ds/{}", asked.id)),
        code: code.map(ToOwned::to_owned),
        ..asked
    })
}

/// What was asked for as JSON, or that the books are in trouble.
pub(crate) fn answer(read: io::Result<impl Serialize>) -> Response {
    match read {
        Ok(value) => Json(value).into_response(),
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "books"),
    }
}
