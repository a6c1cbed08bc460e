//! Facts about a project and its places that a plan checks before anything is made. Each is one
//! shared read within a run; nothing here writes.

use std::collections::BTreeMap;

use paymesh_cloud::Error;
use serde_json::Value;

use crate::{ClusterName, Google, Location, client::Api, cluster::Channel};

/// A region as the project sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    /// Names of its zones.
    pub zones: Vec<String>,
    /// Quotas by metric: `CPUS`, `N2_CPUS`, `SSD_TOTAL_GB`.
    pub quotas: BTreeMap<String, Quota>,
}

/// What a project may use in a region, and uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quota {
    /// The most that may be used.
    pub limit: f64,
    /// What is used now.
    pub usage: f64,
}

/// The size of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineType {
    /// Virtual CPUs.
    pub vcpu: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
}

/// A subnetwork.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnetwork {
    /// The path of the network that it is part of.
    pub network: String,
    /// Addresses of machines, in CIDR notation.
    pub range: String,
    /// Secondary ranges by name, in CIDR notation.
    pub secondary_ranges: BTreeMap<String, String>,
}

impl Google {
    /// The cluster called `name`, as the cloud describes it; `None` if it does not exist.
    pub async fn cluster(&self, name: &ClusterName) -> Result<Option<Value>, Error> {
        self.fact(Api::Container, &name.to_string()).await
    }

    /// The regions of `project`, by name.
    pub async fn regions(&self, project: &str) -> Result<BTreeMap<String, Region>, Error> {
        let path = format!("projects/{project}/regions");
        let list = self.fact(Api::Compute, &path).await?.unwrap_or_default();
        let region = |region: &Value| {
            let facts = Region {
                zones: items(&region["zones"])
                    .filter_map(|zone| Some(zone.as_str()?.rsplit('/').next()?.to_owned()))
                    .collect(),
                quotas: items(&region["quotas"]).filter_map(quota).collect(),
            };
            Some((region["name"].as_str()?.to_owned(), facts))
        };
        Ok(items(&list["items"]).filter_map(region).collect())
    }

    /// The machine type `name` in `zone`; `None` if the zone does not offer it.
    pub async fn machine_type(
        &self,
        project: &str,
        zone: &str,
        name: &str,
    ) -> Result<Option<MachineType>, Error> {
        let path = format!("projects/{project}/zones/{zone}/machineTypes/{name}");
        Ok(self.fact(Api::Compute, &path).await?.and_then(|machine| {
            Some(MachineType {
                vcpu: u32::try_from(machine["guestCpus"].as_u64()?).ok()?,
                memory_mib: u32::try_from(machine["memoryMb"].as_u64()?).ok()?,
            })
        }))
    }

    /// The versions that a control plane in `place` can have in `channel`.
    pub async fn versions(&self, place: &Location, channel: Channel) -> Result<Vec<String>, Error> {
        let config = self
            .fact(Api::Container, &format!("{place}/serverConfig"))
            .await?;
        let config = config.unwrap_or_default();
        let offer = items(&config["channels"]).find(|offer| offer["channel"] == channel.as_str());
        let versions = offer.map_or(
            &config["validMasterVersions"],
            |offer| &offer["validVersions"],
        );
        Ok(items(versions)
            .filter_map(|version| version.as_str().map(str::to_owned))
            .collect())
    }

    /// Whether there is an image repository at `path`
    /// (`projects/PROJECT/locations/LOCATION/repositories/NAME`).
    pub async fn has_repository(&self, path: &str) -> Result<bool, Error> {
        Ok(self.fact(Api::Artifacts, path).await?.is_some())
    }

    /// Whether there is a service account of that address.
    pub async fn has_service_account(&self, email: &str) -> Result<bool, Error> {
        let path = format!("projects/-/serviceAccounts/{email}");
        Ok(self.fact(Api::Iam, &path).await?.is_some())
    }

    /// Whether there is a key at `path`
    /// (`projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY`).
    pub async fn has_key(&self, path: &str) -> Result<bool, Error> {
        Ok(self.fact(Api::Keys, path).await?.is_some())
    }

    /// The subnetwork at `path` (`projects/PROJECT/regions/REGION/subnetworks/NAME`).
    pub async fn subnetwork(&self, path: &str) -> Result<Option<Subnetwork>, Error> {
        Ok(self.fact(Api::Compute, path).await?.map(|subnetwork| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let network = text(&subnetwork["network"]);
            let from = network.find("projects/").unwrap_or(0);
            Subnetwork {
                network: network[from..].to_owned(),
                range: text(&subnetwork["ipCidrRange"]),
                secondary_ranges: items(&subnetwork["secondaryIpRanges"])
                    .map(|range| (text(&range["rangeName"]), text(&range["ipCidrRange"])))
                    .collect(),
            }
        }))
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn quota(quota: &Value) -> Option<(String, Quota)> {
    let amount = |key: &str| quota[key].as_f64();
    let name = quota["metric"].as_str()?.to_owned();
    Some((
        name,
        Quota {
            limit: amount("limit")?,
            usage: amount("usage")?,
        },
    ))
}
