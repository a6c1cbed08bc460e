//! The first span of a trace: a request, from when it came until its answer.

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use paymesh_contracts::card::hides_card_number;
use paymesh_operations::{Span, TRACEPARENT};

use crate::meter::method_word;

/// Has a request run within a span. What is at no address of ours begins no trace.
pub(crate) async fn follow(request: Request, next: Next) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        return next.run(request).await;
    };
    // An address as the document writes it, never as it was called.
    let name = format!("{} {}", method_word(request.method()), path.as_str());
    let told = request.headers().get(TRACEPARENT);
    let told = told.and_then(|told| told.to_str().ok());
    // Where we are in a trace is kept with each message.
    let told = told
        .filter(|told| !hides_card_number(told))
        .unwrap_or_default();
    let span = Span::first(name, told);
    let response = span.place().within(next.run(request)).await;
    let status = response.status();
    span.number("http.response.status_code", status.as_u16().into());
    if status.is_server_error() {
        span.failed();
    }
    response
}
