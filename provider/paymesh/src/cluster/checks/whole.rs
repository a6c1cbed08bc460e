//! Rules over the cluster as a whole: its version, role, power, channels, features and labels.

use std::collections::BTreeMap;

use paymesh_kubernetes::Version;
use paymesh_plugin::{findings::Findings, path::Path};

use super::{Cloud, at, refuse, words};
use crate::cluster::spec::{ClusterSpecDraft, NodeImageChannel, Power, Role, UpgradeChannel};
use crate::codes;

/// Older minors than this are offered by neither cloud.
const OLDEST: Version = Version::of_minor(25);

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
            codes::NOT_A_REGION,
            [
                "Not a region",
                &format!("{region:?} is not how a cloud writes a region"),
                "write the region's short name, such as \"westeurope\" or \"europe-west1\"",
            ],
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
            codes::NOT_A_KUBERNETES_VERSION,
            [
                "Not a Kubernetes version",
                &bad.to_string(),
                "write the least version the cluster may run, best without a patch: \"1.34\"",
            ],
        ),
        Ok(version) if version < OLDEST => refuse(
            found,
            at("kubernetes_version"),
            codes::VERSION_TOO_OLD,
            [
                "No cloud offers such an old version",
                &format!(
                    "{text:?} is older than {OLDEST}: a number loses its last zero, so 1.30 without quotes is 1.3"
                ),
                "write it in quotes: \"1.34\"",
            ],
        ),
        Ok(version) if version.has_build() && cloud == Some(Cloud::Azure) => {
            refuse(
                found,
                at("kubernetes_version"),
                codes::GKE_VERSION_ON_AKS,
                [
                    "A GKE version on AKS",
                    &format!("{text:?} names a build, which only GKE has"),
                    "remove what follows the hyphen",
                ],
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
            codes::HUB_CANNOT_STAND_BY,
            [
                "A hub cannot stand by",
                "standby is true and role is \"hub\": the hub deploys to every other cluster",
                "remove standby, or give the cluster role = \"dr\"",
            ],
        );
    }
    if draft.standby.is(true) && draft.power.is(Power::Off) {
        refuse(
            found,
            at("power"),
            codes::STOPPED_CLUSTER_CANNOT_STAND_BY,
            [
                "A stopped cluster cannot stand by",
                "standby is true and power is \"off\": a standby cluster runs without workload nodes",
                "choose one: standby = true wakes within minutes, power = \"off\" costs least",
            ],
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
            codes::GKE_HAS_NO_PATCH_CHANNEL,
            [
                "GKE has no patch channel",
                "upgrade_channel is \"patch\", which only AKS has",
                "use \"stable\", and hold upgrades off with maintenance.exclusions",
            ],
        );
    }
    if wrong(UpgradeChannel::None, Cloud::Azure) {
        refuse(
            found,
            at("upgrade_channel"),
            codes::GKE_UPGRADES_EVERY_CLUSTER,
            [
                "GKE upgrades every cluster",
                "upgrade_channel is \"none\", and a GKE cluster without a channel is upgraded all the same",
                "use \"stable\", and hold upgrades off with maintenance.exclusions",
            ],
        );
    }
    if wrong(UpgradeChannel::Regular, Cloud::Google) {
        refuse(
            found,
            at("upgrade_channel"),
            codes::AKS_HAS_NO_REGULAR_CHANNEL,
            [
                "AKS has no regular channel",
                "upgrade_channel is \"regular\", which only GKE has",
                "use \"stable\" or \"rapid\"",
            ],
        );
    }
    let own_images = draft.node_image_channel.is(NodeImageChannel::SecurityPatch)
        || draft.node_image_channel.is(NodeImageChannel::None);
    if own_images && cloud == Some(Cloud::Google) {
        refuse(
            found,
            at("node_image_channel"),
            codes::GKE_NODE_IMAGES_FOLLOW_VERSION,
            [
                "GKE node images follow the node version",
                "node_image_channel is set to a value that only AKS has",
                "remove node_image_channel; upgrade_channel and maintenance say when nodes change",
            ],
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
            codes::DATAPLANE_METRICS_NEED_CILIUM,
            [
                "Dataplane metrics need Cilium",
                "features.dataplane_metrics is true and features.cilium is false",
                "set cilium = true, or remove dataplane_metrics",
            ],
        );
    }
    if features.gateway_api.is(true) && cloud == Some(Cloud::Azure) {
        refuse(
            found,
            path("gateway_api"),
            codes::AKS_HAS_NO_GATEWAY_API,
            [
                "AKS has no built-in Gateway API",
                "features.gateway_api is true on AKS",
                "remove it; the platform's gateway component brings the Gateway API with it",
            ],
        );
    }
    if draft.deployer_admin.is(false)
        && draft.admins.is_known_and(Vec::is_empty)
        && draft.role.is(Role::Hub)
    {
        refuse(
            found,
            at("deployer_admin"),
            codes::NOBODY_ADMINISTERS_HUB,
            [
                "Nobody would administer the hub",
                "deployer_admin is false and admins is empty",
                "name at least one group in admins",
            ],
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
            codes::TOO_MANY_LABELS,
            [
                "Too many labels",
                &format!(
                    "{} labels, and the cloud takes {most} beside the provider's own",
                    labels.len()
                ),
                "remove some of them",
            ],
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
            codes::PROVIDERS_OWN_LABEL,
            [
                "A label of the provider's own",
                &format!(
                    "{whose}{key:?} begins with \"paymesh-\", with which the provider marks what it owns"
                ),
                "choose another key",
            ],
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
            codes::NOT_A_GOOGLE_LABEL,
            [
                "Not a Google label",
                &format!(
                    "{whose}{key:?} = {value:?}: at most 63 lower-case letters, digits, hyphens and underscores, and keys begin with a letter"
                ),
                "write it in lower case, with hyphens for other characters",
            ],
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
            codes::NOT_AN_AZURE_TAG,
            [
                "Not an Azure tag",
                &format!(
                    "{whose}{key:?}: a key has at most 512 characters without < > % & \\ ? /, a value at most 256"
                ),
                "shorten it, or write it without those characters",
            ],
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
                    codes::NOT_A_KEY_VAULT_KEY,
                    [
                        "Not the id of a Key Vault key",
                        &format!(
                            "{key:?} is not of the form https://VAULT.vault.azure.net/keys/NAME/VERSION"
                        ),
                        "copy the key identifier, with its version, from the vault",
                    ],
                );
            }
            if draft
                .azure
                .is_known_and(|azure| azure.control_plane_identity_id.is_null())
            {
                refuse(
                    found,
                    at("kms_key_id"),
                    codes::NOBODY_COULD_READ_KEY,
                    [
                        "Nobody could read the key",
                        "kms_key_id is set and azure.control_plane_identity_id is not; AKS reads the key while it makes the cluster, before an identity of its own could be let in",
                        "make an identity, give it \"Key Vault Crypto User\" on the key, and set azure.control_plane_identity_id",
                    ],
                );
            }
        }
        Cloud::Google => {
            let location = words::google_part(key, "locations");
            if location.is_none() || words::google_part(key, "cryptoKeys").is_none() {
                refuse(
                    found,
                    at("kms_key_id"),
                    codes::NOT_A_CLOUD_KMS_KEY,
                    [
                        "Not the id of a Cloud KMS key",
                        &format!(
                            "{key:?} is not of the form projects/P/locations/L/keyRings/R/cryptoKeys/K"
                        ),
                        "copy the resource name of the key",
                    ],
                );
            } else if let (Some(location), Some(region)) = (location, draft.region.known())
                && location != region
            {
                refuse(
                    found,
                    at("kms_key_id"),
                    codes::KEY_IN_ANOTHER_REGION,
                    [
                        "A key in another region",
                        &format!(
                            "the key is in {location} and the cluster in {region}; GKE needs a key in its own region"
                        ),
                        "use a key in the cluster's region",
                    ],
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
            codes::GKE_HAS_NO_LOG_WORKSPACE,
            [
                "GKE has no log workspace",
                "logs is set on GKE, which writes its logs, the control plane's among them, to Cloud Logging of its project",
                "remove logs",
            ],
        ),
        (Some(id), Some(Cloud::Azure))
            if words::arm_name(id, "Microsoft.OperationalInsights/workspaces").is_none() =>
        {
            refuse(
                found,
                path,
                codes::NOT_A_LOG_ANALYTICS_WORKSPACE,
                [
                    "Not the id of a Log Analytics workspace",
                    &format!("{id:?} is not the id of a Microsoft.OperationalInsights/workspaces"),
                    "copy the resource id from the workspace's properties",
                ],
            );
        }
        _ => {}
    }
}
