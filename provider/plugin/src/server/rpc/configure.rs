//! `ConfigureProvider`, `ValidateProviderConfig`.

use std::sync::Arc;

use crate::{
    findings::Findings,
    provider::{Client, Provider},
    server::{Server, unreadable},
    spec::{self, Attributes},
    wire::{
        diagnostic, dynamic,
        tfplugin6::{configure_provider, validate_provider_config},
    },
};

pub(in crate::server) async fn answer<P: Provider>(
    server: Arc<Server<P>>,
    request: configure_provider::Request,
) -> configure_provider::Response {
    let mut found = Findings::new();
    let kind = spec::provider_schema::<P::Config>().object_type();
    match dynamic::decode(request.config.as_ref(), &kind) {
        Ok(config) => {
            let config = P::Config::read(&config, &mut found);
            if !found.has_errors() {
                let client = Client {
                    version: request.terraform_version,
                };
                let session = server.provider.configure(config, client, &mut found).await;
                if let Some(session) = session {
                    server.configure(session);
                }
            }
        }
        Err(error) => found.extend(unreadable("provider block", &error)),
    }
    configure_provider::Response {
        diagnostics: diagnostic::all(&found),
    }
}

pub(in crate::server) async fn validate<P: Provider>(
    _: Arc<Server<P>>,
    request: validate_provider_config::Request,
) -> validate_provider_config::Response {
    let mut found = Findings::new();
    let kind = spec::provider_schema::<P::Config>().object_type();
    match dynamic::decode(request.config.as_ref(), &kind) {
        Ok(config) => {
            P::Config::read(&config, &mut found);
        }
        Err(error) => found.extend(unreadable("provider block", &error)),
    }
    validate_provider_config::Response {
        diagnostics: diagnostic::all(&found),
    }
}
