//! Emptying a pool before it goes: a step of its own.
//!
//! Through AKS alone: new pods are kept off by a taint, the autoscaler is switched off, and the pool
//! is scaled to nothing. AKS cordons and drains each node that it takes away
//! (learn.microsoft.com/azure/aks/scale-cluster), so pods are evicted within their disruption
//! budgets and start on other pools.

use std::sync::Arc;

use async_trait::async_trait;
use paymesh_cloud::{Error, Request};
use paymesh_engine::{
    Context, Difference, Fault, FaultKind, LockKey, Object, ObjectId, Observation, Operation,
    OperationId, Ownership, Seen, Sent, Step,
};
use serde_json::{Value, json};

use crate::{
    ArmId, Azure, Pool, cluster_object_id,
    connection::{api, busy, version},
    fault::fault,
    json::etag,
    operation, part,
    pool::RETIRING,
};

/// The step that empties a pool. Every act can be the first of a new process.
pub(crate) struct Drain {
    azure: Azure,
    cluster: ArmId,
    pool: String,
}

/// What makes the pool `body` shrink to nothing.
fn shrunk(body: &Value) -> Value {
    let mut taints = body
        .pointer("/properties/nodeTaints")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    if !taints.iter().any(|it| it == RETIRING) {
        taints.push(RETIRING.into());
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

/// Whether nothing is left on the pool that `body` describes.
fn is_empty(body: &Value) -> bool {
    let count = body.pointer("/properties/count").and_then(Value::as_u64);
    let scales = body.pointer("/properties/enableAutoScaling") == Some(&Value::Bool(true));
    count == Some(0) && !scales && busy(body).is_none()
}

impl Drain {
    /// The step that empties `pool` of `cluster`.
    pub(crate) fn new(azure: &Azure, cluster: &ArmId, pool: &str) -> Self {
        Self {
            azure: azure.clone(),
            cluster: cluster.clone(),
            pool: pool.to_owned(),
        }
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
impl Object for Drain {
    fn id(&self) -> ObjectId {
        ObjectId::new("drain", self.arm_id().folded())
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
        let body = self.body(cx).await?;
        Ok(if body.as_ref().is_none_or(is_empty) {
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
        if let Some(what) = crate::connection::busy(&body) {
            let message = format!("`{what}` still runs on the pool {}.", self.pool);
            return Err(Fault::new(self.id(), FaultKind::Busy, message));
        }
        let mut request = Request::put(self.arm_id().as_str(), shrunk(&body));
        if let Some(etag) = etag(&body) {
            request = request.if_match(etag);
        }
        let sent = self
            .azure
            .write(request, version::CLUSTERS, api::POOLS)
            .await;
        let reply = sent.map_err(|error| self.fault(&error))?;
        let address = format!("{}?api-version={}", self.arm_id(), version::CLUSTERS);
        Ok(operation::sent(
            &self.azure,
            self.id(),
            &reply,
            &address,
            false,
        ))
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        Ok(Sent::Done)
    }

    fn resume(&self, id: &OperationId) -> Option<Arc<dyn Operation>> {
        operation::resume(&self.azure, self.id(), id)
    }
}
