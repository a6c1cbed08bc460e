//! What a PUT will make of a cluster: defaults, what may not change, versions, ranges.

use serde_json::{Value, json};

use super::{access, guid, unsupported};
use crate::{
    azure::{
        Arm, entra,
        error::{flat, flat_at, immutable, invalid},
        path::key,
        pool::{self, Home},
        resource::{self, fill},
        versions,
    },
    core::{Answer, World},
};

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

/// What a PUT will make of a cluster.
pub(super) struct Planned {
    /// The properties.
    pub(super) properties: Value,
    /// The full version that the control plane will have.
    pub(super) version: &'static str,
    /// Whether that is a new one.
    pub(super) upgrades: bool,
    /// The identity, filled.
    pub(super) identity: Value,
    /// The pools, by name.
    pub(super) pools: Vec<(String, Value)>,
    /// Pools that the body leaves out, and so removes.
    pub(super) gone: Vec<String>,
}

/// The identity of the nodes: an existing one, or that of the cluster before; else it is made.
fn plan_kubelet(world: &World, properties: &mut Value, old: Option<&Value>) -> Result<(), Answer> {
    let given = properties["identityProfile"]["kubeletidentity"]["resourceId"].clone();
    let Some(id) = given.as_str() else {
        let before = old.map_or(Value::Null, |old| old["identityProfile"].clone());
        properties["identityProfile"] = before;
        return Ok(());
    };
    let Some(identity) = resource::find(world, id) else {
        return Err(invalid(
            "identityProfile.kubeletidentity",
            &format!("the identity {id} does not exist"),
        ));
    };
    properties["identityProfile"]["kubeletidentity"] = json!({
        "resourceId": id,
        "clientId": identity["properties"]["clientId"],
        "objectId": identity["properties"]["principalId"],
    });
    Ok(())
}

/// What the body of a PUT asks for, or why it is refused.
pub(super) fn plan(
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
    plan_kubelet(world, &mut properties, old)?;
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
            entra::TENANT,
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
        aad.entry("tenantID").or_insert(entra::TENANT.into());
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
    let identity = access::plan_identity(world, id, existing, &body["identity"])?;

    let mut pools = Vec::new();
    let mut gone = Vec::new();
    let profiles = &body["properties"]["agentPoolProfiles"];
    let home = Home {
        region,
        version,
        subscription: arm.target.subscription(),
        api: arm.call.query("api-version").unwrap_or_default(),
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
        access::check_subnet_rights(world, &with_identity, pool)?;
    }
    access::check_links(arm, id, &with_identity, &pools)?;
    access::check_private_zone(world, &with_identity)?;
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
