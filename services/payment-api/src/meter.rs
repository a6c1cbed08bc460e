//! How many requests there were, what came of them and how long they took.
//!
//! Labels have few values: addresses as the document writes them, never as they were called.

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::Response,
};
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use tokio::time::Instant;

const REQUESTS: &str = "paymesh_http_requests_total";
const SECONDS: &str = "paymesh_http_request_duration_seconds";

/// Tells what is counted here.
pub(crate) fn describe() {
    describe_counter!(REQUESTS, "HTTP requests that were answered");
    describe_histogram!(
        SECONDS,
        Unit::Seconds,
        "Until the answer, waiting for the payment included"
    );
}

/// A method of the document, or `other`: callers can send any word as one.
pub(crate) fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Counts a request once it is answered.
pub(crate) async fn count(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let path = path.map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let method = method_word(request.method());
    let began = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    counter!(REQUESTS, "method" => method, "path" => path.clone(), "status" => status).increment(1);
    histogram!(SECONDS, "method" => method, "path" => path).record(began.elapsed());
    response
}
