//! Whether the region offers the version.

use paymesh_azure::Azure;
use paymesh_kubernetes::Version;
use paymesh_plugin::findings::Findings;

use crate::cluster::{Prior, checks::at, spec::ClusterSpec};
use crate::codes::{self, refuse};

pub(super) async fn check(
    azure: &Azure,
    subscription: &str,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) {
    if prior.is_some_and(|prior| prior.spec.kubernetes_version == spec.kubernetes_version) {
        return;
    }
    let Ok(floor) = spec.kubernetes_version.parse::<Version>() else {
        return;
    };
    let runs = prior
        .and_then(|prior| prior.status.running_kubernetes_version.as_deref())
        .and_then(|runs| runs.parse::<Version>().ok());
    if runs.is_some_and(|runs| runs.meets(floor)) {
        return;
    }
    let Ok(offered) = azure.kubernetes_versions(subscription, &spec.region).await else {
        return;
    };
    if offered.is_empty() {
        return;
    }
    let minor = floor.minor().to_string();
    let Some(entry) = offered.iter().find(|entry| entry.minor == minor) else {
        let minors: Vec<&str> = offered.iter().map(|entry| entry.minor.as_str()).collect();
        refuse(
            found,
            at("kubernetes_version"),
            &codes::AZURE_VERSION_NOT_OFFERED,
            format!("AKS offers {} in {}", minors.join(", "), spec.region),
        );
        return;
    };
    if floor.has_patch() && !entry.patches.contains(&floor.to_string()) {
        refuse(
            found,
            at("kubernetes_version"),
            &codes::PATCH_NOT_OFFERED,
            format!("AKS offers {} in {}", entry.patches.join(", "), spec.region),
        );
    }
    if entry.is_preview {
        refuse(
            found,
            at("kubernetes_version"),
            &codes::PREVIEW_VERSION,
            format!("{minor} is a preview in {}", spec.region),
        );
    }
}
