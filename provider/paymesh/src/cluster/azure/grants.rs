//! Who gets which role. Beside existing identities nobody does: whoever made them says what they
//! may.

use paymesh_azure::{
    ArmId, Azure, Principal, Role, RoleWant, cluster_object_id, identity_object_id,
    well_known_roles,
};

use super::want;
use crate::cluster::spec::{AdminKind, ClusterSpec};

/// A role that is assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    scope: String,
    role: &'static str,
    principal: Principal,
    /// Whether the cluster needs it to be made.
    pub(super) before_cluster: bool,
}

impl Grant {
    /// The assignment, by `owner`. A role inside the cluster needs the cluster.
    pub(super) fn role(&self, azure: &Azure, owner: &str) -> Role {
        let scope = ArmId::parse(&self.scope).ok();
        let inside = scope.filter(|_| self.role == well_known_roles::CLUSTER_ADMIN);
        let want = RoleWant {
            scope: self.scope.clone(),
            role: self.role.to_owned(),
            principal: self.principal.clone(),
            attribute: self.attribute().map(str::to_owned),
            needs: inside.iter().map(cluster_object_id).collect(),
        };
        Role::new(azure, owner, want)
    }

    /// The attribute that asks for it.
    fn attribute(&self) -> Option<&'static str> {
        match &self.principal {
            Principal::Deployer => Some("deployer_admin"),
            Principal::Known { .. } => Some("admins"),
            Principal::KubeletOf(_) => Some("registries"),
            Principal::Identity(_) => None,
        }
    }

    /// Takes out of `spec` what this grant, which is not there, would give.
    pub(super) fn take_from(&self, spec: &mut ClusterSpec) {
        match &self.principal {
            Principal::Deployer => spec.deployer_admin = Some(false),
            Principal::Known { id, .. } => spec
                .admins
                .retain(|admin| admin.entra_object_id.as_ref() != Some(id)),
            Principal::KubeletOf(_) => spec.registries.retain(|it| *it != self.scope),
            Principal::Identity(_) => {}
        }
    }
}

fn admin(cluster: &ArmId, principal: Principal) -> Grant {
    Grant {
        scope: cluster.to_string(),
        role: well_known_roles::CLUSTER_ADMIN,
        principal,
        before_cluster: false,
    }
}

/// Whoever makes `cluster` administers it.
pub(super) fn deployer(cluster: &ArmId) -> Grant {
    admin(cluster, Principal::Deployer)
}

/// Everything that is granted for the cluster `id`.
pub(super) fn of(spec: &ClusterSpec, group: &ArmId, id: &ArmId) -> Vec<Grant> {
    if want::existing_identity(spec).is_some() {
        return Vec::new();
    }
    let own = want::own_identity_id(spec, group);
    // The control plane joins nodes and load balancers to a given subnet.
    let subnet = spec.network.iter().map(|network| Grant {
        scope: network.subnet_id.clone(),
        role: well_known_roles::NETWORK_CONTRIBUTOR,
        principal: Principal::Identity(identity_object_id(&own)),
        before_cluster: true,
    });
    let registries = spec.registries.iter().map(|registry| Grant {
        scope: registry.clone(),
        role: well_known_roles::ACR_PULL,
        principal: Principal::KubeletOf(cluster_object_id(id)),
        before_cluster: false,
    });
    let admins = spec.admins.iter().filter_map(|person| {
        let kind = match person.kind {
            AdminKind::Group => "Group",
            AdminKind::User => "User",
            AdminKind::ServicePrincipal => "ServicePrincipal",
        };
        Some(admin(
            id,
            Principal::Known {
                id: person.entra_object_id.clone()?,
                kind: kind.to_owned(),
            },
        ))
    });
    let deployer = (spec.deployer_admin != Some(false)).then(|| deployer(id));
    subnet
        .chain(registries)
        .chain(admins)
        .chain(deployer)
        .collect()
}
