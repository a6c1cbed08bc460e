//! What bodies say, in Azure's words: where in a body something stands that is read more than once,
//! or outside the object it belongs to.

use std::collections::BTreeMap;

use paymesh_engine::Mark;
use serde_json::Value;

use crate::{
    Features, PoolMode, Power, Scale,
    json::text,
    pool::SYSTEM,
    tags::{self, tag},
};

/// A managed cluster as it was read.
#[derive(Clone, Copy, Debug)]
pub struct ClusterSeen<'a>(&'a Value);

/// An agent pool as it was read, alone or inside its cluster.
#[derive(Clone, Copy, Debug)]
pub struct PoolSeen<'a>(&'a Value);

/// A weekly maintenance window as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSeen {
    /// The weekday, like `Sunday`.
    pub day_of_week: String,
    /// Start, like `02:00`.
    pub start_time: String,
    /// Length.
    pub hours: u32,
    /// Dates without maintenance, first and last day.
    pub excluded: Vec<(String, String)>,
}

/// A role assignment as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignmentSeen {
    /// Its name.
    pub name: String,
    /// Who has the role.
    pub principal_id: String,
    /// `User`, `Group` or `ServicePrincipal`.
    pub principal_type: String,
}

/// Who reaches an API server, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessSeen {
    /// The cluster's own network only.
    Private,
    /// These ranges; everybody if there are none.
    Public(Vec<String>),
}

fn texts<'a>(body: &'a Value, at: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let list = body.pointer(at).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str)
}

fn owned(body: &Value, at: &str) -> Vec<String> {
    texts(body, at).map(str::to_owned).collect()
}

fn flag(body: &Value, at: &str) -> bool {
    body.pointer(at).and_then(Value::as_bool).unwrap_or(false)
}

fn number(value: Option<&Value>) -> Option<u32> {
    value?.as_u64()?.try_into().ok()
}

/// The entries of a map of words.
fn words(map: Option<&Value>) -> BTreeMap<String, String> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

impl<'a> ClusterSeen<'a> {
    /// The cluster with this body.
    pub fn new(body: &'a Value) -> Self {
        Self(body)
    }

    /// Whether local accounts, whose kubeconfigs hold certificates, get in.
    pub fn has_local_accounts(self) -> bool {
        !flag(self.0, "/properties/disableLocalAccounts")
    }

    /// The id as the cloud spells it.
    pub fn id(self) -> Option<&'a str> {
        text(self.0, "/id")
    }

    /// The id of this incarnation.
    pub fn uid(self) -> Option<&'a str> {
        text(self.0, "/properties/resourceUID")
    }

    /// The region, in its short spelling.
    pub fn location(self) -> String {
        let location = text(self.0, "/location").unwrap_or_default();
        location.to_ascii_lowercase().replace(' ', "")
    }

    /// The API server's URL, on the private name where there is one.
    pub fn endpoint(self) -> Option<String> {
        let private = text(self.0, "/properties/privateFQDN");
        let host = private.or_else(|| text(self.0, "/properties/fqdn"))?;
        Some(format!("https://{host}:443"))
    }

    /// The version of the control plane.
    pub fn version(self) -> Option<&'a str> {
        text(self.0, "/properties/currentKubernetesVersion")
            .or_else(|| text(self.0, "/properties/kubernetesVersion"))
    }

    /// `Running` or `Stopped`, as Azure says it.
    pub fn power(self) -> Option<&'a str> {
        text(self.0, "/properties/powerState/code")
    }

    /// The same as a wish.
    pub fn power_as_wanted(self) -> Power {
        if self.power() == Some("Stopped") {
            Power::Stopped
        } else {
            Power::Running
        }
    }

    /// Whether it and its pools are there and no operation on them failed. One that is being
    /// updated serves meanwhile.
    pub fn is_sound(self) -> bool {
        let sound = |state: Option<&str>| {
            let bad = ["Creating", "Deleting", "Failed", "Canceled"];
            state.is_none_or(|it| !bad.iter().any(|bad| it.eq_ignore_ascii_case(bad)))
        };
        sound(text(self.0, "/properties/provisioningState"))
            && self
                .pools()
                .all(|pool| sound(pool.word("provisioningState")))
    }

    /// Whether Azure is deleting it.
    pub fn is_leaving(self) -> bool {
        let state = text(self.0, "/properties/provisioningState");
        state.is_some_and(|it| it.eq_ignore_ascii_case("Deleting"))
    }

    /// The group of its nodes.
    pub fn node_resource_group(self) -> Option<&'a str> {
        text(self.0, "/properties/nodeResourceGroup")
    }

    /// The issuer of its service accounts' tokens.
    pub fn oidc_issuer(self) -> Option<&'a str> {
        text(self.0, "/properties/oidcIssuerProfile/issuerURL")
    }

    /// The user-assigned identity of the control plane.
    pub fn identity_id(self) -> Option<&'a str> {
        let all = self.0.pointer("/identity/userAssignedIdentities")?;
        all.as_object()?.keys().next().map(String::as_str)
    }

    /// The identity that Azure made for the control plane.
    pub fn principal_id(self) -> Option<&'a str> {
        text(self.0, "/identity/principalId")
    }

    /// The identity of the kubelets.
    pub fn kubelet_identity_id(self) -> Option<&'a str> {
        let at = "/properties/identityProfile/kubeletidentity/resourceId";
        text(self.0, at)
    }

    /// The ids of every identity that it uses.
    pub fn identity_ids(self) -> impl Iterator<Item = &'a str> {
        let map = |at: &str| self.0.pointer(at).and_then(Value::as_object);
        let assigned = map("/identity/userAssignedIdentities")
            .into_iter()
            .flatten();
        let profiles = map("/properties/identityProfile").into_iter().flatten();
        let profiles = profiles.filter_map(|(_, profile)| text(profile, "/resourceId"));
        assigned.map(|(id, _)| id.as_str()).chain(profiles)
    }

    /// `Free`, `Standard` or `Premium`.
    pub fn tier(self) -> Option<&'a str> {
        text(self.0, "/sku/tier")
    }

    /// All tags.
    pub fn tags(self) -> BTreeMap<String, String> {
        words(self.0.get("tags"))
    }

    /// The tag `key`.
    pub fn tag(self, key: &str) -> Option<&'a str> {
        tag(self.0.get("tags")?, key)
    }

    /// The tags that are the user's: neither mark, holder nor role.
    pub fn user_tags(self) -> BTreeMap<String, String> {
        let mut tags = self.tags();
        tags.retain(|key, _| !key.to_ascii_lowercase().starts_with(tags::OWN));
        tags
    }

    /// Who reaches the API server.
    pub fn access(self) -> AccessSeen {
        let profile = "/properties/apiServerAccessProfile";
        if flag(self.0, &format!("{profile}/enablePrivateCluster")) {
            AccessSeen::Private
        } else {
            AccessSeen::Public(owned(self.0, &format!("{profile}/authorizedIPRanges")))
        }
    }

    /// The pods' range.
    pub fn pod_cidr(self) -> Option<&'a str> {
        text(self.0, "/properties/networkProfile/podCidr")
    }

    /// The services' range.
    pub fn service_cidr(self) -> Option<&'a str> {
        text(self.0, "/properties/networkProfile/serviceCidr")
    }

    /// The groups whose members are admins.
    pub fn admin_groups(self) -> Vec<String> {
        owned(self.0, "/properties/aadProfile/adminGroupObjectIDs")
    }

    /// `patch`, `stable`, `rapid`, `node-image` or `none`.
    pub fn upgrade_channel(self) -> Option<&'a str> {
        text(self.0, "/properties/autoUpgradeProfile/upgradeChannel")
    }

    /// `NodeImage`, `SecurityPatch`, `Unmanaged` or `None`.
    pub fn node_os_channel(self) -> Option<&'a str> {
        let at = "/properties/autoUpgradeProfile/nodeOSUpgradeChannel";
        text(self.0, at)
    }

    /// The workspace of the containers' logs.
    pub fn log_workspace(self) -> Option<&'a str> {
        let addon = "/properties/addonProfiles/omsagent";
        let on = flag(self.0, &format!("{addon}/enabled"));
        let at = format!("{addon}/config/logAnalyticsWorkspaceResourceID");
        text(self.0, &at).filter(|_| on)
    }

    /// The key that encrypts secrets.
    pub fn kms_key_id(self) -> Option<&'a str> {
        let profile = "/properties/securityProfile/azureKeyVaultKms";
        let on = flag(self.0, &format!("{profile}/enabled"));
        text(self.0, &format!("{profile}/keyId")).filter(|_| on)
    }

    /// What is switched on, as far as users choose it.
    pub fn features(self) -> Features {
        let on = |at: &str| flag(self.0, &format!("/properties/{at}"));
        let dataplane = text(self.0, "/properties/networkProfile/networkDataplane");
        Features {
            workload_identity: on("securityProfile/workloadIdentity/enabled"),
            cilium: dataplane == Some("cilium"),
            network_metrics: on("networkProfile/advancedNetworking/enabled"),
            cost_analysis: on("metricsProfile/costAnalysis/enabled"),
            vertical_pod_autoscaler: on("workloadAutoScalerProfile/verticalPodAutoscaler/enabled"),
        }
    }

    /// Its pools, as the cluster tells them.
    pub fn pools(self) -> impl Iterator<Item = PoolSeen<'a>> {
        let all = self.0.pointer("/properties/agentPoolProfiles");
        let all = all.and_then(Value::as_array).into_iter().flatten();
        all.map(PoolSeen)
    }
}

impl<'a> PoolSeen<'a> {
    /// The pool with this body.
    pub fn new(body: &'a Value) -> Self {
        Self(body)
    }

    fn field(self, name: &str) -> Option<&'a Value> {
        let inner = self.0.get("properties").unwrap_or(self.0);
        inner.get(name).filter(|it| !it.is_null())
    }

    fn word(self, name: &str) -> Option<&'a str> {
        self.field(name)?.as_str()
    }

    fn list(self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let list = self.field(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Its name.
    pub fn name(self) -> Option<&'a str> {
        text(self.0, "/name")
    }

    /// Whether it bears the mark of an owner, whoever that is.
    pub fn is_marked(self) -> bool {
        let tags = self.field("tags");
        tags.is_some_and(|tags| tags::tag(tags, Mark::OWNER_KEY).is_some())
    }

    /// What may run on it.
    pub fn mode(self) -> PoolMode {
        if self.word("mode") == Some("System") {
            PoolMode::System
        } else {
            PoolMode::User
        }
    }

    /// The machine type.
    pub fn vm_size(self) -> Option<&'a str> {
        self.word("vmSize")
    }

    /// How many nodes are wanted.
    pub fn scale(self) -> Scale {
        let count = self.nodes();
        if self.field("enableAutoScaling") != Some(&Value::Bool(true)) {
            return Scale::Fixed(count);
        }
        Scale::Auto {
            min: number(self.field("minCount")).unwrap_or(count),
            max: number(self.field("maxCount")).unwrap_or(count),
        }
    }

    /// How many nodes it has now.
    pub fn nodes(self) -> u32 {
        number(self.field("count")).unwrap_or(0)
    }

    /// The version that runs.
    pub fn version(self) -> Option<&'a str> {
        self.word("currentOrchestratorVersion")
            .or_else(|| self.word("orchestratorVersion"))
    }

    /// The zones over which it is spread.
    pub fn zones(self) -> Vec<String> {
        self.list("availabilityZones").map(str::to_owned).collect()
    }

    /// The size of the disk.
    pub fn os_disk_gb(self) -> Option<u32> {
        number(self.field("osDiskSizeGB"))
    }

    /// `Ephemeral` or `Managed`.
    pub fn os_disk_type(self) -> Option<&'a str> {
        self.word("osDiskType")
    }

    /// Pods per node.
    pub fn max_pods(self) -> Option<u32> {
        number(self.field("maxPods"))
    }

    /// The nodes' subnet.
    pub fn subnet(self) -> Option<&'a str> {
        self.word("vnetSubnetID")
    }

    /// The labels of the nodes that are not the cloud's own.
    pub fn labels(self) -> BTreeMap<String, String> {
        let mut labels = words(self.field("nodeLabels"));
        labels.retain(|key, _| !key.starts_with(SYSTEM));
        labels
    }

    /// The taints of the nodes that are not the cloud's own, as `key=value:NoSchedule`.
    pub fn taints(self) -> Vec<&'a str> {
        let all = self.list("nodeTaints");
        all.filter(|taint| !taint.starts_with(SYSTEM)).collect()
    }

    /// Whether Azure may take its machines back.
    pub fn is_spot(self) -> bool {
        let priority = self.word("scaleSetPriority");
        priority.is_some_and(|it| it.eq_ignore_ascii_case("spot"))
    }

    /// Nodes added while upgrading: a number or a percentage.
    pub fn max_surge(self) -> Option<&'a str> {
        self.field("upgradeSettings")?.get("maxSurge")?.as_str()
    }

    /// Whether DNS answers are cached on each node.
    pub fn dns_cache(self) -> bool {
        let mode = self.field("localDNSProfile").and_then(|it| it.get("mode"));
        mode.and_then(Value::as_str) == Some("Required")
    }
}

impl WindowSeen {
    /// The window of a maintenance configuration; `None` if it is not a weekly one.
    pub fn read(configuration: &Value) -> Option<Self> {
        let window = configuration.pointer("/properties/maintenanceWindow")?;
        let excluded = window.get("notAllowedDates").and_then(Value::as_array);
        let dates = excluded.into_iter().flatten().filter_map(|dates| {
            let day = |at| text(dates, at).map(str::to_owned);
            Some((day("/start")?, day("/end")?))
        });
        Some(Self {
            day_of_week: text(window, "/schedule/weekly/dayOfWeek")?.to_owned(),
            start_time: text(window, "/startTime")?.to_owned(),
            hours: number(window.get("durationHours"))?,
            excluded: dates.collect(),
        })
    }
}

/// The workspace that a diagnostic setting sends logs to.
pub fn workspace_of_logs(setting: &Value) -> Option<&str> {
    text(setting, "/properties/workspaceId")
}

impl AssignmentSeen {
    pub(crate) fn read(body: &Value) -> Option<Self> {
        Some(Self {
            name: text(body, "/name")?.to_owned(),
            principal_id: text(body, "/properties/principalId")?.to_owned(),
            principal_type: text(body, "/properties/principalType")
                .unwrap_or("Group")
                .to_owned(),
        })
    }
}
