//! The least that a provider is: one resource with an attribute of each kind, and no object behind it.
//! It is the trivial resource of the benchmarks.

use std::process::ExitCode;

use async_trait::async_trait;
use paymesh_plugin::{
    findings::Findings,
    provider::{Client, Parts, Provider},
    resource::{Applied, ApplyRequest, DeleteRequest, Deleted, ReadRequest, Resource, Seen, State},
    spec::{Draft, Spec, Status},
};

/// Echoes.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "smallest")]
struct SmallestConfig {}

/// Says again what it is told.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "smallest_echo", version = 0, status = EchoStatus)]
struct EchoSpec {
    /// What is said.
    input: String,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Status)]
struct EchoStatus {
    /// The same.
    output: String,
}

struct Echo;

#[async_trait]
impl Resource for Echo {
    type Spec = EchoSpec;
    type Session = ();

    async fn apply(&self, request: ApplyRequest<Self>) -> Applied<Self> {
        let output = request.spec.input.clone();
        Applied::state(State::new(request.spec, EchoStatus { output }))
    }

    async fn delete(&self, _: DeleteRequest<Self>) -> Deleted<Self> {
        Deleted::gone()
    }

    async fn read(&self, request: ReadRequest<Self>) -> Seen<Self> {
        Seen::state(request.prior, request.private)
    }
}

struct Smallest;

#[async_trait]
impl Provider for Smallest {
    type Config = SmallestConfig;
    type Session = ();

    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADDRESS: &'static str = "registry.terraform.io/paymesh/smallest";

    fn parts(&self) -> Parts<()> {
        Parts::new().resource(Echo)
    }

    async fn configure(&self, _: Draft<SmallestConfig>, _: Client, _: &mut Findings) -> Option<()> {
        Some(())
    }
}

fn main() -> ExitCode {
    paymesh_plugin::serve(Smallest)
}
