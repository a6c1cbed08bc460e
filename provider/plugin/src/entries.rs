//! Entries to what reads the bytes of others, where Terraform's connection is the only other way
//! there. For `tests/fuzz`, and no part of what authors use.

use std::sync::Arc;

use tonic::{Request, Status};

use crate::{
    provider::Provider,
    schema::AttributeType,
    serve,
    server::{Server, service::Service},
    value::Value,
    wire::{
        msgpack,
        tfplugin6::{
            Diagnostic, DynamicValue, RawState, diagnostic::Severity,
            provider_server::Provider as _, upgrade_resource_state, validate_data_resource_config,
            validate_provider_config, validate_resource_config,
        },
        types,
    },
};

/// The type that these bytes name, as a dynamic value names its own.
pub fn kind(json: &[u8]) -> Option<AttributeType> {
    types::from_json(&serde_json::from_slice(json).ok()?)
}

/// The value of these bytes.
pub fn value(msgpack: &[u8], kind: &AttributeType) -> Option<Value> {
    msgpack::decode(msgpack, kind).ok()
}

/// The bytes of this value; nothing if it is of another type.
pub fn bytes(value: &Value, kind: &AttributeType) -> Option<Vec<u8>> {
    msgpack::encode(value, kind).ok()
}

/// Whether a process whose environment these variables are would serve who started it.
pub fn handshake(variable: impl Fn(&str) -> Option<String>) -> bool {
    serve::accepts(variable)
}

/// A value as a message holds it, in one of the two ways.
pub enum Sent {
    /// As `MessagePack`.
    Packed(Vec<u8>),
    /// As JSON.
    Json(Vec<u8>),
}

impl Sent {
    fn dynamic(self) -> DynamicValue {
        let (msgpack, json) = match self {
            Self::Packed(bytes) => (bytes, Vec::new()),
            Self::Json(bytes) => (Vec::new(), bytes),
        };
        DynamicValue { msgpack, json }
    }
}

/// What an answer says is wrong: each error. An error of the call itself is a crash.
type Said = Result<Vec<String>, Status>;

fn errors(diagnostics: &[Diagnostic]) -> Vec<String> {
    let errors = diagnostics.iter();
    let errors = errors.filter(|it| it.severity() == Severity::Error);
    errors
        .map(|it| format!("{}: {}", it.summary, it.detail))
        .collect()
}

/// A provider that is served to nobody.
pub struct Served<P: Provider>(Service<P>);

impl<P: Provider> Served<P> {
    /// Serves `provider`.
    pub fn new(provider: P) -> Self {
        Self(Service(Arc::new(Server::new(provider))))
    }

    /// What is wrong with a provider block.
    pub async fn check_provider(&self, config: Sent) -> Said {
        let config = Some(config.dynamic());
        let request = validate_provider_config::Request { config };
        let answer = self.0.validate_provider_config(Request::new(request)).await;
        Ok(errors(&answer?.into_inner().diagnostics))
    }

    /// What is wrong with the configuration of a resource.
    pub async fn check_resource(&self, type_name: &str, config: Sent) -> Said {
        let request = validate_resource_config::Request {
            type_name: type_name.to_owned(),
            config: Some(config.dynamic()),
            client_capabilities: None,
        };
        let answer = self.0.validate_resource_config(Request::new(request)).await;
        Ok(errors(&answer?.into_inner().diagnostics))
    }

    /// What is wrong with the configuration of a data source.
    pub async fn check_data_source(&self, type_name: &str, config: Sent) -> Said {
        let request = validate_data_resource_config::Request {
            type_name: type_name.to_owned(),
            config: Some(config.dynamic()),
        };
        let request = Request::new(request);
        let answer = self.0.validate_data_resource_config(request).await;
        Ok(errors(&answer?.into_inner().diagnostics))
    }

    /// A stored state as one of today's schema; nothing if it cannot be read.
    pub async fn upgraded(
        &self,
        type_name: &str,
        version: i64,
        json: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, Status> {
        let raw_state = RawState {
            json,
            ..RawState::default()
        };
        let request = upgrade_resource_state::Request {
            type_name: type_name.to_owned(),
            version,
            raw_state: Some(raw_state),
        };
        let answer = self.0.upgrade_resource_state(Request::new(request)).await?;
        Ok(answer.into_inner().upgraded_state.map(|it| it.msgpack))
    }
}
