//! What bodies say, in Google's words: the only place outside the objects that knows where in a
//! body something stands.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use paymesh_engine::Mark;
use serde_json::Value;

use crate::{
    cluster::{Access, Channel, Exclusion, Features, Maintenance, Window},
    pool::{Disk, GROUP_SIZES, Taint, TaintEffect},
};

/// The labels that are neither the user's nor unknown: ours begin so.
const OWN: &str = "paymesh-";

/// The labels that Google adds.
const SYSTEM: &str = "goog-";

/// A cluster as it was read.
#[derive(Clone, Copy, Debug)]
pub struct ClusterSeen<'a>(&'a Value);

/// A node pool as it was read, alone or inside its cluster.
#[derive(Clone, Copy, Debug)]
pub struct PoolSeen<'a>(&'a Value);

fn text<'a>(body: &'a Value, at: &str) -> Option<&'a str> {
    body.pointer(at)?.as_str().filter(|text| !text.is_empty())
}

fn flag(body: &Value, at: &str) -> bool {
    body.pointer(at).and_then(Value::as_bool).unwrap_or(false)
}

/// A number, or a 64-bit number in quotes.
fn number(body: &Value, at: &str) -> Option<u32> {
    let number = body.pointer(at)?;
    number
        .as_u64()
        .and_then(|number| number.try_into().ok())
        .or_else(|| number.as_str()?.parse().ok())
}

fn list<'a>(body: &'a Value, at: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    body.pointer(at)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// The entries of a map of words.
fn words(body: &Value, at: &str) -> BTreeMap<String, String> {
    let entries = body.pointer(at).and_then(Value::as_object);
    let entries = entries.into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

impl<'a> ClusterSeen<'a> {
    /// The cluster with this body.
    pub fn new(body: &'a Value) -> Self {
        Self(body)
    }

    /// The id of this incarnation.
    pub fn uid(self) -> Option<&'a str> {
        text(self.0, "/id")
    }

    /// The API server's URL: the endpoint that IAM guards, where there is one.
    pub fn endpoint(self) -> Option<String> {
        let dns = "/controlPlaneEndpointsConfig/dnsEndpointConfig/endpoint";
        let host = text(self.0, dns).or_else(|| text(self.0, "/endpoint"))?;
        Some(format!("https://{host}"))
    }

    /// The certificate authority of the API server, in PEM.
    pub fn certificate_authority(self) -> Option<String> {
        let encoded = text(self.0, "/masterAuth/clusterCaCertificate")?;
        String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()
    }

    /// The version of the control plane.
    pub fn version(self) -> Option<&'a str> {
        text(self.0, "/currentMasterVersion")
    }

    /// Whether it is stopped: GKE has no word for it, so every pool is at zero nodes and stays
    /// there.
    pub fn is_stopped(self) -> bool {
        self.0["currentNodeCount"].as_u64().unwrap_or(0) == 0
            && self.pools().next().is_some()
            && self.pools().all(|pool| !pool.is_autoscaled())
    }

    /// Whether it and its pools are there and sound. One that is being changed serves meanwhile.
    pub fn is_sound(self) -> bool {
        let runs = |body: &Value| {
            let status = text(body, "/status");
            status.is_some_and(|status| ["RUNNING", "RECONCILING"].contains(&status))
        };
        runs(self.0) && self.pools().all(|pool| runs(pool.0))
    }

    /// Whether GKE is deleting it.
    pub fn is_leaving(self) -> bool {
        text(self.0, "/status") == Some("STOPPING")
    }

    /// The pool of identities that pods act as.
    pub fn workload_pool(self) -> Option<&'a str> {
        text(self.0, "/workloadIdentityConfig/workloadPool")
    }

    /// The service account of the nodes of the first pool.
    pub fn node_account(self) -> Option<&'a str> {
        text(self.0, "/nodePools/0/config/serviceAccount")
    }

    /// Every service account that nodes of it run as, or new ones would.
    pub fn node_accounts(self) -> BTreeSet<&'a str> {
        let pools = list(self.0, "/nodePools");
        let pools = pools.filter_map(|pool| text(pool, "/config/serviceAccount"));
        let made = "/autoscaling/autoprovisioningNodePoolDefaults/serviceAccount";
        let ways = ["/nodeConfig/serviceAccount", made];
        let others = ways.into_iter().filter_map(|at| text(self.0, at));
        pools.chain(others).collect()
    }

    /// Whether it bears the owner of `mark`.
    pub fn is_of(self, mark: &Mark) -> bool {
        let [(key, owner), _] = mark.digests();
        self.0["resourceLabels"][key] == owner
    }

    /// The state entry that holds it, if it says so.
    pub fn holder(self) -> Option<&'a str> {
        self.0["resourceLabels"][Mark::HOLDER_KEY].as_str()
    }

    /// All labels.
    pub fn labels(self) -> BTreeMap<String, String> {
        words(self.0, "/resourceLabels")
    }

    /// The labels that are the user's: neither Google's, nor mark, holder and role.
    pub fn user_labels(self) -> BTreeMap<String, String> {
        let mut labels = self.labels();
        labels.retain(|key, _| !key.starts_with(OWN) && !key.starts_with(SYSTEM));
        labels
    }

    /// `BALANCED` or `OPTIMIZE_UTILIZATION`.
    pub fn autoscaling_profile(self) -> Option<&'a str> {
        text(self.0, "/autoscaling/autoscalingProfile")
    }

    /// Where it is attached.
    pub fn subnetwork(self) -> Option<&'a str> {
        text(self.0, "/networkConfig/subnetwork")
    }

    /// The secondary range of pods.
    pub fn pods_range(self) -> Option<&'a str> {
        text(self.0, "/ipAllocationPolicy/clusterSecondaryRangeName")
    }

    /// The secondary range of services.
    pub fn services_range(self) -> Option<&'a str> {
        text(self.0, "/ipAllocationPolicy/servicesSecondaryRangeName")
    }

    /// Addresses of the control plane.
    pub fn control_plane_cidr(self) -> Option<&'a str> {
        text(self.0, "/privateClusterConfig/masterIpv4CidrBlock")
    }

    /// Who reaches the API server.
    pub fn access(self) -> Access {
        let endpoints = "/controlPlaneEndpointsConfig/ipEndpointsConfig";
        if !flag(self.0, &format!("{endpoints}/enablePublicEndpoint")) {
            return Access::Private;
        }
        let at = format!("{endpoints}/authorizedNetworksConfig/cidrBlocks");
        let blocks = list(self.0, &at).filter_map(|block| text(block, "/cidrBlock"));
        Access::AuthorizedCidrs(blocks.map(str::to_owned).collect())
    }

    /// The release channel, if it has one.
    pub fn channel(self) -> Option<Channel> {
        let name = text(self.0, "/releaseChannel/channel")?;
        Channel::ALL.into_iter().find(|it| it.as_str() == name)
    }

    /// The key that encrypts Secrets.
    pub fn encryption_key(self) -> Option<&'a str> {
        let on = text(self.0, "/databaseEncryption/state") != Some("DECRYPTED");
        text(self.0, "/databaseEncryption/keyName").filter(|_| on)
    }

    /// What is switched on.
    pub fn features(self) -> Features {
        let on = |at: &str| flag(self.0, at);
        let is = |at: &str, word: &str| text(self.0, at) == Some(word);
        Features {
            workload_identity: self.workload_pool().is_some(),
            dataplane_v2: is("/networkConfig/datapathProvider", "ADVANCED_DATAPATH"),
            dataplane_metrics: on(
                "/monitoringConfig/advancedDatapathObservabilityConfig/enableMetrics",
            ),
            dns_cache: on("/addonsConfig/dnsCacheConfig/enabled"),
            cost_allocation: on("/costManagementConfig/enabled"),
            vertical_pod_autoscaling: on("/verticalPodAutoscaling/enabled"),
            gateway_api: is(
                "/networkConfig/gatewayApiConfig/channel",
                "CHANNEL_STANDARD",
            ),
        }
    }

    /// When Google may work on it.
    pub fn maintenance(self) -> Maintenance {
        let Some(policy) = self.0.pointer("/maintenancePolicy/window") else {
            return Maintenance::default();
        };
        let exclusions = policy["maintenanceExclusions"].as_object();
        let exclusions = exclusions.into_iter().flatten();
        let exclusions = exclusions.filter_map(|(name, exclusion)| {
            let scope = text(exclusion, "/maintenanceExclusionOptions/scope");
            let exclusion = Exclusion {
                start: text(exclusion, "/startTime")?.to_owned(),
                end: text(exclusion, "/endTime")?.to_owned(),
                scope: scope.unwrap_or("NO_UPGRADES").to_owned(),
            };
            Some((name.clone(), exclusion))
        });
        Maintenance {
            window: policy.get("recurringWindow").and_then(|recurring| {
                let word = |at| text(recurring, at).map(str::to_owned);
                Some(Window {
                    start: word("/window/startTime")?,
                    end: word("/window/endTime")?,
                    recurrence: word("/recurrence")?,
                })
            }),
            exclusions: exclusions.collect(),
        }
    }

    /// Its pools.
    pub fn pools(self) -> impl Iterator<Item = PoolSeen<'a>> {
        list(self.0, "/nodePools").map(PoolSeen)
    }
}

impl<'a> PoolSeen<'a> {
    /// The pool with this body.
    pub fn new(body: &'a Value) -> Self {
        Self(body)
    }

    /// Its name.
    pub fn name(self) -> Option<&'a str> {
        text(self.0, "/name")
    }

    /// Whether it bears the mark of an owner, whoever that is.
    pub fn is_marked(self) -> bool {
        let place = format!("/config/resourceLabels/{}", Mark::OWNER_KEY);
        text(self.0, &place).is_some()
    }

    /// The version of its nodes.
    pub fn version(self) -> Option<&'a str> {
        text(self.0, "/version")
    }

    /// The machine type.
    pub fn machine_type(self) -> Option<&'a str> {
        text(self.0, "/config/machineType")
    }

    /// The boot disk.
    pub fn disk(self) -> Option<Disk> {
        Some(Disk {
            kind: text(self.0, "/config/diskType")?.to_owned(),
            size_gb: number(self.0, "/config/diskSizeGb")?,
        })
    }

    /// The zones of its nodes.
    pub fn zones(self) -> Vec<String> {
        let zones = list(self.0, "/locations").filter_map(Value::as_str);
        zones.map(str::to_owned).collect()
    }

    fn is_autoscaled(self) -> bool {
        flag(self.0, "/autoscaling/enabled")
    }

    /// How many nodes it has in all its zones, as far as its body tells.
    pub fn nodes(self) -> u32 {
        let sizes = list(self.0, &format!("/{GROUP_SIZES}")).filter_map(Value::as_u64);
        let sizes: Vec<u64> = sizes.collect();
        if sizes.is_empty() {
            let zones = u32::try_from(self.zones().len()).unwrap_or(1).max(1);
            return number(self.0, "/initialNodeCount")
                .unwrap_or(0)
                .saturating_mul(zones);
        }
        let all = sizes.into_iter().fold(0, u64::saturating_add);
        u32::try_from(all).unwrap_or(u32::MAX)
    }

    /// Between how many nodes the autoscaler keeps it, over all zones.
    pub fn bounds(self) -> Option<(u32, u32)> {
        if !self.is_autoscaled() {
            return None;
        }
        let least = number(self.0, "/autoscaling/totalMinNodeCount").unwrap_or(0);
        let most = number(self.0, "/autoscaling/totalMaxNodeCount").unwrap_or(least);
        Some((least, most))
    }

    /// Most pods on a node.
    pub fn pods_max(self) -> Option<u32> {
        number(self.0, "/maxPodsConstraint/maxPodsPerNode")
    }

    /// Labels of its nodes.
    pub fn labels(self) -> BTreeMap<String, String> {
        words(self.0, "/config/labels")
    }

    /// Taints of its nodes.
    pub fn taints(self) -> Vec<Taint> {
        let taints = list(self.0, "/config/taints");
        taints.filter_map(Taint::read).collect()
    }

    /// Whether its machines can be taken away at any time.
    pub fn is_spot(self) -> bool {
        flag(self.0, "/config/spot")
    }

    /// Nodes above the wanted number while they are replaced.
    pub fn surge_max(self) -> Option<u32> {
        number(self.0, "/upgradeSettings/maxSurge")
    }
}

impl Taint {
    pub(crate) fn read(body: &Value) -> Option<Self> {
        let effect = body["effect"].as_str()?;
        let effect = TaintEffect::ALL
            .into_iter()
            .find(|it| it.as_str() == effect)?;
        Some(Self {
            key: text(body, "/key")?.to_owned(),
            value: text(body, "/value").unwrap_or_default().to_owned(),
            effect,
        })
    }
}
