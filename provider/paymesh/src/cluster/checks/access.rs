//! Rules over who administers a cluster, which identities it uses and who reaches it.

use std::collections::BTreeSet;

use paymesh_plugin::{findings::Findings, spec::Field};

use super::{Cloud, at, words};
use crate::cluster::{
    address::Range,
    spec::{AdminKind, ClusterSpecDraft},
};
use crate::codes::{self, refuse};

const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";

pub(super) fn check(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    admins(draft, cloud, found);
    identities(draft, found);
    deployer(draft, cloud, found);
    registries(draft, cloud, found);
    reach(draft, cloud, found);
}

fn admins(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let Some(admins) = draft.admins.known() else {
        return;
    };
    let given = cloud == Some(Cloud::Azure)
        && draft
            .azure
            .is_known_and(|azure| azure.control_plane_identity_id.is_known());
    let mut seen = BTreeSet::new();
    for (index, admin) in admins.iter().enumerate() {
        let Some(admin) = admin.known() else { continue };
        let path = at("admins").index(index);
        let (name, field) = match cloud {
            Some(Cloud::Azure) => ("entra_object_id", &admin.entra_object_id),
            Some(Cloud::Google) => ("google_email", &admin.google_email),
            None => continue,
        };
        if field.is_null() {
            refuse(
                found,
                path.attribute(name),
                &codes::ADMINISTRATOR_WITHOUT_ID,
                format!("admins[{index}] has no {name}"),
            );
        }
        if given
            && admin
                .kind
                .known()
                .is_some_and(|kind| *kind != AdminKind::Group)
        {
            refuse(
                found,
                path.attribute("kind"),
                &codes::ADMINS_BESIDE_EXISTING_IDENTITIES,
                format!(
                    "admins[{index}] is no group, and the cluster uses an existing identity; AKS admits only groups without a role"
                ),
            );
        }
        if let Some(id) = field.known()
            && !seen.insert(id.to_lowercase())
        {
            refuse(
                found,
                path.attribute(name),
                &codes::SAME_ADMINISTRATOR_TWICE,
                format!("{id} is in admins twice"),
            );
        }
        if let Some(id) = admin.entra_object_id.known()
            && !words::is_uuid(id)
        {
            refuse(
                found,
                path.attribute("entra_object_id"),
                &codes::NOT_AN_ENTRA_OBJECT_ID,
                format!("{id:?} is not a UUID"),
            );
        }
        if let Some(email) = admin.google_email.known() {
            if !words::is_email(email) {
                refuse(
                    found,
                    path.attribute("google_email"),
                    &codes::NOT_AN_E_MAIL_ADDRESS,
                    format!("{email:?} is not an e-mail address"),
                );
            } else if admin.kind.is(AdminKind::ServicePrincipal)
                && !email.ends_with(".gserviceaccount.com")
            {
                refuse(
                    found,
                    path.attribute("kind"),
                    &codes::ADMINISTRATOR_NOT_A_SERVICE_ACCOUNT,
                    format!(
                        "kind is \"service_principal\" and {email} is not a Google service account"
                    ),
                );
            }
        }
    }
}

fn identities(draft: &ClusterSpecDraft, found: &mut Findings) {
    if let Some(azure) = draft.azure.known() {
        let path = |name: &str| at("azure").attribute(name);
        for (name, field) in [
            (
                "control_plane_identity_id",
                &azure.control_plane_identity_id,
            ),
            ("kubelet_identity_id", &azure.kubelet_identity_id),
        ] {
            if let Some(id) = field.known()
                && words::arm_name(id, IDENTITY).is_none()
            {
                refuse(
                    found,
                    path(name),
                    &codes::NOT_A_USER_ASSIGNED_IDENTITY,
                    format!("{id:?} is not the id of a {IDENTITY}"),
                );
            }
        }
        if azure.kubelet_identity_id.is_known() && azure.control_plane_identity_id.is_null() {
            refuse(
                found,
                path("kubelet_identity_id"),
                &codes::NODE_IDENTITY_ALONE,
                "azure.kubelet_identity_id is set and azure.control_plane_identity_id is not; AKS needs both",
            );
        }
    }
    if let Some(google) = draft.google.known()
        && let Some(email) = google.node_service_account.known()
        && email != "default"
        && !email.ends_with(".gserviceaccount.com")
    {
        refuse(
            found,
            at("google").attribute("node_service_account"),
            &codes::NODE_IDENTITY_NOT_A_SERVICE_ACCOUNT,
            format!("{email:?} does not end in .gserviceaccount.com"),
        );
    }
}

fn deployer(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    if cloud == Some(Cloud::Google) && draft.deployer_admin.is(false) {
        refuse(
            found,
            at("deployer_admin"),
            &codes::GKE_CANNOT_KEEP_DEPLOYER_OUT,
            "deployer_admin is false, and who may create GKE clusters in a project administers them by that same role",
        );
    }
}

fn registries(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let (Some(registries), Some(cloud)) = (draft.registries.known(), cloud) else {
        return;
    };
    for (index, id) in registries.iter().enumerate() {
        let Some(id) = id.known() else { continue };
        let path = at("registries").index(index);
        let right = match cloud {
            Cloud::Azure => words::arm_name(id, "Microsoft.ContainerRegistry/registries").is_some(),
            Cloud::Google => {
                words::google_part(id, "locations").is_some()
                    && words::google_part(id, "repositories").is_some()
            }
        };
        if !right {
            refuse(
                found,
                path,
                &codes::NOT_A_REGISTRY,
                format!("{id:?} is not a registry of this cloud"),
            );
        }
    }
    let given = match cloud {
        Cloud::Azure => draft
            .azure
            .is_known_and(|azure| azure.control_plane_identity_id.is_known()),
        Cloud::Google => draft
            .google
            .is_known_and(|google| google.node_service_account.is_known()),
    };
    if given && !registries.is_empty() {
        refuse(
            found,
            at("registries"),
            &codes::REGISTRIES_BESIDE_EXISTING_IDENTITIES,
            "registries is set, and so is an existing identity",
        );
    }
}

fn reach(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let Some(access) = draft.api_access.known() else {
        return;
    };
    let Some(cidrs) = access.authorized_cidrs.known() else {
        return;
    };
    let path = at("api_access").attribute("authorized_cidrs");
    let most = if cloud == Some(Cloud::Google) {
        100
    } else {
        200
    };
    if cidrs.len() > most {
        refuse(
            found,
            path.clone(),
            &codes::TOO_MANY_AUTHORIZED_RANGES,
            format!("{} ranges, and the cloud takes {most}", cidrs.len()),
        );
    }
    let mut known: Vec<Range> = Vec::new();
    for (index, cidr) in cidrs.iter().enumerate() {
        let Field::Known(text) = cidr else { continue };
        let path = path.index(index);
        match text.parse::<Range>() {
            Err(bad) => refuse(
                found,
                path,
                &codes::NOT_AN_AUTHORIZED_RANGE,
                bad.to_string(),
            ),
            Ok(range) if range.prefix() == 0 => refuse(
                found,
                path,
                &codes::API_SERVER_OPEN_TO_INTERNET,
                format!("{range} is every address"),
            ),
            Ok(range) => {
                if let Some(other) = known.iter().find(|other| other.overlaps(range)) {
                    refuse(
                        found,
                        path,
                        &codes::OVERLAPPING_AUTHORIZED_RANGES,
                        format!("{range} overlaps {other}"),
                    );
                }
                known.push(range);
            }
        }
    }
}
