//! The services that go-plugin expects beside the provider: shutdown, standard output, health.

use std::pin::Pin;

use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status, async_trait,
    codegen::tokio_stream::{self, Stream},
};

use crate::wire::{
    health::{
        HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
        health_server::Health,
    },
    plugin::{
        Empty, StdioData, grpc_controller_server::GrpcController, grpc_stdio_server::GrpcStdio,
    },
};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Ends the process. Without it Terraform waits two seconds for each process and then kills it.
pub(crate) struct Controller(pub(crate) CancellationToken);

#[async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.0.cancel();
        Ok(Response::new(Empty {}))
    }
}

/// Forwards nothing: after the handshake nothing is printed to standard output, and standard error
/// is a pipe that Terraform reads itself.
pub(crate) struct Stdio(pub(crate) CancellationToken);

#[async_trait]
impl GrpcStdio for Stdio {
    type StreamStdioStream = Answers<StdioData>;

    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        Ok(Response::new(Box::pin(Silent(Box::pin(
            self.0.clone().cancelled_owned(),
        )))))
    }
}

/// A stream without elements that ends with the process.
struct Silent(Pin<Box<tokio_util::sync::WaitForCancellationFutureOwned>>);

impl Stream for Silent {
    type Item = Result<StdioData, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.as_mut().poll(cx).map(|()| None)
    }
}

/// Healthy as long as it answers.
pub(crate) struct Healthy;

#[async_trait]
impl Health for Healthy {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match request.get_ref().service.as_str() {
            "" | "plugin" => Ok(Response::new(serving())),
            other => Err(Status::not_found(format!("there is no service {other:?}"))),
        }
    }

    type WatchStream = Answers<HealthCheckResponse>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(serving())))))
    }
}

fn serving() -> HealthCheckResponse {
    HealthCheckResponse {
        status: ServingStatus::Serving.into(),
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn terraforms_goodbye_ends_the_process() {
        let end = CancellationToken::new();
        let controller = Controller(end.clone());
        controller.shutdown(Request::new(Empty {})).await.unwrap();
        assert!(end.is_cancelled());
    }

    /// go-plugin asks for its one service by name; an empty name means all of the process.
    #[tokio::test]
    async fn the_plugin_is_healthy_and_nothing_else_is_known() {
        let check = async |service: &str| {
            let service = service.to_owned();
            let request = Request::new(HealthCheckRequest { service });
            Healthy.check(request).await
        };
        for service in ["", "plugin"] {
            let answer = check(service).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
        }
        let unknown = check("another").await.unwrap_err();
        assert_eq!(unknown.code(), Code::NotFound);
    }
}
