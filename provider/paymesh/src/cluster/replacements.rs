//! Changes that take a new cluster on one cloud and not on the other, or in one direction only.
//! What always does says so in its declaration.

use paymesh_plugin::{path::Path, resource::Replacement};

use super::spec::ClusterSpec;

/// The attributes whose change from `before` to `spec` takes a new cluster, and why.
pub(super) fn replacements(spec: &ClusterSpec, before: &ClusterSpec) -> Vec<Replacement> {
    let mut all = Vec::new();
    let mut add = |path: [&str; 2], why: &str| {
        let named = path.into_iter().filter(|name| !name.is_empty());
        all.push(Replacement {
            path: named.fold(Path::root(), |path, name| path.attribute(name)),
            why: Some(why.to_owned()),
        });
    };
    if spec.on_azure() != before.on_azure() {
        return Vec::new();
    }
    if !spec.on_azure() {
        if spec.features.cilium != before.features.cilium {
            add(
                ["features", "cilium"],
                "GKE chooses the dataplane when it makes the cluster",
            );
        }
        return all;
    }
    if spec.api_access.is_some() != before.api_access.is_some() {
        add(
            ["api_access", ""],
            "AKS cannot make a private API server public, nor the other way round",
        );
    }
    if before.features.cilium && !spec.features.cilium {
        add(
            ["features", "cilium"],
            "AKS cannot take the Cilium dataplane away again",
        );
    }
    let kubelet = |spec: &ClusterSpec| {
        let azure = spec.azure.as_ref();
        azure.is_some_and(|azure| azure.kubelet_identity_id.is_some())
    };
    if kubelet(before) && !kubelet(spec) {
        add(
            ["azure", "kubelet_identity_id"],
            "AKS makes an identity for the nodes only together with the cluster",
        );
    }
    all
}
