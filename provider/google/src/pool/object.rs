//! How a node pool is observed, compared, written and deleted.

use std::sync::Arc;

use http::Method;
use paymesh_engine::{
    Busy, Context, Difference, Fault, LockKey, Mark, Object, ObjectId, Observation, Operation,
    OperationId, Seen, Sent, Step, async_trait,
};
use serde_json::{Value, json};

use super::{PoolWant, Size, body};
use crate::{
    Google, Minor, NodePoolName, access,
    client::Api,
    cluster::Cluster,
    json::agrees,
    operation::ContainerOperation,
    update::{Update, difference},
};

/// Where [`NodePool::observe`] adds the target sizes of the pool's instance groups, which the
/// pool's own body does not tell.
const GROUP_SIZES: &str = "instanceGroupSizes";

/// A node pool as an object of the engine.
#[derive(Clone)]
pub struct NodePool {
    google: Arc<Google>,
    name: NodePoolName,
    /// `None` for a pool that was only found: it can be observed and deleted.
    want: Option<PoolWant>,
}

impl NodePool {
    /// The pool that `want` describes.
    pub fn new(google: Arc<Google>, want: PoolWant) -> Self {
        Self {
            google,
            name: want.name.clone(),
            want: Some(want),
        }
    }

    /// A pool that nobody describes: an old one, or one that a listing found.
    pub fn found(google: Arc<Google>, name: NodePoolName) -> Self {
        Self {
            google,
            name,
            want: None,
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

    fn updates(&self, want: &PoolWant, cx: &Context, pool: &Value) -> Vec<Update> {
        let mut updates = Vec::new();
        let mut set = |attribute: &str, verb: &'static str, body: Value| {
            let method = if verb.is_empty() {
                Method::PUT
            } else {
                Method::POST
            };
            updates.push(Update::quiet(attribute, method, verb, body));
        };
        let autoscaling = body::autoscaling(want.size);
        if !agrees(&autoscaling, pool.get("autoscaling")) {
            set(
                "autoscaling",
                ":setAutoscaling",
                json!({ "autoscaling": autoscaling }),
            );
        }
        if let Size::Fixed { per_zone } = want.size {
            let sizes = pool[GROUP_SIZES].as_array().into_iter().flatten();
            if sizes.into_iter().any(|size| *size != json!(per_zone)) {
                set("nodes", ":setSize", json!({ "nodeCount": per_zone }));
            }
        }
        let management = body::management(want);
        if !agrees(&management, pool.get("management")) {
            set(
                "management",
                ":setManagement",
                json!({ "management": management }),
            );
        }
        let upgrade = body::upgrade_settings(want);
        if !agrees(&upgrade, pool.get("upgradeSettings")) {
            set("surge", "", json!({ "upgradeSettings": upgrade }));
        }
        let seen = pool["config"]["labels"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        let mut labels = seen.clone();
        for gone in &want.labels_gone {
            labels.remove(gone);
        }
        labels.extend(
            want.labels
                .iter()
                .map(|(key, value)| (key.clone(), json!(value))),
        );
        if labels != seen {
            set("labels", "", json!({ "labels": { "labels": labels } }));
        }
        let taints = body::taints(want);
        if !agrees(&taints, pool.pointer("/config/taints").or(Some(&json!([])))) {
            set("taints", "", json!({ "taints": { "taints": taints } }));
        }
        if !want.zones.is_empty() && !agrees(&json!(want.zones), pool.get("locations")) {
            set("zones", "", json!({ "locations": want.zones }));
        }
        updates.extend(self.upgrade(want, cx, pool));
        updates
    }

    /// The upgrade of the nodes to the control plane's version, if they are too old for what is
    /// wanted and the control plane is ahead of them.
    fn upgrade(&self, want: &PoolWant, cx: &Context, pool: &Value) -> Option<Update> {
        let cluster = &cx.seen(&Cluster::id_of(&self.name.cluster))?.body;
        let target = cluster["currentMasterVersion"].as_str()?;
        let (now, ahead) = (
            Minor::parse(pool["version"].as_str()?)?,
            Minor::parse(target)?,
        );
        (now < ahead && now < want.version?).then(|| Update {
            attribute: "version".into(),
            step: Step::disruptive(format!("node pool {} {now} -> {ahead}", self.name.pool)),
            method: Method::PUT,
            verb: "",
            body: json!({ "nodeVersion": target }),
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
        if self
            .want
            .as_ref()
            .is_some_and(|want| matches!(want.size, Size::Fixed { .. }))
        {
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
            difference(self.updates(want, cx, &seen.body), Vec::new())
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
            Some(update) => {
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

/// What only a new pool can have.
fn reasons_to_replace(want: &PoolWant, pool: &Value) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut fixed = |attribute: &str, key: &str, value: Value| {
        let seen = &pool["config"][key];
        if !agrees(&value, Some(seen)) {
            reasons.push(format!(
                "{attribute}: GKE changes it only with new nodes (it is {seen}, wanted is {value})"
            ));
        }
    };
    fixed("machine type", "machineType", json!(want.machine_type));
    fixed("disk type", "diskType", json!(want.disk.kind));
    fixed("disk size", "diskSizeGb", json!(want.disk.size_gb));
    fixed("spot", "spot", json!(want.spot));
    let pods_max = pool.pointer("/maxPodsConstraint/maxPodsPerNode");
    if pods_max.is_some() && !agrees(&json!(want.pods_max), pods_max) {
        reasons.push(format!(
            "pods of a node: GKE changes it only with new nodes (wanted is {})",
            want.pods_max
        ));
    }
    reasons
}
