//! A managed cluster as it is wanted, and the body that says so.

use std::collections::BTreeMap;

use paymesh_engine::ObjectId;
use serde_json::{Map, Value, json};

use crate::{ArmId, Attributes, PoolWant, tags};

/// A managed cluster as it is wanted, in Azure's words.
#[derive(Clone, Debug)]
pub struct ClusterWant {
    /// Its id.
    pub id: ArmId,
    /// Its region.
    pub location: String,
    /// Tags of the user.
    pub tags: BTreeMap<String, String>,
    /// Tags that were wanted before; the engine fills them in.
    pub gone_tags: Vec<String>,
    /// `Free`, `Standard` or `Premium`.
    pub tier: String,
    /// The lowest version wanted: `1.34` or `1.34.2`.
    pub kubernetes_version: String,
    /// First part of the API server's name, looked at only when the cluster is made; the
    /// cluster's name if not set.
    pub dns_prefix: Option<String>,
    /// The user-assigned identity of the control plane; system-assigned if not set.
    pub identity: Option<ArmId>,
    /// The user-assigned identity of the kubelets; made by Azure if not set.
    pub kubelet_identity: Option<ArmId>,
    /// Addresses.
    pub network: NetworkWant,
    /// Who reaches the API server.
    pub access: Access,
    /// Groups whose members are admins.
    pub admin_groups: Vec<String>,
    /// What is switched on.
    pub features: Features,
    /// `patch`, `stable`, `rapid`, `node-image` or `none`.
    pub upgrade_channel: Option<String>,
    /// `NodeImage`, `SecurityPatch`, `Unmanaged` or `None`.
    pub node_os_channel: Option<String>,
    /// Settings of the cluster autoscaler, in its own words.
    pub autoscaler: BTreeMap<String, String>,
    /// Where logs go.
    pub logs: Option<Logs>,
    /// The key that encrypts secrets.
    pub kms: Option<Kms>,
    /// Running, stopped, or nobody's business here.
    pub power: Option<Power>,
    /// The pools it is created with; at least one system pool. Later on they are objects of
    /// their own.
    pub pools: Vec<PoolWant>,
    /// Objects that must exist first: group, identities, role assignments.
    pub needs: Vec<ObjectId>,
    /// How the user knows the fields.
    pub attributes: Attributes,
}

/// Addresses of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkWant {
    /// The pods' range; Azure's default if not set.
    pub pod_cidr: Option<String>,
    /// The services' range; Azure's default if not set.
    pub service_cidr: Option<String>,
    /// The DNS service's address within the services' range.
    pub dns_service_ip: Option<String>,
}

/// Who reaches the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The cluster's own network only.
    Private,
    /// These ranges; everybody if there are none.
    Public {
        /// The ranges.
        authorized_cidrs: Vec<String>,
    },
}

/// What is switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the API"
)]
pub struct Features {
    /// Pods get tokens of their own, which Azure and others trust.
    pub workload_identity: bool,
    /// Cilium carries the traffic and enforces network policies.
    pub cilium: bool,
    /// Flow metrics of the network.
    pub network_metrics: bool,
    /// Costs per namespace; needs tier `Standard`.
    pub cost_analysis: bool,
    /// The vertical pod autoscaler.
    pub vertical_pod_autoscaler: bool,
}

/// Where logs go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// The id of a Log Analytics workspace.
    pub workspace: String,
}

/// The key that encrypts secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kms {
    /// The key's id, version included.
    pub key_id: String,
}

/// Whether a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    Running,
    /// It is stopped: no nodes, no API server, no cost for either.
    Stopped,
}

impl ClusterWant {
    /// A cluster with nothing special.
    pub fn new(id: ArmId, location: &str, kubernetes_version: &str) -> Self {
        Self {
            id,
            location: location.to_owned(),
            tags: BTreeMap::new(),
            gone_tags: Vec::new(),
            tier: "Standard".to_owned(),
            kubernetes_version: kubernetes_version.to_owned(),
            dns_prefix: None,
            identity: None,
            kubelet_identity: None,
            network: NetworkWant::default(),
            access: Access::Private,
            admin_groups: Vec::new(),
            features: Features::default(),
            upgrade_channel: None,
            node_os_channel: None,
            autoscaler: BTreeMap::new(),
            logs: None,
            kms: None,
            power: None,
            pools: Vec::new(),
            needs: Vec::new(),
            attributes: Attributes::default(),
        }
    }

    /// The part of the body that is managed, version and pools aside. Nulls want absence.
    pub fn part(&self) -> Value {
        let features = &self.features;
        let mut properties = json!({
            "enableRBAC": true,
            // Certificates know no person (Checkov AZURE_141).
            "disableLocalAccounts": true,
            "aadProfile": {
                "managed": true,
                "enableAzureRBAC": true,
                "adminGroupObjectIDs": self.admin_groups,
            },
            "apiServerAccessProfile": self.api_server(),
            "networkProfile": self.network_profile(),
            "securityProfile": {
                "workloadIdentity": {"enabled": features.workload_identity},
                // Unused images leave the nodes once a week, AKS's own interval.
                "imageCleaner": {"enabled": true, "intervalHours": 168},
                "azureKeyVaultKms": {"enabled": self.kms.is_some()},
            },
            "workloadAutoScalerProfile": {
                "verticalPodAutoscaler": {"enabled": features.vertical_pod_autoscaler},
            },
            "metricsProfile": {"costAnalysis": {"enabled": features.cost_analysis}},
            "addonProfiles": {
                "azurepolicy": {"enabled": false},
                // Secrets that change in the vault change in the cluster too (Checkov AZURE_172).
                "azureKeyvaultSecretsProvider": {
                    "enabled": true,
                    "config": {"enableSecretRotation": "true", "rotationPollInterval": "2m"},
                },
                "omsagent": {"enabled": self.logs.is_some()},
            },
        });
        let mut set = |path: [&str; 2], value: Option<Value>| {
            if let Some(value) = value {
                properties[path[0]][path[1]] = value;
            }
        };
        let text = |it: &Option<String>| it.as_deref().map(Value::from);
        set(
            ["autoUpgradeProfile", "upgradeChannel"],
            text(&self.upgrade_channel),
        );
        set(
            ["autoUpgradeProfile", "nodeOSUpgradeChannel"],
            text(&self.node_os_channel),
        );
        for (key, value) in &self.autoscaler {
            set(["autoScalerProfile", key], Some(value.as_str().into()));
        }
        if let Some(kms) = &self.kms {
            properties["securityProfile"]["azureKeyVaultKms"] = json!({
                "enabled": true, "keyId": kms.key_id, "keyVaultNetworkAccess": "Public",
            });
        }
        if let Some(logs) = &self.logs {
            properties["addonProfiles"]["omsagent"]["config"] = json!({
                "logAnalyticsWorkspaceResourceID": logs.workspace, "useAADAuth": "true",
            });
        }
        if features.workload_identity {
            // The issuer cannot be switched off again: tokens that it signed are out there.
            properties["oidcIssuerProfile"]["enabled"] = true.into();
        }
        if let Some(id) = &self.kubelet_identity {
            properties["identityProfile"]["kubeletidentity"]["resourceId"] = id.as_str().into();
        }
        json!({
            "location": self.location,
            "tags": tags::wanted(&self.tags, &self.gone_tags),
            "sku": {"name": "Base", "tier": self.tier},
            "identity": self.identity_part(),
            "properties": properties,
        })
    }

    fn identity_part(&self) -> Value {
        match &self.identity {
            None => json!({"type": "SystemAssigned"}),
            Some(id) => {
                let mut identities = Map::new();
                identities.insert(id.as_str().to_owned(), json!({}));
                json!({"type": "UserAssigned", "userAssignedIdentities": identities})
            }
        }
    }

    fn api_server(&self) -> Value {
        match &self.access {
            // CIS AKS 5.4.1 and 5.4.2.
            Access::Private => json!({
                "enablePrivateCluster": true,
                "enablePrivateClusterPublicFQDN": false,
                "privateDNSZone": "system",
            }),
            Access::Public { authorized_cidrs } => json!({
                "enablePrivateCluster": false,
                "authorizedIPRanges": authorized_cidrs,
            }),
        }
    }

    fn network_profile(&self) -> Value {
        let mut profile = json!({
            "networkPlugin": "azure",
            "networkPluginMode": "overlay",
            "loadBalancerSku": "standard",
            "advancedNetworking": {
                "enabled": self.features.network_metrics,
                "observability": {"enabled": self.features.network_metrics},
            },
        });
        profile["networkDataplane"] = "azure".into();
        if self.features.cilium {
            profile["networkDataplane"] = "cilium".into();
            profile["networkPolicy"] = "cilium".into();
        }
        for (key, value) in [
            ("podCidr", &self.network.pod_cidr),
            ("serviceCidr", &self.network.service_cidr),
            ("dnsServiceIP", &self.network.dns_service_ip),
        ] {
            if let Some(value) = value {
                profile[key] = value.as_str().into();
            }
        }
        profile
    }
}
