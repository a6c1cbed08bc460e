//! Regions, machine sizes, zones and quotas.

use serde_json::{Value, json};

use super::{path::location, resource};
use crate::core::World;

/// A region: name, display name, whether it has zones, its pair.
pub(super) struct Region(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) bool,
    pub(super) &'static str,
);

/// The regions.
pub(super) const REGIONS: [Region; 16] = [
    Region("westeurope", "West Europe", true, "northeurope"),
    Region("northeurope", "North Europe", true, "westeurope"),
    Region(
        "germanywestcentral",
        "Germany West Central",
        true,
        "germanynorth",
    ),
    Region("germanynorth", "Germany North", false, "germanywestcentral"),
    Region("francecentral", "France Central", true, "francesouth"),
    Region("swedencentral", "Sweden Central", true, "swedensouth"),
    Region(
        "switzerlandnorth",
        "Switzerland North",
        true,
        "switzerlandwest",
    ),
    Region("uksouth", "UK South", true, "ukwest"),
    Region("ukwest", "UK West", false, "uksouth"),
    Region("eastus", "East US", true, "westus"),
    Region("eastus2", "East US 2", true, "centralus"),
    Region("centralus", "Central US", true, "eastus2"),
    Region("westus", "West US", false, "eastus"),
    Region("westus2", "West US 2", true, "westcentralus"),
    Region("westus3", "West US 3", true, "eastus"),
    Region("southeastasia", "Southeast Asia", true, "eastasia"),
];

/// The region `name`, compared without case and spaces.
pub(super) fn region(name: &str) -> Option<&'static Region> {
    let name = location(name);
    REGIONS.iter().find(|region| region.0 == name)
}

/// A machine size: name, family, vCPU, memory in GB, spot.
pub(super) struct Size(
    pub(super) &'static str,
    pub(super) &'static str,
    pub(super) u32,
    pub(super) f64,
    pub(super) bool,
);

/// The machine sizes.
pub(super) const SIZES: [Size; 39] = [
    Size("Standard_B1ms", "standardBSFamily", 1, 2.0, false),
    Size("Standard_B2s", "standardBSFamily", 2, 4.0, false),
    Size("Standard_B2ms", "standardBSFamily", 2, 8.0, false),
    Size("Standard_B4ms", "standardBSFamily", 4, 16.0, false),
    Size("Standard_DS2_v2", "standardDSv2Family", 2, 7.0, true),
    Size("Standard_DS3_v2", "standardDSv2Family", 4, 14.0, true),
    Size("Standard_D2s_v3", "standardDSv3Family", 2, 8.0, true),
    Size("Standard_D4s_v3", "standardDSv3Family", 4, 16.0, true),
    Size("Standard_D8s_v3", "standardDSv3Family", 8, 32.0, true),
    Size("Standard_D2s_v5", "standardDSv5Family", 2, 8.0, true),
    Size("Standard_D4s_v5", "standardDSv5Family", 4, 16.0, true),
    Size("Standard_D8s_v5", "standardDSv5Family", 8, 32.0, true),
    Size("Standard_D16s_v5", "standardDSv5Family", 16, 64.0, true),
    Size("Standard_D32s_v5", "standardDSv5Family", 32, 128.0, true),
    Size("Standard_D2ds_v5", "standardDDSv5Family", 2, 8.0, true),
    Size("Standard_D4ds_v5", "standardDDSv5Family", 4, 16.0, true),
    Size("Standard_D8ds_v5", "standardDDSv5Family", 8, 32.0, true),
    Size("Standard_D16ds_v5", "standardDDSv5Family", 16, 64.0, true),
    Size("Standard_D32ds_v5", "standardDDSv5Family", 32, 128.0, true),
    Size("Standard_D2as_v5", "standardDASv5Family", 2, 8.0, true),
    Size("Standard_D4as_v5", "standardDASv5Family", 4, 16.0, true),
    Size("Standard_D8as_v5", "standardDASv5Family", 8, 32.0, true),
    Size("Standard_D16as_v5", "standardDASv5Family", 16, 64.0, true),
    Size("Standard_E2s_v5", "standardESv5Family", 2, 16.0, true),
    Size("Standard_E4s_v5", "standardESv5Family", 4, 32.0, true),
    Size("Standard_E8s_v5", "standardESv5Family", 8, 64.0, true),
    Size("Standard_E16s_v5", "standardESv5Family", 16, 128.0, true),
    Size("Standard_E4ds_v5", "standardEDSv5Family", 4, 32.0, true),
    Size("Standard_E8ds_v5", "standardEDSv5Family", 8, 64.0, true),
    Size("Standard_F2s_v2", "standardFSv2Family", 2, 4.0, true),
    Size("Standard_F4s_v2", "standardFSv2Family", 4, 8.0, true),
    Size("Standard_F8s_v2", "standardFSv2Family", 8, 16.0, true),
    Size("Standard_F16s_v2", "standardFSv2Family", 16, 32.0, true),
    Size("Standard_D2s_v6", "StandardDsv6Family", 2, 8.0, true),
    Size("Standard_D4s_v6", "StandardDsv6Family", 4, 16.0, true),
    Size("Standard_D8s_v6", "StandardDsv6Family", 8, 32.0, true),
    Size("Standard_D16s_v6", "StandardDsv6Family", 16, 64.0, true),
    Size("Standard_D4ps_v5", "standardDPSv5Family", 4, 16.0, true),
    Size("Standard_D8ps_v5", "standardDPSv5Family", 8, 32.0, true),
];

/// The size `name`, compared without case.
pub(super) fn size(name: &str) -> Option<&'static Size> {
    SIZES.iter().find(|size| size.0.eq_ignore_ascii_case(name))
}

/// Why a size cannot be had in a region: nothing, everywhere there, or in some zones.
pub(super) enum Restriction {
    /// None.
    Free,
    /// Not offered to this subscription in this region.
    Region,
    /// Not in these zones.
    Zones(&'static [&'static str]),
}

/// The restriction of `size` in `region`.
pub(super) fn restriction(size: &Size, region: &str) -> Restriction {
    match (size.1, location(region).as_str()) {
        ("standardDPSv5Family", "germanywestcentral" | "switzerlandnorth")
        | ("StandardDsv6Family", "francecentral") => Restriction::Region,
        ("StandardDsv6Family", "northeurope") => Restriction::Zones(&["3"]),
        _ => Restriction::Free,
    }
}

/// vCPU limit of a family, per region and subscription.
pub(super) fn family_limit(family: &str) -> u32 {
    match family {
        "standardBSFamily" => 20,
        "standardDPSv5Family" => 0,
        "standardESv5Family" | "standardEDSv5Family" | "standardFSv2Family" => 200,
        _ => 500,
    }
}

/// vCPU limit of a region, per subscription; spot has one of its own.
pub(super) const REGION_LIMIT: u32 = 1000;

/// vCPUs in use in a region: of `family`, or of spot nodes, or of all regular nodes.
pub(super) fn used(
    world: &World,
    subscription: &str,
    region: &str,
    family: Option<&str>,
    spot: bool,
) -> u32 {
    let prefix = format!("/subscriptions/{}/", subscription.to_ascii_lowercase());
    resource::of_type(world, super::pool::TYPE)
        .filter(|(id, _)| id.starts_with(&prefix))
        .filter_map(|(id, pool)| {
            let cluster = resource::find(world, id.split("/agentpools/").next()?)?;
            let here = location(cluster["location"].as_str()?) == location(region);
            let size = size(pool["properties"]["vmSize"].as_str()?)?;
            let running = pool["properties"]["powerState"]["code"] != "Stopped";
            let is_spot = pool["properties"]["scaleSetPriority"] == "Spot";
            let counted =
                here && running && is_spot == spot && family.is_none_or(|family| size.1 == family);
            let count = u32::try_from(pool["properties"]["count"].as_u64()?).ok()?;
            counted.then_some(size.2 * count)
        })
        .sum()
}

/// `GET …/providers/Microsoft.Compute/locations/{l}/usages`.
pub(super) fn usages(world: &World, subscription: &str, region: &str) -> Value {
    let mut families: Vec<&str> = SIZES.iter().map(|size| size.1).collect();
    families.sort_unstable();
    families.dedup();
    let line = |name: &str, text: &str, used: u32, limit: u32| json!({ "unit": "Count", "currentValue": used, "limit": limit, "name": { "value": name, "localizedValue": text } });
    let mut lines = vec![
        line(
            "cores",
            "Total Regional vCPUs",
            used(world, subscription, region, None, false),
            REGION_LIMIT,
        ),
        line(
            "lowPriorityCores",
            "Total Regional Low-priority vCPUs",
            used(world, subscription, region, None, true),
            REGION_LIMIT,
        ),
    ];
    for family in families {
        let text = format!("{family} vCPUs");
        lines.push(line(
            family,
            &text,
            used(world, subscription, region, Some(family), false),
            family_limit(family),
        ));
    }
    json!({ "value": lines })
}

/// `GET …/providers/Microsoft.Compute/skus`, for one region or all.
pub(super) fn skus(only: Option<&str>) -> Value {
    let mut lines = Vec::new();
    for region in REGIONS
        .iter()
        .filter(|region| only.is_none_or(|only| location(only) == region.0))
    {
        for size in &SIZES {
            lines.push(sku(region, size));
        }
    }
    json!({ "value": lines })
}

fn sku(region: &Region, size: &Size) -> Value {
    let zones: &[&str] = if region.2 { &["1", "2", "3"] } else { &[] };
    let info = |restricted: &[&str]| json!({ "locations": [region.0], "zones": restricted });
    let restrictions = match restriction(size, region.0) {
        Restriction::Free => json!([]),
        Restriction::Region => json!([{
            "type": "Location", "values": [region.0], "restrictionInfo": info(zones), "reasonCode": "NotAvailableForSubscription",
        }]),
        Restriction::Zones(lost) => json!([{
            "type": "Zone", "values": [region.0], "restrictionInfo": info(lost), "reasonCode": "NotAvailableForSubscription",
        }]),
    };
    let arm = size.1 == "standardDPSv5Family";
    let capabilities: Vec<Value> = [
        ("vCPUs", size.2.to_string()),
        ("MemoryGB", size.3.to_string()),
        (
            "CpuArchitectureType",
            if arm { "Arm64".into() } else { "x64".into() },
        ),
        ("PremiumIO", "True".into()),
        (
            "LowPriorityCapable",
            if size.4 {
                "True".into()
            } else {
                "False".into()
            },
        ),
        ("EncryptionAtHostSupported", "True".into()),
        (
            "EphemeralOSDiskSupported",
            if size.0.contains("ds_") {
                "True".into()
            } else {
                "False".into()
            },
        ),
        ("MaxDataDiskCount", (size.2 * 2).to_string()),
        ("HyperVGenerations", "V1,V2".into()),
    ]
    .into_iter()
    .map(|(name, value)| json!({ "name": name, "value": value }))
    .collect();
    json!({
        "resourceType": "virtualMachines", "name": size.0, "tier": "Standard",
        "size": size.0.trim_start_matches("Standard_"), "family": size.1, "locations": [region.0],
        "locationInfo": [{ "location": region.0, "zones": zones, "zoneDetails": [] }],
        "capabilities": capabilities, "restrictions": restrictions,
    })
}
