//! An agent pool: counts, labels, taints and versions change in place, the machines themselves
//! do not.

mod want;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use paymesh_cloud::{Error, Reply, Request};
use paymesh_engine::{
    After, Change, Context, Difference, Fault, LockKey, Mark, Object, ObjectId, Observation,
    Operation, OperationId, Ownership, Reason, Seen, Sent, Step, Subject, listed,
};
use paymesh_kubernetes::Version;
use serde_json::{Value, json};

pub use want::{PoolMode, PoolWant, Scale};

pub(crate) use want::RETIRING;
use want::taint_key;

use crate::{
    ArmId, Azure, ClusterSeen, PoolSeen, cluster_object_id,
    connection::{api, failed, version},
    drain::Drain,
    fault::fault,
    json::{etag, text},
    operation, part, tags,
};

/// What only a new pool can change (API 2026-05-01; reports of `PropertyChangeNotAllowed`).
const IMMUTABLE: [(&str, &str); 8] = [
    ("properties.vmSize", "machines keep their size"),
    ("properties.availabilityZones", "machines keep their zones"),
    ("properties.osDiskSizeGB", "machines keep their disk"),
    ("properties.osDiskType", "machines keep their disk"),
    ("properties.osType", "machines keep their operating system"),
    ("properties.vnetSubnetID", "machines keep their subnet"),
    (
        "properties.maxPods",
        "the nodes' address ranges are sized by it",
    ),
    (
        "properties.scaleSetPriority",
        "spot and regular machines do not mix",
    ),
];

/// What only the cloud writes, in a pool and in the profile inside a cluster.
pub(crate) const READ_ONLY: [&str; 9] = [
    "/id",
    "/name",
    "/type",
    "/properties/eTag",
    "/properties/currentOrchestratorVersion",
    "/properties/provisioningState",
    "/properties/powerState",
    "/properties/nodeImageVersion",
    "/properties/status",
];
pub(crate) const READ_ONLY_PROFILE: [&str; 6] = [
    "/eTag",
    "/currentOrchestratorVersion",
    "/provisioningState",
    "/powerState",
    "/nodeImageVersion",
    "/status",
];

/// Labels and taints below this are the cloud's own.
pub(crate) const SYSTEM: &str = "kubernetes.azure.com/";

/// How the engine remembers the label `key` of a pool's nodes.
const LABEL: &str = "label ";

/// The same for a taint.
const TAINT: &str = "taint ";

/// An agent pool.
#[derive(Clone)]
pub struct Pool {
    azure: Azure,
    cluster: ArmId,
    name: String,
    want: Option<PoolWant>,
}

/// The engine's name of the pool `name` of `cluster`.
pub fn pool_object_id(cluster: &ArmId, name: &str) -> ObjectId {
    ObjectId::new("agent pool", cluster.child("agentPools", name).folded())
}

impl Pool {
    /// The pool of `cluster` that is wanted.
    pub fn new(azure: &Azure, cluster: &ArmId, want: PoolWant) -> Self {
        let name = want.name.clone();
        Self {
            azure: azure.clone(),
            cluster: cluster.clone(),
            name,
            want: Some(want),
        }
    }

    /// The pool called `name`, to be looked at or deleted only.
    pub fn found(azure: &Azure, cluster: &ArmId, name: &str) -> Self {
        let (azure, cluster) = (azure.clone(), cluster.clone());
        Self {
            azure,
            cluster,
            name: name.to_owned(),
            want: None,
        }
    }

    fn arm_id(&self) -> ArmId {
        self.cluster.child("agentPools", &self.name)
    }

    fn fault(&self, error: &Error) -> Fault {
        let mut fault = fault(self.id(), error);
        if let (Some(target), Some(want)) = (&fault.attribute, &self.want) {
            fault.attribute = want.wording.blamed(target);
        }
        fault
    }

    async fn send(&self, request: Request) -> Result<Sent, Fault> {
        let sent = self
            .azure
            .write(request, version::CLUSTERS, api::POOLS)
            .await;
        let reply = sent.map_err(|error| self.fault(&error))?;
        Ok(self.sent(&reply, false))
    }

    fn sent(&self, reply: &Reply, deleting: bool) -> Sent {
        let address = format!("{}?api-version={}", self.arm_id(), version::CLUSTERS);
        operation::sent(&self.azure, self.id(), reply, &address, deleting)
    }

    /// The version to go to next: the control plane's, one minor at a time.
    fn upgrade(&self, cx: &Context, seen: &Seen) -> Option<(String, String)> {
        let current: Version = PoolSeen::new(&seen.body).version()?.parse().ok()?;
        let cluster = cx.seen(&cluster_object_id(&self.cluster))?;
        let leader: Version = ClusterSeen::new(&cluster.body).version()?.parse().ok()?;
        // Above the floor, versions are the upgrade channel's business.
        let floor = self.want.as_ref()?.kubernetes_version.as_str();
        if current.meets(floor.parse().unwrap_or(leader.minor())) {
            return None;
        }
        let next = *current.path_to(leader).first()?;
        Some((current.to_string(), next.to_string()))
    }
}

/// The pools of `cluster`.
pub(crate) async fn list(azure: &Azure, cluster: &ArmId) -> Result<Vec<Value>, Error> {
    let query = [("api-version", version::CLUSTERS)];
    azure
        .list(&format!("{cluster}/agentPools"), &query, api::CLUSTERS)
        .await
}

/// A pool's body as the engine sees it.
pub(crate) fn seen(body: Value, mark: &Mark) -> Seen {
    let tags = body
        .pointer("/properties/tags")
        .cloned()
        .unwrap_or_default();
    let busy = crate::connection::busy(&body);
    let mut seen = Seen::new(body);
    seen.ownership = match tags::ownership(&tags, mark) {
        // Pools made together with their cluster by other tools bear nothing.
        Ownership::Unmarked => Ownership::FollowsParent,
        other => other,
    };
    seen.busy = busy.map(|what| paymesh_engine::Busy {
        what,
        operation: None,
    });
    seen
}

#[async_trait]
impl Object for Pool {
    fn id(&self) -> ObjectId {
        pool_object_id(&self.cluster, &self.name)
    }

    fn attribute(&self) -> Option<String> {
        let want = self.want.as_ref()?;
        want.attribute.clone()
    }

    fn parent(&self) -> Option<ObjectId> {
        Some(cluster_object_id(&self.cluster))
    }

    fn goes_with_parent(&self) -> bool {
        true
    }

    fn keys(&self) -> BTreeSet<String> {
        let Some(want) = &self.want else {
            return BTreeSet::new();
        };
        let labels = want.labels.keys().map(|key| format!("{LABEL}{key}"));
        let taints = want.taints.iter();
        let taints = taints.map(|taint| format!("{TAINT}{}", taint_key(taint)));
        let tags = tags::keys(&want.tags).into_iter();
        tags.chain(labels).chain(taints).collect()
    }

    fn dropping(&self, keys: &BTreeSet<String>) -> Option<Arc<dyn Object>> {
        let mut object = self.clone();
        let want = object.want.as_mut()?;
        want.gone_tags = tags::among(keys);
        let labels = keys.iter().filter_map(|key| key.strip_prefix(LABEL));
        want.gone_labels = labels.map(str::to_owned).collect();
        let taints = keys.iter().filter_map(|key| key.strip_prefix(TAINT));
        want.gone_taints = taints.map(str::to_owned).collect();
        Some(Arc::new(object))
    }

    fn farewell(&self) -> Option<Arc<dyn Object>> {
        let drain = Drain::new(&self.azure, &self.cluster, &self.name);
        Some(Arc::new(drain))
    }

    fn locks(&self) -> Vec<LockKey> {
        vec![LockKey::new(self.cluster.folded())]
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        let id = self.arm_id();
        // One list shows all pools of a cluster, so a plan asks once for all of them. Only what
        // it does not show (yet) is asked for by name.
        let listed = list(&self.azure, &self.cluster).await;
        let listed = match listed {
            Err(error) if error.is_not_found() => return Ok(Observation::Absent),
            listed => listed.map_err(|error| self.fault(&error))?,
        };
        let is_this = |it: &Value| {
            text(it, "/name").is_some_and(|name| name.eq_ignore_ascii_case(&self.name))
        };
        let body = if let Some(body) = listed.into_iter().find(is_this) {
            Some(body)
        } else {
            let found = self
                .azure
                .read(id.as_str(), version::CLUSTERS, api::CLUSTERS)
                .await;
            found.map_err(|error| self.fault(&error))?
        };
        let Some(body) = body else {
            return Ok(Observation::Absent);
        };
        let seen = seen(body, &cx.mark);
        if seen.busy.is_some() {
            self.azure.client().forget_reads_around(id.as_str());
        }
        Ok(Observation::Present(seen))
    }

    fn differ(&self, cx: &Context, seen: &Seen) -> Difference {
        let Some(want) = &self.want else {
            return Difference::Same;
        };
        let (mut replace, mut subjects, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        let differing = part::differing(&want.part_over(seen), &seen.body);
        // Each node starts from its image again (AKS, "LocalDNS").
        let reimages = differing
            .iter()
            .any(|path| part::within(path, "properties.localDNSProfile"));
        let demoted =
            want.mode == PoolMode::User && differing.iter().any(|path| path == "properties.mode");
        for path in differing {
            match IMMUTABLE
                .iter()
                .find(|(prefix, _)| part::within(&path, prefix))
            {
                Some((prefix, why)) => {
                    replace.push(Reason {
                        subject: want.wording.of(prefix),
                        why: (*why).to_owned(),
                    });
                }
                None => part::add(&mut subjects, want.wording.of(&path)),
            }
        }
        if PoolSeen::new(&seen.body).is_spot() && !want.spot {
            replace.push(Reason {
                subject: want.wording.of("properties.scaleSetPriority"),
                why: "spot and regular machines do not mix".to_owned(),
            });
        }
        if !replace.is_empty() {
            return Difference::Replace(replace);
        }
        if !subjects.is_empty() {
            let to = if want.empties(seen) {
                " to no nodes"
            } else {
                ""
            };
            steps.push(Step {
                title: format!("update pool {}{to}: {}", self.name, listed(&subjects)),
                disruptive: reimages || want.empties(seen) || want.evicts(seen),
            });
        }
        if subjects.is_empty()
            && let Some(state) = failed(&seen.body)
        {
            subjects.push(Subject::Setting("provisioningState".to_owned()));
            steps.push(Step::quiet(format!(
                "send pool {} again: its last operation ended as {state}",
                self.name
            )));
        }
        if let Some((from, to)) = self.upgrade(cx, seen) {
            subjects.push(want.wording.of("properties.orchestratorVersion"));
            steps.push(Step::disruptive(format!(
                "pool {} {from} -> {to}",
                self.name
            )));
        }
        if steps.is_empty() {
            return Difference::Same;
        }
        Difference::Change(Change {
            subjects,
            steps,
            after: if demoted {
                After::These(want.system_pools.clone())
            } else {
                After::default()
            },
        })
    }

    fn foresee(&self, cx: &Context, seen: &Seen) -> Option<Seen> {
        let (_, to) = self.upgrade(cx, seen)?;
        let mut next = seen.clone();
        for version in ["orchestratorVersion", "currentOrchestratorVersion"] {
            let part = json!({ "properties": { version: to } });
            part::merge(&part, &mut next.body);
        }
        Some(next)
    }

    async fn apply(&self, cx: &Context, seen: Option<&Seen>) -> Result<Sent, Fault> {
        let Some(want) = &self.want else {
            return Ok(Sent::Done);
        };
        let id = self.arm_id();
        let Some(seen) = seen else {
            let body = json!({"properties": want.fresh(&cx.mark)});
            return self.send(Request::put(id.as_str(), body).if_absent()).await;
        };
        let mut body = part::without(seen.body.clone(), &READ_ONLY);
        let part = want.part_over(seen);
        if failed(&seen.body).is_none() && part::differing(&part, &seen.body).is_empty() {
            if let Some((_, to)) = self.upgrade(cx, seen) {
                let part = json!({ "properties": { "orchestratorVersion": to } });
                part::merge(&part, &mut body);
            }
        } else {
            part::merge(&part, &mut body);
        }
        let request = Request::put(id.as_str(), body);
        let request = match etag(&seen.body) {
            Some(etag) => request.if_match(etag),
            None => request,
        };
        self.send(request).await
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        let sent = self
            .azure
            .delete(self.arm_id().as_str(), version::CLUSTERS, api::POOLS)
            .await;
        let reply = sent.map_err(|error| self.fault(&error))?;
        Ok(reply.map_or(Sent::Done, |reply| self.sent(&reply, true)))
    }

    fn resume(&self, id: &OperationId) -> Option<Arc<dyn Operation>> {
        operation::resume(&self.azure, self.id(), id)
    }
}
