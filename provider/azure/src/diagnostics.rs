//! Where a cluster's control plane sends its logs, the audit log among them.

use async_trait::async_trait;
use paymesh_cloud::Request;
use paymesh_engine::{
    Context, Difference, Fault, Object, ObjectId, Observation, Ownership, Seen, Sent, Subject,
};
use serde_json::{Value, json};

use crate::{
    ArmId, Azure, cluster_object_id, connection::api, connection::version, fault::fault, json::text,
};

/// The logs that are sent. `kube-audit-admin` is the audit log without reads, which AKS
/// recommends over `kube-audit` (learn.microsoft.com/azure/aks/monitor-aks).
pub(crate) const CATEGORIES: [&str; 6] = [
    "kube-audit-admin",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "cluster-autoscaler",
    "guard",
];

/// A diagnostic setting of a cluster. It does not go with the cluster: one that is left behind
/// would be there again when a cluster of the same name is made.
pub struct Diagnostics {
    azure: Azure,
    cluster: ArmId,
    workspace: String,
}

impl Diagnostics {
    /// The setting that sends the logs of `cluster` to the Log Analytics workspace `workspace`.
    pub fn new(azure: &Azure, cluster: &ArmId, workspace: &str) -> Self {
        Self {
            azure: azure.clone(),
            cluster: cluster.clone(),
            workspace: workspace.to_owned(),
        }
    }

    /// The engine's name of the setting of `cluster`.
    pub fn id_of(cluster: &ArmId) -> ObjectId {
        ObjectId::new("diagnostic setting", path_of(cluster).to_ascii_lowercase())
    }

    fn path(&self) -> String {
        path_of(&self.cluster)
    }

    fn fault(&self, error: &paymesh_cloud::Error) -> Fault {
        fault(self.id(), error)
    }
}

/// Where the diagnostic setting of ours is.
pub(crate) fn path_of(cluster: &ArmId) -> String {
    format!("{cluster}/providers/Microsoft.Insights/diagnosticSettings/paymesh")
}

fn sends(body: &Value, category: &str) -> bool {
    let logs = body.pointer("/properties/logs").and_then(Value::as_array);
    logs.into_iter()
        .flatten()
        .any(|it| it["category"] == category && it["enabled"] == true)
}

#[async_trait]
impl Object for Diagnostics {
    fn id(&self) -> ObjectId {
        Self::id_of(&self.cluster)
    }

    fn attribute(&self) -> Option<String> {
        Some("logs".to_owned())
    }

    fn parent(&self) -> Option<ObjectId> {
        Some(cluster_object_id(&self.cluster))
    }

    async fn observe(&self, _: &Context) -> Result<Observation, Fault> {
        let found = self
            .azure
            .read(&self.path(), version::DIAGNOSTICS, api::ARM)
            .await;
        Ok(match found.map_err(|error| self.fault(&error))? {
            None => Observation::Absent,
            Some(body) => {
                let mut seen = Seen::new(body);
                seen.ownership = Ownership::FollowsParent;
                Observation::Present(seen)
            }
        })
    }

    fn differ(&self, _: &Context, seen: &Seen) -> Difference {
        let there = text(&seen.body, "/properties/workspaceId");
        let elsewhere = !there.is_some_and(|it| it.eq_ignore_ascii_case(&self.workspace));
        let mut subjects = Vec::new();
        if elsewhere {
            subjects.push(Subject::Attribute("logs.workspace_id".to_owned()));
        }
        if CATEGORIES.iter().any(|it| !sends(&seen.body, it)) {
            subjects.push(Subject::Attribute("logs".to_owned()));
        }
        if subjects.is_empty() {
            Difference::Same
        } else {
            Difference::change(subjects)
        }
    }

    async fn apply(&self, _: &Context, _: Option<&Seen>) -> Result<Sent, Fault> {
        let logs = CATEGORIES.map(|it| json!({"category": it, "enabled": true}));
        let body = json!({"properties": {
            "workspaceId": self.workspace,
            "logAnalyticsDestinationType": "Dedicated",
            "logs": logs,
        }});
        let request = Request::put(self.path(), body);
        let sent = self
            .azure
            .write(request, version::DIAGNOSTICS, api::ARM)
            .await;
        sent.map(|_| Sent::Done).map_err(|error| self.fault(&error))
    }

    async fn delete(&self, _: &Context, _: &Seen) -> Result<Sent, Fault> {
        let sent = self
            .azure
            .delete(&self.path(), version::DIAGNOSTICS, api::ARM)
            .await;
        sent.map(|_| Sent::Done).map_err(|error| self.fault(&error))
    }
}
