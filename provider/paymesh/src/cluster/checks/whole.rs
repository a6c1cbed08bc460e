//! Rules over the cluster as a whole: its version, role, power, channels, features and labels.

use std::collections::BTreeMap;

use paymesh_kubernetes::Version;
use paymesh_plugin::{findings::Findings, path::Path};

use super::{Cloud, at, words};
use crate::cluster::spec::{ClusterSpecDraft, NodeImageChannel, Power, Role, UpgradeChannel};
use crate::codes::{self, refuse};

/// An older minor is a number that lost its last zero. What is offered of the others, a cloud says
/// itself when it is asked.
const OLDEST: Version = Version::of_minor(10);

pub(super) fn check(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    region(draft, found);
    version(draft, cloud, found);
    state(draft, found);
    channels(draft, cloud, found);
    features(draft, cloud, found);
    labels(draft, cloud, found);
    encryption(draft, cloud, found);
    logs(draft, cloud, found);
}

fn region(draft: &ClusterSpecDraft, found: &mut Findings) {
    let Some(region) = draft.region.known() else {
        return;
    };
    if !words::is_region(region) {
        refuse(
            found,
            at("region"),
            &codes::NOT_A_REGION,
            format!("{region:?} is not how a cloud writes a region"),
        );
    }
}

fn version(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let Some(text) = draft.kubernetes_version.known() else {
        return;
    };
    match text.parse::<Version>() {
        Err(bad) => refuse(
            found,
            at("kubernetes_version"),
            &codes::NOT_A_KUBERNETES_VERSION,
            bad.to_string(),
        ),
        Ok(version) if version < OLDEST => refuse(
            found,
            at("kubernetes_version"),
            &codes::VERSION_TOO_OLD,
            format!(
                "{text:?} is long gone: a number loses its last zero, so 1.30 without quotes is 1.3"
            ),
        ),
        Ok(version) if version.has_build() && cloud == Some(Cloud::Azure) => {
            refuse(
                found,
                at("kubernetes_version"),
                &codes::GKE_VERSION_ON_AKS,
                format!("{text:?} names a build, which only GKE has"),
            );
        }
        Ok(_) => {}
    }
}

fn state(draft: &ClusterSpecDraft, found: &mut Findings) {
    if draft.standby.is(true) && draft.role.is(Role::Hub) {
        refuse(
            found,
            at("standby"),
            &codes::HUB_CANNOT_STAND_BY,
            "standby is true and role is \"hub\": the hub deploys to every other cluster",
        );
    }
    if draft.standby.is(true) && draft.power.is(Power::Off) {
        refuse(
            found,
            at("power"),
            &codes::STOPPED_CLUSTER_CANNOT_STAND_BY,
            "standby is true and power is \"off\": a standby cluster runs without workload nodes",
        );
    }
}

fn channels(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let wrong = |channel, cloud_has: Cloud| {
        draft.upgrade_channel.is(channel) && cloud.is_some_and(|cloud| cloud != cloud_has)
    };
    if wrong(UpgradeChannel::Patch, Cloud::Azure) {
        refuse(
            found,
            at("upgrade_channel"),
            &codes::GKE_HAS_NO_PATCH_CHANNEL,
            "upgrade_channel is \"patch\", which only AKS has",
        );
    }
    if wrong(UpgradeChannel::None, Cloud::Azure) {
        refuse(
            found,
            at("upgrade_channel"),
            &codes::GKE_UPGRADES_EVERY_CLUSTER,
            "upgrade_channel is \"none\", and a GKE cluster without a channel is upgraded all the same",
        );
    }
    if wrong(UpgradeChannel::Regular, Cloud::Google) {
        refuse(
            found,
            at("upgrade_channel"),
            &codes::AKS_HAS_NO_REGULAR_CHANNEL,
            "upgrade_channel is \"regular\", which only GKE has",
        );
    }
    let own_images = draft.node_image_channel.is(NodeImageChannel::SecurityPatch)
        || draft.node_image_channel.is(NodeImageChannel::None);
    if own_images && cloud == Some(Cloud::Google) {
        refuse(
            found,
            at("node_image_channel"),
            &codes::GKE_NODE_IMAGES_FOLLOW_VERSION,
            "node_image_channel is set to a value that only AKS has",
        );
    }
}

fn features(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let Some(features) = draft.features.known() else {
        return;
    };
    let path = |name: &str| at("features").attribute(name);
    if features.dataplane_metrics.is(true) && features.cilium.is(false) {
        refuse(
            found,
            path("dataplane_metrics"),
            &codes::DATAPLANE_METRICS_NEED_CILIUM,
            "features.dataplane_metrics is true and features.cilium is false",
        );
    }
    if features.gateway_api.is(true) && cloud == Some(Cloud::Azure) {
        refuse(
            found,
            path("gateway_api"),
            &codes::AKS_HAS_NO_GATEWAY_API,
            "features.gateway_api is true on AKS",
        );
    }
    if draft.deployer_admin.is(false)
        && draft.admins.is_known_and(Vec::is_empty)
        && draft.role.is(Role::Hub)
    {
        refuse(
            found,
            at("deployer_admin"),
            &codes::NOBODY_ADMINISTERS_HUB,
            "deployer_admin is false and admins is empty",
        );
    }
}

fn labels(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let Some(labels) = draft.labels.known() else {
        return;
    };
    let most = if cloud == Some(Cloud::Google) { 60 } else { 46 };
    if labels.len() > most {
        refuse(
            found,
            at("labels"),
            &codes::TOO_MANY_LABELS,
            format!(
                "{} labels, and the cloud takes {most} beside the provider's own",
                labels.len()
            ),
        );
    }
    for (key, value) in labels {
        label(
            key,
            value.known().map_or("", String::as_str),
            cloud,
            "",
            &at("labels").key(key),
            found,
        );
    }
}

/// The labels that the provider block adds to those of a cluster.
pub(in crate::cluster) fn default_labels(
    labels: &BTreeMap<String, String>,
    is_google: bool,
    found: &mut Findings,
) {
    let cloud = if is_google {
        Cloud::Google
    } else {
        Cloud::Azure
    };
    for (key, value) in labels {
        let whose = format!("in the provider block, default_labels[{key:?}]: ");
        label(key, value, Some(cloud), &whose, &Path::root(), found);
    }
}

/// Whether a cloud takes a label.
fn label(
    key: &str,
    value: &str,
    cloud: Option<Cloud>,
    whose: &str,
    path: &Path,
    found: &mut Findings,
) {
    if key.starts_with("paymesh-") {
        refuse(
            found,
            path.clone(),
            &codes::PROVIDERS_OWN_LABEL,
            format!(
                "{whose}{key:?} begins with \"paymesh-\", with which the provider marks what it owns"
            ),
        );
    }
    let google_word = |text: &str| {
        text.len() <= 63
            && text.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte)
            })
    };
    if cloud == Some(Cloud::Google)
        && !(google_word(key)
            && google_word(value)
            && key.starts_with(|first: char| first.is_ascii_lowercase()))
    {
        refuse(
            found,
            path.clone(),
            &codes::NOT_A_GOOGLE_LABEL,
            format!(
                "{whose}{key:?} = {value:?}: at most 63 lower-case letters, digits, hyphens and underscores, and keys begin with a letter"
            ),
        );
    }
    if cloud == Some(Cloud::Azure)
        && (key.is_empty()
            || key.len() > 512
            || value.len() > 256
            || key.contains(['<', '>', '%', '&', '\\', '?', '/']))
    {
        refuse(
            found,
            path.clone(),
            &codes::NOT_AN_AZURE_TAG,
            format!(
                "{whose}{key:?}: a key has at most 512 characters without < > % & \\ ? /, a value at most 256"
            ),
        );
    }
}

fn encryption(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let (Some(key), Some(cloud)) = (draft.kms_key_id.known(), cloud) else {
        return;
    };
    match cloud {
        Cloud::Azure => {
            let parts: Vec<&str> = key.split('/').collect();
            let right = matches!(parts.as_slice(), ["https:", "", host, "keys", name, version]
                if host.contains(".vault.") && !name.is_empty() && !version.is_empty());
            if !right {
                refuse(
                    found,
                    at("kms_key_id"),
                    &codes::NOT_A_KEY_VAULT_KEY,
                    format!(
                        "{key:?} is not of the form https://VAULT.vault.azure.net/keys/NAME/VERSION"
                    ),
                );
            }
            if draft
                .azure
                .is_known_and(|azure| azure.control_plane_identity_id.is_null())
            {
                refuse(
                    found,
                    at("kms_key_id"),
                    &codes::NOBODY_COULD_READ_KEY,
                    "kms_key_id is set and azure.control_plane_identity_id is not; AKS reads the key while it makes the cluster, before an identity of its own could be let in",
                );
            }
        }
        Cloud::Google => {
            let location = words::google_part(key, "locations");
            if location.is_none() || words::google_part(key, "cryptoKeys").is_none() {
                refuse(
                    found,
                    at("kms_key_id"),
                    &codes::NOT_A_CLOUD_KMS_KEY,
                    format!(
                        "{key:?} is not of the form projects/P/locations/L/keyRings/R/cryptoKeys/K"
                    ),
                );
            } else if let (Some(location), Some(region)) = (location, draft.region.known())
                && location != region
            {
                refuse(
                    found,
                    at("kms_key_id"),
                    &codes::KEY_IN_ANOTHER_REGION,
                    format!(
                        "the key is in {location} and the cluster in {region}; GKE needs a key in its own region"
                    ),
                );
            }
        }
    }
}

fn logs(draft: &ClusterSpecDraft, cloud: Option<Cloud>, found: &mut Findings) {
    let Some(logs) = draft.logs.known() else {
        return;
    };
    let path = at("logs").attribute("workspace_id");
    match (logs.workspace_id.known(), cloud) {
        (workspace, Some(Cloud::Google)) => refuse(
            found,
            if workspace.is_some() {
                path
            } else {
                at("logs")
            },
            &codes::GKE_HAS_NO_LOG_WORKSPACE,
            "logs is set on GKE, which writes its logs, the control plane's among them, to Cloud Logging of its project",
        ),
        (Some(id), Some(Cloud::Azure))
            if words::arm_name(id, "Microsoft.OperationalInsights/workspaces").is_none() =>
        {
            refuse(
                found,
                path,
                &codes::NOT_A_LOG_ANALYTICS_WORKSPACE,
                format!("{id:?} is not the id of a Microsoft.OperationalInsights/workspaces"),
            );
        }
        _ => {}
    }
}
