//! How a node pool is observed, compared, written and deleted.

use std::{collections::BTreeSet, sync::Arc};

use http::Method;
use paymesh_engine::{
    Busy, Context, Difference, Fault, LockKey, Mark, Object, ObjectId, Observation, Operation,
    OperationId, Reason, Seen, Sent, Step, async_trait,
};
use paymesh_kubernetes::Version;
use serde_json::{Value, json};

use super::{PoolWant, Size, Taint, TaintEffect, body};
use crate::{
    ClusterSeen, Google, NodePoolName, PoolSeen, Word, access,
    client::Api,
    cluster::Cluster,
    json::agrees,
    operation::ContainerOperation,
    update::{Update, difference},
};

/// Where [`NodePool::observe`] adds the target sizes of the pool's instance groups, which the
/// pool's own body does not tell.
pub(crate) const GROUP_SIZES: &str = "instanceGroupSizes";

/// A node pool as an object of the engine.
#[derive(Clone)]
pub struct NodePool {
    google: Arc<Google>,
    name: NodePoolName,
    /// `None` for a pool that was only found: it can be observed and deleted.
    want: Option<PoolWant>,
    /// Labels and taints that were wanted before. Others are left alone.
    gone: BTreeSet<String>,
}

impl NodePool {
    /// The pool that `want` describes.
    pub fn new(google: Arc<Google>, want: PoolWant) -> Self {
        Self {
            google,
            name: want.name.clone(),
            want: Some(want),
            gone: BTreeSet::new(),
        }
    }

    /// A pool that nobody describes: an old one, or one that a listing found.
    pub fn found(google: Arc<Google>, name: NodePoolName) -> Self {
        Self {
            google,
            name,
            want: None,
            gone: BTreeSet::new(),
        }
    }

    /// The id of the pool called `name`.
    pub fn id_of(name: &NodePoolName) -> ObjectId {
        ObjectId::new("GKE node pool", name.to_string())
    }

    /// What a listing told of this pool.
    pub(crate) fn seen(cx: &Context, pool: Value) -> Seen {
        let label = |key: &str| pool["config"]["resourceLabels"][key].as_str();
        let status = pool["status"].as_str().unwrap_or_default();
        let busy = matches!(status, "PROVISIONING" | "RECONCILING" | "STOPPING").then(|| Busy {
            what: status.to_owned(),
            operation: None,
        });
        Seen {
            ownership: cx
                .mark
                .judge_digests(label(Mark::OWNER_KEY), label(Mark::NAME_KEY)),
            holder: None,
            incarnation: pool["etag"]
                .as_str()
                .and(pool["instanceGroupUrls"][0].as_str())
                .map(str::to_owned),
            busy,
            body: pool,
            remark: None,
        }
    }

    /// The target size of each instance group, for pools without autoscaler.
    async fn group_sizes(&self, pool: &Value) -> Result<Value, Fault> {
        let urls = pool["instanceGroupUrls"].as_array().into_iter().flatten();
        let reads = urls.filter_map(Value::as_str).map(|url| async move {
            let path = url.split_once("/projects/").map_or(url, |(_, rest)| rest);
            let path = format!("projects/{path}");
            let group = self.google.read(Api::Compute, &self.id(), &path).await?;
            Ok::<Value, Fault>(group.map_or(Value::Null, |group| group["targetSize"].clone()))
        });
        Ok(Value::Array(futures::future::try_join_all(reads).await?))
    }

    /// What brings the pool to its size. A pool without autoscaler is at zero when it wakes, and an
    /// autoscaler starts nothing until a pod waits: nodes come first.
    fn size_updates(&self, want: &PoolWant, cx: &Context, pool: &Value) -> Vec<Update> {
        let cluster = cx.seen(&Cluster::id_of(&self.name.cluster));
        if want.may_sleep && cluster.is_some_and(|seen| ClusterSeen::new(&seen.body).is_stopped()) {
            return Vec::new();
        }
        let mut updates = Vec::new();
        let autoscaling = body::autoscaling(want.size);
        if !agrees(&autoscaling, pool.get("autoscaling")) {
            let body = json!({ "autoscaling": autoscaling });
            updates.push(Update::quiet(
                Word::Autoscaling,
                Method::POST,
                ":setAutoscaling",
                body,
            ));
        }
        let sizes = || pool[GROUP_SIZES].as_array().into_iter().flatten();
        let resize = |per_zone: u32| {
            let body = json!({ "nodeCount": per_zone });
            let update = Update::quiet(Word::Nodes, Method::POST, ":setSize", body);
            if per_zone > 0 {
                return update;
            }
            update.disturbing(format!("node pool {} to no nodes", self.name.pool))
        };
        match want.size {
            Size::Fixed { per_zone } if sizes().any(|size| *size != json!(per_zone)) => {
                updates.push(resize(per_zone));
            }
            Size::Autoscaled {
                initial_per_zone, ..
            } if initial_per_zone > 0
                && sizes().next().is_some()
                && sizes().all(|size| *size == json!(0)) =>
            {
                updates.insert(0, resize(initial_per_zone));
            }
            _ => {}
        }
        updates
    }

    fn updates(&self, want: &PoolWant, cx: &Context, pool: &Value) -> Vec<Update> {
        let mut updates = self.size_updates(want, cx, pool);
        let mut set = |word: Word, verb: &'static str, body: Value| {
            let method = if verb.is_empty() {
                Method::PUT
            } else {
                Method::POST
            };
            updates.push(Update::quiet(word, method, verb, body));
        };
        let management = body::management();
        if !agrees(&management, pool.get("management")) {
            set(
                Word::Management,
                ":setManagement",
                json!({ "management": management }),
            );
        }
        let upgrade = body::upgrade_settings(want);
        if !agrees(&upgrade, pool.get("upgradeSettings")) {
            set(Word::Surge, "", json!({ "upgradeSettings": upgrade }));
        }
        let seen = pool["config"]["labels"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let mut labels = seen.clone();
        for gone in &self.gone {
            labels.remove(gone);
        }
        labels.extend(
            want.labels
                .iter()
                .map(|(key, value)| (key.clone(), json!(value))),
        );
        if labels != seen {
            set(Word::Labels, "", json!({ "labels": { "labels": labels } }));
        }
        if !want.zones.is_empty() && !agrees(&json!(want.zones), pool.get("locations")) {
            set(Word::Zones, "", json!({ "locations": want.zones }));
        }
        updates.extend(self.taint_update(want, pool));
        let metadata = body::metadata(want);
        if !agrees(&metadata, pool.pointer("/config/workloadMetadataConfig")) {
            let body = json!({ "workloadMetadataConfig": metadata });
            let update = Update::quiet(Word::WorkloadIdentity, Method::PUT, "", body);
            let title = format!("new nodes for node pool {}", self.name.pool);
            updates.push(update.disturbing(title));
        }
        updates.extend(self.upgrade(want, cx, pool));
        updates
    }

    fn taint_update(&self, want: &PoolWant, pool: &Value) -> Option<Update> {
        let seen = PoolSeen::new(pool).taints();
        let taints = self.taints(want, &seen);
        if taints.len() == seen.len() && seen.iter().all(|it| taints.contains(it)) {
            return None;
        }
        let body = json!({ "taints": { "taints": body::taints(&taints) } });
        let update = Update::quiet(Word::Taints, Method::PUT, "", body);
        let mut evicting = taints
            .iter()
            .filter(|it| it.effect == TaintEffect::NoExecute);
        Some(match evicting.find(|it| !seen.contains(it)) {
            Some(taint) => {
                let pool = &self.name.pool;
                update.disturbing(format!(
                    "update node pool {pool}: taint {} evicts",
                    taint.key
                ))
            }
            None => update,
        })
    }

    /// The wanted taints and those of others.
    fn taints(&self, want: &PoolWant, seen: &[Taint]) -> Vec<Taint> {
        let is_ours = |taint: &Taint| {
            let key = taint_key(taint);
            self.gone.contains(&key) || want.taints.iter().any(|it| taint_key(it) == key)
        };
        let others = seen.iter().filter(|taint| !is_ours(taint));
        want.taints.iter().chain(others).cloned().collect()
    }

    /// The upgrade of the nodes to the control plane's version, if they are too old for what is
    /// wanted and the control plane is ahead of them.
    fn upgrade(&self, want: &PoolWant, cx: &Context, pool: &Value) -> Option<Update> {
        let cluster = &cx.seen(&Cluster::id_of(&self.name.cluster))?.body;
        let target: Version = cluster["currentMasterVersion"].as_str()?.parse().ok()?;
        let runs: Version = pool["version"].as_str()?.parse().ok()?;
        let (from, to) = if runs.minor() < target.minor() {
            (runs.minor(), target.minor())
        } else {
            (runs, target)
        };
        (runs < target && !runs.meets(want.version?)).then(|| {
            let body = json!({ "nodeVersion": target.to_string() });
            let title = format!("node pool {} {from} -> {to}", self.name.pool);
            Update::quiet(Word::Version, Method::PUT, "", body).disturbing(title)
        })
    }

    async fn send(&self, method: Method, verb: &str, body: Option<Value>) -> Result<Sent, Fault> {
        let path = format!("{}{verb}", self.name);
        let operation = self
            .google
            .write_container(&self.id(), method, &path, body)
            .await?;
        ContainerOperation::started(
            &self.google,
            self.id(),
            &self.name.cluster.place,
            &operation,
        )
    }
}

#[async_trait]
impl Object for NodePool {
    fn id(&self) -> ObjectId {
        Self::id_of(&self.name)
    }

    fn keys(&self) -> BTreeSet<String> {
        let Some(want) = &self.want else {
            return BTreeSet::new();
        };
        let taints = want.taints.iter().map(taint_key);
        want.labels.keys().cloned().chain(taints).collect()
    }

    fn dropping(&self, keys: &BTreeSet<String>) -> Option<Arc<dyn Object>> {
        let mut object = self.clone();
        object.gone.clone_from(keys);
        Some(Arc::new(object))
    }

    fn attribute(&self) -> Option<String> {
        self.want.as_ref()?.attribute.clone()
    }

    fn parent(&self) -> Option<ObjectId> {
        Some(Cluster::id_of(&self.name.cluster))
    }

    fn goes_with_parent(&self) -> bool {
        true
    }

    fn locks(&self) -> Vec<LockKey> {
        vec![LockKey::new(self.name.cluster.to_string())]
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        let Some(mut pool) = self
            .google
            .read(Api::Container, &self.id(), &self.name.to_string())
            .await?
        else {
            return Ok(Observation::Absent);
        };
        let is_autoscaled = pool["autoscaling"]["enabled"] == true;
        let counts = self
            .want
            .as_ref()
            .is_some_and(|want| !is_autoscaled || matches!(want.size, Size::Fixed { .. }));
        if counts {
            pool[GROUP_SIZES] = self.group_sizes(&pool).await?;
        }
        Ok(Observation::Present(Self::seen(cx, pool)))
    }

    fn differ(&self, cx: &Context, seen: &Seen) -> Difference {
        let Some(want) = &self.want else {
            return Difference::Same;
        };
        let reasons = reasons_to_replace(want, &seen.body);
        if reasons.is_empty() {
            let name = format!("node pool {}", self.name.pool);
            let updates = self.updates(want, cx, &seen.body);
            difference(updates, &want.wording, &name, Vec::new())
        } else {
            Difference::Replace(reasons)
        }
    }

    fn create_steps(&self) -> Vec<Step> {
        vec![Step::quiet(format!("create node pool {}", self.name.pool))]
    }

    fn foresee(&self, cx: &Context, seen: &Seen) -> Option<Seen> {
        let upgrade = self.upgrade(self.want.as_ref()?, cx, &seen.body)?;
        let mut next = seen.clone();
        next.body["version"] = upgrade.body["nodeVersion"].clone();
        Some(next)
    }

    async fn apply(&self, cx: &Context, seen: Option<&Seen>) -> Result<Sent, Fault> {
        let Some(want) = &self.want else {
            return Ok(Sent::Done);
        };
        let Some(seen) = seen else {
            let body = json!({ "nodePool": body::create(want, &cx.mark) });
            let path = format!("{}/nodePools", self.name.cluster);
            let operation = self
                .google
                .write_container(&self.id(), Method::POST, &path, Some(body))
                .await
                .map_err(access::unknown_yet)?;
            let place = &self.name.cluster.place;
            return ContainerOperation::started(&self.google, self.id(), place, &operation);
        };
        match self.updates(want, cx, &seen.body).into_iter().next() {
            Some(mut update) => {
                // What is sent replaces all labels and taints: not over another's change.
                if let (&Method::PUT, Some(etag)) = (&update.method, seen.body.get("etag")) {
                    update.body["etag"] = etag.clone();
                }
                self.send(update.method, update.verb, Some(update.body))
                    .await
            }
            None => Ok(Sent::Done),
        }
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

/// How the engine remembers a taint: by what tells it from others on the same node. No label's key
/// has a space.
fn taint_key(taint: &Taint) -> String {
    format!("taint {}:{}", taint.key, taint.effect.as_str())
}

/// What only a new pool can have.
fn reasons_to_replace(want: &PoolWant, pool: &Value) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut fixed = |word: Word, key: &str, value: Value| {
        let seen = &pool["config"][key];
        if !agrees(&value, Some(seen)) {
            reasons.push(Reason {
                subject: want.wording.of(word),
                why: format!(
                    "GKE changes it only with new nodes (it is {seen}, wanted is {value})"
                ),
            });
        }
    };
    fixed(Word::MachineType, "machineType", json!(want.machine_type));
    fixed(Word::DiskType, "diskType", json!(want.disk.kind));
    fixed(Word::DiskSize, "diskSizeGb", json!(want.disk.size_gb));
    fixed(Word::Spot, "spot", json!(want.spot));
    let pods_max = pool.pointer("/maxPodsConstraint/maxPodsPerNode");
    if pods_max.is_some() && !agrees(&json!(want.pods_max), pods_max) {
        reasons.push(Reason {
            subject: want.wording.of(Word::PodsOfNode),
            why: format!(
                "GKE changes it only with new nodes (wanted is {})",
                want.pods_max
            ),
        });
    }
    reasons
}
