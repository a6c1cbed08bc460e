//! Facts that a plan is checked against.

use paymesh_cloud::Error;
use serde_json::Value;

use crate::{
    ArmId, Azure,
    connection::{api, version},
    json::text,
};

/// A machine type as offered in one region.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineSize {
    /// `Standard_D4ds_v5`.
    pub name: String,
    /// The family that quota counts by: `standardDDSv5Family`.
    pub family: String,
    /// Virtual processors.
    pub vcpu: u32,
    /// Memory.
    pub memory_gb: f64,
    /// Zones that offer it and are open to the subscription.
    pub zones: Vec<String>,
    /// Why the subscription cannot use it in the region at all, if so.
    pub restriction: Option<String>,
    /// Whether it is sold as spot machines.
    pub has_spot: bool,
    /// Whether its own disk can hold the system.
    pub has_ephemeral_disk: bool,
}

/// Quota and its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// `cores` for the region, or a machine family.
    pub name: String,
    /// In use.
    pub current: u64,
    /// Allowed.
    pub limit: u64,
}

/// A Kubernetes minor version as offered in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesVersion {
    /// `1.34`.
    pub minor: String,
    /// Its patches: `1.34.2`.
    pub patches: Vec<String>,
    /// Not for production.
    pub is_preview: bool,
    /// What its support covers: `KubernetesOfficial`, `AKSLongTermSupport`.
    pub support_plans: Vec<String>,
}

/// A virtual network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualNetwork {
    /// Its region.
    pub location: String,
    /// Its ranges.
    pub prefixes: Vec<String>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its ranges.
    pub prefixes: Vec<String>,
    /// The service it is reserved for, if any.
    pub delegation: Option<String>,
    /// Region of its network, where that was asked for.
    pub id: String,
}

impl Azure {
    /// The machine types of `location`.
    pub async fn machine_sizes(
        &self,
        subscription: &str,
        location: &str,
    ) -> Result<Vec<MachineSize>, Error> {
        let path = format!("/subscriptions/{subscription}/providers/Microsoft.Compute/skus");
        let filter = format!("location eq '{location}'");
        let query = [("api-version", version::SKUS), ("$filter", filter.as_str())];
        let all = self.list(&path, &query, api::ARM).await?;
        let machines = all
            .iter()
            .filter(|it| text(it, "/resourceType") == Some("virtualMachines"));
        Ok(machines
            .filter_map(|it| machine_size(it, location))
            .collect())
    }

    /// Quotas of `location`.
    pub async fn usages(&self, subscription: &str, location: &str) -> Result<Vec<Usage>, Error> {
        let path = format!(
            "/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}/usages"
        );
        let all = self
            .list(&path, &[("api-version", version::USAGES)], api::ARM)
            .await?;
        let read = |it: &Value| {
            Some(Usage {
                name: text(it, "/name/value")?.to_owned(),
                current: it.get("currentValue")?.as_u64()?,
                limit: it.get("limit")?.as_u64()?,
            })
        };
        Ok(all.iter().filter_map(read).collect())
    }

    /// The Kubernetes versions of `location`.
    pub async fn kubernetes_versions(
        &self,
        subscription: &str,
        location: &str,
    ) -> Result<Vec<KubernetesVersion>, Error> {
        let path = format!(
            "/subscriptions/{subscription}/providers/Microsoft.ContainerService/locations/\
             {location}/kubernetesVersions"
        );
        let body = self
            .facts(&path, version::CLUSTERS, api::CLUSTERS)
            .await?
            .unwrap_or_default();
        let all = body.get("values").and_then(Value::as_array);
        Ok(all
            .into_iter()
            .flatten()
            .filter_map(kubernetes_version)
            .collect())
    }

    /// The regions open to the subscription.
    pub async fn locations(&self, subscription: &str) -> Result<Vec<String>, Error> {
        let path = format!("/subscriptions/{subscription}/locations");
        let all = self
            .list(&path, &[("api-version", version::SUBSCRIPTIONS)], api::ARM)
            .await?;
        Ok(all
            .iter()
            .filter_map(|it| text(it, "/name").map(str::to_owned))
            .collect())
    }

    /// The subnet `id`, if it exists.
    pub async fn subnet(&self, id: &ArmId) -> Result<Option<Subnet>, Error> {
        let Some(body) = self.read(id.as_str(), version::NETWORKS, api::ARM).await? else {
            return Ok(None);
        };
        let several = body
            .pointer("/properties/addressPrefixes")
            .map(strings)
            .unwrap_or_default();
        let one = text(&body, "/properties/addressPrefix").map(str::to_owned);
        Ok(Some(Subnet {
            prefixes: if several.is_empty() {
                one.into_iter().collect()
            } else {
                several
            },
            delegation: text(&body, "/properties/delegations/0/properties/serviceName")
                .map(str::to_owned),
            id: text(&body, "/id").unwrap_or(id.as_str()).to_owned(),
        }))
    }

    /// Whether the resource group `id` exists, and where it is.
    pub async fn group_location(&self, id: &ArmId) -> Result<Option<String>, Error> {
        let body = self.read(id.as_str(), version::GROUPS, api::ARM).await?;
        Ok(body
            .as_ref()
            .and_then(|it| text(it, "/location"))
            .map(str::to_owned))
    }

    /// The virtual network `id`, if it exists.
    pub async fn network(&self, id: &ArmId) -> Result<Option<VirtualNetwork>, Error> {
        let body = self.read(id.as_str(), version::NETWORKS, api::ARM).await?;
        Ok(body.map(|body| VirtualNetwork {
            location: text(&body, "/location")
                .unwrap_or_default()
                .replace(' ', "")
                .to_ascii_lowercase(),
            prefixes: body
                .pointer("/properties/addressSpace/addressPrefixes")
                .map(strings)
                .unwrap_or_default(),
        }))
    }

    /// Whether the workspace, registry or identity `id` exists.
    pub async fn exists(&self, id: &ArmId) -> Result<bool, Error> {
        let namespace = id.namespace().unwrap_or_default();
        let api_version = match namespace.to_ascii_lowercase().as_str() {
            "microsoft.managedidentity" => version::IDENTITIES,
            "microsoft.operationalinsights" => version::WORKSPACES,
            _ => version::REGISTRIES,
        };
        let body = self.read(id.as_str(), api_version, api::ARM).await?;
        Ok(body.is_some())
    }

    /// The body of the cluster `id`, if it exists.
    pub async fn cluster(&self, id: &ArmId) -> Result<Option<Value>, Error> {
        self.read(id.as_str(), version::CLUSTERS, api::CLUSTERS)
            .await
    }
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items
        .filter_map(|it| it.as_str().map(str::to_owned))
        .collect()
}

fn machine_size(body: &Value, location: &str) -> Option<MachineSize> {
    let capability = |name: &str| {
        let all = body.get("capabilities")?.as_array()?;
        let found = all.iter().find(|it| text(it, "/name") == Some(name))?;
        text(found, "/value")
    };
    let places = body.get("locationInfo").and_then(Value::as_array);
    let here = places
        .into_iter()
        .flatten()
        .find(|it| text(it, "/location").is_some_and(|it| it.eq_ignore_ascii_case(location)));
    let mut zones = here
        .and_then(|it| it.get("zones"))
        .map(strings)
        .unwrap_or_default();
    zones.sort();
    let mut restriction = None;
    for it in body
        .get("restrictions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        if text(it, "/type") == Some("Zone") {
            let closed = it
                .pointer("/restrictionInfo/zones")
                .map(strings)
                .unwrap_or_default();
            zones.retain(|zone| !closed.contains(zone));
        } else {
            restriction = Some(text(it, "/reasonCode").unwrap_or("restricted").to_owned());
        }
    }
    Some(MachineSize {
        name: text(body, "/name")?.to_owned(),
        family: text(body, "/family").unwrap_or_default().to_owned(),
        vcpu: capability("vCPUs")?.parse().ok()?,
        memory_gb: capability("MemoryGB")?.parse().ok()?,
        zones,
        restriction,
        has_spot: capability("LowPriorityCapable") == Some("True"),
        has_ephemeral_disk: capability("EphemeralOSDiskSupported") == Some("True"),
    })
}

fn kubernetes_version(body: &Value) -> Option<KubernetesVersion> {
    let patches = body.get("patchVersions").and_then(Value::as_object);
    let mut patches: Vec<String> = patches
        .into_iter()
        .flat_map(|it| it.keys().cloned())
        .collect();
    patches.sort();
    Some(KubernetesVersion {
        minor: text(body, "/version")?.to_owned(),
        patches,
        is_preview: body
            .get("isPreview")
            .and_then(Value::as_bool)
            .unwrap_or(false),
        support_plans: body
            .pointer("/capabilities/supportPlan")
            .map(strings)
            .unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_machine_size_loses_the_zones_that_are_closed_to_the_subscription() {
        let body = json!({
            "resourceType": "virtualMachines", "name": "Standard_D4ds_v5", "family": "f",
            "capabilities": [{"name": "vCPUs", "value": "4"}, {"name": "MemoryGB", "value": "16"}],
            "locationInfo": [{"location": "WestEurope", "zones": ["3", "1", "2"]}],
            "restrictions": [{"type": "Zone", "restrictionInfo": {"zones": ["3"]},
                              "reasonCode": "NotAvailableForSubscription"}],
        });
        let size = machine_size(&body, "westeurope").unwrap();
        assert_eq!(
            (size.vcpu, size.zones, size.restriction),
            (4, vec!["1".into(), "2".into()], None)
        );
    }
}
