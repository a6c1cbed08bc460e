//! A managed cluster (AKS). It is made together with its system pools; later on pools are objects of
//! their own.
//!
//! Created under `If-None-Match: *`; changed by rewriting what was read, under its etag. Versions
//! go up one minor at a time, each time waiting for the pools. Which changes need a new cluster
//! is the table [`IMMUTABLE`].

#[cfg(test)]
mod tests;
mod want;

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use paymesh_cloud::Request;
use paymesh_engine::{
    After, Change, Child, Context, Difference, Fault, LockKey, Mark, Object, ObjectId, Observation,
    Operation, OperationId, Reason, Seen, Sent, Step, Subject, listed,
};
use paymesh_kubernetes::Version;
use serde_json::{Value, json};

pub use want::{Access, ClusterWant, Features, Kms, Logs, NetworkWant, Power};

use crate::{
    ArmId, Azure, ClusterSeen, Pool, PoolSeen,
    connection::{api, failed, version as api_version},
    fault::fault,
    json::etag,
    operation, part, pool, tags,
};

/// What only a new cluster can change, and why (API 2026-05-01; reports of
/// `PropertyChangeNotAllowed`).
const IMMUTABLE: [(&str, &str); 8] = [
    ("location", "a cluster cannot move to another region"),
    (
        "properties.enableRBAC",
        "access control is fixed when the cluster is made",
    ),
    (
        "properties.networkProfile.podCidr",
        "running pods hold addresses of the old range",
    ),
    (
        "properties.networkProfile.serviceCidr",
        "running services hold addresses of the old range",
    ),
    (
        "properties.networkProfile.dnsServiceIP",
        "every pod was started with the old address",
    ),
    (
        "properties.apiServerAccessProfile.enablePrivateCluster",
        "a private API server cannot become public, nor the other way round",
    ),
    (
        "properties.apiServerAccessProfile.privateDNSZone",
        "the private zone is fixed when the cluster is made",
    ),
    (
        "properties.networkProfile.loadBalancerSku",
        "the load balancer's kind is fixed",
    ),
];

/// What AKS changes by replacing every node.
const REPLACES_NODES: [&str; 3] = [
    "properties.networkProfile.networkDataplane",
    "properties.networkProfile.networkPolicy",
    "properties.identityProfile.kubeletidentity",
];

/// What those who use a cluster feel: who gets in, and as whom its control plane works.
const TURNS_AWAY: [&str; 3] = [
    "identity",
    "properties.disableLocalAccounts",
    "properties.aadProfile.enableAzureRBAC",
];

/// What only the cloud writes (schema flags of API 2026-05-01).
const READ_ONLY: [&str; 16] = [
    "/id",
    "/name",
    "/type",
    "/eTag",
    "/systemData",
    "/identity/principalId",
    "/identity/tenantId",
    "/properties/provisioningState",
    "/properties/powerState",
    "/properties/maxAgentPools",
    "/properties/currentKubernetesVersion",
    "/properties/fqdn",
    "/properties/privateFQDN",
    "/properties/azurePortalFQDN",
    "/properties/resourceUID",
    "/properties/status",
];

/// A managed cluster.
#[derive(Clone)]
pub struct Cluster {
    azure: Azure,
    want: ClusterWant,
}

/// The engine's name of a cluster.
pub fn cluster_object_id(id: &ArmId) -> ObjectId {
    ObjectId::new("managed cluster", id.folded())
}

/// One write that brings a cluster nearer to what is wanted.
#[derive(PartialEq, Eq)]
enum Act {
    Start,
    Update,
    Upgrade(String),
    Stop,
}

/// All that differs.
#[derive(Default)]
struct Differences {
    replace: Vec<Reason>,
    subjects: Vec<Subject>,
    acts: Vec<Act>,
    steps: Vec<Step>,
}

impl Cluster {
    /// The cluster that is wanted.
    pub fn new(azure: &Azure, want: ClusterWant) -> Self {
        Self {
            azure: azure.clone(),
            want,
        }
    }

    fn fault(&self, error: &paymesh_cloud::Error) -> Fault {
        let mut fault = fault(self.id(), error);
        if let Some(target) = &fault.attribute {
            fault.attribute = self.want.wording.blamed(target);
        }
        fault
    }

    fn address(&self) -> String {
        format!("{}?api-version={}", self.want.id, api_version::CLUSTERS)
    }

    async fn send(&self, request: Request) -> Result<Sent, Fault> {
        let sent = self
            .azure
            .write(request, api_version::CLUSTERS, api::CLUSTERS)
            .await;
        let reply = sent.map_err(|error| self.fault(&error))?;
        Ok(operation::sent(
            &self.azure,
            self.id(),
            &reply,
            &self.address(),
            false,
        ))
    }

    async fn start(&self) -> Result<Sent, Fault> {
        self.send(Request::post(
            format!("{}/start", self.want.id),
            Value::Null,
        ))
        .await
    }

    fn differences(&self, seen: &Seen) -> Differences {
        let (body, want) = (&seen.body, &self.want);
        let mut all = Differences::default();
        let name = want.id.name();
        let differing = part::differing(&want.part(), body);
        let disruptive = differing.iter().any(|path| {
            let disturbing = REPLACES_NODES.iter().chain(&TURNS_AWAY);
            disturbing.into_iter().any(|it| part::within(path, it))
        });
        for path in differing {
            match IMMUTABLE
                .iter()
                .find(|(prefix, _)| part::within(&path, prefix))
            {
                Some((prefix, why)) => {
                    all.replace.push(Reason {
                        subject: want.wording.of(prefix),
                        why: (*why).to_owned(),
                    });
                }
                None => part::add(&mut all.subjects, want.wording.of(&path)),
            }
        }
        let stopped = ClusterSeen::new(body).power() == Some("Stopped");
        if stopped && want.power == Some(Power::Running) {
            all.acts.push(Act::Start);
            all.steps.push(Step::quiet(format!("start cluster {name}")));
        }
        // A stopped cluster takes nothing again, and what failed may be its start.
        let takes = !stopped || want.power == Some(Power::Running);
        let failed = failed(body).filter(|_| takes);
        if failed.is_some() || !all.subjects.is_empty() {
            all.acts.push(Act::Update);
            let title = match failed {
                Some(state) => {
                    format!("send cluster {name} again: its last operation ended as {state}")
                }
                None => format!("update cluster {name}: {}", listed(&all.subjects)),
            };
            all.steps.push(Step { title, disruptive });
        }
        if failed.is_some() {
            all.subjects
                .push(Subject::Setting("provisioningState".to_owned()));
        }
        let runs = version(ClusterSeen::new(body).version());
        let wanted = want.kubernetes_version.parse().ok();
        let path = runs.zip(wanted).map(|(runs, to)| runs.path_to(to));
        let upgrades = path.unwrap_or_default();
        for (from, to) in runs.iter().chain(&upgrades).zip(&upgrades) {
            all.steps
                .push(Step::disruptive(format!("control plane {from} -> {to}")));
        }
        if !upgrades.is_empty() {
            all.subjects
                .push(want.wording.of("properties.kubernetesVersion"));
        }
        let upgrades = upgrades.iter().map(ToString::to_string);
        all.acts.extend(upgrades.map(Act::Upgrade));
        if !stopped && want.power == Some(Power::Stopped) {
            all.acts.push(Act::Stop);
            all.steps
                .push(Step::disruptive(format!("stop cluster {name}")));
        }
        if matches!(all.acts.first(), Some(Act::Start))
            || matches!(all.acts.last(), Some(Act::Stop))
        {
            all.subjects.push(want.wording.of("properties.powerState"));
        }
        all
    }

    /// What must be settled before `act`.
    fn after(&self, act: &Act, body: &Value) -> After {
        match act {
            Act::Start | Act::Update => After::default(),
            Act::Upgrade(_) => After::These(self.pools_behind(body)),
            // A stopped cluster refuses to make, change and delete pools.
            Act::Stop => After::Everything,
        }
    }

    /// The pools that lag behind the control plane.
    fn pools_behind(&self, body: &Value) -> Vec<ObjectId> {
        let cluster = ClusterSeen::new(body);
        let minor = |text: Option<&str>| version(text).map(Version::minor);
        let control_plane = minor(cluster.version());
        let behind = cluster
            .pools()
            .filter(|pool| minor(pool.version()) < control_plane);
        behind
            .filter_map(PoolSeen::name)
            .map(|name| pool::pool_object_id(&self.want.id, name))
            .collect()
    }

    /// What was read, ready to be sent back with changes.
    fn rewritable(seen: &Seen) -> Value {
        let mut body = part::without(seen.body.clone(), &READ_ONLY);
        let pools = body
            .pointer_mut("/properties/agentPoolProfiles")
            .and_then(Value::as_array_mut);
        for profile in pools.into_iter().flatten() {
            *profile = part::without(profile.take(), &pool::READ_ONLY_PROFILE);
        }
        body
    }

    /// The request that sends `body`. A mark that somebody took away is no difference, but no
    /// write leaves it out.
    fn rewrite(&self, cx: &Context, seen: &Seen, mut body: Value) -> Request {
        if tags::tag(&body["tags"], Mark::OWNER_KEY).is_none() {
            body["tags"] = tags::remarked(&body, &cx.mark, &cx.holder);
        }
        let request = Request::put(self.want.id.as_str(), body);
        match etag(&seen.body) {
            Some(etag) => request.if_match(etag),
            None => request,
        }
    }
}

fn version(text: Option<&str>) -> Option<Version> {
    text?.parse().ok()
}

#[async_trait]
impl Object for Cluster {
    fn id(&self) -> ObjectId {
        cluster_object_id(&self.want.id)
    }

    fn needs(&self) -> Vec<ObjectId> {
        self.want.needs.clone()
    }

    fn keys(&self) -> BTreeSet<String> {
        tags::keys(&self.want.tags)
    }

    fn dropping(&self, keys: &BTreeSet<String>) -> Option<Arc<dyn Object>> {
        let mut object = self.clone();
        object.want.gone_tags = tags::among(keys);
        Some(Arc::new(object))
    }

    fn observed_after(&self) -> Vec<ObjectId> {
        Vec::new()
    }

    fn locks(&self) -> Vec<LockKey> {
        vec![LockKey::new(self.want.id.folded())]
    }

    fn carries_holder(&self) -> bool {
        true
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        let found = self
            .azure
            .observe(
                &self.want.id,
                api_version::CLUSTERS,
                api::CLUSTERS,
                &cx.mark,
            )
            .await;
        let mut observation = found.map_err(|error| self.fault(&error))?;
        if let Observation::Present(seen) = &mut observation {
            seen.incarnation = ClusterSeen::new(&seen.body).uid().map(str::to_owned);
        }
        Ok(observation)
    }

    async fn children(&self, cx: &Context, _: &Seen) -> Result<Vec<Child>, Fault> {
        let listed = pool::list(&self.azure, &self.want.id).await;
        let children = listed.map_err(|error| self.fault(&error))?.into_iter();
        Ok(children
            .filter_map(|body| {
                let name = body.get("name")?.as_str()?.to_owned();
                let object = Pool::found(&self.azure, &self.want.id, &name);
                Some(Child {
                    object: Arc::new(object),
                    seen: pool::seen(body, &cx.mark),
                })
            })
            .collect())
    }

    fn differ(&self, _: &Context, seen: &Seen) -> Difference {
        let found = self.differences(seen);
        if !found.replace.is_empty() {
            return Difference::Replace(found.replace);
        }
        match found.acts.first() {
            None => Difference::Same,
            Some(first) => Difference::Change(Change {
                after: self.after(first, &seen.body),
                subjects: found.subjects,
                steps: found.steps,
            }),
        }
    }

    fn foresee(&self, _: &Context, seen: &Seen) -> Option<Seen> {
        let acts = self.differences(seen).acts;
        let upgrade = acts.iter().find_map(|act| match act {
            Act::Upgrade(to) => Some(to.as_str()),
            Act::Start | Act::Update | Act::Stop => None,
        });
        if upgrade.is_none() && acts.last() != Some(&Act::Stop) {
            return None;
        }
        let mut next = seen.clone();
        part::merge(&self.want.part(), &mut next.body);
        let mut properties = json!({ "provisioningState": "Succeeded" });
        if acts.first() == Some(&Act::Start) {
            properties["powerState"] = json!({ "code": "Running" });
        }
        for version in ["kubernetesVersion", "currentKubernetesVersion"] {
            if let Some(to) = upgrade {
                properties[version] = to.into();
            }
        }
        part::merge(&json!({ "properties": properties }), &mut next.body);
        Some(next)
    }

    async fn apply(&self, cx: &Context, seen: Option<&Seen>) -> Result<Sent, Fault> {
        let want = &self.want;
        let Some(seen) = seen else {
            self.azure.inhabit(&want.id);
            let body = want.fresh(&cx.mark, &cx.holder);
            return self
                .send(Request::put(want.id.as_str(), body).if_absent())
                .await;
        };
        match self.differences(seen).acts.first() {
            None => Ok(Sent::Done),
            Some(Act::Start) => self.start().await,
            Some(Act::Stop) => {
                self.send(Request::post(format!("{}/stop", want.id), Value::Null))
                    .await
            }
            Some(Act::Update) => {
                let mut body = Self::rewritable(seen);
                let part = want.part();
                if !part::differing(&json!({"identity": part["identity"]}), &seen.body).is_empty() {
                    body["identity"] = json!({});
                }
                part::merge(&part, &mut body);
                self.send(self.rewrite(cx, seen, body)).await
            }
            Some(Act::Upgrade(to)) => {
                let mut body = Self::rewritable(seen);
                let part = json!({ "properties": { "kubernetesVersion": to } });
                part::merge(&part, &mut body);
                self.send(self.rewrite(cx, seen, body)).await
            }
        }
    }

    fn may_be_held(&self, seen: &Seen) -> bool {
        ClusterSeen::new(&seen.body).power() != Some("Stopped")
    }

    async fn wake(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        self.start().await
    }

    async fn hold(&self, cx: &Context, seen: &Seen) -> Result<Sent, Fault> {
        let tags = tags::remarked(&seen.body, &cx.mark, &cx.holder);
        self.send(Request::patch(self.want.id.as_str(), json!({"tags": tags})))
            .await
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        let id = self.want.id.as_str();
        let sent = self
            .azure
            .delete(id, api_version::CLUSTERS, api::CLUSTERS)
            .await;
        let reply = sent.map_err(|error| self.fault(&error))?;
        Ok(reply.map_or(Sent::Done, |reply| {
            operation::sent(&self.azure, self.id(), &reply, &self.address(), true)
        }))
    }

    fn resume(&self, id: &OperationId) -> Option<Arc<dyn Operation>> {
        operation::resume(&self.azure, self.id(), id)
    }
}
