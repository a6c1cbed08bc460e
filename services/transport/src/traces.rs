//! A trace across gRPC: where the caller is in it travels with each call.

use std::task::{Context, Poll};

use http::Request;
use paymesh_operations::{Place, TRACEPARENT, Within};
use tonic::{
    Status,
    body::Body,
    service::{Interceptor, interceptor::InterceptedService},
};
use tower::{Layer, Service};

use crate::Line;

/// A line whose calls say where their caller is.
pub type Traced = InterceptedService<Line, Carry>;

/// Says with each call where its caller is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carry;

impl Interceptor for Carry {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, Status> {
        let place = Place::current().text();
        if let Some(place) = place.and_then(|place| place.parse().ok()) {
            request.metadata_mut().insert(TRACEPARENT, place);
        }
        Ok(request)
    }
}

/// Puts a [`Continued`] in front of services.
#[derive(Clone, Copy)]
pub(crate) struct Continue;

impl<S> Layer<S> for Continue {
    type Service = Continued<S>;

    fn layer(&self, inner: S) -> Continued<S> {
        Continued(inner)
    }
}

/// Has each call run where its caller is.
#[derive(Clone)]
pub(crate) struct Continued<S>(S);

impl<S: Service<Request<Body>>> Service<Request<Body>> for Continued<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Within<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let told = request.headers().get(TRACEPARENT);
        let place = told.and_then(|told| told.to_str().ok()).map(Place::read);
        place.unwrap_or_default().within(self.0.call(request))
    }
}
