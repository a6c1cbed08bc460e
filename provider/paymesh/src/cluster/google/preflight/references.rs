//! Objects that the configuration names: registries, a key, an account. Only new names are looked
//! up.

use paymesh_google::Google;
use paymesh_plugin::findings::Findings;

use crate::{
    cluster::{Prior, checks::at, spec::ClusterSpec},
    codes::{self, refuse},
};

pub(super) async fn check(
    google: &Google,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) {
    for (index, registry) in spec.registries.iter().enumerate() {
        if prior.is_some_and(|prior| prior.spec.registries.contains(registry)) {
            continue;
        }
        let path = &registry[registry.find("projects/").unwrap_or(0)..];
        if let Ok(false) = google.has_repository(path).await {
            refuse(
                found,
                at("registries").index(index),
                &codes::GOOGLE_NO_SUCH_REGISTRY,
                format!("the repository {path} does not exist, or this identity may not see it"),
            );
        }
    }
    let key = spec.kms_key_id.as_ref();
    let key =
        key.filter(|key| prior.is_none_or(|prior| prior.spec.kms_key_id.as_ref() != Some(key)));
    if let Some(key) = key
        && let Ok(false) = google.has_key(key).await
    {
        refuse(
            found,
            at("kms_key_id"),
            &codes::NO_SUCH_KEY,
            format!("the key {key} does not exist, or this identity may not see it"),
        );
    }
    let account = spec
        .google
        .as_ref()
        .and_then(|own| own.node_service_account.as_ref())
        .filter(|account| prior.is_none() && *account != "default");
    if let Some(account) = account
        && let Ok(false) = google.has_service_account(account).await
    {
        refuse(
            found,
            at("google").attribute("node_service_account"),
            &codes::NO_SUCH_SERVICE_ACCOUNT,
            format!("the account {account} does not exist, or this identity may not see it"),
        );
    }
}
