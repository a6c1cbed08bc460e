//! Operations of Kubernetes Engine.

use std::sync::Arc;

use paymesh_cloud::{Operation as Running, Progress};
use paymesh_engine::{Fault, FaultKind, ObjectId, Operation, OperationId, Poll, Sent, async_trait};
use serde_json::Value;

use crate::{Google, Location, client::Api, fault::fault};

/// An operation that runs on a cluster or a node pool.
pub(crate) struct ContainerOperation {
    google: Arc<Google>,
    object: ObjectId,
    id: OperationId,
}

impl ContainerOperation {
    /// What a write came to, by the operation in its answer.
    ///
    /// The operation's own links name the project by number and say `zones/`; the address is
    /// built from what was asked instead.
    pub(crate) fn started(
        google: &Arc<Google>,
        object: ObjectId,
        place: &Location,
        operation: &Value,
    ) -> Result<Sent, Fault> {
        let Some(name) = operation["name"].as_str() else {
            return Err(Fault::new(
                object,
                FaultKind::Uncertain,
                "the cloud accepted the request and named no operation.",
            ));
        };
        let id = OperationId {
            name: name.to_owned(),
            token: format!("{place}/operations/{name}"),
        };
        Ok(Sent::Started(Arc::new(Self {
            google: google.clone(),
            object,
            id,
        })))
    }

    /// An operation that an earlier process started.
    pub(crate) fn resumed(
        google: &Arc<Google>,
        object: ObjectId,
        id: &OperationId,
    ) -> Arc<dyn Operation> {
        Arc::new(Self {
            google: google.clone(),
            object,
            id: id.clone(),
        })
    }
}

#[async_trait]
impl Operation for ContainerOperation {
    fn id(&self) -> OperationId {
        self.id.clone()
    }

    async fn poll(&self) -> Result<Poll, Fault> {
        let url = format!("/v1/{}", self.id.token);
        let object = format!("/v1/{}", self.object.name);
        let running = Running::google(&url, &object, false);
        match self.google.client(Api::Container).poll(&running).await {
            Ok(Progress::Running { status, wait }) => Ok(Poll::Running {
                after: wait,
                status,
            }),
            Ok(Progress::Succeeded(_)) => Ok(Poll::Succeeded),
            // Neither the operation nor the object is there: observing decides.
            Ok(Progress::Failed(error)) if error.is_not_found() => Ok(Poll::Gone),
            Ok(Progress::Failed(error)) => {
                Ok(Poll::Failed(Box::new(fault(self.object.clone(), &error))))
            }
            Err(error) => Err(fault(self.object.clone(), &error)),
        }
    }
}
