//! Emptying a pool before it goes: a step of its own, behind an interface.

use std::sync::Arc;

use async_trait::async_trait;
use paymesh_cloud::Request;
use paymesh_engine::{
    Context, Difference, Fault, FaultKind, LockKey, Object, ObjectId, Observation, Ownership, Seen,
    Sent, Step,
};
use serde_json::{Value, json};

use crate::{
    ArmId, Azure, Pool,
    cluster::etag,
    cluster_object_id,
    connection::{api, version},
    part,
    pool::pool_object_id,
};

/// Whether a pool is empty of what it may be emptied of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drained {
    /// It is.
    Yes,
    /// It is not; the text says what is left.
    No(String),
}

/// How a pool is emptied. Both acts can be the first of a new process.
#[async_trait]
pub trait Drain: Send + Sync + 'static {
    /// Looks whether `pool` of `cluster` is empty.
    async fn state(&self, cluster: &ArmId, pool: &str) -> Result<Drained, String>;

    /// Empties `pool` of `cluster`, within the disruption budgets of what runs there. Returns
    /// when it is empty, or with what is in the way.
    async fn drain(&self, cluster: &ArmId, pool: &str) -> Result<(), String>;
}

/// Keeps new pods off a pool through the cloud's own API: a taint on the pool, and the autoscaler
/// off. What runs there is moved by Azure when the pool is deleted, within disruption budgets.
pub struct Cordon {
    azure: Azure,
}

/// The step that empties the pool `pool`.
pub struct DrainPool {
    azure: Azure,
    cluster: ArmId,
    pool: String,
    drain: Arc<dyn Drain>,
}

const TAINT: &str = "paymesh.dev/retiring=true:NoSchedule";

impl Cordon {
    /// A cordon through `azure`.
    pub fn new(azure: &Azure) -> Self {
        Self {
            azure: azure.clone(),
        }
    }

    async fn body(&self, id: &ArmId) -> Result<Option<Value>, String> {
        let read = self
            .azure
            .read(id.as_str(), version::CLUSTERS, api::CLUSTERS)
            .await;
        read.map_err(|error| error.to_string())
    }
}

fn is_cordoned(body: &Value) -> bool {
    let taints = body
        .pointer("/properties/nodeTaints")
        .and_then(Value::as_array);
    taints.is_some_and(|all| all.iter().any(|it| it.as_str() == Some(TAINT)))
}

#[async_trait]
impl Drain for Cordon {
    async fn state(&self, cluster: &ArmId, pool: &str) -> Result<Drained, String> {
        let id = cluster.child("agentPools", pool);
        Ok(match self.body(&id).await? {
            Some(body) if !is_cordoned(&body) => Drained::No("new pods may still come".to_owned()),
            _ => Drained::Yes,
        })
    }

    async fn drain(&self, cluster: &ArmId, pool: &str) -> Result<(), String> {
        let id = cluster.child("agentPools", pool);
        let Some(body) = self.body(&id).await? else {
            return Ok(());
        };
        if is_cordoned(&body) {
            return Ok(());
        }
        let mut taints = body
            .pointer("/properties/nodeTaints")
            .and_then(Value::as_array)
            .cloned();
        taints.get_or_insert_default().push(TAINT.into());
        let mut changed = part::without(body.clone(), &crate::pool::READ_ONLY);
        let change = json!({"properties": {
            "nodeTaints": taints, "enableAutoScaling": false, "minCount": null, "maxCount": null,
        }});
        part::merge(&change, &mut changed);
        let mut request = Request::put(id.as_str(), changed);
        if let Some(etag) = etag(&body) {
            request = request.if_match(etag);
        }
        let sent = self
            .azure
            .write(request, version::CLUSTERS, api::POOLS)
            .await;
        let reply = sent.map_err(|error| error.to_string())?;
        let address = format!("{id}?api-version={}", version::CLUSTERS);
        let Some(operation) = paymesh_cloud::Operation::azure(&reply, &address, false) else {
            return Ok(());
        };
        let limit = std::time::Duration::from_mins(30);
        let waited = self.azure.client().wait(&operation, limit).await;
        waited.map(|_| ()).map_err(|error| error.to_string())
    }
}

impl DrainPool {
    /// The step that empties `pool` of `cluster` by `drain`.
    pub fn new(azure: &Azure, cluster: &ArmId, pool: &str, drain: Arc<dyn Drain>) -> Self {
        Self {
            azure: azure.clone(),
            cluster: cluster.clone(),
            pool: pool.to_owned(),
            drain,
        }
    }

    /// The engine's name of the step.
    pub fn object_id(cluster: &ArmId, pool: &str) -> ObjectId {
        ObjectId::new("drain", cluster.child("agentPools", pool).folded())
    }

    fn fault(&self, why: &str) -> Fault {
        Fault::new(
            self.id(),
            FaultKind::Unavailable,
            format!("{}: {why}", self.pool),
        )
        .next(
            "See what the message names (a disruption budget, a pod without a controller), then \
             run terraform apply again: the old pool stays until it is empty.",
        )
    }
}

#[async_trait]
impl Object for DrainPool {
    fn id(&self) -> ObjectId {
        Self::object_id(&self.cluster, &self.pool)
    }

    fn needs(&self) -> Vec<ObjectId> {
        vec![cluster_object_id(&self.cluster)]
    }

    fn locks(&self) -> Vec<LockKey> {
        vec![LockKey::new(self.cluster.folded())]
    }

    fn create_steps(&self) -> Vec<Step> {
        vec![Step::disruptive(format!("drain pool {}", self.pool))]
    }

    async fn observe(&self, cx: &Context) -> Result<Observation, Fault> {
        // A pool that is gone, or that was never there, needs no emptying.
        let pool = pool_object_id(&self.cluster, &self.pool);
        let there = if let Some(known) = cx.observations.observation(&pool) {
            known.seen().is_some()
        } else {
            let pool = Pool::found(&self.azure, &self.cluster, &self.pool);
            pool.observe(cx).await?.seen().is_some()
        };
        let state = if there {
            let state = self.drain.state(&self.cluster, &self.pool).await;
            state.map_err(|why| self.fault(&why))?
        } else {
            Drained::Yes
        };
        Ok(match state {
            Drained::No(_) => Observation::Absent,
            Drained::Yes => {
                let mut seen = Seen::new(json!({"drained": self.pool}));
                seen.ownership = Ownership::Ours;
                Observation::Present(seen)
            }
        })
    }

    fn differ(&self, _: &Context, _: &Seen) -> Difference {
        Difference::Same
    }

    async fn apply(&self, _: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        let done = self.drain.drain(&self.cluster, &self.pool).await;
        done.map(|()| Sent::Done).map_err(|why| self.fault(&why))
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        Ok(Sent::Done)
    }
}
