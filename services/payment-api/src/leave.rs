//! Callers leave a replica that ends: each answer asks them to open another connection for the next
//! request.

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header::CONNECTION},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use tokio_util::sync::CancellationToken;

/// These routes; from `stop` on each answer is the last of its connection.
pub fn routes(routes: Router, stop: CancellationToken) -> Router {
    routes.layer(from_fn_with_state(stop, ask))
}

async fn ask(State(stop): State<CancellationToken>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if stop.is_cancelled() {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(CONNECTION, close);
    }
    response
}
