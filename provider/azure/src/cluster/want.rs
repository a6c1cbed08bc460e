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
    /// The group for nodes; Azure's own choice if not set.
    pub node_resource_group: Option<String>,
    /// The user-assigned identity of the control plane; system-assigned if not set.
    pub identity: Option<ArmId>,
    /// The user-assigned identity of the kubelets; made by Azure if not set.
    pub kubelet_identity: Option<ArmId>,
    /// Addresses.
    pub network: NetworkWant,
    /// Who reaches the API server.
    pub access: Access,
    /// The directory of the admins; the subscription's if not set.
    pub tenant_id: Option<String>,
    /// Groups whose members are admins.
    pub admin_groups: Vec<String>,
    /// Whether certificates that know no person are refused.
    pub disable_local_accounts: bool,
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
    /// The disk encryption set of the nodes.
    pub disk_encryption_set: Option<ArmId>,
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
    /// How nodes reach the internet: `loadBalancer`, `userAssignedNATGateway`,
    /// `userDefinedRouting`; Azure's default if not set.
    pub outbound_type: Option<String>,
}

/// Who reaches the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// The cluster's own network only.
    Private {
        /// `system`, `none` or the id of a zone; `system` if not set.
        dns_zone: Option<String>,
    },
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
    /// Azure Policy inside the cluster.
    pub azure_policy: bool,
    /// Secrets from a key vault as files.
    pub secrets_store: bool,
    /// Unused images are removed this often.
    pub image_cleaner_hours: Option<u32>,
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
    /// The id of its vault, where that is reached privately.
    pub private_vault: Option<String>,
}

/// Whether a cluster runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    Running,
    /// It is stopped: no nodes, no API server, no cost for either.
    Stopped,
}

/// Secrets that change in the vault change in the cluster too.
fn secrets_store(enabled: bool) -> Value {
    if !enabled {
        return json!({"enabled": false});
    }
    json!({
        "enabled": true,
        "config": {"enableSecretRotation": "true", "rotationPollInterval": "2m"},
    })
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
            node_resource_group: None,
            identity: None,
            kubelet_identity: None,
            network: NetworkWant::default(),
            access: Access::Private { dns_zone: None },
            tenant_id: None,
            admin_groups: Vec::new(),
            disable_local_accounts: true,
            features: Features::default(),
            upgrade_channel: None,
            node_os_channel: None,
            autoscaler: BTreeMap::new(),
            logs: None,
            kms: None,
            disk_encryption_set: None,
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
            "disableLocalAccounts": self.disable_local_accounts,
            "aadProfile": {
                "managed": true,
                "enableAzureRBAC": true,
                "adminGroupObjectIDs": self.admin_groups,
            },
            "apiServerAccessProfile": self.api_server(),
            "networkProfile": self.network_profile(),
            "securityProfile": {
                "workloadIdentity": {"enabled": features.workload_identity},
                "imageCleaner": {"enabled": features.image_cleaner_hours.is_some()},
                "azureKeyVaultKms": {"enabled": self.kms.is_some()},
            },
            "workloadAutoScalerProfile": {
                "verticalPodAutoscaler": {"enabled": features.vertical_pod_autoscaler},
            },
            "metricsProfile": {"costAnalysis": {"enabled": features.cost_analysis}},
            "addonProfiles": {
                "azurepolicy": {"enabled": features.azure_policy},
                "azureKeyvaultSecretsProvider": secrets_store(features.secrets_store),
                "omsagent": {"enabled": self.logs.is_some()},
            },
        });
        let mut set = |path: [&str; 2], value: Option<Value>| {
            if let Some(value) = value {
                properties[path[0]][path[1]] = value;
            }
        };
        let text = |it: &Option<String>| it.as_deref().map(Value::from);
        set(["aadProfile", "tenantID"], text(&self.tenant_id));
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
        if let Some(hours) = features.image_cleaner_hours {
            properties["securityProfile"]["imageCleaner"]["intervalHours"] = hours.into();
        }
        if let Some(kms) = &self.kms {
            let access = if kms.private_vault.is_some() {
                "Private"
            } else {
                "Public"
            };
            let mut profile = json!({
                "enabled": true, "keyId": kms.key_id, "keyVaultNetworkAccess": access,
            });
            if let Some(vault) = &kms.private_vault {
                profile["keyVaultResourceId"] = vault.as_str().into();
            }
            properties["securityProfile"]["azureKeyVaultKms"] = profile;
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
        if let Some(id) = &self.disk_encryption_set {
            properties["diskEncryptionSetID"] = id.as_str().into();
        }
        if let Some(group) = &self.node_resource_group {
            properties["nodeResourceGroup"] = group.as_str().into();
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
            Access::Private { dns_zone } => json!({
                "enablePrivateCluster": true,
                "enablePrivateClusterPublicFQDN": false,
                "privateDNSZone": dns_zone.as_deref().unwrap_or("system"),
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
            ("outboundType", &self.network.outbound_type),
        ] {
            if let Some(value) = value {
                profile[key] = value.as_str().into();
            }
        }
        profile
    }
}
