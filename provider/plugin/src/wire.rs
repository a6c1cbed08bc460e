//! The wire: generated protocol types, and pure mappings between them and this crate's own types.
//! No semantics here, and no protobuf type leaves the server.

pub(crate) mod diagnostic;
pub(crate) mod dynamic;
pub(crate) mod json;
pub(crate) mod msgpack;
pub(crate) mod schema;
pub(crate) mod types;

/// Terraform's protocol.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
pub(crate) mod tfplugin6 {
    tonic::include_proto!("tfplugin6");
}

/// The services of go-plugin.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
pub(crate) mod plugin {
    tonic::include_proto!("plugin");
}

/// The standard health service.
#[allow(
    missing_docs,
    unreachable_pub,
    dead_code,
    clippy::all,
    clippy::pedantic,
    reason = "generated code"
)]
pub(crate) mod health {
    tonic::include_proto!("grpc.health.v1");
}
