//! `ClusterUpdate`: one field per request, and where each one lands in the cluster.

use serde_json::{Value, json};

use super::{
    super::{
        catalogue::versions,
        json::{overlay, overlay_once, set, text, texts},
        keys,
        names::ClusterName,
        refusal::Refusal,
    },
    cluster,
    operations::{self, Effect},
    pool, pools, show,
};
use crate::core::World;

/// How a field's value meets the one that is there.
#[derive(Clone, Copy, PartialEq)]
enum Meet {
    /// It takes its place.
    Replace,
    /// Each of its fields takes its place.
    Fields,
    /// It is written over, at every depth.
    Deep,
}

use Meet::{Deep, Fields, Replace};

const LANDING: &[(&str, &str, Meet)] = &[
    ("desiredAddonsConfig", "addonsConfig", Fields),
    (
        "desiredAnonymousAuthenticationConfig",
        "anonymousAuthenticationConfig",
        Replace,
    ),
    (
        "desiredAuthenticatorGroupsConfig",
        "authenticatorGroupsConfig",
        Replace,
    ),
    ("desiredBinaryAuthorization", "binaryAuthorization", Replace),
    ("desiredClusterAutoscaling", "autoscaling", Fields),
    (
        "desiredCompliancePostureConfig",
        "compliancePostureConfig",
        Replace,
    ),
    ("desiredControlPlaneEgress", "controlPlaneEgress", Replace),
    (
        "desiredControlPlaneEndpointsConfig",
        "controlPlaneEndpointsConfig",
        Deep,
    ),
    (
        "desiredCostManagementConfig",
        "costManagementConfig",
        Replace,
    ),
    ("desiredDatabaseEncryption", "databaseEncryption", Fields),
    (
        "desiredDatapathProvider",
        "networkConfig/datapathProvider",
        Replace,
    ),
    (
        "desiredDefaultEnablePrivateNodes",
        "networkConfig/defaultEnablePrivateNodes",
        Replace,
    ),
    (
        "desiredDefaultSnatStatus",
        "networkConfig/defaultSnatStatus",
        Replace,
    ),
    (
        "desiredDisableL4LbFirewallReconciliation",
        "networkConfig/disableL4LbFirewallReconciliation",
        Replace,
    ),
    ("desiredDnsConfig", "networkConfig/dnsConfig", Replace),
    (
        "desiredEnableCiliumClusterwideNetworkPolicy",
        "networkConfig/enableCiliumClusterwideNetworkPolicy",
        Replace,
    ),
    (
        "desiredEnableFqdnNetworkPolicy",
        "networkConfig/enableFqdnNetworkPolicy",
        Replace,
    ),
    (
        "desiredEnableMultiNetworking",
        "networkConfig/enableMultiNetworking",
        Replace,
    ),
    ("desiredEnterpriseConfig", "enterpriseConfig", Fields),
    ("desiredFleet", "fleet", Replace),
    (
        "desiredGatewayApiConfig",
        "networkConfig/gatewayApiConfig",
        Replace,
    ),
    (
        "desiredGcfsConfig",
        "nodePoolDefaults/nodeConfigDefaults/gcfsConfig",
        Replace,
    ),
    (
        "desiredIdentityServiceConfig",
        "identityServiceConfig",
        Replace,
    ),
    (
        "desiredInTransitEncryptionConfig",
        "networkConfig/inTransitEncryptionConfig",
        Replace,
    ),
    (
        "desiredIntraNodeVisibilityConfig",
        "networkConfig/enableIntraNodeVisibility",
        Replace,
    ),
    (
        "desiredL4ilbSubsettingConfig",
        "networkConfig/enableL4ilbSubsetting",
        Replace,
    ),
    ("desiredLoggingConfig", "loggingConfig", Fields),
    ("desiredLoggingService", "loggingService", Replace),
    (
        "desiredManagedOpentelemetryConfig",
        "managedOpentelemetryConfig",
        Replace,
    ),
    ("desiredMeshCertificates", "meshCertificates", Replace),
    ("desiredMonitoringConfig", "monitoringConfig", Fields),
    ("desiredMonitoringService", "monitoringService", Replace),
    (
        "desiredNetworkPerformanceConfig",
        "networkConfig/networkPerformanceConfig",
        Replace,
    ),
    (
        "desiredNodeKubeletConfig",
        "nodePoolDefaults/nodeConfigDefaults/nodeKubeletConfig",
        Fields,
    ),
    (
        "desiredNodePoolAutoConfigKubeletConfig",
        "nodePoolAutoConfig/nodeKubeletConfig",
        Fields,
    ),
    (
        "desiredNodePoolAutoConfigLinuxNodeConfig",
        "nodePoolAutoConfig/linuxNodeConfig",
        Fields,
    ),
    (
        "desiredNodePoolAutoConfigNetworkTags",
        "nodePoolAutoConfig/networkTags",
        Replace,
    ),
    (
        "desiredNodePoolAutoConfigResourceManagerTags",
        "nodePoolAutoConfig/resourceManagerTags",
        Replace,
    ),
    (
        "desiredNodePoolLoggingConfig",
        "nodePoolDefaults/nodeConfigDefaults/loggingConfig",
        Replace,
    ),
    ("desiredNotificationConfig", "notificationConfig", Replace),
    ("desiredParentProductConfig", "parentProductConfig", Replace),
    ("desiredPodAutoscaling", "podAutoscaling", Replace),
    (
        "desiredPrivateClusterConfig",
        "privateClusterConfig",
        Fields,
    ),
    (
        "desiredPrivateIpv6GoogleAccess",
        "networkConfig/privateIpv6GoogleAccess",
        Replace,
    ),
    ("desiredRbacBindingConfig", "rbacBindingConfig", Fields),
    (
        "desiredResourceUsageExportConfig",
        "resourceUsageExportConfig",
        Replace,
    ),
    ("desiredSecretManagerConfig", "secretManagerConfig", Replace),
    ("desiredSecretSyncConfig", "secretSyncConfig", Replace),
    (
        "desiredSecurityPostureConfig",
        "securityPostureConfig",
        Fields,
    ),
    (
        "desiredServiceExternalIpsConfig",
        "networkConfig/serviceExternalIpsConfig",
        Replace,
    ),
    ("desiredShieldedNodes", "shieldedNodes", Replace),
    ("desiredStackType", "ipAllocationPolicy/stackType", Replace),
    (
        "desiredUserManagedKeysConfig",
        "userManagedKeysConfig",
        Replace,
    ),
    (
        "desiredVerticalPodAutoscaling",
        "verticalPodAutoscaling",
        Replace,
    ),
    (
        "desiredWorkloadIdentityConfig",
        "workloadIdentityConfig",
        Replace,
    ),
    ("gkeAutoUpgradeConfig", "gkeAutoUpgradeConfig", Replace),
    ("userManagedKeysConfig", "userManagedKeysConfig", Replace),
];

/// Fields that go with another one.
const COMPANIONS: [&str; 4] = [
    "etag",
    "desiredNodePoolId",
    "desiredImageProject",
    "desiredImage",
];

/// Applies one update.
pub(crate) fn update(
    world: &mut World,
    name: &ClusterName,
    read: &Value,
) -> Result<Value, Refusal> {
    let stored = show::find(world, name)?;
    let empty = serde_json::Map::new();
    let update = read["update"].as_object().unwrap_or(&empty);
    let given: Vec<&str> = update
        .iter()
        .filter(|(field, value)| !COMPANIONS.contains(&field.as_str()) && !value.is_null())
        .map(|(field, _)| field.as_str())
        .collect();
    let field = match given.as_slice() {
        [] => return Err(Refusal::invalid("Must specify a field to update.")),
        // These two pairs belong together.
        ["desiredNodeVersion", "desiredImageType"] | ["desiredImageType", "desiredNodeVersion"] => {
            "desiredNodeVersion"
        }
        [one]
        | [
            one @ ("desiredLoggingService" | "desiredMonitoringService"),
            "desiredLoggingService" | "desiredMonitoringService",
        ] => *one,
        many => {
            return Err(Refusal::invalid(format!(
                "Only one field can be updated with each request; found {}.",
                many.join(", ")
            )));
        }
    };
    let etag = text(read, "/update/etag");
    if !etag.is_empty() && etag != text(&show::cluster(world, name)?, "/etag") {
        return Err(Refusal::aborted(
            "The etag of the cluster does not match: the cluster was changed meanwhile.",
        ));
    }
    match field {
        "desiredMasterVersion" => {
            upgrade_master(world, name, text(read, "/update/desiredMasterVersion"))
        }
        "desiredNodeVersion" | "desiredImageType" | "desiredNodePoolAutoscaling" => {
            update_pool(world, name, field, &read["update"])
        }
        "desiredLocations" => set_locations(
            world,
            name,
            &stored,
            &texts(read, "/update/desiredLocations"),
        ),
        "desiredReleaseChannel" => set_channel(world, name, &stored, &read["update"][field]),
        "desiredMasterAuthorizedNetworksConfig" => {
            let value =
                json!({ "ipEndpointsConfig": { "authorizedNetworksConfig": update[field] } });
            land(
                world,
                name,
                &stored,
                "desiredControlPlaneEndpointsConfig",
                &value,
            )
        }
        "desiredPrivateClusterConfig" if update[field]["enablePrivateEndpoint"].is_boolean() => {
            let public = update[field]["enablePrivateEndpoint"] != true;
            let value = json!({ "ipEndpointsConfig": { "enablePublicEndpoint": public } });
            land(
                world,
                name,
                &stored,
                "desiredControlPlaneEndpointsConfig",
                &value,
            )
        }
        "desiredEnablePrivateEndpoint" => {
            let value =
                json!({ "ipEndpointsConfig": { "enablePublicEndpoint": update[field] != true } });
            land(
                world,
                name,
                &stored,
                "desiredControlPlaneEndpointsConfig",
                &value,
            )
        }
        _ => {
            for field in &given {
                if !LANDING.iter().any(|(known, ..)| known == field) {
                    return Err(Refusal::invalid(format!(
                        "Updating {field} is not supported for this cluster."
                    )));
                }
            }
            let last = given.last().copied().unwrap_or(field);
            if last != field {
                let value = update[last].clone();
                let path = LANDING
                    .iter()
                    .find(|(known, ..)| *known == last)
                    .map_or("", |(_, path, _)| path);
                return land_with(
                    world,
                    name,
                    &stored,
                    field,
                    &update[field],
                    &[(path, value)],
                );
            }
            land(world, name, &stored, field, &update[field])
        }
    }
}

fn land(
    world: &mut World,
    name: &ClusterName,
    stored: &Value,
    field: &str,
    value: &Value,
) -> Result<Value, Refusal> {
    land_with(world, name, stored, field, value, &[])
}

fn land_with(
    world: &mut World,
    name: &ClusterName,
    stored: &Value,
    field: &str,
    value: &Value,
    more: &[(&str, Value)],
) -> Result<Value, Refusal> {
    let Some((_, path, meet)) = LANDING.iter().find(|(known, ..)| *known == field) else {
        return Err(Refusal::invalid("Must specify a field to update."));
    };
    operations::ensure_free(world, name, None)?;
    let pointer = format!("/body/{path}");
    let mut now = stored
        .pointer(&pointer)
        .cloned()
        .unwrap_or_else(|| json!({}));
    match field {
        "desiredDatapathProvider" => {
            return Err(Refusal::invalid(
                "The datapath provider of a cluster cannot be changed after creation.",
            ));
        }
        "desiredWorkloadIdentityConfig" => cluster::check_workload_pool(name, value)?,
        "desiredDatabaseEncryption" => keys::check_encryption(world, name, value)?,
        _ => {}
    }
    match (field, meet) {
        ("desiredIntraNodeVisibilityConfig" | "desiredL4ilbSubsettingConfig", _) => {
            now = value["enabled"].clone();
        }
        (_, Replace) => now = value.clone(),
        (_, Fields) => overlay_once(&mut now, value),
        (_, Deep) => {
            // A list of networks is given whole; everything else keeps what is not named.
            let networks = value
                .pointer("/ipEndpointsConfig/authorizedNetworksConfig")
                .cloned();
            overlay(&mut now, value);
            if let Some(mut networks) = networks {
                cluster::check_networks(&networks)?;
                if networks.get("gcpPublicCidrsAccessEnabled").is_none() {
                    networks["gcpPublicCidrsAccessEnabled"] = json!(true);
                }
                set(
                    &mut now,
                    "ipEndpointsConfig/authorizedNetworksConfig",
                    networks,
                );
            }
        }
    }
    if field == "desiredDatabaseEncryption" {
        let encrypted = text(&now, "/state") == "ENCRYPTED";
        now["currentState"] = json!(if encrypted {
            "CURRENT_STATE_ENCRYPTED"
        } else {
            "CURRENT_STATE_DECRYPTED"
        });
        if !encrypted {
            set(&mut now, "keyName", Value::Null);
        }
    }
    let mut effect = Effect::none();
    effect.write(&name.key(), &format!("body/{path}"), now);
    for (path, value) in more {
        effect.write(&name.key(), &format!("body/{path}"), value.clone());
    }
    let slow = matches!(
        field,
        "desiredDatabaseEncryption"
            | "desiredWorkloadIdentityConfig"
            | "desiredIntraNodeVisibilityConfig"
    );
    Ok(operations::start(
        world,
        name,
        None,
        "UPDATE_CLUSTER",
        if slow { 300 } else { 60 },
        &effect,
    ))
}

fn set_channel(
    world: &mut World,
    name: &ClusterName,
    stored: &Value,
    wanted: &Value,
) -> Result<Value, Refusal> {
    operations::ensure_free(world, name, None)?;
    let master = text(stored, "/body/currentMasterVersion");
    let channel = text(wanted, "/channel");
    if let Some(channel) = versions::channel(channel)
        && !channel
            .versions()
            .iter()
            .any(|version| versions::minor(version) == versions::minor(master))
    {
        return Err(Refusal::invalid(format!(
            "Cannot enroll in release channel {}: the master version \"{master}\" is not available in it.",
            channel.name
        )));
    }
    let mut effect = Effect::none();
    effect.write(
        &name.key(),
        "body/releaseChannel",
        if channel.is_empty() {
            json!({})
        } else {
            json!({ "channel": channel })
        },
    );
    if !channel.is_empty() {
        for (short, _) in show::pools_of(world, name) {
            effect.write(
                &name.pool_key(&short),
                "body/management",
                json!({ "autoUpgrade": true, "autoRepair": true }),
            );
        }
    }
    Ok(operations::start(
        world,
        name,
        None,
        "UPDATE_CLUSTER",
        60,
        &effect,
    ))
}

fn set_locations(
    world: &mut World,
    name: &ClusterName,
    stored: &Value,
    zones: &[String],
) -> Result<Value, Refusal> {
    operations::ensure_free(world, name, None)?;
    pool::check_zones(name, zones)?;
    if zones.is_empty() {
        return Err(Refusal::invalid("Must specify at least one location."));
    }
    let before = &stored["body"]["locations"];
    let mut effect = Effect::none();
    effect.write(&name.key(), "body/locations", json!(zones));
    for (short, stored) in show::pools_of(world, name) {
        if stored["body"]["locations"] == *before {
            pools::move_to(&mut effect, name, &short, &stored, zones);
        }
    }
    Ok(operations::start(
        world,
        name,
        None,
        "UPDATE_CLUSTER",
        180,
        &effect,
    ))
}

/// Moves the control plane to another version.
pub(crate) fn upgrade_master(
    world: &mut World,
    name: &ClusterName,
    wanted: &str,
) -> Result<Value, Refusal> {
    let stored = show::find(world, name)?;
    operations::ensure_free(world, name, None)?;
    let from = text(&stored, "/body/currentMasterVersion");
    let channel = stored
        .pointer("/body/releaseChannel/channel")
        .and_then(Value::as_str);
    let to = versions::resolve(wanted, channel)?;
    versions::check_master_upgrade(from, to)?;
    if to != from && versions::order(to) < versions::order(from) {
        return Err(Refusal::invalid(format!(
            "Master cannot be downgraded from \"{from}\" to \"{to}\"."
        )));
    }
    for (short, stored) in show::pools_of(world, name) {
        let node = text(&stored, "/body/version");
        if versions::minor(node) + 2 < versions::minor(to) {
            return Err(Refusal::precondition(format!(
                "Master cannot be upgraded to \"{to}\": node pool \"{short}\" runs \"{node}\", which would be more than \
                 two minor versions older."
            )));
        }
    }
    let mut effect = Effect::none();
    effect.write(&name.key(), "body/currentMasterVersion", json!(to));
    effect.write(&name.key(), "sim/upgraded", json!(world.clock.now()));
    Ok(operations::start(
        world,
        name,
        None,
        "UPGRADE_MASTER",
        480,
        &effect,
    ))
}

fn update_pool(
    world: &mut World,
    name: &ClusterName,
    field: &str,
    update: &Value,
) -> Result<Value, Refusal> {
    let all = show::pools_of(world, name);
    let wanted = text(update, "/desiredNodePoolId");
    let short = match (wanted, all.as_slice()) {
        ("", [(only, _)]) => only.clone(),
        ("", _) => {
            return Err(Refusal::invalid(
                "Cluster has more than one node pool: desired_node_pool_id must be specified.",
            ));
        }
        (wanted, _) => wanted.to_owned(),
    };
    let stored = show::find_pool(world, name, &short)?;
    if field == "desiredNodePoolAutoscaling" {
        return pools::set_autoscaling(world, name, &short, &update[field]);
    }
    let read = json!({ "nodeVersion": update["desiredNodeVersion"], "imageType": update["desiredImageType"] });
    pools::update(world, name, &short, &stored, &read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::google::schema;

    #[test]
    fn every_landing_is_a_field_of_the_published_update() {
        for (field, ..) in LANDING {
            assert!(schema::kind("ClusterUpdate", field).is_some(), "{field}");
        }
    }
}
