//! Managed clusters: defaults, rules, requests, and what happens to them without being asked.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Arm, Outcome, catalogue,
    error::{flat, flat_at, immutable, invalid, no_resource},
    gate,
    path::{key, location},
    pool::{self, Home},
    resource::{self, fill},
    versions,
};
use crate::core::{
    Answer, Operation, Status, World,
    operation::{Ending, Failure},
};

/// The type, as answers spell it (capital M, unlike the one in ids).
pub(super) const TYPE: &str = "Microsoft.ContainerService/ManagedClusters";

/// Properties that may not change: path below `properties`.
const FIXED: [&[&str]; 17] = [
    &["dnsPrefix"],
    &["fqdnSubdomain"],
    &["nodeResourceGroup"],
    &["enableRBAC"],
    &["servicePrincipalProfile", "clientId"],
    &["linuxProfile", "adminUsername"],
    &["networkProfile", "networkPlugin"],
    &["networkProfile", "networkPluginMode"],
    &["networkProfile", "podCidr"],
    &["networkProfile", "serviceCidr"],
    &["networkProfile", "dnsServiceIP"],
    &["networkProfile", "loadBalancerSku"],
    &["networkProfile", "ipFamilies"],
    &["apiServerAccessProfile", "enablePrivateCluster"],
    &["apiServerAccessProfile", "privateDNSZone"],
    &["apiServerAccessProfile", "subnetId"],
    &["diskEncryptionSetID"],
];

const COMPUTED: [&str; 9] = [
    "provisioningState",
    "powerState",
    "currentKubernetesVersion",
    "fqdn",
    "privateFQDN",
    "azurePortalFQDN",
    "maxAgentPools",
    "resourceUID",
    "agentPoolProfiles",
];

fn defaults() -> Value {
    json!({
        "enableRBAC": true, "supportPlan": "KubernetesOfficial", "disableLocalAccounts": false,
        "networkProfile": {
            "networkPlugin": "azure", "networkPluginMode": "overlay", "networkDataplane": "azure", "loadBalancerSku": "standard",
            "loadBalancerProfile": { "managedOutboundIPs": { "count": 1 }, "backendPoolType": "nodeIPConfiguration" },
            "podCidr": "10.244.0.0/16", "serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.0.0.10", "outboundType": "loadBalancer",
            "podCidrs": ["10.244.0.0/16"], "serviceCidrs": ["10.0.0.0/16"], "ipFamilies": ["IPv4"],
        },
        "autoUpgradeProfile": { "nodeOSUpgradeChannel": "NodeImage" },
        "securityProfile": {}, "oidcIssuerProfile": { "enabled": true }, "workloadAutoScalerProfile": {},
        "storageProfile": {
            "diskCSIDriver": { "enabled": true }, "fileCSIDriver": { "enabled": true }, "snapshotController": { "enabled": true },
        },
        "metricsProfile": { "costAnalysis": { "enabled": false } }, "nodeProvisioningProfile": { "mode": "Manual", "defaultNodePools": "Auto" },
        "bootstrapProfile": { "artifactSource": "Direct" },
        "windowsProfile": { "adminUsername": "azureuser", "enableCSIProxy": true },
    })
}

fn scaler_defaults() -> Value {
    json!({
        "balance-similar-node-groups": "false", "daemonset-eviction-for-empty-nodes": false,
        "daemonset-eviction-for-occupied-nodes": true, "expander": "random", "ignore-daemonsets-utilization": false,
        "max-empty-bulk-delete": "10", "max-graceful-termination-sec": "600", "max-node-provision-time": "15m",
        "max-total-unready-percentage": "45", "new-pod-scale-up-delay": "0s", "ok-total-unready-count": "3",
        "scale-down-delay-after-add": "10m", "scale-down-delay-after-delete": "10s", "scale-down-delay-after-failure": "3m",
        "scale-down-unneeded-time": "10m", "scale-down-unready-time": "20m", "scale-down-utilization-threshold": "0.5",
        "scan-interval": "10s", "skip-nodes-with-local-storage": "false", "skip-nodes-with-system-pods": "true",
    })
}

/// A cluster as clients see it: with its pools.
pub(super) fn shown(world: &World, body: &Value) -> Value {
    let mut shown = resource::bare(body);
    let pools: Vec<Value> = pool::of_cluster(world, body["id"].as_str().unwrap_or_default())
        .map(|(_, pool)| pool::profile(pool))
        .collect();
    shown["properties"]["agentPoolProfiles"] = pools.into();
    shown
}

/// A Kubernetes version that AKS does not offer.
pub(super) fn unsupported(version: &str, region: &str) -> Answer {
    let offered: Vec<&str> = versions::offered().collect();
    flat(
        400,
        "K8sVersionNotSupported",
        &format!(
            "Managed cluster version {version} is not supported in location '{region}'. Please use [az aks get-versions] command to get the supported version list in this region. Supported versions: [{}]. For more information, please check https://aka.ms/supported-version-list",
            offered.join(" ")
        ),
    )
}

/// Refuses a second operation.
pub(super) fn refuse_if_busy(world: &World, cluster: &str) -> Result<(), Answer> {
    let Some(operation) = world.running_on("azure", &key(cluster)).into_iter().next() else {
        return Ok(());
    };
    let what = match operation.target.split_once("/agentpools/") {
        Some((_, pool)) => format!("Another agentpool operation ({pool} - {})", operation.kind),
        None => format!("Another operation ({})", operation.kind),
    };
    Err(flat(
        409,
        "OperationNotAllowed",
        &format!(
            "Operation is not allowed: {what} is in progress, please wait for it to finish before starting a new operation. See https://aka.ms/aks-pending-operation for more details"
        ),
    ))
}

/// Refuses a change of a stopped cluster.
pub(super) fn refuse_if_stopped(cluster: &Value) -> Result<(), Answer> {
    if cluster["properties"]["powerState"]["code"] != "Stopped" {
        return Ok(());
    }
    Err(flat(
        400,
        "OperationNotAllowed",
        "Operation is not allowed because the managed cluster is in stopped state. Start the cluster before performing this operation. See https://aka.ms/aks-cluster-stopped for more details",
    ))
}

/// Checks and normalises tags.
pub(super) fn retag(body: &mut Value, member: &str) -> Result<(), Answer> {
    let Some(tags) = body.get(member).filter(|tags| !tags.is_null()) else {
        return Ok(());
    };
    super::check_tags(tags)
}

/// Answers a request for clusters.
pub(super) fn answer(arm: &mut Arm<'_>) -> Outcome {
    let tail = arm.target.tail.clone();
    if tail.as_deref() == Some("managedclusters") {
        return Ok(list(arm));
    }
    let id = arm.id();
    if let Some(tail) = tail {
        return act(arm, &id, &tail);
    }
    match arm.call.method.as_str() {
        "GET" => {
            arm.world.poll_target("azure", &key(&id));
            resource::shown(arm.world, &id)
                .map(|body| Answer::json(200, &body))
                .ok_or_else(|| missing(arm))
        }
        "PUT" => put(arm, &id),
        "PATCH" => patch(arm, &id),
        "DELETE" => delete(arm, &id),
        _ => Err(Answer::empty(405)),
    }
}

fn missing(arm: &Arm<'_>) -> Answer {
    no_resource(
        "Microsoft.ContainerService/managedClusters",
        arm.target.name(0),
        arm.target.group(),
    )
}

fn list(arm: &Arm<'_>) -> Answer {
    let prefix = if arm.target.group.is_some() {
        arm.target.group_id()
    } else {
        format!("/subscriptions/{}", arm.target.subscription())
    };
    let prefix = format!("{}/", key(&prefix));
    let clusters: Vec<Value> = resource::of_type(arm.world, TYPE)
        .filter(|(id, _)| id.starts_with(&prefix))
        .map(|(_, body)| shown(arm.world, body))
        .collect();
    Answer::json(200, &json!({ "value": clusters }))
}

fn put(arm: &mut Arm<'_>, id: &str) -> Outcome {
    let body = arm.object()?;
    let existing = resource::find(arm.world, id).cloned();
    arm.precondition(
        existing
            .as_ref()
            .and_then(|old| resource::kept(old, "etag").as_str()),
    )?;
    if let Some(old) = &existing {
        refuse_if_busy(arm.world, id)?;
        refuse_if_stopped(old)?;
    }
    let name = arm.target.name(0).to_owned();
    let plain = |letter: char| letter.is_ascii_alphanumeric();
    if name.len() > 63
        || !name.starts_with(plain)
        || !name.ends_with(plain)
        || !name
            .chars()
            .all(|letter| plain(letter) || "-_".contains(letter))
    {
        return Err(invalid(
            "resourceName",
            "the name has 1 to 63 letters, digits, hyphens and underscores, and starts and ends with a letter or digit",
        ));
    }
    let Some(region) = body["location"]
        .as_str()
        .and_then(catalogue::region)
        .map(|region| region.0)
    else {
        return Err(super::error::gateway(
            400,
            if body["location"].is_string() {
                "LocationNotAvailableForResourceType"
            } else {
                "LocationRequired"
            },
            &format!(
                "The provided location '{}' is not available for resource type 'Microsoft.ContainerService/managedClusters'.",
                body["location"].as_str().unwrap_or_default()
            ),
        ));
    };
    if let Some(old) = existing.as_ref().and_then(|old| old["location"].as_str())
        && location(old) != region
    {
        return Err(super::error::gateway(
            409,
            "InvalidResourceLocation",
            &format!(
                "The resource '{name}' already exists in location '{old}' in resource group '{}'. A resource with the same name cannot be created in location '{region}'. Please select a new resource name.",
                arm.target.group()
            ),
        ));
    }
    if let (Some(sent), Some(old)) = (body["properties"]["provisioningState"].as_str(), &existing)
        && old["properties"]["provisioningState"] != sent
    {
        return Err(invalid(
            "properties.provisioningState",
            "the provisioning state is read-only and differs from the server's",
        ));
    }
    super::check_tags(&body["tags"])?;
    let planned = plan(arm, id, &name, region, existing.as_ref(), &body)?;
    Ok(commit(
        arm,
        id,
        &name,
        region,
        existing.as_ref(),
        &body,
        planned,
    ))
}

/// What a PUT will make of a cluster.
struct Planned {
    properties: Value,
    version: &'static str,
    upgrades: bool,
    identity: Value,
    pools: Vec<(String, Value)>,
    gone: Vec<String>,
}

fn plan(
    arm: &Arm<'_>,
    id: &str,
    name: &str,
    region: &str,
    existing: Option<&Value>,
    body: &Value,
) -> Result<Planned, Answer> {
    let world = &*arm.world;
    let old = existing.map(|old| &old["properties"]);
    let mut properties = body["properties"].clone();
    if properties.is_null() {
        properties = json!({});
    }
    let Some(members) = properties.as_object_mut() else {
        return Err(invalid("properties", "the properties are no object"));
    };
    members.retain(|name, value| !value.is_null() && !COMPUTED.contains(&name.as_str()));
    let version = plan_version(
        old,
        members.get("kubernetesVersion").and_then(Value::as_str),
        region,
    )?;
    if let Some(old) = old {
        keep_fixed(&mut properties, old)?;
    }
    if properties["kubernetesVersion"].is_null() {
        properties["kubernetesVersion"] =
            old.map_or(json!(version), |old| old["kubernetesVersion"].clone());
    }
    check_network(&mut properties)?;
    let mut base = defaults();
    base["nodeResourceGroup"] = format!("MC_{}_{name}_{region}", arm.target.group()).into();
    if properties["dnsPrefix"].is_null() && properties["fqdnSubdomain"].is_null() {
        return Err(invalid(
            "dnsPrefix",
            "either dnsPrefix or fqdnSubdomain is required",
        ));
    }
    fill(&mut properties, &base);
    if properties["oidcIssuerProfile"]["enabled"] == true {
        properties["oidcIssuerProfile"]["issuerURL"] = format!(
            "https://{region}.oic.prod-aks.azure.com/{}/{}/",
            super::entra::TENANT,
            guid(&key(id))
        )
        .into();
    } else if old.is_some_and(|old| old["oidcIssuerProfile"]["enabled"] == true) {
        return Err(flat_at(
            400,
            "BadRequest",
            "OIDC issuer feature cannot be disabled.",
            Some("oidcIssuerProfile.enabled"),
        ));
    }
    if properties["securityProfile"]["workloadIdentity"]["enabled"] == true
        && properties["oidcIssuerProfile"]["enabled"] != true
    {
        return Err(invalid(
            "securityProfile.workloadIdentity",
            "workload identity needs the OIDC issuer",
        ));
    }
    if properties["metricsProfile"]["costAnalysis"]["enabled"] == true
        && body["sku"]["tier"].as_str().unwrap_or("Free") == "Free"
    {
        return Err(flat_at(
            400,
            "InvalidParameter",
            "Cost analysis requires the Standard or Premium tier.",
            Some("metricsProfile.costAnalysis.enabled"),
        ));
    }
    if properties["disableLocalAccounts"] == true && !properties["aadProfile"].is_object() {
        return Err(invalid(
            "disableLocalAccounts",
            "local accounts can be disabled only with Entra integration (aadProfile)",
        ));
    }
    if let Some(aad) = properties["aadProfile"].as_object_mut() {
        aad.entry("tenantID").or_insert(super::entra::TENANT.into());
        aad.entry("managed").or_insert(true.into());
        aad.entry("enableAzureRBAC").or_insert(false.into());
    }
    for (pointer, what) in [
        ("/securityProfile/azureKeyVaultKms/keyId", "key"),
        (
            "/securityProfile/defender/logAnalyticsWorkspaceResourceId",
            "workspace",
        ),
    ] {
        if let Some(reference) = properties.pointer(pointer).and_then(Value::as_str)
            && reference.starts_with('/')
            && resource::find(world, reference).is_none()
        {
            return Err(invalid(
                &pointer[1..].replace('/', "."),
                &format!("the {what} '{reference}' was not found"),
            ));
        }
    }
    check_addons(world, &mut properties)?;
    let identity = plan_identity(world, id, existing, &body["identity"])?;

    let mut pools = Vec::new();
    let mut gone = Vec::new();
    let profiles = &body["properties"]["agentPoolProfiles"];
    let home = Home {
        region,
        version,
        subscription: arm.target.subscription(),
    };
    if let Some(profiles) = profiles.as_array() {
        for profile in profiles {
            let name = profile["name"].as_str().unwrap_or_default();
            if pools.iter().any(|(other, _)| other == name) {
                return Err(invalid(
                    "agentPoolProfile.name",
                    &format!("the pool name '{name}' appears twice"),
                ));
            }
            let before = resource::find(world, &pool::id_of(id, name))
                .map(|body| body["properties"].clone());
            pools.push((
                name.to_owned(),
                pool::plan(world, &home, name, before.as_ref(), profile)?,
            ));
        }
        for (_, pool) in pool::of_cluster(world, id) {
            let name = pool["name"].as_str().unwrap_or_default();
            if !pools.iter().any(|(kept, _)| kept == name) {
                gone.push(name.to_owned());
            }
        }
        if !pools.iter().any(|(_, pool)| pool["mode"] == "System") {
            return Err(flat(
                400,
                "InvalidParameter",
                "Must define at least one system pool. See https://aka.ms/aks/node-pool-rules for more details.",
            ));
        }
    } else if existing.is_none() {
        return Err(invalid(
            "agentPoolProfiles",
            "a new managed cluster needs at least one agent pool",
        ));
    } else {
        check_skew(world, id, version)?;
    }
    if pools
        .iter()
        .chain(std::iter::empty())
        .any(|(_, pool)| pool["enableAutoScaling"] == true)
    {
        let mut scaler = properties["autoScalerProfile"].clone();
        fill(&mut scaler, &scaler_defaults());
        properties["autoScalerProfile"] = scaler;
    }
    let with_identity = json!({ "id": id, "identity": identity, "properties": properties });
    for (_, pool) in &pools {
        check_subnet_rights(world, &with_identity, pool)?;
    }
    check_private_zone(world, &with_identity)?;
    let current = old.and_then(|old| old["currentKubernetesVersion"].as_str());
    Ok(Planned {
        upgrades: current.is_some_and(|current| current != version),
        properties,
        version,
        identity,
        pools,
        gone,
    })
}

fn plan_version(
    old: Option<&Value>,
    wanted: Option<&str>,
    region: &str,
) -> Result<&'static str, Answer> {
    let current = old.and_then(|old| old["currentKubernetesVersion"].as_str());
    let Some(wanted) = wanted else {
        return Ok(current
            .and_then(versions::resolve)
            .unwrap_or_else(versions::default));
    };
    let Some(resolved) = versions::resolve(wanted) else {
        return Err(unsupported(wanted, region));
    };
    let Some(current) = current else {
        return Ok(resolved);
    };
    let (Some(now), Some(then)) = (versions::numbers(current), versions::numbers(wanted)) else {
        return Ok(resolved);
    };
    if then.2.is_none() && (now.0, now.1) == (then.0, then.1) {
        return Ok(versions::resolve(current).unwrap_or(resolved));
    }
    let goal = versions::numbers(resolved).unwrap_or(now);
    let available = versions::upgrades(current);
    if goal == now || available.contains(&resolved) {
        return Ok(resolved);
    }
    let why = if goal < now {
        format!(
            "Downgrading managed cluster version from {current} to {resolved} is not allowed. Available upgrades: [{}]. Please see https://aka.ms/aks-supported-k8s-ver for version details.",
            available.join(" ")
        )
    } else {
        format!(
            "Upgrading Kubernetes version {current} to {resolved} is not allowed. Available upgrades: [{}]. Please see https://aka.ms/aks-supported-k8s-ver for version details.",
            available.join(" ")
        )
    };
    Err(flat_at(
        400,
        "OperationNotAllowed",
        &why,
        Some("kubernetesVersion"),
    ))
}

fn keep_fixed(properties: &mut Value, old: &Value) -> Result<(), Answer> {
    for path in FIXED {
        let pointer = format!("/{}", path.join("/"));
        let Some(was) = old.pointer(&pointer) else {
            let new = properties.pointer(&pointer);
            let harmless = new.is_none_or(|new| new.is_null() || new == false);
            // What depends on a network that was left to the service may not appear later either.
            if !harmless && !["dnsPrefix", "fqdnSubdomain"].contains(&path[0]) {
                return Err(immutable(&path.join(".")));
            }
            continue;
        };
        match properties.pointer(&pointer) {
            Some(new) if !new.is_null() => {
                let same = match (was, new) {
                    (Value::String(was), Value::String(new)) => was.eq_ignore_ascii_case(new),
                    _ => was == new,
                };
                if !same {
                    return Err(immutable(&path.join(".")));
                }
            }
            _ => {}
        }
        set(properties, path, was.clone());
    }
    Ok(())
}

fn set(target: &mut Value, path: &[&str], value: Value) {
    match path {
        [] => *target = value,
        [first, rest @ ..] => {
            if !target[*first].is_object() && !rest.is_empty() {
                target[*first] = json!({});
            }
            set(&mut target[*first], rest, value);
        }
    }
}

fn check_network(properties: &mut Value) -> Result<(), Answer> {
    let network = &mut properties["networkProfile"];
    if network.is_null() {
        return Ok(());
    }
    let text = |network: &Value, name: &str| network[name].as_str().map(str::to_owned);
    if text(network, "networkPlugin").as_deref() == Some("kubenet") {
        network["networkPluginMode"] = Value::Null;
    }
    if text(network, "networkDataplane").as_deref() == Some("cilium") {
        if !matches!(
            text(network, "networkPolicy").as_deref(),
            None | Some("cilium")
        ) {
            return Err(invalid(
                "networkProfile.networkPolicy",
                "the Cilium dataplane needs the network policy cilium",
            ));
        }
        network["networkPolicy"] = "cilium".into();
    }
    for (one, many) in [("podCidr", "podCidrs"), ("serviceCidr", "serviceCidrs")] {
        if let Some(range) = text(network, one) {
            if parse_range(&range).is_none() {
                return Err(invalid(
                    &format!("networkProfile.{one}"),
                    &format!("'{range}' is no CIDR"),
                ));
            }
            network[many] = json!([range]);
        }
    }
    let pods = text(network, "podCidr").unwrap_or_else(|| "10.244.0.0/16".into());
    let services = text(network, "serviceCidr").unwrap_or_else(|| "10.0.0.0/16".into());
    if let (Some(pods), Some(services)) = (parse_range(&pods), parse_range(&services)) {
        if pods.0 <= services.1 && services.0 <= pods.1 {
            return Err(flat_at(
                400,
                "ServiceCidrOverlapExistingSubnetsCidr",
                "The specified service CIDR overlaps the pod CIDR.",
                Some("networkProfile.serviceCidr"),
            ));
        }
        match text(network, "dnsServiceIP") {
            Some(address) => match address.parse::<std::net::Ipv4Addr>().map(u32::from) {
                Ok(address) if services.0 < address && address < services.1 => {}
                _ => {
                    return Err(invalid(
                        "networkProfile.dnsServiceIP",
                        &format!("'{address}' is not inside the service CIDR"),
                    ));
                }
            },
            None => {
                network["dnsServiceIP"] =
                    std::net::Ipv4Addr::from(services.0 + 10).to_string().into();
            }
        }
    }
    Ok(())
}

fn parse_range(range: &str) -> Option<(u32, u32)> {
    let (address, length) = range.split_once('/')?;
    let address = u32::from(address.parse::<std::net::Ipv4Addr>().ok()?);
    let length: u32 = length.parse().ok().filter(|length| *length <= 32)?;
    let mask = u32::MAX.checked_shr(length).unwrap_or(0);
    Some((address & !mask, address | mask))
}

fn check_addons(world: &World, properties: &mut Value) -> Result<(), Answer> {
    let Some(addons) = properties["addonProfiles"].as_object_mut() else {
        return Ok(());
    };
    for (name, addon) in addons.iter_mut() {
        let workspace = resource::get_nocase(&addon["config"], "logAnalyticsWorkspaceResourceID")
            .and_then(Value::as_str);
        if name.eq_ignore_ascii_case("omsagent")
            && addon["enabled"] == true
            && let Some(workspace) = workspace
            && resource::find(world, workspace).is_none()
        {
            return Err(invalid(
                "addonProfiles.omsagent.config.logAnalyticsWorkspaceResourceID",
                &format!("the workspace '{workspace}' was not found"),
            ));
        }
    }
    Ok(())
}

fn plan_identity(
    world: &World,
    id: &str,
    existing: Option<&Value>,
    wanted: &Value,
) -> Result<Value, Answer> {
    if wanted.is_null() {
        return Ok(existing.map_or(Value::Null, |old| old["identity"].clone()));
    }
    let kind = wanted["type"].as_str().unwrap_or_default();
    if kind.eq_ignore_ascii_case("SystemAssigned") {
        return Ok(
            json!({ "type": "SystemAssigned", "principalId": guid(&format!("{}/identity", key(id))), "tenantId": super::entra::TENANT }),
        );
    }
    if kind.eq_ignore_ascii_case("None") {
        return Ok(Value::Null);
    }
    if !kind.eq_ignore_ascii_case("UserAssigned") {
        return Err(invalid(
            "identity.type",
            &format!("'{kind}' is no identity type"),
        ));
    }
    let mut filled = json!({});
    for reference in wanted["userAssignedIdentities"]
        .as_object()
        .into_iter()
        .flat_map(|map| map.keys())
    {
        let Some(identity) = resource::find(world, reference) else {
            return Err(flat(
                400,
                "ResourceNotFound",
                &format!("The user-assigned identity '{reference}' was not found."),
            ));
        };
        filled[reference] = json!({ "clientId": identity["properties"]["clientId"], "principalId": identity["properties"]["principalId"] });
    }
    if filled.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(invalid(
            "identity.userAssignedIdentities",
            "a user-assigned identity must be named",
        ));
    }
    Ok(json!({ "type": "UserAssigned", "userAssignedIdentities": filled }))
}

/// The object id under which the cluster acts; none for a cluster with a system-assigned identity,
/// to which the service itself grants what it needs.
fn actor(cluster: &Value) -> Option<&str> {
    cluster["identity"]["userAssignedIdentities"]
        .as_object()?
        .values()
        .next()?["principalId"]
        .as_str()
}

fn no_permission(principal: &str, scope: &str, permission: &str) -> Answer {
    flat(
        400,
        "ResourceMissingPermissionError",
        &format!(
            "The cluster using user-assigned managed identity must be granted '{permission}' on the resource. The identity with object id '{principal}' lacks it on '{scope}'. If the role was granted recently, allow some time for it to take effect."
        ),
    )
}

/// The cluster's own identity must be allowed to join the subnet.
pub(super) fn check_subnet_rights(
    world: &World,
    cluster: &Value,
    pool: &Value,
) -> Result<(), Answer> {
    const JOIN: &str = "Microsoft.Network/virtualNetworks/subnets/join/action";
    let (Some(principal), Some(subnet)) = (actor(cluster), pool["vnetSubnetID"].as_str()) else {
        return Ok(());
    };
    if gate::may(world, principal, JOIN, subnet) {
        Ok(())
    } else {
        Err(no_permission(principal, subnet, JOIN))
    }
}

fn check_private_zone(world: &World, cluster: &Value) -> Result<(), Answer> {
    const WRITE: &str = "Microsoft.Network/privateDnsZones/write";
    let zone = cluster["properties"]["apiServerAccessProfile"]["privateDNSZone"]
        .as_str()
        .filter(|zone| zone.starts_with('/'));
    let Some(zone) = zone else { return Ok(()) };
    if resource::find(world, zone).is_none() {
        return Err(invalid(
            "apiServerAccessProfile.privateDNSZone",
            &format!("the private DNS zone '{zone}' was not found"),
        ));
    }
    let Some(principal) = actor(cluster) else {
        return Err(invalid(
            "identity",
            "a custom private DNS zone needs a user-assigned identity",
        ));
    };
    if gate::may(world, principal, WRITE, zone) {
        Ok(())
    } else {
        Err(no_permission(principal, zone, WRITE))
    }
}

fn check_skew(world: &World, id: &str, version: &str) -> Result<(), Answer> {
    let Some(plane) = versions::numbers(version) else {
        return Ok(());
    };
    for (_, pool) in pool::of_cluster(world, id) {
        let current = pool["properties"]["currentOrchestratorVersion"]
            .as_str()
            .unwrap_or_default();
        if versions::numbers(current).is_some_and(|pool| plane.1 > pool.1 + 3) {
            return Err(flat(
                400,
                "NodePoolMcVersionIncompatible",
                &format!(
                    "Node pool version {current} and control plane version {version} are incompatible. Minor version of node pool version must not be more than 3 minor versions behind. For more information, please check https://aka.ms/aks/UpgradeVersionRules"
                ),
            ));
        }
    }
    Ok(())
}

/// A name-based id.
pub(super) fn guid(of: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, of.as_bytes()).to_string()
}

fn short_hash(of: &str) -> String {
    super::entra::hex(&Sha256::digest(of)[..4])
}

/// The zone in which a pool cannot be had now, if one is lost: its operation will fail.
pub(super) fn fail_in_lost_zone(world: &mut World, region: &str, pool: &Value) {
    let zones: Vec<&str> = pool["availabilityZones"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if let Some(zone) = zones
        .iter()
        .find(|zone| world.faults.lost_zone("azure", region, zone))
    {
        world.ending = Some(Ending::Failed(Failure {
            code: "ZonalAllocationFailed".into(),
            message: format!(
                "Allocation failed. We do not have sufficient capacity for the requested VM size in zone {zone} of {region}. Read more about improving likelihood of allocation success at http://aka.ms/allocation-guidance"
            ),
        }));
    }
}

fn commit(
    arm: &mut Arm<'_>,
    id: &str,
    name: &str,
    region: &str,
    existing: Option<&Value>,
    sent: &Value,
    planned: Planned,
) -> Answer {
    let mut properties = planned.properties;
    let state = match existing {
        None => "Creating",
        Some(_) if planned.upgrades => "Upgrading",
        Some(_) => "Updating",
    };
    let prefix = properties["dnsPrefix"]
        .as_str()
        .or(properties["fqdnSubdomain"].as_str())
        .unwrap_or(name)
        .to_owned();
    let host = format!("{prefix}-{}", short_hash(&key(id)));
    let private = properties["apiServerAccessProfile"]["enablePrivateCluster"] == true;
    if private {
        if properties["apiServerAccessProfile"]["privateDNSZone"].is_null() {
            properties["apiServerAccessProfile"]["privateDNSZone"] = "system".into();
        }
        if properties["apiServerAccessProfile"]["enablePrivateClusterPublicFQDN"].is_null() {
            properties["apiServerAccessProfile"]["enablePrivateClusterPublicFQDN"] = true.into();
        }
        properties["privateFQDN"] =
            format!("{host}.{}.privatelink.{region}.azmk8s.io", guid(&key(id))).into();
    }
    properties["fqdn"] = format!("{host}.hcp.{region}.azmk8s.io").into();
    properties["azurePortalFQDN"] = format!("{host}.portal.hcp.{region}.azmk8s.io").into();
    properties["provisioningState"] = state.into();
    properties["powerState"] = json!({ "code": "Running" });
    properties["maxAgentPools"] = 100.into();
    let current = existing.map_or(json!(planned.version), |old| {
        old["properties"]["currentKubernetesVersion"].clone()
    });
    properties["currentKubernetesVersion"] = current;
    properties["resourceUID"] = existing.map_or_else(
        || json!(uuid::Uuid::new_v4().simple().to_string()[..24]),
        |old| old["properties"]["resourceUID"].clone(),
    );
    let node_group = properties["nodeResourceGroup"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let kubelet = super::node_group(
        arm.world,
        arm.target.subscription(),
        &node_group,
        id,
        name,
        region,
    );
    properties["identityProfile"] = json!({ "kubeletidentity": kubelet });
    if let Some(old) = existing.map(|old| &old["properties"]["addonProfiles"]["extensionManager"])
        && old.is_object()
        && properties["addonProfiles"]["extensionManager"].is_null()
    {
        properties["addonProfiles"]["extensionManager"] = old.clone();
    }
    let mut sku = json!({ "name": "Base", "tier": "Free" });
    if let Some(wanted) = sent["sku"].as_object() {
        for (key, value) in wanted {
            sku[key] = value.clone();
        }
    }
    let mut body = json!({
        "id": existing.map_or_else(
            || json!(format!("/subscriptions/{}/resourcegroups/{}/providers/Microsoft.ContainerService/managedClusters/{name}", arm.target.subscription(), arm.target.group())),
            |old| old["id"].clone(),
        ),
        "location": region, "name": existing.map_or(json!(name), |old| old["name"].clone()), "type": TYPE,
        "tags": sent["tags"].clone(), "kind": "Base", "sku": sku, "properties": properties, "identity": planned.identity,
    });
    if let Some(members) = body.as_object_mut() {
        members.retain(|_, value| !value.is_null());
        // Members that this simulator does not know are kept, as unknown fields are.
        for (name, value) in sent.as_object().into_iter().flatten() {
            if !members.contains_key(name)
                && !value.is_null()
                && !["systemData", "eTag", "etag"].contains(&name.as_str())
            {
                members.insert(name.clone(), value.clone());
            }
        }
    }
    if let Some(old) = existing {
        body["_kept"] = old["_kept"].clone();
    }
    resource::keep(&mut body, "version", json!(planned.version));
    resource::keep(&mut body, "etag", json!(uuid::Uuid::new_v4().to_string()));
    if existing.is_some() {
        body["eTag"] = resource::kept(&body, "etag").clone();
    }
    resource::put(arm.world, id, body);
    for (name, properties) in planned.pools {
        fail_in_lost_zone(arm.world, region, &properties);
        let pool_state = if resource::find(arm.world, &pool::id_of(id, &name)).is_some() {
            state
        } else {
            "Creating"
        };
        pool::write(arm.world, id, &name, properties, pool_state);
    }
    for name in &planned.gone {
        resource::change(arm.world, &pool::id_of(id, name), |body| {
            body["properties"]["provisioningState"] = "Deleting".into();
        });
    }
    touch_pools(arm.world, id);
    let seconds = match state {
        "Creating" => 300,
        "Upgrading" => 600,
        _ => 120,
    };
    let operation = arm.begin(
        state,
        id,
        region,
        seconds,
        json!({ "action": "cluster", "gone": planned.gone }),
    );
    let body = resource::shown(arm.world, id).unwrap_or_default();
    Answer::json(if existing.is_some() { 200 } else { 201 }, &body)
        .with("azure-asyncoperation", operation.poll)
}

/// A cluster operation changes the etags of all pools.
fn touch_pools(world: &mut World, cluster: &str) {
    let pools: Vec<String> = pool::of_cluster(world, cluster)
        .map(|(id, _)| id.clone())
        .collect();
    for id in pools {
        resource::change(world, &id, |body| {
            body["properties"]["eTag"] = uuid::Uuid::new_v4().to_string().into();
        });
    }
}

fn patch(arm: &mut Arm<'_>, id: &str) -> Outcome {
    let body = arm.object()?;
    let Some(old) = resource::find(arm.world, id).cloned() else {
        return Err(missing(arm));
    };
    arm.precondition(resource::kept(&old, "etag").as_str())?;
    refuse_if_busy(arm.world, id)?;
    refuse_if_stopped(&old)?;
    super::check_tags(&body["tags"])?;
    let tags = if body["tags"].is_null() {
        json!({})
    } else {
        body["tags"].clone()
    };
    begin_state(arm.world, id, "Updating", |body| body["tags"] = tags);
    let region = old["location"].as_str().unwrap_or_default().to_owned();
    let operation = arm.begin("Updating", id, &region, 60, json!({ "action": "cluster" }));
    Ok(
        Answer::json(200, &resource::shown(arm.world, id).unwrap_or_default())
            .with("azure-asyncoperation", operation.poll),
    )
}

fn begin_state(world: &mut World, id: &str, state: &str, by: impl FnOnce(&mut Value)) {
    resource::change(world, id, |body| {
        by(body);
        let etag = json!(uuid::Uuid::new_v4().to_string());
        body["properties"]["provisioningState"] = state.into();
        body["eTag"] = etag.clone();
        resource::keep(body, "etag", etag);
    });
    touch_pools(world, id);
}

fn delete(arm: &mut Arm<'_>, id: &str) -> Outcome {
    let Some(old) = resource::find(arm.world, id).cloned() else {
        return Ok(Answer::empty(204));
    };
    arm.precondition(resource::kept(&old, "etag").as_str())?;
    refuse_if_busy(arm.world, id)?;
    begin_state(arm.world, id, "Deleting", |_| {});
    let pools: Vec<String> = pool::of_cluster(arm.world, id)
        .map(|(id, _)| id.clone())
        .collect();
    for pool in pools {
        resource::change(arm.world, &pool, |body| {
            body["properties"]["provisioningState"] = "Deleting".into();
        });
    }
    let region = old["location"].as_str().unwrap_or_default().to_owned();
    let operation = arm.begin("Deleting", id, &region, 240, json!({ "action": "delete" }));
    Ok(Answer::empty(202)
        .with("azure-asyncoperation", operation.poll)
        .with("location", operation.result))
}

fn act(arm: &mut Arm<'_>, id: &str, tail: &str) -> Outcome {
    let Some(old) = resource::find(arm.world, id).cloned() else {
        return Err(missing(arm));
    };
    let region = old["location"].as_str().unwrap_or_default().to_owned();
    let stopped = old["properties"]["powerState"]["code"] == "Stopped";
    match (arm.call.method.as_str(), tail) {
        ("POST", "stop" | "start") => {
            refuse_if_busy(arm.world, id)?;
            if (tail == "stop") == stopped {
                return Ok(Answer::empty(204));
            }
            let (state, seconds) = if tail == "stop" {
                ("Stopping", 180)
            } else {
                ("Starting", 240)
            };
            begin_state(arm.world, id, state, |_| {});
            let operation = arm.begin(state, id, &region, seconds, json!({ "action": tail }));
            Ok(Answer::empty(202)
                .with("azure-asyncoperation", operation.poll)
                .with("location", operation.result))
        }
        ("POST", "abort") => abort(arm, id, &region),
        (
            "POST",
            "rotateclustercertificates"
            | "rotateserviceaccountsigningkeys"
            | "resetserviceprincipalprofile"
            | "resetaadprofile",
        ) => {
            refuse_if_busy(arm.world, id)?;
            refuse_if_stopped(&old)?;
            begin_state(arm.world, id, "RotatingClusterCertificates", |_| {});
            let operation = arm.begin(
                "RotatingClusterCertificates",
                id,
                &region,
                300,
                json!({ "action": "cluster" }),
            );
            Ok(Answer::empty(202)
                .with("azure-asyncoperation", operation.poll)
                .with("location", operation.result))
        }
        ("POST", "listclusteradmincredential")
            if old["properties"]["disableLocalAccounts"] == true =>
        {
            Err(flat(
                403,
                "OperationNotAllowed",
                "Getting static credential is not allowed because this cluster is set to disable local accounts.",
            ))
        }
        ("POST", "listclusteradmincredential") => {
            Ok(credential(arm.world, &old, "clusterAdmin", true))
        }
        ("POST", "listclusterusercredential") => {
            Ok(credential(arm.world, &old, "clusterUser", false))
        }
        ("GET", "availableagentpoolversions") => {
            let plane = versions::numbers(
                old["properties"]["currentKubernetesVersion"]
                    .as_str()
                    .unwrap_or_default(),
            );
            let list: Vec<Value> = versions::offered()
                .filter(|version| versions::numbers(version) <= plane)
                .map(|version| json!({ "kubernetesVersion": version, "default": Some(version) == old["properties"]["currentKubernetesVersion"].as_str() }))
                .collect();
            Ok(Answer::json(
                200,
                &json!({ "id": format!("{id}/availableagentpoolversions"), "name": "default", "type": "Microsoft.ContainerService/managedClusters/availableAgentpoolVersions", "properties": { "agentPoolVersions": list } }),
            ))
        }
        _ => Err(Answer::empty(404)),
    }
}

/// Aborts what runs on `id`.
pub(super) fn abort(arm: &mut Arm<'_>, id: &str, region: &str) -> Outcome {
    let running: Vec<Operation> = arm
        .world
        .running_on("azure", &key(id))
        .into_iter()
        .filter(|operation| operation.target == key(id))
        .collect();
    if running.is_empty() {
        return Err(flat(
            400,
            "OperationNotAllowed",
            "There is no operation in progress to abort.",
        ));
    }
    for operation in running {
        arm.world.cancel_operation(&operation.id);
    }
    let target = format!("{}/abort", key(id));
    let operation = arm.begin(
        "Canceling",
        &target,
        region,
        30,
        json!({ "action": "abort" }),
    );
    Ok(Answer::empty(202)
        .with("azure-asyncoperation", operation.poll)
        .with("location", operation.result))
}

fn credential(world: &World, cluster: &Value, user: &str, admin: bool) -> Answer {
    let properties = &cluster["properties"];
    let name = cluster["name"].as_str().unwrap_or_default();
    let group = cluster["id"]
        .as_str()
        .unwrap_or_default()
        .split('/')
        .nth(4)
        .unwrap_or_default();
    let private = properties["apiServerAccessProfile"]["enablePrivateCluster"] == true
        && properties["apiServerAccessProfile"]["enablePrivateClusterPublicFQDN"] != true;
    let host = if private {
        properties["privateFQDN"].as_str()
    } else {
        properties["fqdn"].as_str()
    }
    .unwrap_or_default();
    let authority = std::fs::read(world.place.state_dir.join("ca.pem")).unwrap_or_default();
    let entra = properties["aadProfile"].is_object() && !admin;
    let user_name = format!("{user}_{group}_{name}");
    let login = if entra {
        json!({ "exec": {
            "apiVersion": "client.authentication.k8s.io/v1beta1", "command": "kubelogin", "env": null, "provideClusterInfo": false,
            "args": ["get-token", "--environment", "AzurePublicCloud", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630",
                     "--client-id", "80faf920-1908-4b52-b5ef-a8e7bedfc67a", "--tenant-id", super::entra::TENANT, "--login", "devicecode"],
        }})
    } else {
        json!({ "token": short_hash(&format!("{host}/{user}/{}", properties["resourceUID"])).repeat(4) })
    };
    let context = if admin {
        format!("{name}-admin")
    } else {
        name.to_owned()
    };
    // JSON is YAML.
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": context,
        "clusters": [{ "name": name, "cluster": { "server": format!("https://{host}:443"), "certificate-authority-data": STANDARD.encode(authority) } }],
        "contexts": [{ "name": context, "context": { "cluster": name, "user": user_name } }],
        "users": [{ "name": user_name, "user": login }],
    });
    Answer::json(
        200,
        &json!({ "kubeconfigs": [{ "name": user, "value": STANDARD.encode(config.to_string()) }] }),
    )
}

/// `managedClusters/{c}/upgradeProfiles/default`.
pub(super) fn upgrade_profile(world: &World, id: &str, cluster: &Value) -> Value {
    let current = cluster["properties"]["currentKubernetesVersion"]
        .as_str()
        .unwrap_or_default();
    let upgrades: Vec<Value> = versions::upgrades(current)
        .into_iter()
        .map(|version| json!({ "kubernetesVersion": version }))
        .collect();
    let pools: Vec<Value> = pool::of_cluster(world, id)
        .map(|(_, pool)| {
            let mut profile = pool::upgrade_profile("", pool, cluster)["properties"].clone();
            profile["name"] = pool["name"].clone();
            profile
        })
        .collect();
    json!({
        "id": format!("{id}/upgradeprofiles/default"), "name": "default", "type": "Microsoft.ContainerService/managedClusters/upgradeProfiles",
        "properties": {
            "controlPlaneProfile": { "kubernetesVersion": current, "osType": "Linux", "upgrades": upgrades },
            "agentPoolProfiles": pools,
        },
    })
}

/// Completes an operation on a cluster.
pub(super) fn complete(world: &mut World, operation: &Operation) {
    let id = operation.target.clone();
    let succeeded = operation.status == Status::Succeeded;
    let canceled = operation.status == Status::Canceled;
    let action = operation.detail["action"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    if action == "abort" {
        return;
    }
    if action == "delete" && succeeded {
        if let Some(group) = resource::find(world, &id)
            .and_then(|body| body["properties"]["nodeResourceGroup"].as_str())
            .map(str::to_owned)
        {
            let subscription = id.split('/').nth(2).unwrap_or_default();
            let group = format!("/subscriptions/{subscription}/resourceGroups/{group}");
            resource::remove(world, &group);
        }
        resource::remove(world, &id);
        return;
    }
    if succeeded {
        for name in operation.detail["gone"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            resource::remove(world, &pool::id_of(&id, name));
        }
    }
    let now = operation.ended.unwrap_or_else(|| world.clock.now());
    resource::change(world, &id, |body| {
        let properties = &mut body["properties"];
        properties["provisioningState"] = if succeeded {
            "Succeeded"
        } else if canceled {
            "Canceled"
        } else {
            "Failed"
        }
        .into();
        if succeeded {
            match action.as_str() {
                "stop" => properties["powerState"]["code"] = "Stopped".into(),
                "start" => properties["powerState"]["code"] = "Running".into(),
                "extension" => {
                    properties["addonProfiles"]["extensionManager"] = json!({ "enabled": true, "config": null, "identity": { "clientId": guid(&format!("{id}/extension")), "objectId": guid(&format!("{id}/extension/object")) } });
                }
                _ => {}
            }
            let version = resource::kept(body, "version").clone();
            if version.is_string() {
                if operation.detail["auto"] == true {
                    body["properties"]["kubernetesVersion"] = version.clone();
                }
                body["properties"]["currentKubernetesVersion"] = version;
            }
        }
        let etag = json!(uuid::Uuid::new_v4().to_string());
        body["eTag"] = etag.clone();
        resource::keep(body, "etag", etag);
        resource::keep(body, "settled", now.into());
        if resource::kept(body, "born").is_null() {
            resource::keep(body, "born", now.into());
        }
    });
    let pools: Vec<String> = pool::of_cluster(world, &id)
        .map(|(id, _)| id.clone())
        .collect();
    for pool in pools {
        pool::settle(world, &pool, succeeded, canceled);
        if succeeded && (action == "stop" || action == "start") {
            let code = if action == "stop" {
                "Stopped"
            } else {
                "Running"
            };
            resource::change(world, &pool, |body| {
                body["properties"]["powerState"]["code"] = code.into();
            });
        }
    }
    touch_pools(world, &id);
}

/// What the service does to clusters without being asked: an extension manager ten minutes after
/// birth, upgrades by channel a week after the last change, and the autoscaler.
pub(super) fn tick(world: &mut World) {
    const EXTENSION_AFTER: i64 = 600_000;
    const UPGRADE_AFTER: i64 = 7 * 86_400_000;
    let now = world.clock.now();
    let clusters: Vec<(String, Value)> = resource::of_type(world, TYPE)
        .filter(|(_, body)| {
            body["properties"]["provisioningState"] == "Succeeded"
                && body["properties"]["powerState"]["code"] == "Running"
        })
        .map(|(id, body)| (id.clone(), body.clone()))
        .collect();
    for (id, body) in clusters {
        if !world.running_on("azure", &id).is_empty() {
            continue;
        }
        let born = resource::kept(&body, "born").as_i64().unwrap_or(now);
        let settled = resource::kept(&body, "settled").as_i64().unwrap_or(now);
        let properties = &body["properties"];
        if now - born >= EXTENSION_AFTER
            && properties["addonProfiles"]["extensionManager"].is_null()
        {
            begin_state(world, &id, "Updating", |_| {});
            set_pools(world, &id, "Updating");
            by_itself(world, "Updating", &id, 60, json!({ "action": "extension" }));
            continue;
        }
        let channel = properties["autoUpgradeProfile"]["upgradeChannel"]
            .as_str()
            .unwrap_or("none");
        let current = properties["currentKubernetesVersion"]
            .as_str()
            .unwrap_or_default();
        if now - settled >= UPGRADE_AFTER
            && let Some(goal) = versions::channel_target(channel, current)
        {
            begin_state(world, &id, "Upgrading", |body| {
                resource::keep(body, "version", json!(goal));
            });
            let pools: Vec<String> = pool::of_cluster(world, &id)
                .map(|(id, _)| id.clone())
                .collect();
            for pool in pools {
                resource::change(world, &pool, |body| {
                    body["properties"]["provisioningState"] = "Upgrading".into();
                    body["properties"]["orchestratorVersion"] = goal.into();
                    resource::keep(body, "version", json!(goal));
                });
            }
            by_itself(
                world,
                "Upgrading",
                &id,
                900,
                json!({ "action": "cluster", "auto": true }),
            );
            continue;
        }
        scale(world, &id, now);
    }
}

fn set_pools(world: &mut World, cluster: &str, state: &str) {
    let pools: Vec<String> = pool::of_cluster(world, cluster)
        .map(|(id, _)| id.clone())
        .collect();
    for pool in pools {
        resource::change(world, &pool, |body| {
            body["properties"]["provisioningState"] = state.into();
        });
    }
}

/// Starts an operation that nobody asked for; nobody polls it either, so it ends by the clock.
fn by_itself(world: &mut World, kind: &str, id: &str, seconds: u32, detail: Value) {
    let (ending, last) = (world.ending.take(), world.last_operation.take());
    let mut operation = world.start_operation("azure", kind, &key(id), seconds, detail);
    operation.polls_left = None;
    world.keep_operation(&operation);
    (world.ending, world.last_operation) = (ending, last);
}

/// Nothing runs on simulated nodes, so after ten idle minutes the autoscaler takes one away.
fn scale(world: &mut World, cluster: &str, now: i64) {
    const IDLE: i64 = 600_000;
    let pools: Vec<(String, Value)> = pool::of_cluster(world, cluster)
        .map(|(id, body)| (id.clone(), body.clone()))
        .collect();
    for (id, body) in pools {
        let properties = &body["properties"];
        let settled = resource::kept(&body, "settled").as_i64().unwrap_or(now);
        let (Some(count), Some(least)) = (
            properties["count"].as_i64(),
            properties["minCount"].as_i64(),
        ) else {
            continue;
        };
        let steps = (now - settled) / IDLE;
        if properties["enableAutoScaling"] == true
            && properties["provisioningState"] == "Succeeded"
            && steps > 0
            && count > least
        {
            resource::change(world, &id, |body| {
                body["properties"]["count"] = (count - steps).max(least).into();
                resource::keep(body, "settled", now.into());
            });
        }
    }
}
