//! Calls to a peer that may be leaving: what it never took up is said again, to whoever takes calls
//! now.
//!
//! A peer that ends says so (GOAWAY), and a call that was about to go over that connection is handed
//! back, or refused as not looked at. Sending it again can do nothing twice, whatever it asks; gRPC
//! calls this a transparent retry (gRFC A6). A call that may have been looked at is never sent again
//! here.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tonic::{body::Body, transport::Channel};
use tower::{Service, ServiceExt as _};

/// How many peers in a row may leave before a call is given up.
const TRIES_MAX: u32 = 4;

type BoxError = Box<dyn Error + Send + Sync>;

/// A way to a service, over one connection after the other. Requests are single messages.
#[derive(Clone, Debug)]
pub struct Line(Channel);

impl Line {
    pub(crate) fn over(channel: Channel) -> Self {
        Self(channel)
    }
}

impl Service<Request<Body>> for Line {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, BoxError>> + Send>>;

    /// Each call waits by itself until the channel takes it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let channel = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body: Bytes = body.collect().await?.to_bytes();
            let mut tries = 1;
            loop {
                let body = Body::new(Full::new(body.clone()));
                let request = Request::from_parts(head.clone(), body);
                match channel.clone().oneshot(request).await {
                    Err(error) if tries < TRIES_MAX && is_untouched(&error) => tries += 1,
                    answered => return Ok(answered?),
                }
            }
        })
    }
}

/// Whether the peer never looked at a call, by what became of it.
fn is_untouched(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // hyper's word for what it had not begun to send.
        if error
            .downcast_ref::<hyper::Error>()
            .is_some_and(hyper::Error::is_canceled)
        {
            return true;
        }
        // RFC 9113, 6.8 and 8.7: beyond the last stream that a GOAWAY names, or refused.
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            let reason = match error.reason() {
                Some(h2::Reason::NO_ERROR) => error.is_go_away(),
                Some(h2::Reason::REFUSED_STREAM) => error.is_reset(),
                _ => false,
            };
            return reason && error.is_remote();
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use http::StatusCode;
    use tokio::net::TcpListener;
    use tonic::transport::Endpoint;

    use super::*;

    /// A peer that ends the first call with `reason` and answers those behind it; says how many came.
    async fn peer(reason: h2::Reason) -> (Line, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let came = Arc::<AtomicU32>::default();
        let counted = came.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let counted = counted.clone();
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(socket).await.unwrap();
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                            respond.send_reset(reason);
                            continue;
                        }
                        let answer = Response::builder().header("content-type", "application/grpc");
                        let answer = answer.header("grpc-status", "0").body(()).unwrap();
                        respond.send_response(answer, true).unwrap();
                    }
                });
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        (Line::over(endpoint.connect_lazy()), came)
    }

    async fn call(line: Line) -> Result<StatusCode, BoxError> {
        let body = Body::new(Full::new(Bytes::from_static(b"\0\0\0\0\0")));
        let request = Request::post("/paymesh.Any/Call").body(body).unwrap();
        Ok(line.oneshot(request).await?.status())
    }

    #[tokio::test]
    async fn what_a_peer_did_not_look_at_is_sent_again_and_nothing_else_is() {
        let (line, came) = peer(h2::Reason::REFUSED_STREAM).await;
        assert_eq!(call(line).await.unwrap(), StatusCode::OK);
        assert_eq!(came.load(Ordering::SeqCst), 2);
        for reason in [h2::Reason::CANCEL, h2::Reason::INTERNAL_ERROR] {
            let (line, came) = peer(reason).await;
            call(line.clone()).await.unwrap_err();
            assert_eq!(came.load(Ordering::SeqCst), 1, "{reason:?}");
            assert_eq!(call(line).await.unwrap(), StatusCode::OK);
        }
    }
}
