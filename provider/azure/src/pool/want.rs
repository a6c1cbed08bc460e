//! The pool that is wanted, and the body that asks Azure for it.

use std::collections::{BTreeMap, BTreeSet};

use paymesh_engine::{Mark, ObjectId, Seen};
use serde_json::{Map, Value, json};

use crate::{ArmId, PoolSeen, Wording, part, tags};

/// Keeps new pods off a pool that goes. A pool that is wanted never has it.
pub(crate) const RETIRING: &str = "paymesh.dev/retiring=true:NoSchedule";

/// A pool as it is wanted, in Azure's words.
#[derive(Clone, Debug)]
pub struct PoolWant {
    /// Its name: 1 to 12 lower-case letters and digits.
    pub name: String,
    /// What may run on it.
    pub mode: PoolMode,
    /// The machine type.
    pub vm_size: String,
    /// How many nodes.
    pub scale: Scale,
    /// Zones to spread over; none means Azure's choice.
    pub zones: Vec<String>,
    /// Size of the disk.
    pub os_disk_gb: u32,
    /// `Ephemeral` or `Managed`.
    pub os_disk_type: String,
    /// The nodes' subnet; one of Azure's own if not set.
    pub subnet: Option<ArmId>,
    /// Pods per node.
    pub max_pods: u32,
    /// Labels of the nodes.
    pub labels: BTreeMap<String, String>,
    /// Labels that were wanted before; [`Object::dropping`] fills them in.
    pub gone_labels: Vec<String>,
    /// Taints of the nodes, as `key=value:NoSchedule`.
    pub taints: Vec<String>,
    /// Taints that were wanted before, as `key:NoSchedule`; [`Object::dropping`] fills them in.
    pub gone_taints: Vec<String>,
    /// Tags of the user.
    pub tags: BTreeMap<String, String>,
    /// Tags that were wanted before; [`Object::dropping`] fills them in.
    pub gone_tags: Vec<String>,
    /// Machines that Azure may take back.
    pub spot: bool,
    /// Nodes added while upgrading: a number or a percentage.
    pub max_surge: Option<String>,
    /// How long a node may take to drain while upgrading, before the upgrade fails.
    pub drain_timeout_minutes: Option<u32>,
    /// The pools that carry the cluster's own components. A pool stops doing so only after they
    /// all do: AKS never goes without.
    pub system_pools: Vec<ObjectId>,
    /// DNS answers are cached on each node.
    pub dns_cache: bool,
    /// The lowest version wanted; the control plane leads.
    pub kubernetes_version: String,
    /// The attribute that asks for this pool.
    pub attribute: Option<String>,
    /// How the user knows its fields.
    pub wording: Wording,
}

/// What may run on a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolMode {
    /// What the cluster itself needs, and more.
    System,
    /// Workloads only; may have no nodes.
    User,
}

/// How many nodes a pool has, over all its zones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// As many as this.
    Fixed(u32),
    /// As many as the autoscaler finds right.
    Auto {
        /// Not less.
        min: u32,
        /// Not more.
        max: u32,
    },
}

/// What tells a taint from others on the same node: its key and its effect.
pub(super) fn taint_key(taint: &str) -> String {
    let (pair, effect) = taint.rsplit_once(':').unwrap_or((taint, ""));
    let key = pair.split_once('=').map_or(pair, |(key, _)| key);
    format!("{key}:{effect}")
}

impl PoolWant {
    /// The managed part of the body. Nulls want absence.
    pub fn part(&self) -> Value {
        let priority = if self.spot { "Spot" } else { "Regular" };
        let mut properties = json!({
            "mode": match self.mode { PoolMode::System => "System", PoolMode::User => "User" },
            "vmSize": self.vm_size,
            "osType": "Linux",
            "type": "VirtualMachineScaleSets",
            "nodeTaints": self.taints,
            "tags": tags::wanted(&self.tags, &self.gone_tags),
            // CIS AKS 5.4.3.
            "enableNodePublicIP": false,
            "osDiskSizeGB": self.os_disk_gb,
            "osDiskType": self.os_disk_type,
            "maxPods": self.max_pods,
        });
        // What is Azure's default is compared only where it could be otherwise.
        if self.spot {
            properties["scaleSetPriority"] = priority.into();
            properties["scaleSetEvictionPolicy"] = "Delete".into();
            properties["spotMaxPrice"] = (-1).into();
        }
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                properties[key] = value;
            }
        };
        match self.scale {
            Scale::Fixed(count) => {
                set("enableAutoScaling", Some(false.into()));
                set("count", Some(count.into()));
                set("minCount", Some(Value::Null));
                set("maxCount", Some(Value::Null));
            }
            Scale::Auto { min, max } => {
                set("enableAutoScaling", Some(true.into()));
                set("minCount", Some(min.into()));
                set("maxCount", Some(max.into()));
            }
        }
        set(
            "availabilityZones",
            (!self.zones.is_empty()).then(|| json!(self.zones)),
        );
        set(
            "vnetSubnetID",
            self.subnet.as_ref().map(|it| it.as_str().into()),
        );
        let cache = if self.dns_cache {
            "Required"
        } else {
            "Disabled"
        };
        set("localDNSProfile", Some(json!({"mode": cache})));
        let mut upgrades = Map::new();
        if let Some(surge) = &self.max_surge {
            upgrades.insert("maxSurge".to_owned(), surge.as_str().into());
        }
        if let Some(minutes) = self.drain_timeout_minutes {
            upgrades.insert("drainTimeoutInMinutes".to_owned(), minutes.into());
        }
        set(
            "upgradeSettings",
            (!upgrades.is_empty()).then_some(Value::Object(upgrades)),
        );
        let mut labels: Map<String, Value> = self
            .gone_labels
            .iter()
            .map(|key| (key.clone(), Value::Null))
            .collect();
        labels.extend(
            self.labels
                .iter()
                .map(|(key, value)| (key.clone(), value.as_str().into())),
        );
        set(
            "nodeLabels",
            (!labels.is_empty()).then_some(Value::Object(labels)),
        );
        json!({"properties": properties})
    }

    /// Whether it has nodes now and is to have none.
    pub(super) fn empties(&self, seen: &Seen) -> bool {
        self.scale == Scale::Fixed(0) && PoolSeen::new(&seen.body).nodes() > 0
    }

    /// Whether a taint is new to it that evicts what runs.
    pub(super) fn evicts(&self, seen: &Seen) -> bool {
        let there = PoolSeen::new(&seen.body).taints();
        let mut evicting = self.taints.iter().filter(|it| it.ends_with(":NoExecute"));
        evicting.any(|taint| !there.contains(&taint.as_str()))
    }

    /// The managed part, given what is there: taints of the cloud and of others stay.
    pub(super) fn part_over(&self, seen: &Seen) -> Value {
        let mut part = self.part();
        let there = seen
            .body
            .pointer("/properties/nodeTaints")
            .and_then(Value::as_array);
        let ours = self.taints.iter().map(String::as_str);
        // A rotation that was taken back may have begun to empty this pool.
        let ours: BTreeSet<String> = ours.chain([RETIRING]).map(taint_key).collect();
        let others = there.into_iter().flatten().filter(|taint| {
            taint
                .as_str()
                .map(taint_key)
                .is_some_and(|key| !ours.contains(&key) && !self.gone_taints.contains(&key))
        });
        if let Some(taints) = part["properties"]["nodeTaints"].as_array_mut() {
            taints.extend(others.cloned());
        }
        // AKS refuses bounds that the present count does not keep; within them it is the
        // autoscaler's.
        let count = seen
            .body
            .pointer("/properties/count")
            .and_then(Value::as_u64);
        if let (Scale::Auto { min, max }, Some(count)) = (self.scale, count) {
            let kept = count.clamp(min.into(), u64::from(max.max(min)));
            if kept != count {
                part["properties"]["count"] = kept.into();
            }
        }
        part
    }

    /// The properties of a pool that is to be made.
    pub(super) fn fresh(&self, mark: &Mark) -> Value {
        let mut properties = part::compact(self.part())["properties"].take();
        properties["tags"] = tags::marked(&self.tags, mark, None);
        if let Scale::Auto { min, .. } = self.scale {
            let least = u32::from(self.mode == PoolMode::System);
            properties["count"] = min.max(least).into();
        }
        properties
    }

    /// The pool as a part of the cluster that is to be made.
    pub(crate) fn profile(&self, mark: &Mark) -> Value {
        let mut profile = self.fresh(mark);
        profile["name"] = self.name.as_str().into();
        profile
    }
}
