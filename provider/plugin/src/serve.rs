//! The life of a provider process: handshake, serving, and the ways to end.
//!
//! The process ends when Terraform says so, when Terraform itself is gone, or on SIGTERM. It first asks
//! running operations to stop and gives them a moment, so that what a cloud has accepted is known and
//! logged. It ignores SIGINT: Terraform gets the same signal from the terminal and sends
//! `StopProvider`; a provider that died would lose the objects it is creating.

mod connection;
mod handshake;
mod listener;
mod reattach;
#[cfg(test)]
mod tests;
mod tls;
mod watch;

use std::{io, process::ExitCode, sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use self::{handshake::Handshake, listener::Listener, tls::Tls};
use crate::{
    logs, panics,
    provider::Provider,
    server::{
        Server,
        companions::{Controller, Healthy, Stdio},
        service::Service,
    },
    wire::{
        health::health_server::HealthServer,
        plugin::{
            grpc_controller_server::GrpcControllerServer, grpc_stdio_server::GrpcStdioServer,
        },
        tfplugin6::provider_server::ProviderServer,
    },
};

/// The largest message, as in Go providers.
const MESSAGE_BYTES_MAX: usize = 256 << 20;

/// How long running operations get to end after Terraform said goodbye; it kills after 2 s.
const GOODBYE: Duration = Duration::from_millis(1500);

/// How long running operations get to end when Terraform is gone and nobody else will kill.
const ORPHANED: Duration = Duration::from_secs(10);

/// Serves a provider until the process should end. This is all that a provider's `main` does.
///
/// `-debug` serves without Terraform having started it, for use with `TF_REATTACH_PROVIDERS`.
pub fn serve<P: Provider>(provider: P) -> ExitCode {
    panics::install();
    // One crypto provider in the process; a second installation has nothing to add.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments
        .iter()
        .any(|argument| matches!(argument.as_str(), "-version" | "--version"))
    {
        println!("{} {}", P::ADDRESS, P::VERSION);
        return ExitCode::SUCCESS;
    }
    let debug = arguments
        .iter()
        .any(|argument| matches!(argument.as_str(), "-debug" | "--debug"));
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed("the runtime does not start", &error),
    };
    if !debug {
        // Before all work: a Ctrl-C while the provider starts is meant for Terraform.
        let _context = runtime.enter();
        if let Err(error) = watch::outlive_interrupts() {
            return failed("SIGINT cannot be ignored", &error);
        }
    }
    let handshake = if debug {
        None
    } else {
        Some(Handshake::from_environment())
    };
    let handshake = match handshake.transpose() {
        Ok(handshake) => handshake,
        Err(refusal) => {
            eprintln!("{refusal}");
            return ExitCode::FAILURE;
        }
    };
    logs::install(short_name(P::ADDRESS), debug);
    let ended = runtime.block_on(async {
        match handshake {
            Some(handshake) => managed(provider, handshake).await,
            None => reattach::run_debug(provider).await,
        }
    });
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed("the provider cannot serve", &error),
    }
}

fn failed(what: &str, error: &io::Error) -> ExitCode {
    eprintln!("{what}: {error}");
    ExitCode::FAILURE
}

/// `paymesh` of `registry.terraform.io/paymesh/paymesh`.
fn short_name(address: &str) -> &str {
    address.rsplit('/').next().unwrap_or(address)
}

/// Whether a process whose environment these variables are would serve who started it.
pub(crate) fn accepts(variable: impl Fn(&str) -> Option<String>) -> bool {
    let Ok(handshake) = Handshake::read(variable) else {
        return false;
    };
    let certificate = handshake.client_certificate.as_deref();
    certificate.is_none_or(|certificate| Tls::pinned_to(certificate).is_ok())
}

/// Serves the Terraform that started this process.
async fn managed<P: Provider>(provider: P, handshake: Handshake) -> io::Result<()> {
    let tls = handshake
        .client_certificate
        .as_deref()
        .map(Tls::pinned_to)
        .transpose()?;
    let certificate = tls.as_ref().map(Tls::certificate);
    let listener = Listener::bind(&handshake).await?;
    let end = CancellationToken::new();
    // Before the answer: who has read it may say at once that it is over.
    watch::watch(&end)?;
    handshake.answer(&listener, certificate)?;
    run(provider, listener, tls, &end).await
}

/// Serves until `end`, then waits for running calls.
async fn run<P: Provider>(
    provider: P,
    listener: Listener,
    tls: Option<Tls>,
    end: &CancellationToken,
) -> io::Result<()> {
    let _socket_dir = listener.socket_dir();
    let parent = rustix::process::getppid();
    let server = Arc::new(Server::new(provider));
    let service = ProviderServer::new(Service(Arc::clone(&server)))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let serving = tonic::transport::Server::builder()
        .add_service(service)
        .add_service(GrpcControllerServer::new(Controller(end.clone())))
        .add_service(GrpcStdioServer::new(Stdio(end.clone())))
        .add_service(HealthServer::new(Healthy))
        .serve_with_incoming(listener.incoming(tls));
    let outcome = tokio::select! {
        outcome = serving => outcome.map_err(io::Error::other),
        () = end.cancelled() => Ok(()),
    };
    server.stop();
    server.calls.close();
    let limit = if watch::is_orphaned(parent) {
        ORPHANED
    } else {
        GOODBYE
    };
    if !watch::within(limit, server.calls.wait()).await {
        tracing::warn!(running = server.calls.len(), "ending while operations run");
    }
    outcome
}
