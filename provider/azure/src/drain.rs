//! Emptying a pool before it goes: a step of its own, behind an interface.

use std::sync::Arc;

use async_trait::async_trait;
use paymesh_cloud::{Error, Request};
use paymesh_engine::{
    Context, Difference, Fault, LockKey, Object, ObjectId, Observation, Operation, OperationId,
    Ownership, Seen, Sent, Step,
};
use serde_json::{Value, json};

use crate::{
    ArmId, Azure, Pool, cluster_object_id,
    connection::{api, version},
    fault::fault,
    json::etag,
    operation, part,
};

/// How a pool is emptied, within the disruption budgets of what runs there. Every act can be the
/// first of a new process.
#[async_trait]
pub trait Drain: Send + Sync + 'static {
    /// Whether nothing is left on the pool that `body` describes.
    async fn is_empty(&self, pool: &ArmId, body: &Value) -> Result<bool, Error>;

    /// Begins to empty the pool that `body` describes. `step` is the engine's name of the step.
    async fn empty(&self, step: ObjectId, pool: &ArmId, body: &Value) -> Result<Sent, Error>;
}

/// Empties a pool through AKS alone: new pods are kept off by a taint, the autoscaler is switched
/// off, and the pool is scaled to nothing. AKS cordons and drains each node that it takes away
/// (learn.microsoft.com/azure/aks/scale-cluster), so pods are evicted within their disruption
/// budgets and start on other pools.
pub struct ScaleToNothing {
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

impl ScaleToNothing {
    /// Scaling through `azure`.
    pub fn new(azure: &Azure) -> Self {
        Self {
            azure: azure.clone(),
        }
    }
}

/// What makes the pool `body` shrink to nothing.
fn shrunk(body: &Value) -> Value {
    let mut taints = body
        .pointer("/properties/nodeTaints")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if !taints.iter().any(|it| it == TAINT) {
        taints.push(TAINT.into());
    }
    let mut changed = part::without(body.clone(), &crate::pool::READ_ONLY);
    let change = json!({"properties": {
        // Only a pool that the cluster's own components do not need may be without nodes.
        "mode": "User",
        "nodeTaints": taints,
        "enableAutoScaling": false, "minCount": null, "maxCount": null,
        "count": 0,
    }});
    part::merge(&change, &mut changed);
    changed
}

#[async_trait]
impl Drain for ScaleToNothing {
    async fn is_empty(&self, _: &ArmId, body: &Value) -> Result<bool, Error> {
        let count = body.pointer("/properties/count").and_then(Value::as_u64);
        let scales = body.pointer("/properties/enableAutoScaling") == Some(&Value::Bool(true));
        Ok(count == Some(0) && !scales && crate::connection::busy(body).is_none())
    }

    async fn empty(&self, step: ObjectId, pool: &ArmId, body: &Value) -> Result<Sent, Error> {
        let mut request = Request::put(pool.as_str(), shrunk(body));
        if let Some(etag) = etag(body) {
            request = request.if_match(etag);
        }
        let reply = self
            .azure
            .write(request, version::CLUSTERS, api::POOLS)
            .await?;
        let address = format!("{pool}?api-version={}", version::CLUSTERS);
        Ok(operation::sent(&self.azure, step, &reply, &address, false))
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

    fn arm_id(&self) -> ArmId {
        self.cluster.child("agentPools", &self.pool)
    }

    fn fault(&self, error: &Error) -> Fault {
        let fault = fault(self.id(), error);
        if fault.next.is_some() {
            return fault;
        }
        fault.next(
            "See what the message names (a disruption budget, a pod without a controller), then \
             run terraform apply again: the old pool stays until it is empty.",
        )
    }

    /// The pool as it is now.
    async fn body(&self, cx: &Context) -> Result<Option<Value>, Fault> {
        let pool = Pool::found(&self.azure, &self.cluster, &self.pool);
        let found = pool.observe(cx).await?;
        Ok(found.seen().map(|seen| seen.body.clone()))
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
        let is_empty = match self.body(cx).await? {
            None => true,
            Some(body) => {
                let looked = self.drain.is_empty(&self.arm_id(), &body).await;
                looked.map_err(|error| self.fault(&error))?
            }
        };
        Ok(if is_empty {
            let mut seen = Seen::new(json!({"drained": self.pool}));
            seen.ownership = Ownership::Ours;
            Observation::Present(seen)
        } else {
            Observation::Absent
        })
    }

    fn differ(&self, _: &Context, _: &Seen) -> Difference {
        Difference::Same
    }

    async fn apply(&self, cx: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        let Some(body) = self.body(cx).await? else {
            return Ok(Sent::Done);
        };
        let sent = self.drain.empty(self.id(), &self.arm_id(), &body).await;
        sent.map_err(|error| self.fault(&error))
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        Ok(Sent::Done)
    }

    fn resume(&self, id: &OperationId) -> Option<Arc<dyn Operation>> {
        operation::resume(&self.azure, self.id(), id)
    }
}
