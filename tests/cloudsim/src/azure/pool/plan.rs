//! What a body will make of a pool: defaults, what may not change, counts, zones, versions, quotas.

use serde_json::{Value, json};

use crate::{
    azure::{
        catalogue,
        cluster::{self, retag},
        error::{flat, flat_at, immutable, invalid},
        path::{key, location},
        resource::{self, fill},
        versions,
    },
    core::{Answer, World},
};

const FIXED: [&str; 17] = [
    "vmSize",
    "osDiskSizeGB",
    "osDiskType",
    "osType",
    "kubeletDiskType",
    "maxPods",
    "availabilityZones",
    "vnetSubnetID",
    "podSubnetID",
    "scaleSetPriority",
    "scaleSetEvictionPolicy",
    "kubeletConfig",
    "linuxOSConfig",
    "enableFIPS",
    "enableEncryptionAtHost",
    "enableUltraSSD",
    "proximityPlacementGroupID",
];

/// From this api-version on, the zones of a pool may change.
const ZONES_CHANGE_FROM: &str = "2026-01-02";

const COMPUTED: [&str; 5] = [
    "provisioningState",
    "currentOrchestratorVersion",
    "nodeImageVersion",
    "eTag",
    "status",
];

fn defaults() -> Value {
    json!({
        "count": 1, "vmSize": "Standard_D2s_v5", "osDiskSizeGB": 128, "osDiskType": "Managed", "kubeletDiskType": "OS",
        "maxPods": 250, "type": "VirtualMachineScaleSets", "scaleDownMode": "Delete", "enableAutoScaling": false,
        "enableNodePublicIP": false, "mode": "User", "osType": "Linux", "osSKU": "Ubuntu", "enableFIPS": false,
        "enableEncryptionAtHost": false, "enableUltraSSD": false, "powerState": { "code": "Running" },
        "upgradeSettings": { "maxSurge": "10%", "maxUnavailable": "0" },
        "securityProfile": { "enableSecureBoot": false, "enableVTPM": false, "sshAccess": "LocalUser" },
    })
}

/// What a plan for a pool needs to know about its cluster.
pub(in crate::azure) struct Home<'a> {
    /// Its region.
    pub(in crate::azure) region: &'a str,
    /// The control plane's full version, once this request is done.
    pub(in crate::azure) version: &'a str,
    /// Its subscription.
    pub(in crate::azure) subscription: &'a str,
    /// The api-version of the request: what may change depends on it.
    pub(in crate::azure) api: &'a str,
}

/// The properties that a pool will have, or why not.
pub(in crate::azure) fn plan(
    world: &World,
    home: &Home<'_>,
    name: &str,
    existing: Option<&Value>,
    wanted: &Value,
) -> Result<Value, Answer> {
    check_name(name, wanted)?;
    let mut properties = wanted.clone();
    let Some(members) = properties.as_object_mut() else {
        return Err(invalid("agentPoolProfile", "the properties are no object"));
    };
    members.retain(|name, value| {
        !value.is_null() && name != "name" && !COMPUTED.contains(&name.as_str())
    });
    if let Some(old) = existing {
        for name in FIXED {
            if name == "availabilityZones"
                && home.api >= ZONES_CHANGE_FROM
                && members.contains_key(name)
            {
                continue;
            }
            match (members.get(name), old.get(name)) {
                (Some(new), was) if was != Some(new) => {
                    let same = was.is_some_and(|was| equal(name, was, new));
                    if !same && !(was.is_none() && (new == false || new == &json!([]))) {
                        return Err(immutable(&format!("agentPoolProfile.{name}")));
                    }
                    if let Some(was) = was {
                        members.insert(name.into(), was.clone());
                    }
                }
                (None, Some(was)) => {
                    members.insert(name.into(), was.clone());
                }
                _ => {}
            }
        }
        for name in [
            "count",
            "orchestratorVersion",
            "powerState",
            "osSKU",
            "type",
        ] {
            if let (None, Some(was)) = (members.get(name), old.get(name)) {
                members.insert(name.into(), was.clone());
            }
        }
    }
    let spot = members
        .get("scaleSetPriority")
        .is_some_and(|priority| priority == "Spot");
    if spot {
        if members
            .get("upgradeSettings")
            .is_some_and(|settings| settings.get("maxSurge").is_some_and(Value::is_string))
            && existing.is_none()
        {
            return Err(invalid(
                "agentPoolProfile.upgradeSettings.maxSurge",
                "a spot pool cannot set maxSurge",
            ));
        }
        fill(
            &mut properties,
            &json!({ "scaleSetEvictionPolicy": "Delete", "spotMaxPrice": -1, "upgradeSettings": {} }),
        );
        add_spot_marks(&mut properties);
    } else {
        fill(&mut properties, &json!({ "scaleSetPriority": null }));
        if let Some(members) = properties.as_object_mut() {
            members.shift_remove("scaleSetPriority");
        }
    }
    let mut base = defaults();
    if spot && let Some(base) = base.as_object_mut() {
        base.shift_remove("upgradeSettings");
    }
    if properties["enableAutoScaling"] == true && properties["count"].is_null() {
        properties["count"] = properties["minCount"].clone();
    }
    if properties["osType"] == "Windows" {
        base["osSKU"] = "Windows2022".into();
    }
    fill(&mut properties, &base);
    check_machine(home, &properties)?;
    check_counts(&properties, spot)?;
    check_placement(world, home, &properties)?;
    plan_version(home, existing, &mut properties)?;
    check_quota(world, home, existing, &properties, spot)?;
    retag(&mut properties, "tags")?;
    Ok(properties)
}

fn equal(name: &str, was: &Value, new: &Value) -> bool {
    match (was, new) {
        (Value::String(was), Value::String(new)) => was.eq_ignore_ascii_case(new),
        (Value::Array(was), Value::Array(new)) if name == "availabilityZones" => {
            was.len() == new.len() && new.iter().all(|zone| was.contains(zone))
        }
        _ => was == new,
    }
}

fn check_name(name: &str, wanted: &Value) -> Result<(), Answer> {
    let limit = if wanted["osType"] == "Windows" { 6 } else { 12 };
    let good = name.len() <= limit
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit());
    if good {
        Ok(())
    } else {
        Err(invalid(
            "agentPoolProfile.name",
            &format!(
                "the pool name '{name}' is not valid: it starts with a lower-case letter, has only lower-case letters and digits, and at most {limit} characters"
            ),
        ))
    }
}

fn add_spot_marks(properties: &mut Value) {
    const TAINT: &str = "kubernetes.azure.com/scalesetpriority=spot:NoSchedule";
    properties["nodeLabels"]["kubernetes.azure.com/scalesetpriority"] = "spot".into();
    let mut taints = properties["nodeTaints"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if !taints.iter().any(|taint| taint == TAINT) {
        taints.push(TAINT.into());
    }
    properties["nodeTaints"] = taints.into();
}

fn check_machine(home: &Home<'_>, properties: &Value) -> Result<(), Answer> {
    let name = properties["vmSize"].as_str().unwrap_or_default();
    let refuse = |why: &str| {
        Err(flat_at(
            400,
            "BadRequest",
            why,
            Some("agentPoolProfile.vmSize"),
        ))
    };
    let Some(size) = catalogue::size(name) else {
        return refuse(&format!(
            "The VM size of '{name}' is not supported in location '{}'.",
            home.region
        ));
    };
    if matches!(
        catalogue::restriction(size, home.region),
        catalogue::Restriction::Region
    ) {
        return refuse(&format!(
            "The VM size of {name} is not allowed in your subscription in location '{}'. For more details, please visit https://aka.ms/cpu-quota",
            home.region
        ));
    }
    if size.2 < 2 {
        return refuse(&format!("The VM size of {name} has fewer than 2 vCPUs."));
    }
    if properties["osDiskType"] == "Ephemeral" && !name.to_ascii_lowercase().contains("ds_v") {
        return Err(invalid(
            "agentPoolProfile.osDiskType",
            &format!("the VM size {name} has no local disk for an ephemeral OS disk"),
        ));
    }
    Ok(())
}

fn check_counts(properties: &Value, spot: bool) -> Result<(), Answer> {
    let number = |name: &str| properties[name].as_i64();
    let count = number("count").unwrap_or(0);
    let system = properties["mode"] == "System";
    if !(0..=1000).contains(&count) {
        return Err(invalid(
            "agentPoolProfile.count",
            "the count must be between 0 and 1000",
        ));
    }
    if system && spot {
        return Err(invalid(
            "agentPoolProfile.scaleSetPriority",
            "a system pool cannot be a spot pool",
        ));
    }
    if system && properties["osType"] != "Linux" {
        return Err(invalid(
            "agentPoolProfile.osType",
            "a system pool must run Linux",
        ));
    }
    if properties["enableAutoScaling"] == true {
        let (Some(least), Some(most)) = (number("minCount"), number("maxCount")) else {
            return Err(invalid(
                "agentPoolProfile.minCount",
                "minCount and maxCount are required when enableAutoScaling is true",
            ));
        };
        if least > most || most > 1000 || least < i64::from(system) {
            return Err(invalid(
                "agentPoolProfile.minCount",
                "minCount must not exceed maxCount, maxCount must not exceed 1000, and a system pool needs at least one node",
            ));
        }
        if !(least..=most).contains(&count) {
            return Err(invalid(
                "agentPoolProfile.count",
                &format!("the count {count} is not between minCount {least} and maxCount {most}"),
            ));
        }
    } else if number("minCount").is_some() || number("maxCount").is_some() {
        return Err(invalid(
            "agentPoolProfile.minCount",
            "minCount and maxCount must not be set when enableAutoScaling is false",
        ));
    } else if system && count < 1 {
        return Err(invalid(
            "agentPoolProfile.count",
            "a system pool needs at least one node",
        ));
    }
    let pods = number("maxPods").unwrap_or(0);
    if !(10..=250).contains(&pods) {
        return Err(invalid(
            "agentPoolProfile.maxPods",
            "maxPods must be between 10 and 250",
        ));
    }
    Ok(())
}

fn check_placement(world: &World, home: &Home<'_>, properties: &Value) -> Result<(), Answer> {
    let zones: Vec<&str> = properties["availabilityZones"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let zonal = catalogue::region(home.region).is_some_and(|region| region.2);
    let restricted: &[&str] =
        match catalogue::size(properties["vmSize"].as_str().unwrap_or_default()) {
            Some(size) => match catalogue::restriction(size, home.region) {
                catalogue::Restriction::Zones(zones) => zones,
                _ => &[],
            },
            None => &[],
        };
    for zone in &zones {
        if !zonal || !["1", "2", "3"].contains(zone) || restricted.contains(zone) {
            return Err(flat_at(
                400,
                "AvailabilityZoneNotSupported",
                &format!(
                    "Preflight validation check for resource(s) failed: The zone(s) '{zone}' for resource 'agentPoolProfile' is not supported. The supported zones for location '{}' are '{}'",
                    home.region,
                    if zonal { "1,2,3" } else { "" }
                ),
                Some("agentPoolProfile.availabilityZones"),
            ));
        }
    }
    for name in ["vnetSubnetID", "podSubnetID"] {
        if let Some(subnet) = properties[name].as_str() {
            let Some(_) = resource::find(world, subnet) else {
                return Err(invalid(
                    &format!("agentPoolProfile.{name}"),
                    &format!("the subnet '{subnet}' was not found"),
                ));
            };
            let network = key(subnet)
                .split("/subnets/")
                .next()
                .unwrap_or_default()
                .to_owned();
            let region = resource::find(world, &network)
                .and_then(|network| network["location"].as_str())
                .unwrap_or_default();
            if location(region) != location(home.region) {
                return Err(invalid(
                    &format!("agentPoolProfile.{name}"),
                    &format!(
                        "the subnet '{subnet}' is in location '{region}', the cluster in '{}'",
                        home.region
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn plan_version(
    home: &Home<'_>,
    existing: Option<&Value>,
    properties: &mut Value,
) -> Result<(), Answer> {
    let wanted = properties["orchestratorVersion"]
        .as_str()
        .unwrap_or(home.version)
        .to_owned();
    let current = existing.and_then(|old| old["currentOrchestratorVersion"].as_str());
    let Some(mut resolved) = versions::resolve(&wanted).map(str::to_owned) else {
        return Err(cluster::unsupported(&wanted, home.region));
    };
    if let Some(current) = current {
        let (now, then) = (versions::numbers(current), versions::numbers(&wanted));
        if let (Some(now), Some(then)) = (now, then) {
            if then.2.is_none() && (now.0, now.1) == (then.0, then.1) {
                current.clone_into(&mut resolved);
            }
            if versions::numbers(&resolved) < Some(now) {
                return Err(flat(
                    400,
                    "OperationNotAllowed",
                    &format!(
                        "Downgrading agent pool version from {current} to {resolved} is not allowed."
                    ),
                ));
            }
        }
    }
    let (Some(plane), Some(pool)) = (
        versions::numbers(home.version),
        versions::numbers(&resolved),
    ) else {
        return Ok(());
    };
    if pool > plane || plane.1 > pool.1 + 3 {
        return Err(flat(
            400,
            "NodePoolMcVersionIncompatible",
            &format!(
                "Node pool version {resolved} and control plane version {} are incompatible. Minor version of node pool version must not be greater than control plane's and must not be more than 3 minor versions behind. For more information, please check https://aka.ms/aks/UpgradeVersionRules",
                home.version
            ),
        ));
    }
    properties["orchestratorVersion"] = wanted.into();
    properties["currentOrchestratorVersion"] =
        current.map_or(resolved.clone(), str::to_owned).into();
    properties["_version"] = resolved.into();
    Ok(())
}

fn check_quota(
    world: &World,
    home: &Home<'_>,
    existing: Option<&Value>,
    properties: &Value,
    spot: bool,
) -> Result<(), Answer> {
    let Some(size) = catalogue::size(properties["vmSize"].as_str().unwrap_or_default()) else {
        return Ok(());
    };
    let before = existing.and_then(|old| old["count"].as_u64()).unwrap_or(0);
    let count = properties["count"].as_u64().unwrap_or(0);
    let upgrades =
        existing.is_some() && properties["_version"] != properties["currentOrchestratorVersion"];
    let surge = if upgrades {
        count.div_ceil(10).max(1)
    } else {
        0
    };
    let more = (count + surge).saturating_sub(before);
    let requested = u32::try_from(more)
        .unwrap_or(u32::MAX)
        .saturating_mul(size.2);
    if requested == 0 {
        return Ok(());
    }
    let family = (!spot).then_some(size.1);
    let limit = family.map_or(catalogue::REGION_LIMIT, catalogue::family_limit);
    let left = limit.saturating_sub(catalogue::used(
        world,
        home.subscription,
        home.region,
        family,
        spot,
    ));
    if requested > left {
        return Err(flat(
            400,
            "ErrCode_InsufficientVCPUQuota",
            &format!(
                "Insufficient vcpu quota requested {requested}, remaining {left} for family {} for region {}.",
                size.1, home.region
            ),
        ));
    }
    let left = catalogue::REGION_LIMIT.saturating_sub(catalogue::used(
        world,
        home.subscription,
        home.region,
        None,
        spot,
    ));
    if requested > left {
        return Err(flat(
            400,
            "ErrCode_InsufficientVCPUQuota",
            &format!(
                "Insufficient regional vcpu quota left for location {}. left regional vcpu quota {left}, requested quota {requested}.",
                home.region
            ),
        ));
    }
    Ok(())
}
