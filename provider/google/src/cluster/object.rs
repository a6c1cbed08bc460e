//! How a GKE cluster is observed, compared, written and deleted.

use std::{collections::BTreeSet, sync::Arc};

use http::Method;
use paymesh_cloud::Request;
use paymesh_engine::{
    Busy, Child, Context, Difference, Fault, FaultKind, Limits, LockKey, Mark, Object, ObjectId,
    Observation, Operation, OperationId, Reason, Seen, Sent, Subject, async_trait,
};
use paymesh_kubernetes::Version;
use serde_json::{Map, Value, json};

use super::{
    ClusterWant, body,
    settings::{settings, under_etag},
};
use crate::{
    ClusterName, Google, Word, access,
    client::Api,
    json::{agrees, put},
    operation::ContainerOperation,
    pool::NodePool,
    update::{Update, difference},
};

/// A node pool may lag its control plane by this many minors.
/// Source: GKE version skew policy, read 2026-11.
const POOL_LAG_MAX: u32 = 2;

/// A GKE cluster as an object of the engine.
#[derive(Clone)]
pub struct Cluster {
    google: Arc<Google>,
    want: ClusterWant,
    /// Labels that were wanted before. Others are left alone.
    gone: BTreeSet<String>,
}

impl Cluster {
    /// The cluster that `want` describes.
    pub fn new(google: Arc<Google>, want: ClusterWant) -> Self {
        Self {
            google,
            want,
            gone: BTreeSet::new(),
        }
    }

    /// The id of the cluster called `name`.
    pub fn id_of(name: &ClusterName) -> ObjectId {
        ObjectId::new("GKE cluster", name.to_string())
    }

    fn updates(&self, cluster: &Value) -> Vec<Update> {
        let mut updates = Vec::new();
        updates.extend(self.label_update(cluster));
        updates.extend(
            settings(&self.want)
                .into_iter()
                .filter(|setting| !setting.holds(cluster))
                .map(|setting| {
                    let update = setting.update_of(cluster);
                    Update::quiet(setting.word, Method::PUT, "", update)
                }),
        );
        updates.extend(legacy_abac_update(cluster));
        updates.extend(self.maintenance_update(cluster));
        updates.extend(self.upgrades(cluster));
        updates
    }

    fn label_update(&self, cluster: &Value) -> Option<Update> {
        let seen = cluster["resourceLabels"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let mut labels = seen.clone();
        for gone in &self.gone {
            labels.remove(gone);
        }
        for (key, value) in &self.want.labels {
            labels.insert(key.clone(), json!(value));
        }
        (labels != seen).then(|| {
            Update::quiet(
                Word::Labels,
                Method::POST,
                ":setResourceLabels",
                labels_body(cluster, &labels),
            )
        })
    }

    fn maintenance_update(&self, cluster: &Value) -> Option<Update> {
        let maintenance = self.want.maintenance.as_ref()?;
        let window = body::maintenance_window(maintenance);
        let seen = cluster
            .pointer("/maintenancePolicy/window")
            .map(with_scopes);
        let seen = seen.as_ref();
        let exclusions = |window: Option<&Value>| {
            window
                .and_then(|window| window["maintenanceExclusions"].as_object())
                .map_or(0, Map::len)
        };
        let has_window = |window: Option<&Value>| {
            window.is_some_and(|window| {
                window.get("recurringWindow").is_some()
                    || window.get("dailyMaintenanceWindow").is_some()
            })
        };
        let same = agrees(&window, seen)
            && exclusions(Some(&window)) == exclusions(seen)
            && has_window(Some(&window)) == has_window(seen);
        (!same).then(|| {
            let version = cluster
                .pointer("/maintenancePolicy/resourceVersion")
                .cloned();
            let policy =
                json!({ "window": window, "resourceVersion": version.unwrap_or_default() });
            Update::quiet(
                Word::MaintenanceWindow,
                Method::POST,
                ":setMaintenancePolicy",
                json!({ "maintenancePolicy": policy }),
            )
        })
    }

    /// One control-plane upgrade for each minor up to the wanted one, or one to the newest patch of
    /// its own minor.
    fn upgrades(&self, cluster: &Value) -> Vec<Update> {
        let Some((runs, want)) = runs(cluster).zip(self.want.version) else {
            return Vec::new();
        };
        // A minor is an alias of its newest patch that the channel offers.
        let upgrade = |from: Version, to: Version| {
            let update = json!({ "desiredMasterVersion": to.to_string() });
            let body = under_etag(update, cluster);
            Update::quiet(Word::Version, Method::PUT, "", body)
                .disturbing(format!("control plane {from} -> {to}"))
        };
        let mut from = runs.minor();
        let mut upgrades = Vec::new();
        for to in from.path_to(want.minor()) {
            upgrades.push(upgrade(from, to));
            from = to;
        }
        if upgrades.is_empty() && !runs.meets(want) {
            upgrades.push(upgrade(runs, runs.minor()));
        }
        upgrades
    }

    /// The pools that have to change before `updates`.
    fn pools_before(&self, cluster: &Value, updates: &[Update]) -> Vec<ObjectId> {
        let has = |word: Word| updates.iter().any(|update| update.word == word);
        let mut before = Vec::new();
        if has(Word::Version) {
            before.extend(self.pools_too_old(cluster));
        }
        if has(Word::WorkloadIdentity) && !self.want.features.workload_identity {
            let named = pools(cluster)
                .filter(|pool| pool["config"]["workloadMetadataConfig"]["mode"] == "GKE_METADATA")
                .filter_map(|pool| pool["name"].as_str());
            before.extend(named.map(|name| NodePool::id_of(&self.want.name.pool(name))));
        }
        before
    }

    /// The pools that would lag too far behind if the control plane took its next step.
    fn pools_too_old(&self, cluster: &Value) -> Vec<ObjectId> {
        let Some(next) = runs(cluster).map(Version::following) else {
            return Vec::new();
        };
        pools(cluster)
            .filter_map(|pool| {
                Some((
                    pool["name"].as_str()?,
                    pool["version"].as_str()?.parse::<Version>().ok()?,
                ))
            })
            .filter(|(_, version)| version.minors_behind(next) > POOL_LAG_MAX)
            .map(|(name, _)| NodePool::id_of(&self.want.name.pool(name)))
            .collect()
    }

    /// What only a new cluster can have.
    fn reasons_to_replace(&self, cluster: &Value) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if cluster["status"] == "ERROR" {
            let why = cluster["statusMessage"]
                .as_str()
                .unwrap_or("the cloud gave no reason");
            reasons.push(Reason {
                subject: Subject::Setting("status".to_owned()),
                why: format!("the cluster failed for good: {why}"),
            });
        }
        let wording = &self.want.wording;
        let mut fixed = |word: Word, pointer: &str, want: &str| {
            let seen = cluster
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default();
            if last_part(seen) != last_part(want) {
                reasons.push(Reason {
                    subject: wording.of(word),
                    why: format!(
                        "GKE cannot change it on a cluster (it is \"{seen}\", wanted is \"{want}\")"
                    ),
                });
            }
        };
        let network = &self.want.network;
        fixed(
            Word::Subnetwork,
            "/networkConfig/subnetwork",
            &network.subnetwork,
        );
        fixed(
            Word::PodsRange,
            "/ipAllocationPolicy/clusterSecondaryRangeName",
            &network.pods_range,
        );
        fixed(
            Word::ServicesRange,
            "/ipAllocationPolicy/servicesSecondaryRangeName",
            &network.services_range,
        );
        fixed(
            Word::Dataplane,
            "/networkConfig/datapathProvider",
            body::datapath(self.want.features.dataplane_v2),
        );
        if let Some(cidr) = &self.want.control_plane_cidr {
            fixed(
                Word::ControlPlaneAddresses,
                "/privateClusterConfig/masterIpv4CidrBlock",
                cidr,
            );
        }
        reasons
    }

    async fn network_of_subnetwork(&self) -> Result<String, Fault> {
        let path = &self.want.network.subnetwork;
        let at = |fault: Fault| fault.at("network.subnet_id");
        let subnetwork = self
            .google
            .read(Api::Compute, &self.id(), path)
            .await
            .map_err(at)?
            .ok_or_else(|| {
                Fault::new(
                    self.id(),
                    FaultKind::Refused,
                    format!("the subnetwork {path} does not exist."),
                )
                .at("network.subnet_id")
                .next("Create the subnetwork first, or correct its id.")
            })?;
        Ok(subnetwork["network"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// Whether an operation that sets the cluster's labels runs. Who may not list operations goes by
    /// what the cluster shows.
    async fn is_being_labelled(&self) -> Result<bool, Fault> {
        let path = format!("{}/operations", self.want.name.place);
        let list = Request::get(Api::Container.address(&path));
        let list = match self.google.send(Api::Container, &self.id(), list).await {
            Err(fault) if fault.kind == FaultKind::Denied => return Ok(false),
            list => list?,
        };
        let target = format!("/clusters/{}", self.want.name.cluster);
        let is_one = |operation: &Value| {
            let link = operation["targetLink"].as_str();
            operation["operationType"] == "SET_LABELS"
                && operation["status"] != "DONE"
                && link.is_some_and(|link| link.ends_with(&target))
        };
        Ok(list["operations"]
            .as_array()
            .into_iter()
            .flatten()
            .any(is_one))
    }

    async fn send(&self, method: Method, verb: &str, body: Option<Value>) -> Result<Sent, Fault> {
        let path = format!("{}{verb}", self.want.name);
        let operation = self
            .google
            .write_container(&self.id(), method, &path, body)
            .await?;
        ContainerOperation::started(&self.google, self.id(), &self.want.name.place, &operation)
    }
}

#[async_trait]
impl Object for Cluster {
    fn id(&self) -> ObjectId {
        Self::id_of(&self.want.name)
    }

    fn keys(&self) -> BTreeSet<String> {
        self.want.labels.keys().cloned().collect()
    }

    fn dropping(&self, keys: &BTreeSet<String>) -> Option<Arc<dyn Object>> {
        let mut object = self.clone();
        object.gone.clone_from(keys);
        Some(Arc::new(object))
    }

    fn observed_after(&self) -> Vec<ObjectId> {
        Vec::new()
    }

    fn needs(&self) -> Vec<ObjectId> {
        self.want.needs.clone()
    }

    fn locks(&self) -> Vec<LockKey> {
        vec![LockKey::new(self.want.name.to_string())]
    }

    fn carries_holder(&self) -> bool {
        true
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        let read = self
            .google
            .read(Api::Container, &self.id(), &self.want.name.to_string())
            .await?;
        Ok(read.map_or(Observation::Absent, |cluster| {
            Observation::Present(seen(cx, cluster))
        }))
    }

    async fn children(&self, cx: &Context, seen: &Seen) -> Result<Vec<Child>, Fault> {
        Ok(pools(&seen.body)
            .filter_map(|pool| {
                let name = self.want.name.pool(pool["name"].as_str()?);
                let object = NodePool::found(self.google.clone(), name);
                Some(Child {
                    seen: NodePool::seen(cx, pool.clone()),
                    object: Arc::new(object),
                })
            })
            .collect())
    }

    fn differ(&self, _cx: &Context, seen: &Seen) -> Difference {
        let reasons = self.reasons_to_replace(&seen.body);
        if !reasons.is_empty() {
            return Difference::Replace(reasons);
        }
        let updates = self.updates(&seen.body);
        let after = self.pools_before(&seen.body, &updates);
        let name = format!("cluster {}", self.want.name.cluster);
        difference(updates, &self.want.wording, &name, after)
    }

    fn foresee(&self, _: &Context, seen: &Seen) -> Option<Seen> {
        let next = self.upgrades(&seen.body).into_iter().next()?;
        let mut seen = seen.clone();
        seen.body["currentMasterVersion"] = next.body["update"]["desiredMasterVersion"].clone();
        Some(seen)
    }

    async fn apply(&self, cx: &Context, seen: Option<&Seen>) -> Result<Sent, Fault> {
        let Some(seen) = seen else {
            let network = self.network_of_subnetwork().await?;
            let body = body::create(&self.want, &network, &cx.mark, &cx.holder);
            let path = format!("{}/clusters", self.want.name.place);
            let operation = self
                .google
                .write_container(&self.id(), Method::POST, &path, Some(body))
                .await
                .map_err(access::unknown_yet)?;
            return ContainerOperation::started(
                &self.google,
                self.id(),
                &self.want.name.place,
                &operation,
            );
        };
        match self.updates(&seen.body).into_iter().next() {
            Some(update) => {
                self.send(update.method, update.verb, Some(update.body))
                    .await
            }
            None => Ok(Sent::Done),
        }
    }

    async fn hold(&self, cx: &Context, seen: &Seen) -> Result<Sent, Fault> {
        let mut labels = seen.body["resourceLabels"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        for (key, digest) in cx.mark.digests() {
            labels.insert(key.to_owned(), json!(digest));
        }
        labels.insert(Mark::HOLDER_KEY.to_owned(), json!(cx.holder.as_str()));
        let body = labels_body(&seen.body, &labels);
        self.send(Method::POST, ":setResourceLabels", Some(body))
            .await
    }

    /// Labels show once the operation that sets them has ended.
    async fn settle_mark(&self, cx: &Context) -> Result<bool, Fault> {
        let pause = Limits::writing(&cx.clock).pause;
        while self.is_being_labelled().await? && cx.wait(pause).await {}
        Ok(true)
    }

    async fn delete(&self, _cx: &Context, _seen: &Seen) -> Result<Sent, Fault> {
        self.send(Method::DELETE, "", None).await
    }

    fn resume(&self, operation: &OperationId) -> Option<Arc<dyn Operation>> {
        Some(ContainerOperation::resumed(
            &self.google,
            self.id(),
            operation,
        ))
    }
}

/// The body of `setResourceLabels`; the fingerprint makes a lost race visible.
fn labels_body(cluster: &Value, labels: &Map<String, Value>) -> Value {
    json!({ "resourceLabels": labels, "labelFingerprint": cluster["labelFingerprint"] })
}

fn seen(cx: &Context, cluster: Value) -> Seen {
    let label = |key: &str| cluster["resourceLabels"][key].as_str();
    let status = cluster["status"].as_str().unwrap_or_default();
    let busy = matches!(status, "PROVISIONING" | "RECONCILING" | "STOPPING").then(|| Busy {
        what: status.to_owned(),
        operation: None,
    });
    Seen {
        ownership: cx
            .mark
            .judge_digests(label(Mark::OWNER_KEY), label(Mark::NAME_KEY)),
        holder: label(Mark::HOLDER_KEY).map(paymesh_engine::Holder::found),
        incarnation: cluster["id"].as_str().map(str::to_owned),
        busy,
        body: cluster,
        remark: None,
    }
}

/// A maintenance window in which every exclusion tells its scope: the first of an enumeration is
/// what proto3 JSON leaves out.
fn with_scopes(window: &Value) -> Value {
    let mut window = window.clone();
    let exclusions = window.get_mut("maintenanceExclusions");
    let exclusions = exclusions.and_then(Value::as_object_mut);
    for (_, exclusion) in exclusions.into_iter().flatten() {
        let scope = "/maintenanceExclusionOptions/scope";
        if exclusion.pointer(scope).is_none_or(Value::is_null) {
            put(exclusion, scope, json!("NO_UPGRADES"));
        }
    }
    window
}

/// The version of the control plane.
fn runs(cluster: &Value) -> Option<Version> {
    cluster["currentMasterVersion"].as_str()?.parse().ok()
}

fn pools(cluster: &Value) -> impl Iterator<Item = &Value> {
    cluster["nodePools"].as_array().into_iter().flatten()
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// CIS GKE 5.8: legacy ABAC gives every service account more than its roles do. No field of
/// `ClusterUpdate` switches it off.
fn legacy_abac_update(cluster: &Value) -> Option<Update> {
    let is_on = cluster.pointer("/legacyAbac/enabled") == Some(&json!(true));
    is_on.then(|| {
        let body = json!({ "enabled": false });
        Update::quiet(Word::LegacyAbac, Method::POST, ":setLegacyAbac", body)
    })
}
