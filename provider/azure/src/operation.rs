//! ARM's long-running operations, as the engine polls them.

use std::sync::Arc;

use async_trait::async_trait;
use paymesh_cloud::{Progress, Reply};
use paymesh_engine::{Fault, ObjectId, Operation, OperationId, Poll, Sent};

use crate::{Azure, fault::fault};

struct Running {
    azure: Azure,
    object: ObjectId,
    inner: paymesh_cloud::Operation,
}

/// What a write that was answered with `reply` came to. `resource` is the address that shows the
/// object, query included.
pub(crate) fn sent(
    azure: &Azure,
    object: ObjectId,
    reply: &Reply,
    resource: &str,
    deleting: bool,
) -> Sent {
    match paymesh_cloud::Operation::azure(reply, resource, deleting) {
        Some(inner) => Sent::Started(Arc::new(Running {
            azure: azure.clone(),
            object,
            inner,
        })),
        None => Sent::Done,
    }
}

/// Takes up the operation that an earlier process wrote down.
pub(crate) fn resume(
    azure: &Azure,
    object: ObjectId,
    id: &OperationId,
) -> Option<Arc<dyn Operation>> {
    let inner = serde_json::from_str(&id.token).ok()?;
    Some(Arc::new(Running {
        azure: azure.clone(),
        object,
        inner,
    }))
}

#[async_trait]
impl Operation for Running {
    fn id(&self) -> OperationId {
        let name = self.inner.id().unwrap_or("provisioning").to_owned();
        let token = serde_json::to_string(&self.inner).unwrap_or_default();
        OperationId { name, token }
    }

    async fn poll(&self) -> Result<Poll, Fault> {
        match self.azure.client().poll(&self.inner).await {
            Ok(Progress::Running { status, wait }) => Ok(Poll::Running {
                after: wait,
                status,
            }),
            Ok(Progress::Succeeded(_)) => Ok(Poll::Succeeded),
            Ok(Progress::Failed(error)) if error.is_not_found() => Ok(Poll::Gone),
            Ok(Progress::Failed(error)) => {
                Ok(Poll::Failed(Box::new(fault(self.object.clone(), &error))))
            }
            Err(error) => Err(fault(self.object.clone(), &error)),
        }
    }
}
