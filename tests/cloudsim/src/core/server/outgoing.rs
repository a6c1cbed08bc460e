//! Answers on the wire, whole or broken on order.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, header};
use http_body::{Body, Frame, SizeHint};

use crate::core::{Answer, fault::Garbage};

/// The connection is to be cut.
#[derive(Debug)]
pub(super) struct Severed;

impl std::fmt::Display for Severed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("cut by a fault")
    }
}

impl std::error::Error for Severed {}

/// An answer as it goes out; with garbage in place of its body, if that is ordered.
pub(super) fn respond(answer: Answer, garbage: Option<Garbage>) -> Response<Outgoing> {
    const PAGE: &[u8] = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>";
    let mut content_type = "application/json; charset=utf-8";
    let (data, length) = match garbage {
        None => (answer.body.clone(), answer.body.len()),
        Some(Garbage::Empty) => (Bytes::new(), 0),
        Some(Garbage::Html) => {
            content_type = "text/html";
            (Bytes::from_static(PAGE), PAGE.len())
        }
        Some(Garbage::Truncated) => (
            answer.body.slice(..answer.body.len() / 2),
            answer.body.len().max(1),
        ),
    };
    let mut response = Response::new(Outgoing {
        data: Some(data),
        left: length as u64,
        pause: None,
    });
    *response.status_mut() = http::StatusCode::from_u16(answer.status)
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (
            header::HeaderName::try_from(name),
            header::HeaderValue::try_from(value),
        ) {
            response.headers_mut().insert(name, value);
        }
    }
    if length > 0 && !response.headers().contains_key(header::CONTENT_TYPE) {
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static(content_type),
        );
    }
    response
}

/// A body of announced length; if its data is shorter, the connection breaks at its end.
pub(super) struct Outgoing {
    data: Option<Bytes>,
    left: u64,
    /// Lets the first half reach the client before the connection breaks.
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Severed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Severed>>> {
        const PAUSE: Duration = Duration::from_millis(20);
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            self.left -= data.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(PAUSE)));
        pause.as_mut().poll(cx).map(|()| Some(Err(Severed)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
