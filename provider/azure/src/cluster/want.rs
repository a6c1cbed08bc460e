//! A managed cluster as it is wanted, and the body that says so.

use std::collections::BTreeMap;

use paymesh_engine::{Holder, Mark, ObjectId};
use serde_json::{Value, json};

use crate::{ArmId, PoolWant, Wording, part, tags};

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
    /// The user-assigned identity of the control plane.
    pub identity: ArmId,
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
    pub upgrade_channel: String,
    /// `NodeImage`, `SecurityPatch`, `Unmanaged` or `None`.
    pub node_os_channel: String,
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
    /// How the user knows its fields.
    pub wording: Wording,
}

/// Addresses of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkWant {
    /// The pods' range.
    pub pod_cidr: String,
    /// The services' range.
    pub service_cidr: String,
    /// The DNS service's address within the services' range; Azure's default if not set.
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
            "autoUpgradeProfile": {
                "upgradeChannel": self.upgrade_channel,
                "nodeOSUpgradeChannel": self.node_os_channel,
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
        for (key, value) in &self.autoscaler {
            properties["autoScalerProfile"][key] = value.as_str().into();
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
            "identity": {
                "type": "UserAssigned",
                "userAssignedIdentities": {self.identity.as_str(): {}},
            },
            "properties": properties,
        })
    }

    /// The body that makes the cluster.
    pub(super) fn fresh(&self, mark: &Mark, holder: &Holder) -> Value {
        let mut body = part::compact(self.part());
        body["tags"] = tags::marked(&self.tags, mark, Some(holder));
        let properties = &mut body["properties"];
        properties["kubernetesVersion"] = self.kubernetes_version.as_str().into();
        properties["dnsPrefix"] = self.id.name().into();
        if !self.features.cilium {
            // Something has to enforce network policies from the beginning.
            properties["networkProfile"]["networkPolicy"] = "calico".into();
        }
        let pools: Vec<_> = self.pools.iter().map(|it| it.profile(mark)).collect();
        properties["agentPoolProfiles"] = pools.into();
        body
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
            "podCidr": self.network.pod_cidr,
            "serviceCidr": self.network.service_cidr,
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
        if let Some(address) = &self.network.dns_service_ip {
            profile["dnsServiceIP"] = address.as_str().into();
        }
        profile
    }
}
