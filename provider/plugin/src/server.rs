//! The server: one provider behind the protocol.
//!
//! [`service`] receives messages, [`rpc`] answers each in a file of its own. Every call runs in a
//! task that ends even if Terraform hangs up: a lost connection never cuts between "request accepted"
//! and "operation known".

pub(crate) mod companions;
pub(crate) mod private;
mod rpc;
pub(crate) mod service;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    call::Call,
    erased::AnyResource,
    findings::Findings,
    path::Path,
    provider::{Parts, Provider},
};

/// One provider, its session, and the calls that run.
pub(crate) struct Server<P: Provider> {
    provider: P,
    parts: Parts<P::Session>,
    session: RwLock<Option<Arc<P::Session>>>,
    stop: Mutex<CancellationToken>,
    /// The calls that run; a process that ends waits for them.
    pub(crate) calls: TaskTracker,
}

impl<P: Provider> Server<P> {
    pub(crate) fn new(provider: P) -> Self {
        let parts = provider.parts();
        Self {
            provider,
            parts,
            session: RwLock::new(None),
            stop: Mutex::new(CancellationToken::new()),
            calls: TaskTracker::new(),
        }
    }

    /// Asks all running calls to end soon; later calls start afresh.
    pub(crate) fn stop(&self) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *stop).cancel();
    }

    fn configure(&self, session: P::Session) {
        let mut current = self.session.write().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::new(session));
    }

    fn resource(&self, name: &str) -> Result<&dyn AnyResource<P::Session>, Findings> {
        let resource = self.parts.resources.get(name);
        resource
            .map(|it| &**it)
            .ok_or_else(|| no_such("resource", name))
    }

    /// The context of a call, or a finding if the provider is not configured.
    fn call(&self) -> Result<Call<P::Session>, Findings> {
        let session = self
            .session
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let stop = self
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        session
            .map(|session| Call::new(session, stop))
            .ok_or_else(|| {
                let mut found = Findings::new();
                found
                    .error(Path::root(), "The provider is not configured")
                    .detail("Terraform asked for work before the provider block was accepted")
                    .hint("correct the errors of the provider block first");
                found
            })
    }
}

/// What is wrong with the type name that Terraform asks for.
fn no_such(what: &str, name: &str) -> Findings {
    let mut found = Findings::new();
    found
        .error(Path::root(), format!("There is no such {what}"))
        .detail(format!(
            "Terraform asks for {name:?}, which this version of the provider does not have"
        ))
        .hint("check the provider's version in .terraform.lock.hcl");
    found
}

/// What is wrong with a message that does not fit the schema.
fn unreadable(what: &str, error: &crate::wire::msgpack::CodecError) -> Findings {
    let mut found = Findings::new();
    found
        .error(
            error.path.clone(),
            format!("The {what} does not fit the schema"),
        )
        .detail(error.to_string())
        .hint("this is a defect of the provider or of Terraform: please report it");
    found
}
