//! What the configuration names by id and somebody else made must be there.

use paymesh_azure::{ArmId, Azure};
use paymesh_plugin::{findings::Findings, path::Path};

use crate::cluster::{Prior, checks::at, spec::ClusterSpec};
use crate::codes::{self, Row, refuse};

/// Asks about the ids that are new in `spec`.
pub(super) async fn check(
    azure: &Azure,
    spec: &ClusterSpec,
    prior: Option<&Prior>,
    found: &mut Findings,
) {
    let known = prior.map(|prior| named(&prior.spec)).unwrap_or_default();
    for reference in named(spec) {
        if known.iter().any(|before| before.id == reference.id) {
            continue;
        }
        let Ok(id) = ArmId::parse(&reference.id) else {
            continue;
        };
        if let Ok(false) = azure.exists(&id).await {
            refuse(
                found,
                reference.path,
                reference.row,
                format!("{id} does not exist, or this identity may not see it"),
            );
        }
    }
}

struct Reference {
    path: Path,
    id: String,
    row: &'static Row,
}

fn named(spec: &ClusterSpec) -> Vec<Reference> {
    let mut all = Vec::new();
    let mut add = |path: Path, id: Option<&String>, row| {
        all.extend(id.map(|id| Reference {
            path,
            id: id.clone(),
            row,
        }));
    };
    let workspace = spec
        .logs
        .as_ref()
        .and_then(|logs| logs.workspace_id.as_ref());
    add(
        at("logs").attribute("workspace_id"),
        workspace,
        &codes::NO_SUCH_LOG_WORKSPACE,
    );
    for (index, registry) in spec.registries.iter().enumerate() {
        add(
            at("registries").index(index),
            Some(registry),
            &codes::AZURE_NO_SUCH_REGISTRY,
        );
    }
    if let Some(own) = &spec.azure {
        for (name, id) in [
            ("control_plane_identity_id", &own.control_plane_identity_id),
            ("kubelet_identity_id", &own.kubelet_identity_id),
        ] {
            add(
                at("azure").attribute(name),
                id.as_ref(),
                &codes::NO_SUCH_IDENTITY,
            );
        }
    }
    all
}
