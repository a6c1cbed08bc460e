//! Who is asking: API keys and their scopes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, header};
use paymesh_contracts::{Code, Scope, TenantId, digest, persistence::AuthenticateRequest};
use tokio::time::Instant;

use crate::{app::App, error::Problem};

/// How long an answer is believed: a revoked key works no longer than that.
const BELIEVED: Duration = Duration::from_secs(5);
/// How many keys are remembered; beyond that all are asked for again.
const REMEMBERED_MAX: usize = 10_000;

#[derive(Clone)]
struct Known {
    tenant_id: TenantId,
    scopes: Vec<String>,
    since: Instant,
}

/// Keys seen lately, by their SHA-256: the key itself is never kept.
#[derive(Default)]
pub(crate) struct Keys(Mutex<HashMap<[u8; 32], Known>>);

impl Keys {
    fn find(&self, digest: &[u8; 32]) -> Option<Known> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(digest)
            .filter(|known| known.since.elapsed() < BELIEVED)
            .cloned()
    }

    fn remember(&self, digest: [u8; 32], found: Known) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(digest, found);
    }
}

/// The merchant who asks, if their key may do what `scope` says.
pub(crate) async fn authorize(
    app: &App,
    headers: &HeaderMap,
    scope: Scope,
) -> Result<TenantId, Problem> {
    let key = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(Code::Unauthenticated)?;
    let digest = digest::sha256(key.as_bytes());
    let known = if let Some(known) = app.keys.find(&digest) {
        known
    } else {
        let known = ask(app, digest).await?;
        app.keys.remember(digest, known.clone());
        known
    };
    app.limits.take(known.tenant_id)?;
    if scope.is_among(&known.scopes) {
        Ok(known.tenant_id)
    } else {
        Err(Problem::about(Code::MissingScope, scope.word()))
    }
}

async fn ask(app: &App, digest: [u8; 32]) -> Result<Known, Problem> {
    // The answer is as old as the question: a key may be revoked while it is on its way.
    let since = Instant::now();
    let request = AuthenticateRequest {
        key_digest: digest.to_vec(),
    };
    let found = app.payments().authenticate(request).await;
    let tenant = found
        .map_err(|status| match status.code() {
            tonic::Code::NotFound => Code::Unauthenticated.into(),
            _ => Problem::from(Code::Overloaded).because("the key cannot be checked now"),
        })?
        .into_inner();
    Ok(Known {
        tenant_id: TenantId::from_bytes(&tenant.tenant_id).map_err(|_| Code::Internal)?,
        scopes: tenant.scopes,
        since,
    })
}
